"""`Session`: one agent's stream over a WebSocket. It connects, reads, reconnects, and reports each gap.

It stands above `dialer`, `mailbox`, `catchup` and `snapshots`, and below `push_source`, which runs one
`Session` for each agent.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol

from trmm_async.calls import StreamSpec
from trmm_async.errors import AuthenticationError, PermissionDeniedError, RateLimitedError, TRMMError
from trmm_async.events import Event, Gap, Live, UnknownEvent
from trmm_async.observing import Observers
from trmm_async.stream.catchup import ReaderState, Snapshot
from trmm_async.stream.dialer import NoLink, refusal
from trmm_async.stream.mailbox import Mailbox
from trmm_async.stream.position import Place
from trmm_async.stream.settings import Backoff, StreamSettings, StreamState
from trmm_async.stream.snapshots import Answer, SnapshotLoader
from trmm_async.stream.sockets import Link, LinkSettings, Lost
from trmm_async.stream.source import AFTER_RESTART, Start

__all__ = ["LinkOpener", "KeepBudget", "Session", "Shared"]


class LinkOpener(Protocol):
    """Opens connections: a `Dialer`, or a wrapper of one with other credentials."""

    def scrub(self, text: str, /) -> str:
        """The text without secrets."""
        ...

    async def dial(self, path: str, settings: LinkSettings, roll: set[Link]) -> Link | NoLink:
        """Make one handshake, as `Dialer.dial` does."""
        ...


class KeepBudget:
    """How many more events may be kept until after a gap, for all agents of a subscription together."""

    __slots__ = ("_left",)

    def __init__(self, most: int) -> None:
        self._left = most

    def take(self) -> bool:
        """Take the place of one event. False if none is left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def give_back(self, some: int) -> None:
        """Give back the places of so many events."""
        self._left += some


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sessions of a subscription share. `roll` contains the present connections."""

    dialer: LinkOpener
    settings: StreamSettings
    loader: SnapshotLoader | None
    mailbox: Mailbox[Event]
    gate: asyncio.Semaphore
    roll: set[Link]
    budget: KeepBudget
    observers: Observers = field(default_factory=Observers)


class Session:
    """The `AgentStreamState` of one agent with a WebSocket.

    Attributes:
        connections: how many handshakes were accepted.
        settled: set when the stream has begun (accepted, and the baseline is known or can't be read), was
            refused, has failed `connect_attempts` times, or has failed by a timeout.
    """

    __slots__ = (
        *("_backoff", "_baseline", "_due", "_early", "_heard_at", "_reader", "_last", "_link", "_lost_count"),
        *("_on_the_way", "_shared", "_since", "_spec", "_timer", "_why"),
        *("connections", "dropped", "problem", "received", "settled", "state"),
    )

    def __init__(self, spec: StreamSpec, shared: Shared, start: Start) -> None:
        self._spec = spec
        self._shared = shared
        self._reader = ReaderState(spec.agent_id, start.place)
        self._backoff = Backoff(shared.settings)
        self._baseline: Answer | asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = start.snapshot and start.place is None
        """The present state must still be reported."""
        self._since: datetime | None = None if start.place is None else start.place.since
        self._why = "" if start.place is None else AFTER_RESTART
        self._heard_at = shared.settings.clock()
        self._link: Link | None = None
        self._early: list[Event] = []
        self._on_the_way: Sequence[Event] = ()
        self._lost_count = 0
        self._last: Event | None = None
        self.state: StreamState = StreamState.CONNECTING
        self.received: int = 0
        self.connections: int = 0
        self.dropped: int = 0
        self.settled: asyncio.Event = asyncio.Event()
        self.problem: TRMMError | None = None

    def __repr__(self) -> str:
        return f"<Session {self._spec.agent_id}: {self.state}, {self.received} received>"

    @property
    def reconnects(self) -> int:
        return max(0, self.connections - 1)

    @property
    def stamp(self) -> object:
        if self._early or self._on_the_way:
            return None
        return self._reader.changes, self._good_until

    @property
    def _good_until(self) -> datetime:
        return self._since or (self._link.heard_at if self._link is not None else self._heard_at)

    def place(self, now: datetime, unread: Sequence[Event], unread_since: datetime) -> Place:
        waiting = [*self._early, *self._on_the_way, *unread]
        since = [self._good_until, now]
        if self._on_the_way or unread:
            since.append(unread_since)
        since.extend(event.since for event in waiting if isinstance(event, Gap))
        return self._reader.place(min(since), waiting)

    async def run(self) -> TRMMError:
        """Run until the server refuses, and return its error; or until cancelled."""
        started = self._shared.settings.clock()
        try:
            while True:
                self._link = link = await self._connect(started)
                try:
                    await self._attend(link)
                finally:
                    self._leave(link)
                self._judge(link)
                self._settle(None)
                await asyncio.sleep(self._backoff.next())
        except TRMMError as error:
            if early := self._take_early():
                await self._deliver([self._gap(self._shared.settings.clock()), *early])
            self.state = StreamState.ENDED
            self._settle(error)
            return error
        finally:
            self._take_early()
            self._set_timer(None)

    def _take_early(self) -> list[Event]:
        early, self._early = self._early, []
        self._shared.budget.give_back(len(early))
        return early

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
            if (failures >= settings.connect_attempts or link.late) and not self.settled.is_set():
                if self._since is None:
                    self._since, self._why = started, str(link.error)
                self._settle(link.error)
            # Added to the wait that the server asks for, so that not all clients come back at the same
            # moment.
            delay = link.wait + self._backoff.next()
            waited += delay
            await asyncio.sleep(delay)

    def _settle(self, problem: TRMMError | None) -> None:
        self._set_timer(None)
        if not self.settled.is_set():
            self.problem = problem
            self.settled.set()

    async def _attend(self, link: Link) -> None:
        """Read the connection until it is lost."""
        if self._since is None and not self._due:
            self._ask_baseline(link)
        elif not await self._catch_up(link):
            return
        self.state = StreamState.LIVE
        admit = self._reader.admit
        while frames := await link.receive():
            events = self._decode(frames)
            if self._spec.begins_with_state:
                self._settle(None)
            await self._deliver([event for event in events if admit(event)])
            self._reader.tidy()

    def _decode(self, frames: Iterable[bytes]) -> list[Event]:
        """Decode frames. Raises `UnsupportedError`, which is final, for the frames of an old server."""
        agent_id, read = self._spec.agent_id, self._spec.read
        events = [read(agent_id, frame) for frame in frames]
        self.received += len(events)
        self._last = events[-1] if events else self._last
        # A handshake alone must not reset it: a server that accepts and closes would be asked without a
        # pause.
        if self._backoff.failures and any(type(event) is not UnknownEvent for event in events):
            self._backoff.reset()
        return events

    async def _deliver(self, events: Sequence[Event]) -> None:
        mailbox = self._shared.mailbox
        for place, event in enumerate(events):
            if not mailbox.offer(event):
                self._on_the_way = events[place:]
                await mailbox.put(event)
        self._on_the_way = ()

    def _leave(self, link: Link) -> None:
        """Close the connection, and keep the events that it brought and nobody took for after the gap."""
        if self._baseline is not None:
            self._baseline.cancel()
        link.hang_up()
        for event in self._decode(link.take()):
            if not self._shared.budget.take():
                self._lost_count += 1
                self.dropped += 1
            elif self._reader.admit(event):
                self._early.append(event)
            else:
                self._shared.budget.give_back(1)

    def _judge(self, link: Link) -> None:
        """Decide what the loss of a connection means. Raises the typed error if the server refuses."""
        lost = link.lost or Lost("")
        scrub = self._shared.dialer.scrub
        status = self._spec.refusals.get(lost.code) if lost.code is not None else None
        if status is not None:
            raise refusal(self._spec.path, status, scrub(lost.said or self._last_words()))
        if self._since is None:
            self._since, self._why = link.heard_at, scrub(lost.why)
        self.state = StreamState.CONNECTING

    def _last_words(self) -> str:
        """The text of the last frame if it was no event: it may say why the server closes."""
        return self._last.raw.decode(errors="replace") if isinstance(self._last, UnknownEvent) else ""

    def _ask_baseline(self, link: Link) -> None:
        """Read the present state, to know later what has changed. Entering waits for it once."""
        if self._spec.begins_with_state:
            self._settle_in_time()
        elif self._shared.loader is None:
            self._settle(None)
        elif link.lost is None:
            self._baseline = self._shared.loader.ask(self._spec.agent_id)
            self._baseline.add_done_callback(partial(self._baseline_came, link))
            self._settle_in_time()

    def _settle_in_time(self) -> None:
        if not self.settled.is_set():
            wait = self._shared.settings.baseline_wait
            self._set_timer(asyncio.get_running_loop().call_later(wait, self._settle, None))

    def _set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        # A timer that is not cancelled would keep a closed subscription in memory until it fires.
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer

    def _baseline_came(self, link: Link, answer: Answer) -> None:
        if answer.cancelled() or link.lost is not None:
            return
        # Before the fence: the fence waits until frames are read, and nobody reads before entering is over.
        self._settle(None)
        if isinstance(snapshot := answer.result(), Snapshot):
            # Take it only when all frames are here that were sent before it. If the connection were lost
            # instead, a change in the snapshot whose frame never came would be lost, too.
            link.fence().add_done_callback(partial(self._take_baseline, link, snapshot))
        else:
            self._ask_baseline_later(link)

    def _take_baseline(self, link: Link, snapshot: Snapshot, all_here: asyncio.Future[bool]) -> None:
        if all_here.result():
            self._reader.baseline(snapshot)
        elif link.lost is None:
            self._ask_baseline_later(link)

    def _ask_baseline_later(self, link: Link) -> None:
        wait = self._shared.settings.backoff_most
        self._baseline = asyncio.get_running_loop().call_later(wait, self._ask_baseline, link)

    async def _catch_up(self, link: Link) -> bool:
        """Report the gap, the changes in it (or the present state) and what came since. False: lost."""
        self.state = StreamState.CATCHING_UP
        until = self._shared.settings.clock()
        self._settle_in_time()
        first = await link.receive() if self._spec.begins_with_state else []
        snapshot = await self._fetch(link)
        # After the fence, all frames about changes in the snapshot are here, so repetitions can be
        # recognized.
        await link.fence()
        if link.lost is not None:
            return False
        await self._deliver(self._caught_up(snapshot, self._decode([*first, *link.take()]), until))
        return True

    def _caught_up(self, snapshot: Snapshot | None, arrived: list[Event], until: datetime) -> list[Event]:
        missed: list[Event] = []
        if snapshot is not None:
            missed = self._reader.missed(snapshot, self._since or until, arrived, everything=self._due)
            self._due = False
        fresh = [event for event in arrived if self._reader.admit(event)]
        gap = [] if self._since is None else [self._gap(until)]
        early = self._take_early()
        self._since, self._lost_count = None, 0
        self._settle(None)
        return [*gap, *early, *missed, *fresh, Live(agent_id=self._spec.agent_id, time=until)]

    def _gap(self, until: datetime) -> Gap:
        # If the clock was set back meanwhile, the gap must not end before it begins.
        since = min(self._since or until, until)
        agent_id, why, dropped = self._spec.agent_id, self._why, self._lost_count
        gap = Gap(agent_id=agent_id, since=since, until=until, reason=why, dropped=dropped)
        self._shared.observers.gap(gap)
        return gap

    async def _fetch(self, link: Link) -> Snapshot | None:
        """Read the server's state. None if the connection is lost again, or if this stream has no loader.

        Raises:
            AuthenticationError, PermissionDeniedError: the key can't read it, or not any more.
        """
        while self._shared.loader is not None and link.lost is None:
            asked = self._shared.loader.ask(self._spec.agent_id)
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
