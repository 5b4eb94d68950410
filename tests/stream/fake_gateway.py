"""A WebSocket server of bytes that does what a test tells it, and a subscription made for haste."""

import asyncio
import json
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, cast

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from trmm_async.calls import StreamSpec
from trmm_async.errors import (
    TRMMError,
)
from trmm_async.events import (
    AgentOffline,
    AgentOnline,
    AlertEvent,
    Event,
    Live,
    ScriptOutput,
    UnknownEvent,
)
from trmm_async.models import Alert
from trmm_async.pacing import WindowLimiter
from trmm_async.stream.catchup import Snapshot
from trmm_async.stream.dialer import Dialer
from trmm_async.stream.push_source import PushSource
from trmm_async.stream.session import Session
from trmm_async.stream.settings import StreamSettings
from trmm_async.stream.sockets import Link
from trmm_async.stream.subscription import Subscription

KEY = "a-very-secret-key"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
QUIET = logging.Logger("fake gateway", logging.CRITICAL + 1)  # noqa: LOG001 - it would log the key itself

# Self-signed, for localhost, valid from 2020 to 2120, of no use to anybody.
TLS_KEY = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgM8zwwEYkg1Dwa77P
6sOxhs8xfsOQZRiakoarXSlVhJWhRANCAASVhngiHpfwSSRkzOs2g8i1QfeVy5hj
48TOHFSwndtNACJR3cCav4TxvWVjvqDQoAFeVkhTiNY4KYGPy0PpV2tR
-----END PRIVATE KEY-----
"""
TLS_CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBZjCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJWGeCIel/BJJGTM
6zaDyLVB95XLmGPjxM4cVLCd200AIlHdwJq/hPG9ZWO+oNCgAV5WSFOI1jgpgY/L
Q+lXa1GjTjBMMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAPBgNVHRMBAf8E
BTADAQH/MB0GA1UdDgQWBBTY9EDE3CJ+xx6qA7b4rMsQnb+5gTAKBggqhkjOPQQD
AgNHADBEAiBf7UL/C35Eb6u2fVS71B0l1PkvJazNHcxCIBFcYah3qwIgIpcnQFxd
MwhHtHRuzaUTFeDh2lzu1BqR4w8EmxCKozw=
-----END CERTIFICATE-----
"""

Answer = tuple[int, Mapping[str, str], str]


def data(action: str, agent_id: str = "a", **fields: object) -> dict[str, object]:
    return {"action": action, "data": {"agent_id": agent_id, **fields}}


def line(number: int, agent_id: str = "a") -> dict[str, object]:
    return data("script.output", agent_id, output=str(number))


def read_frame(agent_id: str, raw: bytes) -> Event:
    """The tests' own dialect."""
    try:
        frame = json.loads(raw)
        content = frame["data"]
        match frame["action"]:
            case "agent.online":
                return AgentOnline(agent_id=agent_id, time=datetime.fromisoformat(content["time"]))
            case "agent.offline":
                return AgentOffline(agent_id=agent_id, time=datetime.fromisoformat(content["time"]))
            case "alert":
                return AlertEvent(agent_id=agent_id, alert=an_alert(content["id"], content["message"]))
            case "script.output":
                return ScriptOutput(agent_id=agent_id, output=content["output"])
            case other:
                return UnknownEvent(agent_id=agent_id, action=other, raw=raw)
    except (ValueError, KeyError, TypeError):
        return UnknownEvent(agent_id=agent_id, action=None, raw=raw)


def an_alert(
    number: int, message: str = "", *, resolved: bool = False, at: datetime = LONG_AGO, who: str = "a"
) -> Alert:
    return Alert(id=number, agent_id=who, severity="error", message=message, resolved=resolved, created_at=at)


