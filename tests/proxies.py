"""A little HTTP proxy on a real socket, which opens tunnels and writes down for whom."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.stream.fake_gateway import TLS_CERTIFICATE, TLS_KEY

OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"
CLOSED = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Proxy:
    """What was asked of it. `answer`: what it says to the next; only the very `OPEN` opens a tunnel."""

    answer: bytes | None = OPEN
    login: str = ""
    heads: list[str] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{f'{self.login}@' if self.login else ''}127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[str]:
        return [head.split(" ")[1] for head in self.heads]

    def reply(self, head: str) -> bytes | None:
        wanted = b64encode(self.login.encode()).decode()
        if self.login and f"Proxy-Authorization: Basic {wanted}\r\n" not in head:
            return CLOSED
        return self.answer


async def _serve(state: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    state.heads.append(head)
    reply = state.reply(head)
    if reply is not OPEN:
        writer.write(reply or b"")
        return
    host, _, port = head.split(" ")[1].rpartition(":")
    answers, other = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.write(reply)
    try:
        await asyncio.gather(_pump(reader, other), _pump(answers, writer))
    finally:
        other.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def proxy(
    answer: bytes | None = OPEN, *, login: str = "", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Proxy]:
    state = Proxy(answer, login, scheme="https" if tls else "http")
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await _serve(state, reader, writer)
        finally:
            writer.close()
            running.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def contexts(folder: Path, *, asks_back: bool = False) -> tuple[ssl.SSLContext, Path, Path]:
    """What a server on this machine speaks TLS with, and the files with its certificate and its key.

    `asks_back`: it wants to see a client's certificate, the same one.
    """
    certificate, key = folder / "cert.pem", folder / "key.pem"
    certificate.write_text(TLS_CERTIFICATE)
    key.write_text(TLS_KEY)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    if asks_back:
        serving.verify_mode = ssl.CERT_REQUIRED
        serving.load_verify_locations(certificate)
    return serving, certificate, key
