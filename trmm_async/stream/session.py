"""One agent's part of a live stream: connect, read, come back after a loss, tell the gap and what it hid.

Over `dialing`, `mailbox` and `catchup`, below `subscription`, which runs one `Session` for each agent and
a `SnapshotDesk` for all of them.
"""

import asyncio
import enum
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from trmm_async.calls import StreamSpec
from trmm_async.errors import (
    AuthenticationError,
    InvalidRequestError,
    PermissionDeniedError,
    RateLimitedError,
    TRMMError,
)
from trmm_async.events import Event, Gap, UnknownEvent
from trmm_async.stream.catchup import Known, Snapshot
from trmm_async.stream.dialing import Dialer, refusal
from trmm_async.stream.mailbox import Mailbox
from trmm_async.stream.sockets import Link, LinkSettings, Lost

__all__ = ["Backoff", "Session", "Shared", "SnapshotDesk", "SnapshotSource", "StreamSettings", "StreamState"]

SnapshotSource = Callable[[frozenset[str]], Awaitable[Snapshot]]
"""Reads the present state of these agents from the server. Raises `TRMMError`."""

_GATHER_MOST: Final = 5.0

_Answer = asyncio.Future[Snapshot | TRMMError]


class StreamState(enum.StrEnum):
    """How fresh the picture of one agent is."""

    CONNECTING = "connecting"
    CATCHING_UP = "catching up"
    LIVE = "live"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings(LinkSettings):
    """How a subscription behaves, besides how its connections are kept.

    Attributes:
        queue: events that wait for the reader at most; then the sockets are not read on.
        backoff_first: seconds before the first attempt to come back; each further wait is twice as long.
        backoff_most: the longest of these waits.
        connect_attempts: handshakes per agent in vain before entering the subscription fails.
        handshakes: at once, at most, for all agents together.
        baseline_wait: seconds that entering waits at most for the present state; it is learned later then.
        gather: seconds that a fetch of the server's state waits for more agents that need it.
        jitter: from 0 to 1; each wait is taken from the upper half of its interval.

    Raises:
        InvalidRequestError: a count below 1, or a time that is not positive where it has to be.
    """

    queue: int = 1000
    backoff_first: float = 0.5
    backoff_most: float = 30.0
    connect_attempts: int = 4
    handshakes: int = 10
    baseline_wait: float = 5.0
    gather: float = 0.05
    jitter: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        for name in ("queue", "connect_attempts", "handshakes", "max_frame"):
            if getattr(self, name) < 1:
                raise InvalidRequestError(f"{name} must be at least 1, not {getattr(self, name)!r}")
        for name in ("backoff_first", "backoff_most", "ping_interval", "ping_timeout"):
            if not getattr(self, name) > 0:
                raise InvalidRequestError(f"{name} must be above 0 seconds, not {getattr(self, name)!r}")


class Backoff:
    """Waits that double up to a bound and are never nothing. Pure."""

    __slots__ = ("_settings", "failures")

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self.failures = 0

    def next(self) -> float:
        """Seconds to wait now."""
        # A larger exponent only overflows; the bound is reached long before.
        full = min(self._settings.backoff_most, self._settings.backoff_first * 2.0 ** min(self.failures, 64))
        self.failures += 1
        return full * (0.5 + self._settings.jitter() / 2)

    def reset(self) -> None:
        """It works again."""
        self.failures = 0


class SnapshotDesk:
    """Fetches the server's state once for all who ask at about the same time.

    Who asks while a fetch is under way gets the next one: that fetch may have looked before the question. As
    long as fetches follow one another, each waits twice as long for company as the one before, up to 5 s.
    """

    def __init__(
        self, source: SnapshotSource, gather: float, watch: Callable[[asyncio.Task[None]], None]
    ) -> None:
        self._source = source
        self._gather = self._pause = gather
        self._served_at = 0.0
        self._watch = watch
        self._asked: list[tuple[str, _Answer]] = []
        self._clerk: asyncio.Task[None] | None = None

    def ask(self, agent_id: str) -> _Answer:
        """A snapshot that is taken after this call, or the error that came instead. May be cancelled."""
        answer: _Answer = asyncio.get_running_loop().create_future()
        self._asked.append((agent_id, answer))
        if self._clerk is None or self._clerk.done():
            self._clerk = asyncio.create_task(self._serve(), name="trmm_async: snapshots")
            self._watch(self._clerk)
        return answer

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._served_at > self._pause:
            self._pause = self._gather
        while self._asked:
            await asyncio.sleep(self._pause)
            # Thousands of agents that connect at the pace of a rate limit must not spend it on fetches.
            self._pause = min(self._pause * 2, _GATHER_MOST)
            asked, self._asked = [(who, answer) for who, answer in self._asked if not answer.done()], []
            fetched = await self._fetch(frozenset(who for who, _ in asked)) if asked else None
            for _, answer in asked:
                if fetched is not None and not answer.done():
                    answer.set_result(fetched)
            self._served_at = loop.time()

    async def _fetch(self, agent_ids: frozenset[str]) -> Snapshot | TRMMError:
        try:
            return await self._source(agent_ids)
        except TRMMError as error:
            return error


