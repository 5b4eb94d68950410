"""Live events: many agents' events merged into one bounded stream, whatever they come from.

At the top of this floor. `client` makes a `Subscription` over a `Source` (`pushed`, `polling`), which knows
how the events come; here is who is followed, what the reader has got, and the life of it all.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from trmm_async import arguments
from trmm_async.errors import ClosedError, InvalidRequestError, TRMMError
from trmm_async.events import DASHBOARD, Ended, Event, note_host
from trmm_async.models import Agent, ClientRef
from trmm_async.observing import Observers
from trmm_async.stream.arrivals import Arrivals
from trmm_async.stream.backlog import Backlog
from trmm_async.stream.fanout import Consumer, Fanout, Handler
from trmm_async.stream.filters import Agents, Clients, EventFilter, Kinds, Severities, wanted
from trmm_async.stream.mailbox import Mailbox
from trmm_async.stream.position import Position, SourcePlace, read_position, server_text, source_text, written
from trmm_async.stream.settings import StreamSettings, StreamState
from trmm_async.stream.source import AgentStreamState, Outlet, Source, SourceLater, Start

__all__ = ["Subscription"]

E = TypeVar("E", bound=Event)


class Subscription:
    """The live events of one or more agents.

    `async with` connects, `async for` inside of it yields events until the block is left, or until the server
    has refused all agents. Events of one agent come in order. When `settings.queue` events wait for a slow
    reader, the source is not read on, and nothing is dropped. A lost connection is made again, and told as
    a `Gap`, behind which stands what could be caught up, and then `Live`.

    Belongs to one event loop, is entered once, and is read by one loop at a time.

    Args:
        source: where the events come from; or how to find it out when the block is entered.
        agent_ids: of whom, at least one, each once.
        settings: see there.
        snapshot: tell each agent's present state first, and then `Live`.
        since: a `position` that was stored: agents that are in it are caught up from there.
        clients: the client of each agent of which it is known, for filters.
        hosts: the host name of each agent of which it is known, for its events.
        more: the finding of the source adds agents, so that there need be none yet.
        observers: are told of every gap.
        server: the address of the server; it stands in positions, and `since` of another is refused.

    Raises:
        InvalidRequestError: no agent, or one twice; `since` is no position, or one of another server.
    """

    def __init__(
        self,
        source: Source | SourceLater,
        agent_ids: Iterable[str],
        settings: StreamSettings,
        *,
        snapshot: bool = False,
        since: str | None = None,
        clients: Mapping[str, ClientRef] | None = None,
        more: bool = False,
        hosts: Mapping[str, str] | None = None,
        observers: Observers | None = None,
        server: str | None = None,
    ) -> None:
        self._observers = observers or Observers()
        given = list(agent_ids)
        self._waiting = dict.fromkeys(given)
        if not (given or more) or len(self._waiting) != len(given):
            raise InvalidRequestError("events are of at least one agent, and of each agent once")
        self._settings = settings
        self._mailbox: Mailbox[Event] = Mailbox(settings.queue)
        self._mailbox.close(ClosedError("events are read inside of `async with`"))
        self._finder = source
        self._source: Source | None = None
        self._snapshot = snapshot
        self._begun = read_position(since, server) if since is not None else Position()
        self._server = server_text(server or self._begun.server)
        self._places = dict(self._begun.agents)
        self._last: str | None = None
        self._written: dict[str, tuple[object, bytes]] = {}
        self._written_source: tuple[SourcePlace | None, bytes] = (None, source_text(None))
        self._agent_states: dict[str, AgentStreamState] = {}
        self._going_on: set[str] = set()
        self._gone: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients = dict(clients or {})
        self._hosts = dict(hosts or {})
        self._mailbox.stamp = self._name
        self._arrivals = Arrivals(self._observers)
        self._fanout = Fanout(
            self._mailbox.get, self._watch, self._check_loop, self._clients, self._arrivals.was_read
        )
        self._entered = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: BaseException | None = None
        self._crash: BaseException | None = None

    def __repr__(self) -> str:
        states = ", ".join(f"{count} {state}" for state, count in Counter(self.state.values()).items())
        waiting = f"{len(self._mailbox)} waiting"
        return f"<Subscription {states}; {self.received} received, {self.reconnects} reconnects, {waiting}>"

    @property
    def state(self) -> dict[str, StreamState]:
        """By agent_id: "connecting", "catching up", "live" or "ended"; a copy."""
        waiting = dict.fromkeys(self._waiting, StreamState.CONNECTING)
        return waiting | {agent_id: agent_state.state for agent_id, agent_state in self._agent_states.items()}

    @property
    def received(self) -> int:
        """How many frames, or changes that polling has shown, have come."""
        return self._total("received")

    @property
    def dropped(self) -> int:
        """How many events are known to be lost; each was told in a `Gap`."""
        return self._total("dropped")

    @property
    def reconnects(self) -> int:
        """How often a connection that was lost has been made again."""
        return self._total("reconnects")

    @property
    def position(self) -> str:
        """The place up to which events were handed to the reader, to be stored and given back as `since`.

        JSON text, some dozen bytes for each agent and each of its open alerts. Events that still wait here
        count as not told, and so do those that were thrown away when the block was left.
        """
        return self._last or self._position()

    async def __aenter__(self) -> Self:
        """Connect: returns when every agent's stream stands or was refused; its present state is known then.

        With `settings.wait_for_all=False`, as soon as the first stands: see `state` for the others.

        A refused agent among several is told as `Ended`. An agent that can't be reached while others can is
        tried on, and told as a `Gap` when it is. Cancelled or failed: no task and no socket is left.

        Raises:
            APIError: the server refuses the only agent.
            ConnectionFailedError: no agent was accepted, and the server could not be reached
                `settings.connect_attempts` times, or for `settings.backoff_most`, or not in the time that the
                client gives a handshake.
            TimeoutError: the server did not tell its state within the client's timeout.
            RateLimitedError: the same, by 429 each time.
            ClosedError: entered before.
        """
        if self._entered:
            raise ClosedError("a subscription is entered once; open another")
        self._entered, self._loop = True, asyncio.get_running_loop()
        found = await self._finder.find() if isinstance(self._finder, SourceLater) else self._finder
        outlet = Outlet(self._mailbox, self._watch, self._ended, self._unread, self._observers, self._clients)
        found.open(outlet, self._begun.source)
        self._source = found
        self._mailbox.reopen()
        try:
            for agent_id in self._waiting:
                self._follow(found, agent_id)
            await self._until_settled()
            self._check_reached()
            if len(self._fanout):
                self._fanout.run()
        except BaseException:
            await self._shut()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all connections, within `settings.close_timeout` whatever the peers do; cancelled, at once.

        Events that were not read are gone. No task and no socket is left.
        """
        await self._shut()

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[Event]:
        """The next event. Safe to cancel: nothing is taken then.

        Raises:
            ClosedError: before entering the block, and after leaving it; or in another event loop.
            InvalidRequestError: another loop is waiting for the next event; or there are handlers or
                consumers, which read in place of it.
            APIError: the server has refused all agents; what it said of the last.
        """
        self._check_loop()
        if self._fanout.is_running:
            raise InvalidRequestError("handlers and consumers read these events: make a consumer() to read")
        return self._read_observed() if self._observers.active else self._mailbox.get()

    async def _read_observed(self) -> Event:
        event = await self._mailbox.get()
        self._arrivals.was_read_alone(event)
        return event

    def on(
        self,
        kind: type[E] | tuple[type[E], ...],
        callback: Callable[[E], object],
        *,
        agent: Agents | None = None,
        client: Clients | None = None,
        severity: Severities | None = None,
        queue: int = 1000,
        on_error: Callable[[E, Exception], object] | None = None,
    ) -> Handler:
        """Have a callback called with events, in place of a loop; see `Handler`, and `run`.

        Args:
            kind: the type of event, or several.
            callback: is called with one event after the other; it may be asynchronous.
            agent: of these agents alone.
            client: of the agents of this client alone, by id, name or object.
            severity: alerts of this severity alone, or of these.
            queue: how many may wait for it; what has no room is dropped and counted, and of what has a state
                it is called with the last in the end.
            on_error: is called with what the callback raised.

        Raises:
            InvalidRequestError: no such filter; or it is by client, and an agent was given by its id alone.
        """
        wants = self._wanted(kind, agent, client, severity, marks=False)
        handler = self._fanout.handler(self._consumer(wants, queue), callback, on_error)
        self._begin_fanout()
        return handler

    def consumer(
        self,
        kind: Kinds | None = None,
        *,
        agent: Agents | None = None,
        client: Clients | None = None,
        severity: Severities | None = None,
        queue: int = 1000,
    ) -> Consumer:
        """One of several readers, each at its own pace, of what comes from now on; see `Consumer`.

        Args:
            kind: types of events; `Gap`, `Live` and `Ended` come in any case.
            agent: of these agents alone.
            client: of the agents of this client alone, by id, name or object.
            severity: alerts of this severity alone, or of these.
            queue: how many may wait.

        Raises:
            InvalidRequestError: as `on`.
        """
        consumer = self._consumer(self._wanted(kind, agent, client, severity, marks=True), queue)
        self._begin_fanout()
        return consumer

    async def run(self) -> None:
        """Wait while handlers and consumers do the work, until the stream ends.

        Raises:
            ClosedError: outside of the block, or when it is left meanwhile; or in another event loop.
            APIError: the server has refused all agents, and every handler has dealt with what had come.
        """
        self._check_loop()
        if self._source is None or self._last is not None:
            raise ClosedError("events are read inside of `async with`")
        self._fanout.run()
        await self._fanout.over()

    def add(self, agent: str | Agent) -> "Standing":
        """Follow one more agent from now on; what is returned may be awaited, and needn't be.

        Its stream begins as those of the others did: with its present state for `snapshot=True`, from its
        place in `since` if it has one there. One that has ended is tried once more, and caught up from
        there; one that is followed already is left as it is. Refused, it is told as `Ended`.

        Returns:
            an awaitable of nothing, done when the agent's stream stands, or was refused.

        Raises:
            InvalidRequestError: not an agent.
            ClosedError: the block was left, or the stream has ended; or it is in another event loop.
        """
        agent_id = arguments.agent_id(agent)
        self._check_loop()
        if self._end is not None:
            raise ClosedError("the stream has ended; open another")
        if isinstance(agent, Agent):
            self._clients[agent_id] = agent.client
            self._hosts[agent_id] = agent.hostname
        elif self._fanout.by_client:
            self._check_clients([agent_id])
        if self._source is None:
            self._waiting[agent_id] = None
        elif agent_id not in self._going_on:
            self._keep_place(agent_id)
            self._let_go(agent_id)
            self._follow(self._source, agent_id)
        return Standing(self._agent_states.get(agent_id))

    def remove(self, agent: str | Agent) -> None:
        """Follow an agent no more: no event of it comes from now on, not even one that waits here.

        One that is not followed is no mistake. When the last is removed, the stream goes on, empty.

        Raises:
            InvalidRequestError: not an agent.
            ClosedError: it is in another event loop.
        """
        agent_id = arguments.agent_id(agent)
        self._check_loop()
        self._waiting.pop(agent_id, None)
        if self._source is not None and self._end is None:
            if agent_id in self._going_on:
                self._source.leave(agent_id)
            self._let_go(agent_id)
            self._mailbox.purge(lambda event: event.agent_id == agent_id)
            self._fanout.forget(agent_id)

    def _wanted(
        self,
        kind: Any,
        agent: Agents | None,
        client: Clients | None,
        severity: Severities | None,
        *,
        marks: bool,
    ) -> EventFilter:
        if client is not None:
            self._check_clients(self.state)
        return wanted(kind, agent, client, severity, marks=marks)

    def _check_clients(self, agent_ids: Iterable[str]) -> None:
        unknown = [who for who in agent_ids if who not in self._clients and who != DASHBOARD]
        if unknown:
            raise InvalidRequestError(
                f"can't filter by client: agent {unknown[0]} was given by id only. "
                "Pass Agent objects to events() instead"
            )

    def _consumer(self, wants: EventFilter, queue: int) -> Consumer:
        size = arguments.integer(queue, "queue", minimum=1)
        return self._fanout.consumer(wants, Backlog(size, self._settings.clock, self._observers.gap))

    def _name(self, event: Event) -> None:
        if event.hostname is None and (host := self._hosts.get(event.agent_id)):
            note_host(event, host)
        if self._observers.active:
            self._arrivals.has_come(event)

    def _begin_fanout(self) -> None:
        if self._source is not None and self._last is None:
            self._check_loop()
            self._fanout.run()

    def _follow(self, source: Source, agent_id: str) -> None:
        start = Start(self._places.pop(agent_id, None), self._snapshot)
        self._agent_states[agent_id] = source.follow(agent_id, start)
        self._going_on.add(agent_id)

    def _keep_place(self, agent_id: str) -> None:
        """What was told of one that has ended need not be told again."""
        if (agent_state := self._agent_states.get(agent_id)) is not None:
            now = self._settings.clock()
            place = agent_state.place(now, (), now)
            if place.based:
                self._places[agent_id] = place

    def _let_go(self, agent_id: str) -> None:
        self._going_on.discard(agent_id)
        self._written.pop(agent_id, None)
        agent_state = self._agent_states.pop(agent_id, None)
        if agent_state is not None:
            agent_state.settled.set()
            self._gone.update(
                {name: getattr(agent_state, name) for name in ("received", "dropped", "reconnects")}
            )

    def _total(self, name: str) -> int:
        counts: list[int] = [getattr(agent_state, name) for agent_state in self._agent_states.values()]
        return self._gone[name] + sum(counts)

    def _position(self) -> str:
        if self._source is None:
            return self._begun.text()
        now = self._settings.clock()
        filled_at = now - timedelta(seconds=max(0.0, time.monotonic() - self._mailbox.filled_at))
        waiting = self._unread()
        unread: dict[str, list[Event]] = {}
        for event in waiting:
            unread.setdefault(event.agent_id, []).append(event)
        # It is asked for at every event, and of thousands of agents one has changed since.
        kept = self._written
        for agent_id, agent_state in self._agent_states.items():
            stamp = agent_state.stamp
            if agent_id in unread:
                behind = unread[agent_id]
                kept[agent_id] = None, agent_state.place(now, behind, filled_at).text(agent_id)
            elif (entry := kept.get(agent_id)) is None or stamp is None or entry[0] != stamp:
                kept[agent_id] = stamp, agent_state.place(now, (), filled_at).text(agent_id)
        place = self._source.place(waiting)
        if place is not self._written_source[0]:
            self._written_source = place, source_text(place)
        return written([text for _, text in kept.values()], self._written_source[1], self._server)

    def _unread(self) -> list[Event]:
        return [*self._fanout.unread(), *self._mailbox]

    async def _ended(self, agent_id: str, error: TRMMError) -> None:
        self._observers.ended(agent_id, error)
        if len(self._agent_states) > 1:
            await self._mailbox.put(Ended(agent_id=agent_id, error=error))
        if agent_id in self._going_on:  # else it was removed meanwhile
            self._going_on.discard(agent_id)
            if not self._going_on:
                self._finish(error)

    def _finish(self, end: BaseException) -> None:
        self._end = self._end or end
        self._mailbox.finish(end)

    def _check_loop(self) -> None:
        """Refuse another loop than that of the tasks: nobody would wake up who waits there."""
        if self._loop is not None and _running_loop() is not self._loop:
            raise ClosedError("these events belong to another event loop; open a subscription in each")

    def _watch(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (crash := task.exception()) is None:
            return
        # Not the server's doing but a mistake in code: the reader must not wait for ever.
        self._crash = crash
        self._finish(crash)
        for agent_state in self._agent_states.values():
            agent_state.settled.set()

    async def _until_settled(self) -> None:
        """Wait until all stand or are refused; or the first, where that is enough."""
        agent_states = list(self._agent_states.values())
        if self._settings.wait_for_all:
            for agent_state in agent_states:
                await agent_state.settled.wait()
            return
        waiters = {asyncio.ensure_future(one.settled.wait()): one for one in agent_states}
        try:
            while waiters:
                done, _ = await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
                stand = [waiters.pop(waiter).problem is None for waiter in done]
                if any(stand):
                    return
        finally:
            for waiter in waiters:
                waiter.cancel()

    def _check_reached(self) -> None:
        if self._crash is not None:
            raise self._crash
        agent_states = self._agent_states.values()
        if any(agent_state.problem is None for agent_state in agent_states):
            return
        # Several that were all refused are told one by one; to be read.
        alone = len(agent_states) == 1
        telling = [one for one in agent_states if alone or one.state is not StreamState.ENDED]
        for agent_state in telling:
            if agent_state.problem is not None:
                raise agent_state.problem

    async def _shut(self) -> None:
        self._last = self._last or self._position()
        closed = ClosedError("the subscription is closed")
        self._end = self._end or closed
        self._fanout.finish(closed)
        self._mailbox.close(closed)
        for agent_state in self._agent_states.values():
            agent_state.state = StreamState.ENDED
        for task in self._tasks:
            task.cancel()
        if (source := self._source) is not None:
            source.close()
            await _wait_out(lambda: [*self._tasks, *source.remaining()], source.cut)


class Standing:
    """When an agent that was added stands; see `Subscription.add`. May be awaited often, or never."""

    def __init__(self, agent_state: AgentStreamState | None) -> None:
        self._agent_state = agent_state

    def __await__(self) -> Generator[Any, Any, None]:
        if self._agent_state is not None:
            yield from self._agent_state.settled.wait().__await__()


async def _wait_out(remaining: Callable[[], list[asyncio.Future[None]]], hurry: Callable[[], None]) -> None:
    """Wait until nothing remains. Cancelled, it hurries, and still waits: for a turn of the loop, then."""
    cancelled: asyncio.CancelledError | None = None
    while waiting := remaining():
        try:
            await asyncio.wait(waiting)
        except asyncio.CancelledError as error:
            cancelled = error
            hurry()
    if cancelled is not None:
        raise cancelled


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