class Peer(asyncio.Protocol):
    """The server's end of one connection. `mute`: it reads, and sends nothing any more, not even pongs."""

    def __init__(self, gateway: "Gateway") -> None:
        self.gateway = gateway
        self.ws = ServerProtocol(logger=QUIET)
        self.transport: asyncio.Transport
        self.agent_id = ""
        self.mute = False
        self.on_the_way: list[bytes] | None = None
        self.pings = 0
        self.goodbye: int | None = None
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.gateway.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self.ws.receive_data(data)
        for event in self.ws.events_received():
            if isinstance(event, Request):
                self.gateway.greet(self, event)
            elif isinstance(event, Frame) and event.opcode is Opcode.PING:
                self.pings += 1
            elif isinstance(event, Frame) and event.opcode is Opcode.CLOSE:
                self.goodbye = int.from_bytes(bytes(event.data)[:2], "big")
        self.flush()

    def eof_received(self) -> None:
        self.ws.receive_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gateway.connections.discard(self)
        self.gone.set()

    def flush(self) -> None:
        for out in self.ws.data_to_send():
            if self.mute or self.transport.is_closing():
                continue
            if out and self.on_the_way is not None:
                self.on_the_way.append(out)
            elif out:
                self.transport.write(out)
            else:
                self.transport.close()

    def arrive(self) -> None:
        """What was held up in `on_the_way`, an empty list to begin with, gets through."""
        held, self.on_the_way = self.on_the_way or [], None
        self.transport.writelines(held)

    def send(self, *frames: object) -> None:
        for frame in frames:
            if isinstance(frame, bytes):
                self.ws.send_binary(frame)
            else:
                self.ws.send_text((frame if isinstance(frame, str) else json.dumps(frame)).encode())
        self.flush()

    def close(self, code: int, reason: str = "") -> None:
        self.ws.send_close(code, reason)
        self.flush()

    def cut(self) -> None:
        self.transport.abort()


@dataclass
class Gateway:
    """Accepts everything, but what `answers` (by agent; the first of several is used up) says otherwise.

    `interim`: pieces of bytes that it writes in front of its answer.
    """

    tls: ssl.SSLContext | None = None
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    welcome: Callable[[Peer], None] = lambda peer: None
    handshakes: list[tuple[str, float]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)
    connections: set[Peer] = field(default_factory=set)
    held: list[Callable[[], None]] | None = None
    interim: Sequence[bytes] = ()
    host: str = "127.0.0.1"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Peer(self), self.host, 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.close()
        for peer in list(self.connections):
            peer.cut()
        await until(lambda: not self.connections)

    @property
    def url(self) -> str:
        return (
            f"{'https' if self.tls else 'http'}://{'localhost' if self.tls else self.host}:{self.port}/prefix"
        )

    def greet(self, peer: Peer, request: Request) -> None:
        peer.agent_id = request.path.removeprefix("/prefix/trmm/").removesuffix("/")
        self.handshakes.append((peer.agent_id, time.monotonic()))
        self.headers.append({name.lower(): value for name, value in request.headers.raw_items()})
        if self.held is not None:
            self.held.append(lambda: self.accept(peer, request))
        else:
            self.accept(peer, request)

    def accept(self, peer: Peer, request: Request) -> None:
        answers = self.answers.get(peer.agent_id)
        for piece in self.interim:
            peer.transport.write(piece)
        if answers:
            status, headers, body = answers[0] if len(answers) == 1 else answers.pop(0)
            if status != 101:
                self.refuse(peer, status, headers, body)
                return
        peer.ws.send_response(peer.ws.accept(request))
        self.peers.append(peer)
        self.welcome(peer)
        peer.flush()

    def refuse(self, peer: Peer, status: int, headers: Mapping[str, str], body: str) -> None:
        response = peer.ws.reject(status, body)
        for name, value in headers.items():
            response.headers[name] = value
        peer.ws.send_response(response)
        peer.flush()

    async def peer(self, number: int = 0) -> Peer:
        """The connection that was accepted as the n-th, counted from 0."""
        await until(lambda: len(self.peers) > number)
        return self.peers[number]


@dataclass
class Rest:
    """The server's present state, as a `SnapshotSource`; `closed` holds the answers back."""

    statuses: dict[str, str] = field(default_factory=lambda: {"a": "online"})
    alerts: dict[int, Alert] = field(default_factory=dict)
    errors: list[Exception] = field(default_factory=list)
    calls: list[frozenset[str]] = field(default_factory=list)
    closed: bool = False
    answered: int = 0

    async def __call__(self, agent_ids: frozenset[str]) -> Snapshot:
        self.calls.append(agent_ids)
        if self.errors:
            raise self.errors.pop(0)
        await until(lambda: not self.closed)
        self.answered += 1
        return Snapshot(dict(self.statuses), list(self.alerts.values()))

    def keep(self, *alerts: Alert) -> None:
        self.alerts.update({alert.id: alert for alert in alerts})


