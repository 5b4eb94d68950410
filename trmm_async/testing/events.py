"""The WebSockets: who is subscribed to which agent, and what happens to their connections.

Below: `faults.py` and `replies.py`. Above: a dialect hands it the requests for a socket, `simulator.py` the
frames to publish and the switches of a test. Which frame is sent to whom is decided synchronously; each
subscriber has one task that reads and one that writes, and both end with the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from aiohttp import WSMsgType, web

from .faults import Fault, Faults, Refusal
from .replies import RefusedError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from .replies import Asked

__all__ = ["BACKLOG", "Hub", "Host", "Subscriber"]

BACKLOG = 10_000
"""Frames that may wait for one subscriber; one that falls further behind is cut off."""

GOODBYE_SECONDS = 0.2
SPEECH = {WSMsgType.TEXT, WSMsgType.BINARY}
CLOSED = {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR}


class Goodbye:
    """The last item of a queue of frames: the socket is then closed."""


Frame = str | bytes | Goodbye


class Host(Protocol):
    """The server's side of a socket on which the client sends something, too."""

    def opened(self, subscriber: Subscriber) -> None:
        """React to the accepted socket, for instance with a first frame."""
        ...

    def heard(self, subscriber: Subscriber, data: str | bytes) -> None:
        """React to a message of the client."""
        ...


class Silence:
    """A host that sends nothing, and ignores what the client sends."""

    def opened(self, subscriber: Subscriber) -> None:
        """Say nothing."""

    def heard(self, subscriber: Subscriber, data: str | bytes) -> None:
        """Ignore it."""


@dataclass(eq=False, slots=True)
class Subscriber:
    """One accepted socket."""

    agent_id: str
    socket: web.WebSocketResponse
    transport: asyncio.Transport
    host: Host = field(default_factory=Silence)
    frames: asyncio.Queue[Frame] = field(default_factory=lambda: asyncio.Queue(BACKLOG))
    stalled: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, frame: Frame) -> None:
        """Queue a frame; a subscriber that does not keep up loses its connection instead."""
        try:
            self.frames.put_nowait(frame)
        except asyncio.QueueFull:
            self.transport.abort()

    async def read(self) -> None:
        """Answer pings until the connection is over; pass everything else to the host."""
        while (message := await self.socket.receive()).type not in CLOSED:
            if self.stalled:
                continue
            if message.type in SPEECH:
                self.host.heard(self, message.data)
            elif message.type is WSMsgType.PING:
                with contextlib.suppress(ConnectionError):
                    await self.socket.pong(message.data)

    async def write(self) -> None:
        """Send what is queued until the connection or the queue is over."""
        with contextlib.suppress(ConnectionError):
            while not isinstance(frame := await self.frames.get(), Goodbye):
                if self.stalled:
                    continue
                if isinstance(frame, str):
                    await self.socket.send_str(frame)
                else:
                    await self.socket.send_bytes(frame)
            await self.socket.close(code=1001, message=b"server is going away")


