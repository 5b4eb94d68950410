"""Follows a relay: yields the same events as the server would, read from the relay's log.

A follower is a source (`stream.source`) of a `Subscription`, which has filters, handlers, consumers and the
position. Each follower reads the log from its own place and with its own pace, so all of them get everything.
If entries were lost before they were read, each agent gets a `Gap`, then its present state, then `Live`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from trmm_async.engines.faults import EngineAwayError, EngineRefusedError
from trmm_async.errors import ConnectionFailedError, InvalidRequestError, TRMMError
from trmm_async.events import Ended, Event, Gap, Live
from trmm_async.models import ClientRef
from trmm_async.plaintext import log_of
from trmm_async.relay.records import AgentState, Record, read
from trmm_async.relay.store import Entry, LogState, Store
from trmm_async.stream import (
    Outlet,
    Place,
    Source,
    SourceLater,
    Start,
    StreamSettings,
    StreamState,
    Subscription,
)
from trmm_async.stream.filters import EventFilter
from trmm_async.stream.position import SourcePlace, read_position
from trmm_async.stream.settings import Backoff

__all__ = ["LogReader", "follow"]

_LOG: Final = log_of("events")
_WAIT: Final = 2.0
"""After at most this many seconds without an entry, the end of the log is checked."""
_NEW: Final = "the relay's log was lost, and another began"
_UNTOLD: Final = "-"
"""The place of a reader that has not got the present state of all agents yet."""
_LATE: Final = "it was no longer in the relay's log"


def follow(
    store: Store, settings: StreamSettings, wants: EventFilter, *, snapshot: bool, since: str | None
) -> Subscription:
    """A subscription to the events in a relay's log.

    Raises:
        InvalidRequestError: `since` is not a position of this relay.
    """
    begun = None if since is None else _read_place(read_position(since).source, store.name)

    async def find() -> Source:
        try:
            log, end = await store.state(), await store.end()
        except (EngineAwayError, EngineRefusedError) as error:
            away = str(error)
        except BaseException:
            await store.aclose()
            raise
        else:
            state = StreamState.LIVE if end.is_led else StreamState.CONNECTING
            return LogReader(
                store, log, state, wants=wants, settings=settings, add=subscription.add, begun=begun
            )
        await store.aclose()
        raise ConnectionFailedError(f"the relay {store.name!r} at {store.where} can't be read: {away}")

    subscription = Subscription(SourceLater(find), (), settings, snapshot=snapshot, since=since, more=True)
    return subscription


class _Followed:
    """Where one agent's stream stands, as `stream.source.AgentStreamState` describes it."""

    def __init__(self, start: Start, now: datetime, state: StreamState) -> None:
        self.start = start
        self.state: StreamState = state
        self.received = self.dropped = self.reconnects = 0
        self.settled: asyncio.Event = asyncio.Event()
        self.settled.set()
        self.problem: TRMMError | None = None
        self.last: datetime = start.place.since if start.place is not None else now
        self.present: AgentState = AgentState()

    @property
    def stamp(self) -> object:
        return self.last

    def place(self, now: datetime, unread: Sequence[Event], unread_since: datetime) -> Place:
        del now
        return Place(since=min(self.last, unread_since) if unread else self.last)