async def until(true: Callable[[], bool], within: float = 30.0) -> None:
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.001)


async def take(events: Subscription, count: int) -> list[Event]:
    """So many events, `Live` not counted; what is about that takes them by `all_of`."""
    heard: list[Event] = []
    async with asyncio.timeout(30):
        while len(heard) < count:
            if not isinstance(event := await anext(events), Live):
                heard.append(event)
    return heard


async def all_of(events: Subscription, count: int) -> list[Event]:
    async with asyncio.timeout(30):
        return [await anext(events) for _ in range(count)]


async def drain(events: Subscription) -> tuple[list[Event], BaseException | None]:
    """All events until the stream ends, and the error it ends with."""
    heard: list[Event] = []
    try:
        async with asyncio.timeout(30):
            async for event in events:
                heard.append(event)  # noqa: PERF401 - what came before the error counts
    except TRMMError as error:
        return heard, error
    return heard, None


def spec_of(agent: str) -> StreamSpec:
    refusals = {4401: 401, 4403: 403, 4003: 403, 4404: 404}
    return StreamSpec(agent_id=agent, path=f"/trmm/{agent}/", read=read_frame, refusals=refusals)


def specs(agents: Iterable[str]) -> list[StreamSpec]:
    return [spec_of(agent) for agent in agents]


def dialer(url: str, limiter: WindowLimiter | None = None, *, tls: ssl.SSLContext | None = None) -> Dialer:
    limiter = limiter or WindowLimiter(None)
    return Dialer(
        url,
        headers={"X-API-KEY": KEY, "User-Agent": "tests"},
        pace=limiter.acquire,
        pause=limiter.pause,
        scrub=lambda text: text.replace(KEY, "***"),
        ssl=tls,
        open_timeout=2.0,
    )


def quick(**changes: Any) -> StreamSettings:
    settings: dict[str, Any] = {
        "baseline_wait": 0.05,
        "backoff_first": 0.002,
        "backoff_most": 0.02,
        "gather": 0.0,
        "close_timeout": 0.2,
        **changes,
    }
    return StreamSettings(**settings)


def subscribe(
    gateway: Gateway,
    agents: Sequence[str] = ("a",),
    rest: Rest | None = None,
    *,
    snapshot: bool = False,
    since: str | None = None,
    **settings: Any,
) -> Subscription:
    quickly = quick(**settings)
    source = PushSource(spec_of, dialer(gateway.url), rest, quickly)
    return Subscription(source, agents, quickly, snapshot=snapshot, since=since)


def over(
    specs: Sequence[StreamSpec], dial: Dialer, rest: Rest | None, settings: StreamSettings
) -> Subscription:
    by_agent = {spec.agent_id: spec for spec in specs}
    agent_ids = [spec.agent_id for spec in specs]
    return Subscription(PushSource(by_agent.__getitem__, dial, rest, settings), agent_ids, settings)


def roll(events: Subscription) -> set[Link]:
    """The connections there are."""
    assert isinstance(events._source, PushSource)
    return events._source.shared.roll


def session(events: Subscription, agent_id: str) -> Session:
    agent_state = events._agent_states[agent_id]
    assert isinstance(agent_state, Session)
    return agent_state


async def based(rest: Rest, peer: Peer, fetches: int = 1) -> None:
    """Wait until the baseline is had: fetched, and the pong behind it has gone out."""
    await until(lambda: rest.answered >= fetches and peer.pings >= 1)
    await asyncio.sleep(0.01)


async def running() -> AsyncIterator[Gateway]:
    """To be made a fixture of."""
    async with Gateway() as server:
        yield server


def fill(peer: Peer, frames: int, size: int = 10_000) -> None:
    peer.send(*(data("script.output", output=f"{number} {'x' * size}") for number in range(frames)))