class Hub:
    """Every subscriber, by agent, and what a test does to them."""

    def __init__(self, *, compress: bool) -> None:
        self.refusals: Faults = Faults()
        self._compress = compress
        self._live: defaultdict[str, set[Subscriber]] = defaultdict(set)
        self._stalled: set[Subscriber] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    def count(self, agent_id: str | None = None) -> int:
        """Tell how many live sockets there are, of one agent or altogether; stalled ones are not live."""
        return len(self._chosen(agent_id))

    def publish(self, agent_id: str, frame: str | bytes) -> None:
        """Send a frame to every subscriber of an agent: text for a string, binary for bytes."""
        for subscriber in self._chosen(agent_id):
            subscriber.offer(frame)

    def drop(self, agent_id: str | None = None) -> int:
        """Abort live sockets without a closing handshake, and return how many."""
        chosen = self._chosen(agent_id)
        for subscriber in chosen:
            subscriber.transport.abort()
            self._leave(subscriber)
        return len(chosen)

    def stall(self, agent_id: str | None = None) -> int:
        """Make half-open peers of live sockets, and return how many.

        Their connections stay up, but nothing that the client sends is read, pings included, and nothing is
        sent.
        """
        chosen = self._chosen(agent_id)
        for subscriber in chosen:
            self._leave(subscriber)
            self._stalled.add(subscriber)
            subscriber.stalled = True
            subscriber.transport.pause_reading()
        return len(chosen)

    async def wait_for(self, agent_id: str, n: int, timeout: float) -> None:
        """Wait until an agent has `n` live sockets or more; TimeoutError says how many there were instead."""
        try:
            async with asyncio.timeout(timeout):
                while self.count(agent_id) < n:
                    await self._changed.wait()
        except TimeoutError:
            msg = f"agent {agent_id!r} has {self.count(agent_id)} subscribers after {timeout} s, not {n}"
            raise TimeoutError(msg) from None

    def spawn(self, talk: Coroutine[object, object, None]) -> None:
        """Run a task until it ends or the hub is closed."""
        task = asyncio.get_running_loop().create_task(talk)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def decline(self, asked: Asked, frame: str, close_code: int) -> web.StreamResponse:
        """Accept a socket only to say one thing and close it; `RefusedError` if it is no handshake."""
        socket = web.WebSocketResponse(compress=self._compress, timeout=GOODBYE_SECONDS)
        _check_handshake(asked, socket)
        with contextlib.suppress(ConnectionError):
            await self._accept(asked, socket)
            await socket.send_str(frame)
            await socket.close(code=close_code)
        return _finished(asked, socket)

    async def serve(self, asked: Asked, agent_id: str, host: Host | None = None) -> web.StreamResponse:
        """Accept a socket and serve it until its end; `RefusedError` if it is refused or is no handshake.

        `host` talks with it; without one it is for listening only.
        """
        socket = web.WebSocketResponse(
            autoping=False, compress=self._compress, timeout=GOODBYE_SECONDS, max_msg_size=2**20
        )
        transport = _check_handshake(asked, socket)
        refusal = self.refusals.take(asked.row.method, _mark(agent_id), after=False)
        # A client that goes away during the handshake has thereby had its answer.
        with contextlib.suppress(ConnectionError):
            if isinstance(refusal, Refusal):
                await self._refuse(asked, socket, refusal)
            else:
                await self._attend(asked, Subscriber(agent_id, socket, transport, host or Silence()))
        return _finished(asked, socket)

    async def _attend(self, asked: Asked, subscriber: Subscriber) -> None:
        # Registered before the handshake is answered: whoever sees the answer misses no event from then on.
        self._enter(subscriber)
        try:
            await self._accept(asked, subscriber.socket)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(subscriber.write())
                subscriber.host.opened(subscriber)
                await subscriber.read()
                subscriber.offer(Goodbye())
        finally:
            self._leave(subscriber)
            self._stalled.discard(subscriber)
            subscriber.gone.set()

    async def close(self) -> None:
        """Say goodbye to every live subscriber, and abort whoever has not gone shortly after."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        leaving = self._chosen(None)
        for subscriber in leaving:
            subscriber.offer(Goodbye())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * GOODBYE_SECONDS):
                for subscriber in leaving:
                    await subscriber.gone.wait()
        self.drop()
        for subscriber in self._stalled:
            subscriber.transport.abort()

    def _chosen(self, agent_id: str | None) -> list[Subscriber]:
        if agent_id is not None:
            return list(self._live.get(agent_id, ()))
        return [subscriber for group in self._live.values() for subscriber in group]

    def _enter(self, subscriber: Subscriber) -> None:
        self._live[subscriber.agent_id].add(subscriber)
        self._announce()

    def _leave(self, subscriber: Subscriber) -> None:
        self._live[subscriber.agent_id].discard(subscriber)
        self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @staticmethod
    async def _accept(asked: Asked, socket: web.WebSocketResponse) -> None:
        await socket.prepare(asked.raw)
        asked.row.status = socket.status

    async def _refuse(self, asked: Asked, socket: web.WebSocketResponse, refusal: Refusal) -> None:
        if refusal.close_code is None:
            raise RefusedError(refusal.status)
        await self._accept(asked, socket)
        await socket.send_str(json.dumps(_farewell(refusal)))
        await socket.close(code=refusal.close_code)


def _check_handshake(asked: Asked, socket: web.WebSocketResponse) -> asyncio.Transport:
    transport = asked.raw.transport
    if transport is None or not socket.can_prepare(asked.raw):
        raise RefusedError(400, "a WebSocket handshake was expected")
    return transport


def _finished(asked: Asked, socket: web.WebSocketResponse) -> web.StreamResponse:
    # aiohttp closes what a handler returns; one that was never accepted raises at that.
    return web.Response() if asked.row.status is None else socket


def refusal_rule(agent_id: str | None, refusal: Refusal, times: int | None) -> Fault:
    """Write the rule that turns subscribers of an agent, or all of them, away."""
    return Fault("*", "*" if agent_id is None else _mark(agent_id), refusal, times=times, after=False)


def _mark(agent_id: str) -> str:
    return f"/{agent_id}/"


def _farewell(refusal: Refusal) -> dict[str, object]:
    words = {401: "Invalid token", 403: "You do not have permission to perform this action."}
    return {"error": words.get(refusal.status, "The server ended the connection."), "status": refusal.status}