@dataclass(frozen=True, slots=True)
class Shared:
    """What all agents of a subscription have in common; `roll` holds the connections there are."""

    dialer: Dialer
    settings: StreamSettings
    desk: SnapshotDesk | None
    mailbox: Mailbox[Event]
    gate: asyncio.Semaphore
    roll: set[Link]


class Session:
    """The course of one agent's stream.

    Attributes:
        state: see `StreamState`.
        received: frames that came.
        connections: handshakes that were accepted.
        settled: set when the stream stands (accepted, and its baseline known or not to be had), or is
            refused, or has failed for `connect_attempts` times.
        problem: why that was no success; None if it was.
    """

    __slots__ = (
        *(
            "_backoff",
            "_baseline",
            "_dropped",
            "_early",
            "_known",
            "_last",
            "_shared",
            "_since",
            "_spec",
            "_why",
        ),
        *("_why", "connections", "problem", "received", "settled", "state"),
    )

    def __init__(self, spec: StreamSpec, shared: Shared) -> None:
        self._spec = spec
        self._shared = shared
        self._known = Known(spec.agent_id)
        self._backoff = Backoff(shared.settings)
        self._baseline: _Answer | asyncio.TimerHandle | None = None
        self._since: datetime | None = None
        self._why = ""
        self._early: list[Event] = []
        self._dropped = 0
        self._last: Event | None = None
        self.state = StreamState.CONNECTING
        self.received = 0
        self.connections = 0
        self.settled = asyncio.Event()
        self.problem: TRMMError | None = None

    def __repr__(self) -> str:
        return f"<Session {self._spec.agent_id}: {self.state}, {self.received} received>"

    async def run(self) -> TRMMError:
        """Go on until the server refuses; returns what it said. Ends otherwise only by being cancelled."""
        started = self._shared.settings.clock()
        try:
            while True:
                link = await self._connect(started)
                try:
                    await self._attend(link)
                finally:
                    self._leave(link)
                self._judge(link)
                self._settle(None)
                await asyncio.sleep(self._backoff.next())
        except TRMMError as error:
            if self._early:
                await self._deliver([self._gap(self._shared.settings.clock()), *self._early])
            self.state = StreamState.ENDED
            self._settle(error)
            return error

    async def _connect(self, started: datetime) -> Link:
        settings = self._shared.settings
        failures, waited = 0, 0.0
        while True:
            async with self._shared.gate:
                link = await self._shared.dialer.dial(self._spec.path, settings, self._shared.roll)
            if isinstance(link, Link):
                self.connections += 1
                return link
            if link.final:
                raise link.error
            failures += 1
            if isinstance(link.error, RateLimitedError):
                link.error.attempts, link.error.waited = failures, waited
            if failures >= settings.connect_attempts and not self.settled.is_set():
                self._since, self._why = started, str(link.error)
                self._settle(link.error)
            # On top of what the server asks for: others that it told the same must not come back at once.
            delay = link.wait + self._backoff.next()
            waited += delay
            await asyncio.sleep(delay)

    def _settle(self, problem: TRMMError | None) -> None:
        if not self.settled.is_set():
            self.problem = problem
            self.settled.set()

    async def _attend(self, link: Link) -> None:
        """Read the connection until it is lost."""
        if self._since is None:
            self._ask_baseline(link)
        elif not await self._catch_up(link, self._since):
            return
        self.state = StreamState.LIVE
        admit = self._known.admit
        while frames := await link.receive():
            await self._deliver([event for event in self._decode(frames) if admit(event)])

    def _decode(self, frames: Iterable[bytes]) -> list[Event]:
        agent_id, read = self._spec.agent_id, self._spec.read
        events = [read(agent_id, frame) for frame in frames]
        self.received += len(events)
        self._last = events[-1] if events else self._last
        # Not by a handshake: a server that accepts and closes at once would be asked without a pause.
        if self._backoff.failures and any(type(event) is not UnknownEvent for event in events):
            self._backoff.reset()
        return events

    async def _deliver(self, events: Sequence[Event]) -> None:
        mailbox = self._shared.mailbox
        for event in events:
            if not mailbox.offer(event):
                await mailbox.put(event)

    def _leave(self, link: Link) -> None:
        """The connection is of no more use. What it brought and nobody took is kept for after the gap."""
        if self._baseline is not None:
            self._baseline.cancel()
        link.hang_up()
        for event in self._decode(link.take()):
            if len(self._early) >= self._shared.settings.queue:
                self._dropped += 1
            elif self._known.admit(event):
                self._early.append(event)

    def _judge(self, link: Link) -> None:
        """What the loss of the connection means. Raises the typed error if it is a refusal."""
        lost = link.lost or Lost("")
        scrub = self._shared.dialer.scrub
        status = self._spec.refusals.get(lost.code) if lost.code is not None else None
        if status is not None:
            raise refusal(self._spec.path, status, scrub(lost.said or self._last_words()))
        if self._since is None:
            self._since, self._why = link.heard_at, scrub(lost.why)
        self.state = StreamState.CONNECTING

    def _last_words(self) -> str:
        """An error frame in front of a close says why, in a form that we don't know."""
        return self._last.raw.decode(errors="replace") if isinstance(self._last, UnknownEvent) else ""

    def _ask_baseline(self, link: Link) -> None:
        """Learn how things stand, to know later what has changed. Entering waits for it, once."""
        if self._shared.desk is None:
            self._settle(None)
        elif link.lost is None:
            self._baseline = self._shared.desk.ask(self._spec.agent_id)
            self._baseline.add_done_callback(partial(self._baseline_came, link))
            if not self.settled.is_set():
                wait = self._shared.settings.baseline_wait
                asyncio.get_running_loop().call_later(wait, self._settle, None)

    def _baseline_came(self, link: Link, answer: _Answer) -> None:
        if answer.cancelled() or link.lost is not None:
            return
        # Not later: nobody reads before entering is over, and the fence waits for what came to be read.
        self._settle(None)
        if isinstance(snapshot := answer.result(), Snapshot):
            # A change that it shows must have been told by now, or it would be lost with the connection: a
            # frame about it may still be on its way.
            link.fence().add_done_callback(partial(self._take_baseline, link, snapshot))
        else:
            self._ask_baseline_later(link)

    def _take_baseline(self, link: Link, snapshot: Snapshot, all_here: asyncio.Future[bool]) -> None:
        if all_here.result():
            self._known.baseline(snapshot)
        elif link.lost is None:
            self._ask_baseline_later(link)

    def _ask_baseline_later(self, link: Link) -> None:
        wait = self._shared.settings.backoff_most
        self._baseline = asyncio.get_running_loop().call_later(wait, self._ask_baseline, link)

    async def _catch_up(self, link: Link, since: datetime) -> bool:
        """Tell the gap, what it hid, and what came meanwhile. False: the connection was lost once more."""
        self.state = StreamState.CATCHING_UP
        until = self._shared.settings.clock()
        snapshot = await self._fetch(link)
        # All frames about changes that the snapshot shows are here then, and it can be told what is a repeat.
        await link.fence()
        if link.lost is not None:
            return False
        arrived = self._decode(link.take())
        missed = self._known.missed(snapshot, since, arrived) if snapshot is not None else []
        fresh = [event for event in arrived if self._known.admit(event)]
        told = [self._gap(until), *self._early, *missed, *fresh]
        self._since, self._early, self._dropped = None, [], 0
        await self._deliver(told)
        return True

    def _gap(self, until: datetime) -> Gap:
        # A clock that was set back meanwhile must not end the gap before it began.
        since = min(self._since or until, until)
        agent_id, why, dropped = self._spec.agent_id, self._why, self._dropped
        return Gap(agent_id=agent_id, since=since, until=until, reason=why, dropped=dropped)

    async def _fetch(self, link: Link) -> Snapshot | None:
        """The server's state after the connection stood; None if it is lost again, or nobody can tell.

        Raises:
            AuthenticationError, PermissionDeniedError: the key can't, or can no longer, read it.
        """
        while self._shared.desk is not None and link.lost is None:
            asked = self._shared.desk.ask(self._spec.agent_id)
            try:
                await asyncio.wait((asked, link.ended), return_when=asyncio.FIRST_COMPLETED)
                answer = asked.result() if asked.done() else None
            finally:
                asked.cancel()
            if isinstance(answer, Snapshot):
                return answer
            if isinstance(answer, AuthenticationError | PermissionDeniedError):
                raise answer
            await asyncio.wait((link.ended,), timeout=self._backoff.next())
        return None