class LogReader:
    """Reads a relay's log: a `stream.source.Source` of events.

    Args:
        store: the log.
        log: the present state of the log.
        state: whether a relay leads now.
        wants: which events are yielded.
        settings: sizes and times.
        add: follows an agent that has appeared in the log.
        begun: the place from which to continue; None: from now on.
    """

    def __init__(
        self,
        store: Store,
        log: LogState,
        state: StreamState,
        *,
        wants: EventFilter,
        settings: StreamSettings,
        add: Callable[[str], object],
        begun: str | None,
    ) -> None:
        self._store = store
        self._log = log
        self._wants = wants
        self._settings = settings
        self._add = add
        self._is_resumed = begun is not None
        self._agents: dict[str, _Followed] = {}
        self._left: set[str] = set()
        self._clients: dict[str, ClientRef] = {}
        self._state = state
        self._at = log.last if begun is None else begun
        self._is_telling_state = False
        # Events that the reader has not taken yet, each with the place from which to continue without it.
        self._sent: deque[tuple[Event, str]] = deque()
        self._place = ("", "")
        self._task: asyncio.Task[None] | None = None
        self._closing: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<LogReader {self._store!r}, {len(self._agents)} agents>"

    def open(self, outlet: Outlet, begun: SourcePlace | None) -> None:
        del begun  # `follow` was given it already
        self._outlet = outlet
        self._clients = outlet.clients
        for agent_id, texts in self._log.agents.items():
            self._meet(agent_id, next(iter(AgentState(texts).records), None))
        self._task = asyncio.create_task(self._read(), name="trmm_async: a relay's log")
        outlet.watch(self._task)

    def follow(self, agent_id: str, start: Start) -> _Followed:
        self._left.discard(agent_id)
        followed = self._agents[agent_id] = _Followed(start, self._settings.clock(), self._state)
        return followed

    def leave(self, agent_id: str) -> None:
        self._left.add(agent_id)
        self._agents.pop(agent_id, None)

    def place(self, unread: Sequence[Event]) -> SourcePlace | None:
        self._forget_read(unread)
        at = self._sent[0][1] if self._sent else self._at
        if self._place[0] != at or not self._place[1]:
            self._place = at, f"relay:{self._store.name}:{at}"
        return self._place[1]

    def _forget_read(self, unread: Sequence[Event]) -> None:
        waiting = {id(event) for event in unread}
        while self._sent and id(self._sent[0][0]) not in waiting:
            self._sent.popleft()

    def close(self) -> None:
        if self._task is None or self._task.done():
            self._drop()
        else:
            # The task, which is being cancelled, still uses the connection.
            self._task.add_done_callback(self._drop)

    def _drop(self, task: object = None) -> None:
        del task
        self._closing = asyncio.ensure_future(self._store.aclose())

    def remaining(self) -> list[asyncio.Future[None]]:
        return [self._closing] if self._closing is not None and not self._closing.done() else []

    def cut(self) -> None:
        """Do nothing: no agent is waited for."""

    # -- the task --------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        # With a position, reading continues from there, and the first entry shows whether any were lost.
        if not self._is_resumed:
            await self._tell_present(self._log, only_asked=True)
        elif self._at == _UNTOLD:
            await self._persist(partial(self._resync, "the agents' states were not read to their end"))
        self._log = LogState()
        await self._persist(self._turn, for_ever=True)

    async def _persist(self, act: Callable[[], Awaitable[None]], *, for_ever: bool = False) -> None:
        """Repeat `act` until it succeeds; with `for_ever`, also after that."""
        backoff = Backoff(self._settings)
        while True:
            try:
                await act()
                backoff.reset()
                if not for_ever:
                    return
            except EngineAwayError as error:
                _LOG.info("%r: %s", self._store, error)
                self._stand(StreamState.CONNECTING)
                await asyncio.sleep(min(backoff.next(), _WAIT))
            except EngineRefusedError as error:
                refused = InvalidRequestError(f"{self._store.where} refuses the reader: {error}")
                for agent_id in list(self._agents):
                    await self._outlet.ended(agent_id, refused)
                await asyncio.Event().wait()  # nothing more can be read

    async def _turn(self) -> None:
        entries = await self._store.read(self._at, min(_WAIT, self._settings.ping_interval))
        if not entries:
            # There may also be no entries because the relay is gone, or because a new log has begun.
            end = await self._store.end()
            self._stand(StreamState.LIVE if end.is_led else StreamState.CONNECTING)
            if end.last == self._at:
                return
            entries = await self._store.read(self._at, 0.0)
            if not entries:
                await self._resync(_NEW)
                return
        self._stand(StreamState.LIVE)
        for entry in entries:
            if entry.before != self._at:
                await self._resync(_LATE if entry.before else _NEW)
                return
            await self._deliver(entry)

    def _stand(self, state: StreamState) -> None:
        if state is self._state:
            return
        self._state = state
        _LOG.info("%r: %s", self._store, "led" if state is StreamState.LIVE else "away, or no relay leads")
        for followed in self._agents.values():
            if followed.state is not StreamState.ENDED:
                followed.reconnects += state is StreamState.LIVE
                followed.state = state

    def _meet(self, agent_id: str, record: Record | None) -> bool:
        """Whether this agent is followed. An agent that has just appeared is followed from now on."""
        if record is not None and record.client is not None:
            self._clients[agent_id] = ClientRef(id=record.client[0], name=record.client[1])
        if agent_id in self._left or not self._wants.takes_agent(agent_id, self._clients):
            return False
        if agent_id not in self._agents:
            self._add(agent_id)
        return True

    async def _deliver(self, entry: Entry) -> None:
        event = read(entry.record)
        if event is not None and self._meet(event.agent_id, entry.record):
            followed = self._agents[event.agent_id]
            followed.present.take(event, entry.record)
            followed.received += 1
            followed.state = StreamState.ENDED if isinstance(event, Ended) else self._state
            if isinstance(event, Gap):
                self._outlet.observers.gap(event)
            await self._tell(followed, event)
        self._at = entry.place

    async def _tell(self, followed: _Followed, event: Event) -> None:
        if not self._wants.lets(event, self._clients) or event.agent_id in self._left:
            return
        if len(self._sent) > 2 * self._settings.queue:
            self._forget_read([*self._outlet.unread()])
        self._sent.append((event, _UNTOLD if self._is_telling_state else self._at))
        await self._outlet.mailbox.put(event)
        followed.last = self._settings.clock()

    async def _resync(self, reason: str) -> None:
        """Yield a `Gap`, the present state and `Live` for each agent."""
        log = await self._store.state()
        if not log.agents and not log.last:
            # No relay has begun a new log yet; look again later.
            await asyncio.sleep(self._settings.backoff_first)
            return
        now = self._settings.clock()
        self._is_telling_state = True
        for agent_id, texts in log.agents.items():
            self._meet(agent_id, next(iter(AgentState(texts).records), None))
        for agent_id, followed in list(self._agents.items()):
            gap = Gap(agent_id=agent_id, since=min(followed.last, now), until=now, reason=reason)
            self._outlet.observers.gap(gap)
            await self._tell(followed, gap)
        await self._tell_present(log, only_asked=False)

    async def _tell_present(self, log: LogState, *, only_asked: bool) -> None:
        now = self._settings.clock()
        self._is_telling_state = True
        for agent_id, followed in list(self._agents.items()):
            before, followed.present = followed.present, AgentState(log.agents.get(agent_id))
            if only_asked and not followed.start.snapshot:
                continue
            for record in followed.present.records:
                if (event := read(record)) is not None:
                    await self._tell(followed, event)
            for gone in before.resolved_in(followed.present):
                await self._tell(followed, gone)
            await self._tell(followed, Live(agent_id=agent_id, time=now))
        self._at, self._is_telling_state = log.last, False


def _read_place(begun: SourcePlace | None, name: str) -> str:
    """Read a place as `LogReader.place` writes it."""
    prefix = f"relay:{name}:"
    if not isinstance(begun, str) or not begun.startswith(prefix):
        raise InvalidRequestError(f"since is not a position of the relay {name!r}, but of other events")
    return begun.removeprefix(prefix)
