"""Live events: many agents' sockets merged into one bounded stream.

At the top of this floor, over the rooms behind it: `session` (one agent's course), `dialing` and
`sockets` (one connection), `mailbox` (the bounded queue), `catchup` (what a gap hid). `client` makes a
`Subscription`. Nothing here calls the server's REST API: its present state comes from a `SnapshotSource`.

Tasks: one for each agent, and one more for the time of a fetch.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from trmm_async.calls import StreamSpec
from trmm_async.errors import ClosedError, InvalidRequestError
from trmm_async.events import Ended, Event
from trmm_async.stream.dialing import Dialer
from trmm_async.stream.mailbox import Mailbox
from trmm_async.stream.session import (
    Session,
    Shared,
    SnapshotDesk,
    SnapshotSource,
    StreamSettings,
    StreamState,
)

__all__ = ["SpecsLater", "Subscription"]


@dataclass(frozen=True, slots=True)
class SpecsLater:
    """The agents' sockets, where it takes a question to the server to know them. `find` may raise."""

    agent_ids: tuple[str, ...]
    find: Callable[[], Awaitable[Sequence[StreamSpec]]]


class Subscription:
    """The live events of one or more agents.

    `async with` connects, `async for` inside of it yields events until the block is left, or until the server
    has refused all agents. Events of one agent come in order. When `settings.queue` events wait for a slow
    reader, the sockets are not read on, and nothing is dropped. A lost connection is made again, and told as
    a `Gap`, behind which stands what could be caught up.

    Belongs to one event loop, is entered once, and is read by one loop at a time.

    Args:
        specs: the agents' sockets, at least one, each agent once; or how to find them out when it is entered.
        dial: opens the connections.
        snapshot: reads the server's present state, for the catch-up; None for a stream without one.
        settings: see there.

    Raises:
        InvalidRequestError: no agent, or one twice.
    """

    def __init__(
        self,
        specs: Sequence[StreamSpec] | SpecsLater,
        dial: Dialer,
        snapshot: SnapshotSource | None,
        settings: StreamSettings,
    ) -> None:
        agent_ids = specs.agent_ids if isinstance(specs, SpecsLater) else [spec.agent_id for spec in specs]
        if not agent_ids or len(set(agent_ids)) != len(agent_ids):
            raise InvalidRequestError("events are of at least one agent, and of each agent once")
        self._mailbox: Mailbox[Event] = Mailbox(settings.queue)
        self._mailbox.close(ClosedError("events are read inside of `async with`"))
        desk = SnapshotDesk(snapshot, settings.gather, self._watch) if snapshot is not None else None
        gate = asyncio.Semaphore(settings.handshakes)
        self._shared = Shared(dial, settings, desk, self._mailbox, gate, roll=set())
        self._specs = specs
        self._agent_ids = agent_ids
        self._sessions: dict[str, Session] = {}
        self._going_on = len(agent_ids)
        self._tasks: set[asyncio.Task[None]] = set()
        self._entered = False
        self._crash: BaseException | None = None

    def __repr__(self) -> str:
        states = ", ".join(f"{count} {state}" for state, count in Counter(self.state.values()).items())
        waiting = f"{len(self._mailbox)} waiting"
        return f"<Subscription {states}; {self.received} received, {self.reconnects} reconnects, {waiting}>"

    @property
    def state(self) -> dict[str, StreamState]:
        """By agent_id: "connecting", "catching up", "live" or "ended"; a copy."""
        waiting = dict.fromkeys(self._agent_ids, StreamState.CONNECTING)
        return waiting | {agent_id: session.state for agent_id, session in self._sessions.items()}

    @property
    def received(self) -> int:
        """How many frames have come over the sockets."""
        return sum(session.received for session in self._sessions.values())

    @property
    def reconnects(self) -> int:
        """How often a connection that was lost has been made again."""
        return sum(max(0, session.connections - 1) for session in self._sessions.values())

    async def __aenter__(self) -> Self:
        """Connect: returns when every agent's stream stands or was refused; its present state is known then.

        A refused agent among several is told as `Ended`. An agent that can't be reached while others can is
        tried on, and told as a `Gap` when it is. Cancelled or failed: no task and no socket is left.

        Raises:
            APIError: the server refuses the only agent.
            ConnectionFailedError: no agent was accepted, and the server could not be reached
                `settings.connect_attempts` times.
            RateLimitedError: the same, by 429 each time.
            ClosedError: entered before.
            UnsupportedError: this server pushes no events.
        """
        if self._entered:
            raise ClosedError("a subscription is entered once; open another")
        self._entered = True
        specs = await self._specs.find() if isinstance(self._specs, SpecsLater) else self._specs
        self._sessions = {spec.agent_id: Session(spec, self._shared) for spec in specs}
        self._mailbox.reopen()
        for agent_id, session in self._sessions.items():
            self._watch(asyncio.create_task(self._follow(agent_id, session), name=f"trmm_async: {agent_id}"))
        try:
            for session in self._sessions.values():
                await session.settled.wait()
            self._check_reached()
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
            ClosedError: before entering the block, and after leaving it.
            InvalidRequestError: another loop is waiting for the next event.
            APIError: the server has refused all agents; what it said of the last.
        """
        return self._mailbox.get()

    async def _follow(self, agent_id: str, session: Session) -> None:
        error = await session.run()
        if len(self._agent_ids) > 1:
            await self._mailbox.put(Ended(agent_id=agent_id, error=error))
        self._going_on -= 1
        if not self._going_on:
            self._mailbox.finish(error)

    def _watch(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (crash := task.exception()) is None:
            return
        # Not the server's doing but a mistake in code: the reader must not wait for ever.
        self._crash = crash
        self._mailbox.finish(crash)
        for session in self._sessions.values():
            session.settled.set()

    def _check_reached(self) -> None:
        if self._crash is not None:
            raise self._crash
        sessions = self._sessions.values()
        if any(session.problem is None for session in sessions):
            return
        # Several that were all refused are told one by one; to be read.
        telling = [one for one in sessions if len(sessions) == 1 or one.state is not StreamState.ENDED]
        for session in telling:
            if session.problem is not None:
                raise session.problem

    async def _shut(self) -> None:
        self._mailbox.close(ClosedError("the subscription is closed"))
        for session in self._sessions.values():
            session.state = StreamState.ENDED
        for task in self._tasks:
            task.cancel()
        for link in list(self._shared.roll):
            link.hang_up()
        await _wait_out(self._remaining, self._cut)

    def _remaining(self) -> list[asyncio.Future[None]]:
        return [*self._tasks, *(link.gone for link in self._shared.roll)]

    def _cut(self) -> None:
        for link in list(self._shared.roll):
            link.abort()


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
