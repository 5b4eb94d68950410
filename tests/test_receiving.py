"""One buffer for all sockets: what is taken for a read, and that each connection gets its own bytes."""

import asyncio
import base64
import hashlib
import random
import ssl
import threading
import tracemalloc
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.peer import Peer, Request, answer, peer
from tests.stream.fake_gateway import TLS_CERTIFICATE, TLS_KEY, dialer
from trmm_async import TRMM, Connector
from trmm_async.stream.sockets import BufferedLink, Link, LinkSettings

LARGE = b'"' + b"x" * 3_000_000 + b'"'
PIECE = 256 * 1024
"""What asyncio takes for one read by itself."""


class Answers(BaseHTTPRequestHandler):
    """Closes behind an answer to /large/; lets a WebSocket in, and answers each of its frames."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if "Sec-WebSocket-Key" in self.headers:
            self.let_in(self.headers["Sec-WebSocket-Key"])
            return
        body = LARGE if self.path == "/large/" else b'"small"'
        self.close_connection = body is LARGE
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def let_in(self, key: str) -> None:
        accept = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        self.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade")):
            self.send_header(name, value)
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(accept).decode())
        self.end_headers()
        self.close_connection = True
        while self.connection.recv(1000):
            self.wfile.write(b"\x81\x05hello")

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Takes no large pieces of memory itself."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.url = ""
        self.trusting: ssl.SSLContext | None = None


@contextmanager
def threaded(folder: Path, *, tls: bool) -> Iterator[Server]:
    with Server() as server:
        if tls:
            certificate, key = folder / "cert.pem", folder / "key.pem"
            certificate.write_text(TLS_CERTIFICATE)
            key.write_text(TLS_KEY)
            serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            serving.load_cert_chain(certificate, key)
            server.socket = serving.wrap_socket(server.socket, server_side=True)
            server.trusting = ssl.create_default_context(cafile=certificate)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        server.url = f"http{'s' * tls}://127.0.0.1:{server.server_address[1]}"
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)


async def most_of(work: Callable[[], Coroutine[Any, Any, object]]) -> int:
    """The most memory that it holds at any moment, beside what there was before."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("tls", [False, True])
class TestAReadTakesNoLargePiece:
    async def test_of_an_answer(self, tmp_path: Path, *, tls: bool) -> None:
        with threaded(tmp_path, tls=tls) as server:
            async with (
                asyncio.timeout(20),
                TRMM(server.url, api_key="k", dialect="gateway", ssl=server.trusting) as trmm,
            ):
                assert await trmm.request("GET", "/small/") == "small"
                assert await most_of(lambda: trmm.request("GET", "/small/")) < PIECE // 2

    async def test_of_a_web_socket(self, tmp_path: Path, *, tls: bool) -> None:
        with threaded(tmp_path, tls=tls) as server:
            async with asyncio.timeout(20):
                link = await dialer(server.url, tls=server.trusting).dial("/", LinkSettings(), set())
                assert isinstance(link, Link)

                async def ask() -> None:
                    link.send("hello?")
                    assert await link.receive() == [b"hello"]

                await ask()
                assert await most_of(ask) < PIECE // 2
                link.abort()
                await link.gone


@pytest.mark.parametrize("held", [0, 262_144, 800_000])
def test_there_is_room_for_all_that_tls_holds(held: int) -> None:
    """It reads no more once the connection has ended: what has no room then is lost."""
    line = BufferedLink.__new__(BufferedLink)
    assert len(line.get_buffer(held)) > held
    assert isinstance(line.get_buffer(held), memoryview)


async def test_a_large_answer_over_tls_is_whole_though_the_server_closes_behind_it(tmp_path: Path) -> None:
    with threaded(tmp_path, tls=True) as server:
        async with (
            asyncio.timeout(30),
            TRMM(server.url, api_key="k", dialect="gateway", ssl=server.trusting, retries=0) as trmm,
        ):
            assert await trmm.request("GET", "/large/") == LARGE[1:-1].decode()


async def own_bytes() -> None:
    """Each of many connections at once brings what it was asked for, in pieces of any size."""
    chance = random.Random(13)
    sizes = [chance.choice([1, 100, 16_000, 32_768, 65_537]) for _ in range(60)]

    async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
        number = int(request.target.strip("/"))
        reply = answer(b'"%s"' % (b"%d," % number * sizes[number]))
        while reply:
            size = chance.choice([100, 65_536, 100_000, 300_000])
            writer.write(reply[:size])
            reply = reply[size:]
            await writer.drain()
            await asyncio.sleep(0)
        return True

    async with asyncio.timeout(60), peer(handle) as server:
        async with TRMM(
            server.url, api_key="k", dialect="gateway", rate_limit=None, max_connections=20
        ) as trmm:
            answers = await asyncio.gather(
                *(trmm.request("GET", f"/{number}/") for number in range(len(sizes)))
            )
            assert [len(one) for one in answers] == [
                len(f"{number},") * size for number, size in enumerate(sizes)
            ]
            assert all(set(one.split(",")) == {str(number), ""} for number, one in enumerate(answers))


async def test_each_connection_gets_its_own_bytes() -> None:
    await own_bytes()


def test_and_on_a_loop_that_may_ask_for_buffers_ahead() -> None:
    """Not one of those that are known to fill them at once."""

    class Foreign(BaseSelectorEventLoop):
        pass

    with asyncio.Runner(loop_factory=Foreign) as runner:
        runner.run(own_bytes())


async def test_a_session_with_our_connector_speaks_web_socket_as_well() -> None:
    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        # In front of what is asked for, so that it comes along with the 101.
        await socket.send_str("welcome")
        async for message in socket:
            await socket.send_bytes(message.data * 2)
        return socket

    app = web.Application()
    app.router.add_get("/", echo)
    async with (
        asyncio.timeout(20),
        TestServer(app) as server,
        aiohttp.ClientSession(connector=Connector()) as session,
        session.ws_connect(server.make_url("/")) as socket,
    ):
        assert await socket.receive_str() == "welcome"
        for size in (1, 70_000, 1_000_000):
            await socket.send_bytes(b"x" * size)
            assert await socket.receive_bytes() == b"x" * 2 * size
