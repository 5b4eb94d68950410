"""`Subscription`: the events of many agents, merged into one bounded stream.

`client` makes a `Subscription` with a `Source` (`push_source` or `poll_source`), which produces the events.
This module knows which agents are followed and what the reader has got, and owns the tasks.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
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
from trmm_async.stream.position import Position, read_position
from trmm_async.stream.reader_position import ReaderPosition
from trmm_async.stream.settings import StreamSettings, StreamState
from trmm_async.stream.settled import Standing, check_reached, wait_until_settled
from trmm_async.stream.source import AgentStreamState, Outlet, Source, SourceLater, Start

__all__ = ["Subscription"]

E = TypeVar("E", bound=Event)


class Subscription:
    """The live events of one or more agents. `TRMM.events` makes it.

        async with trmm.events(agents) as events:
            async for event in events: ...

    `async with` connects. `async for` yields events until you leave the block, or until the server has
    refused all agents. The events of one agent come in order. If `settings.queue` events wait for a slow
    reader, the client stops reading from the server, and nothing is dropped. A lost connection is made again;
    then comes a `Gap`, the changes that could be found out, and `Live`.

    A subscription belongs to one event loop, can be entered once, and can be read by one loop at a time.

    Args:
        source: the source of the events, or a way to find it when the block is entered.
        agent_ids: the agents to follow: at least one, without duplicates.
        settings: see `StreamSettings`.
        snapshot: yield each agent's present state first, and then `Live`.
        since: a stored `position`. For the agents in it, the changes since then are yielded first.
        clients: the known clients of agents, for filters.
        hosts: the known host names of agents, for their events.
        more: finding the source adds agents, so `agent_ids` may be empty.
        observers: get every gap.
        server: the server's address. It is part of positions, and a `since` of another server is refused.

    Raises:
        InvalidRequestError: there is no agent, or a duplicate; or `since` is not a position of this server.
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
            raise InvalidRequestError("events() needs at least one agent, and each agent only once")
        self._settings = settings
        self._mailbox: Mailbox[Event] = Mailbox(settings.queue)
        self._mailbox.close(ClosedError("enter the subscription first: async with trmm.events(…) as events"))
        self._finder = source
        self._source: Source | None = None
        self._snapshot = snapshot
        self._begun = read_position(since, server) if since is not None else Position()
        self._reader_position = ReaderPosition(server or self._begun.server)
        self._places = dict(self._begun.agents)
        self._last: str | None = None
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
        """The state of each agent, by agent_id: "connecting", "catching up", "live" or "ended". A copy."""
        waiting = dict.fromkeys(self._waiting, StreamState.CONNECTING)
        return waiting | {agent_id: agent_state.state for agent_id, agent_state in self._agent_states.items()}

    @property
    def received(self) -> int:
        """How many frames have arrived, or changes that polling has shown."""
        return self._total("received")

    @property
    def dropped(self) -> int:
        """How many events are known to be lost. Each was reported in a `Gap`."""
        return self._total("dropped")

    @property
    def reconnects(self) -> int:
        """How often a lost connection was made again."""
        return self._total("reconnects")

    @property
    def position(self) -> str:
        """The position up to which the reader has got the events. Store it, and pass it as `since` later.

        It is a JSON text with some dozen bytes for each agent and each of its open alerts. Events that still
        wait in the queue are not counted as read, nor are those that were discarded when the block was left.
        """
        return self._last or self._position()

    async def __aenter__(self) -> Self:
        """Connect. Returns when the stream of every agent is connected or was refused.

        The present state of each connected agent is known then. With `settings.wait_for_all=False`, it
        returns as soon as the first agent is connected; `state` shows the others.

        If the server refuses one of several agents, an `Ended` is yielded for it. If an agent can't be
        reached while others can, the client keeps trying, and yields a `Gap` when it succeeds. If this is
        cancelled or fails, no task and no socket remains.

        Raises:
            APIError: the server refuses the only agent.
            ConnectionFailedError: no agent was accepted, and the server could not be reached
                `settings.connect_attempts` times, or for `settings.backoff_most` seconds, or within the
                timeout of a handshake.
            TimeoutError: the server did not send its state within the client's timeout.
            RateLimitedError: every attempt was answered with 429.
            ClosedError: the subscription was entered before.
        """
        if self._entered:
            raise ClosedError("a subscription can be entered once: call trmm.events() again")
        self._entered, self._loop = True, asyncio.get_running_loop()
        found = await self._finder.find() if isinstance(self._finder, SourceLater) else self._finder
        outlet = Outlet(self._mailbox, self._watch, self._ended, self._unread, self._observers, self._clients)
        found.open(outlet, self._begun.source)
        self._source = found
        self._mailbox.reopen()
        try:
            for agent_id in self._waiting:
                self._follow(found, agent_id)
            # A list, since other tasks may add agents meanwhile.
            await wait_until_settled(list(self._agent_states.values()), every=self._settings.wait_for_all)
            if self._crash is not None:
                raise self._crash
            check_reached(self._agent_states.values())
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
        """Close all connections within `settings.close_timeout` seconds, or at once if this is cancelled.

        Events that were not read are discarded. No task and no socket remains.
        """
        await self._shut()

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[Event]:
        """The next event. Safe to cancel: no event is lost.

        Raises:
            ClosedError: the block was not entered yet, or was left; or this is another event loop.
            InvalidRequestError: another loop is waiting for the next event; or there are handlers or
                consumers, which read the events instead.
            APIError: the server has refused all agents. This is its answer for the last one.
        """
        self._check_loop()
        if self._fanout.is_running:
            raise InvalidRequestError(
                "handlers and consumers read these events: read them from a consumer() of your own"
            )
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
        """Call a function with each event of a kind, instead of reading events in a loop. See also `run`.

        Args:
            kind: the class of the events, or several classes as a tuple.
            callback: the function. It is called with one event after the other, and may be asynchronous.
            agent: only events of this agent, or of these agents.
            client: only events of agents of this client, or of these clients: by id, name or object.
            severity: only alerts of this severity, or of these.
            queue: how many events may wait for the callback. Events for which there is no room are dropped
                and counted. The callback still gets the last state of each agent and alert in the end.
            on_error: called with the event and the exception that the callback raised.

        Returns:
            A `Handler`, by which you can stop the calls.

        Raises:
            InvalidRequestError: a filter is invalid; or it is by client, and an agent was given by id only.
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
        """Make one of several readers, each with its own pace, of the events from now on.

        Args:
            kind: the class of the events, or several classes as a tuple. `Gap`, `Live` and `Ended` come in
                any case.
            agent: only events of this agent, or of these agents.
            client: only events of agents of this client, or of these clients: by id, name or object.
            severity: only alerts of this severity, or of these.
            queue: how many events may wait for the reader. Events for which there is no room are dropped, and
                reported in a `Gap`.

        Returns:
            A `Consumer`, to be iterated with `async for`.

        Raises:
            InvalidRequestError: a filter is invalid; or it is by client, and an agent was given by id only.
        """
        consumer = self._consumer(self._wanted(kind, agent, client, severity, marks=True), queue)
        self._begin_fanout()
        return consumer

    async def run(self) -> None:
        """Wait until the stream ends, while handlers and consumers read the events.

        Raises:
            ClosedError: the block was not entered yet, or was left; or this is another event loop.
            APIError: the server has refused all agents, and every handler has processed its events.
        """
        self._check_loop()
        if self._source is None or self._last is not None:
            raise ClosedError("enter the subscription first: async with trmm.events(…) as events")
        self._fanout.run()
        await self._fanout.over()

    def add(self, agent: str | Agent) -> Standing:
        """Follow one more agent from now on.

        Its stream begins like the others: with its present state if `snapshot=True`, and with the changes
        since its position in `since` if it has one there. If the agent's stream has ended, it is tried again,
        and the changes since then are yielded. If the agent is followed already, nothing happens. If the
        server refuses it, an `Ended` is yielded.

        Returns:
            An awaitable that is done when the agent's stream is connected or was refused. You need not await
            it.

        Raises:
            InvalidRequestError: this is not an agent or an id.
            ClosedError: the block was left, or the stream has ended; or this is another event loop.
        """
        agent_id = arguments.agent_id(agent)
        self._check_loop()
        if self._end is not None:
            raise ClosedError("the stream has ended: call trmm.events() again")
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
        """Stop following an agent. No more events of it come, not even those that wait in the queue.

        It is no error if the agent is not followed. If the last agent is removed, the stream continues
        without events.

        Raises:
            InvalidRequestError: this is not an agent or an id.
            ClosedError: this is another event loop.
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
        """Keep the position of an agent whose stream has ended, so that its events are not yielded again."""
        if (agent_state := self._agent_states.get(agent_id)) is not None:
            now = self._settings.clock()
            place = agent_state.place(now, (), now)
            if place.based:
                self._places[agent_id] = place

    def _let_go(self, agent_id: str) -> None:
        self._going_on.discard(agent_id)
        self._reader_position.forget(agent_id)
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
        return self._reader_position.text(self._agent_states, self._source, self._unread(), now, filled_at)

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
        """Refuse another event loop than that of the tasks: a reader there would never be woken up."""
        if self._loop is not None and _running_loop() is not self._loop:
            raise ClosedError("these events belong to another event loop: call trmm.events() in each loop")

    def _watch(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (crash := task.exception()) is None:
            return
        # The server didn't cause this; it is a mistake in our code. The reader must not wait forever.
        self._crash = crash
        self._finish(crash)
        for agent_state in self._agent_states.values():
            agent_state.settled.set()

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


async def _wait_out(remaining: Callable[[], list[asyncio.Future[None]]], hurry: Callable[[], None]) -> None:
    """Wait until nothing remains. If cancelled, call `hurry` and still wait, which then is short."""
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
