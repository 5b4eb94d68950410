"""A peer made of bytes: an HTTP server on a real socket that does what a test tells it; and its client."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from trmm_async import TRMM

KEY = "SECRET-KEY-31337"
Handler = Callable[["Peer", "Request", asyncio.StreamWriter], Awaitable[bool]]


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int
    number: int


@dataclass
class Peer:
    """What reached the server, whether or not it was answered."""

    url: str
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    arrival: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def received(self, number: int) -> None:
        """Wait until that many requests have come."""
        async with asyncio.timeout(30), self.arrival:
            await self.arrival.wait_for(lambda: len(self.requests) >= number)

    def bodies(self) -> list[bytes]:
        return [request.body for request in self.requests]


def answer(body: bytes = b"[]", status: str = "200 OK", **headers: str) -> bytes:
    named = {"Content-Length": str(len(body)), "Content-Type": "application/json"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


RESULT = answer(b'{"execution_time":"0.1","retcode":0,"stdout":"","stderr":""}')
"""The result of a script."""


@asynccontextmanager
async def peer(
    handler: Handler, *, idle: float | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Peer]:
    """A server that calls `handler` for each request; it says whether the connection stays open.

    `idle`: seconds after which a connection without a request is closed, without a word.
    `tls`: what it speaks TLS with.
    """
    state = Peer("")
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        state.connections += 1
        connection = state.connections
        try:
            # Read in a loop until the handler, the client or the idle time ends the connection.
            while (request := await _read(reader, connection, state, idle)) is not None:
                state.requests.append(request)
                async with state.arrival:
                    state.arrival.notify_all()
                if not await handler(state, request, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            running.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    state.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield state
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _read(
    reader: asyncio.StreamReader, connection: int, state: Peer, idle: float | None
) -> Request | None:
    number = len(state.requests)
    try:
        async with asyncio.timeout(idle):
            head = await reader.readuntil(b"\r\n\r\n")
    except (TimeoutError, asyncio.IncompleteReadError):
        return None
    first, *lines = head.decode().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, target, headers, body, connection, number)


def always(reply: bytes, *, stay: bool = True) -> Handler:
    """Answer every request alike."""

    async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(reply)
        await writer.drain()
        return stay

    return handle


def in_turn(*replies: bytes | None) -> Handler:
    """Answer the nth request with the nth reply, the last one for ever; None closes without an answer."""

    async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
        reply = replies[min(request.number, len(replies) - 1)]
        if reply is None:
            return False
        writer.write(reply)
        await writer.drain()
        return True

    return handle


@asynccontextmanager
async def client(url: str, **settings: Any) -> AsyncIterator[TRMM]:
    settings = {"dialect": "gateway", "rate_limit": None, "deployment_rate_limit": None, **settings}
    async with asyncio.timeout(120), TRMM(url, api_key=KEY, **settings) as trmm:
        yield trmm


def status(code: int, **headers: str) -> bytes:
    return answer(b'{"detail": "no"}', f"{code} Whatever", **headers)


@asynccontextmanager
async def stalling() -> AsyncIterator[Peer]:
    """A server that reads and never answers."""

    async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
        await asyncio.Event().wait()
        return False

    async with peer(handle) as server:
        yield server


def closed_port() -> str:
    """A URL at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}"
