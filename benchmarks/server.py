"""The load server: a child process that answers from memory, so that it is not what is measured.

Raw asyncio on a free loopback port. The first parts of a path say what is wanted, so that one server serves
all cases; behind them stands the gateway's own path:

    /list/{count}/{identity|gzip}/…      agents
    /hostile/{kind}/{bytes}/…            agents that are made to mislead
    /run/…                               a script's result, at once
    /hold/…                              no answer, ever
    /window/{count}/{milliseconds}/…     counts like Django REST framework's throttle, per key; answers 429
    /slow/{count}/{milliseconds}/…       the same, for scripts that take from half a second to SLOWEST
    /events/{frames}/…                   a WebSocket that sends that many frames at once
    /look/{agents}/{alerts}/…            a stock server with so many agents and open alerts

It ends when its standard input does, so with the process that started it, and after `LONGEST` in any case.
"""

import asyncio
import base64
import hashlib
import random
import sys
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Final, cast
from urllib.parse import unquote

from benchmarks import bodies

__all__ = ["LONGEST", "SLOWEST", "load_server"]

LONGEST: Final = 1800.0
SLOWEST: Final = 3.0
_SLICE: Final = 1 << 20
_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Windows:
    """Per key: the times of the requests counted in the last window, and how many were refused."""

    def __init__(self) -> None:
        self._counted: dict[str, deque[float]] = defaultdict(deque)
        self._refused: dict[str, int] = defaultdict(int)

    def admit(self, key: str, count: int, per: float) -> float:
        """Count a request: 0, or the seconds until the next one is welcome. Refused ones do not count."""
        now = time.monotonic()
        counted = self._counted[key]
        while counted and counted[0] <= now - per:
            counted.popleft()
        if len(counted) < count:
            counted.append(now)
            return 0.0
        self._refused[key] += 1
        return counted[0] + per - now

    def refused(self, key: str) -> int:
        """How many requests with this key got a 429."""
        return self._refused[key]


_windows = Windows()


class Connection(asyncio.Protocol):
    """One client connection: HTTP/1.1 with keep-alive, or a WebSocket that only sends."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._buffer = bytearray()
        self._writable = asyncio.Event()
        self._writable.set()
        self._busy: set[asyncio.Task[None]] = set()
        self._is_socket = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        for task in self._busy:
            task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        if self._is_socket:
            self._frames_came(data)
            return
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end])
            size = int(_header(head, b"content-length") or 0)
            if len(self._buffer) < end + 4 + size:
                return
            del self._buffer[: end + 4 + size]
            self._answer(head)

    def _frames_came(self, data: bytes) -> None:
        opcode = data[0] & 0x0F if data else 0
        if opcode == 8:
            self._transport.write(b"\x88\x00")
            self._transport.close()
        elif opcode == 9:
            # A client's ping is masked; its payload is short.
            size, mask = data[1] & 0x7F, data[2:6]
            payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data[6 : 6 + size]))
            self._transport.write(bytes((0x8A, size)) + payload)

    def _answer(self, head: bytes) -> None:
        target = head.split(b" ", 2)[1].decode().split("?")[0]
        _, case, *rest = unquote(target).split("/")
        if case == "run":
            self._transport.write(_response(bodies.RESULT))
        elif case == "events" and "/trmm/" in target:
            self._go(self._socket(head, rest))
        elif case == "look":
            self._go(self._send_slices(_looked_at(int(rest[0]), int(rest[1]), "/".join(rest[2:]).strip("/"))))
        elif case in {"list", "hostile"}:
            self._go(self._send_slices(_listing(case, rest[0], rest[1])))
        elif case == "window":
            self._go(self._limited(head, int(rest[0]), int(rest[1]) / 1000))
        elif case == "slow":
            takes = random.uniform(0.5, SLOWEST)
            self._go(self._limited(head, int(rest[0]), int(rest[1]) / 1000, takes))
        elif case == "refused":
            self._transport.write(_response(b"%d" % _windows.refused(rest[0])))
        elif case == "events":
            self._transport.write(_response(b"[]" if rest[-2] in {"agents", "alerts"} else bodies.AGENT))
        elif case != "hold":
            self._transport.write(_response(b"{}", b"404 Not Found"))

    def _go(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.ensure_future(work)
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    async def _send_slices(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(view), _SLICE):
            await self._writable.wait()
            self._transport.write(view[start : start + _SLICE])

    async def _limited(self, head: bytes, count: int, per: float, takes: float = 0.0) -> None:
        # On the way there and on the way back: from 1 to 40 ms each, as over the Internet.
        await asyncio.sleep(random.uniform(0.001, 0.04))
        wait = _windows.admit((_header(head, b"x-api-key") or b"").decode(), count, per)
        await asyncio.sleep(random.uniform(0.001, 0.04) + (0 if wait else takes))
        if wait:
            extra = b"Retry-After: %d\r\n" % -(-wait // 1)
            self._transport.write(_response(b'{"detail": "rate limited"}', b"429 Too Many Requests", extra))
        else:
            self._transport.write(_response(bodies.RESULT))

    async def _socket(self, head: bytes, rest: list[str]) -> None:
        self._is_socket = True
        key = base64.b64encode(hashlib.sha1((_header(head, b"sec-websocket-key") or b"") + _MAGIC).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + key + b"\r\n\r\n"
        )
        await self._send_slices(_frames(int(rest[0])))


@cache
def _frames(count: int) -> bytes:
    return b"".join(_framed(payload) for payload in bodies.event_frames("agent-0", count))


def _framed(payload: bytes) -> bytes:
    size = len(payload)
    return (bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")) + payload


@cache
def _looked_at(agents: int, alerts: int, what: str) -> bytes:
    if what == "agents":
        return _response(bodies.stock_agents(agents))
    return _response(bodies.stock_alerts(alerts, agents) if what == "alerts" else b"[]")


@cache
def _listing(case: str, first: str, second: str) -> bytes:
    if case == "hostile":
        return _response(bodies.hostile(first, int(second)))
    zipped = second == "gzip"
    extra = b"Content-Encoding: gzip\r\n" if zipped else b""
    return _response(bodies.agents(int(first), zipped=zipped), extra=extra)


def _response(body: bytes, status: bytes = b"200 OK", extra: bytes = b"") -> bytes:
    return (
        b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n"
        % (status, len(body), extra)
    ) + body


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        found, _, value = line.partition(b":")
        if found.lower() == name:
            return value.strip()
    return None


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with server:
        try:
            async with asyncio.timeout(LONGEST):
                await reader.read()
        except TimeoutError:
            print("the load server ends: it ran too long", file=sys.stderr)


@asynccontextmanager
async def load_server() -> AsyncIterator[str]:
    """Start the server in a process of its own; its URL. It is gone when the block is left."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.server",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(20):
            port = int(await child.stdout.readline())
        yield f"http://127.0.0.1:{port}"
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


if __name__ == "__main__":
    asyncio.run(_serve())
