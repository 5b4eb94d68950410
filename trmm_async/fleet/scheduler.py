"""Decides which target of a run is sent to when: as far as the rollout allows, and the agents are online.

`run` starts it. It takes targets from `targets`, and `dispatcher` sends to them.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from trmm_async.dialects import Dialect
from trmm_async.errors import JournalError, OutcomeUnknownError, TRMMError
from trmm_async.fleet.collector import OutcomeCollector
from trmm_async.fleet.dispatcher import Dispatcher, together
from trmm_async.fleet.guards import UnsentGuard, UnsentGuards
from trmm_async.fleet.journal import Journal
from trmm_async.fleet.plan import RunPlan
from trmm_async.fleet.presence import Presence
from trmm_async.fleet.rollout import RolloutControl
from trmm_async.fleet.sharing import SharedRun
from trmm_async.fleet.targets import Queue, SharedTargets
from trmm_async.outcomes import Failed, Outcome, Skipped, Unknown
from trmm_async.resources import Api

__all__ = ["Scheduler"]

T = TypeVar("T")

_WIDTH: Final = 50
_AT_ONCE_MOST: Final = 5000
"""At most so many targets are in one call for many: their ids make a body of 200 kB."""
_CLAIMED_MOST: Final = 200
"""The same if several hosts share the run, so that other hosts get some targets as well."""


class Scheduler(Generic[T]):
    """Schedules one run: `run` goes through it. If that is cancelled, no task of it remains."""

    def __init__(  # noqa: PLR0917 - the parts of a run
        self,
        api: Api,
        plan: RunPlan[T],
        queue: Queue,
        control: RolloutControl,
        guards: UnsentGuards,
        outcomes: OutcomeCollector[T],
        journal: Journal | None,
    ) -> None:
        self._api = api
        self._plan = plan
        self._queue = queue
        self._control = control
        self._outcomes = outcomes
        self._journal = journal
        self._asks_who_is_offline = plan.asks_who_is_offline
        targets = plan.targets if isinstance(plan.targets, list) and plan.targets else None
        self._presence = Presence(api, plan.poll, plan.hosts, targets)
        self._guards = guards
        self._filling = asyncio.Lock()
        self._moved = asyncio.Event()
        self._sleepers = 0
        # How many workers wait for a target to be read.
        self._hungry = 0
        # Targets that are offline and that the run waits for, until when, and the task that looks for them.
        self._parked: set[str] = set()
        self._parked_until = 0.0
        self._watch: asyncio.Task[None] | None = None
        self._shared: SharedRun[T] | None = None
        if journal is not None and journal.shared is not None and isinstance(queue.source, SharedTargets):
            longest = plan.work.longest + api.transport.settings.timeout
            self._shared = SharedRun(
                journal, journal.shared, queue.source, outcomes, control, self._parked, patience=longest
            )
            queue.source.leave_out = self._parked
        outcomes.changed = self.wake

    @property
    def waiting(self) -> list[str]:
        """The targets that are offline and that the run waits for."""
        return sorted(self._parked)

    def wake(self) -> None:
        """Look again, since more targets may start now, or none any more."""
        if self._sleepers:
            self._moved.set()
            self._moved = asyncio.Event()
        if self._shared is not None:
            self._shared.wake()
            if isinstance(self._queue.source, SharedTargets):
                self._queue.source.wake()
        if self._control.stopped:
            self._guards.shut()

    async def run(self) -> None:
        """Send to all targets that may be sent to, and hand over an outcome of every target.

        Raises only what the user's function or stream raised, the failure of a journal, or, before anything
        is sent to the targets of a stream or of a shared run, a `TRMMError`.
        """
        guard = self._guards.guard()
        dialect: Dialect | None = None
        why_it_fails: Callable[[str], str] = lambda _: ""  # noqa: E731 - no dry run, no forecast
        try:
            with guard:
                dialect = await self._api.dialect()
                if self._asks_who_is_offline and not self._control.stopped:
                    await self._presence.ask()
                if self._plan.dry_run and not self._control.stopped:
                    why_it_fails = await self._plan.work.foreseen(self._api, dialect)
        except TRMMError as error:
            # Nothing was sent. Of a shared run, other hosts may still be able to send.
            if self._queue.source.total is None or self._shared is not None:
                raise
            failure = error
            await self._end_untold(failure)
            await self._end_rest(lambda agent_id: Failed(agent_id, failure))
            return
        if dialect is None or guard.was_shut:
            if self._shared is None:
                await self._end_untold(self._control.stopped)
            await self._end_rest(self._skipped)
            return
        if self._plan.dry_run:
            await self._forecast(guard, why_it_fails)
            return
        await self._send(dialect)
        await self._end_rest(self._skipped)
        if self._outcomes.broken is not None:
            raise self._outcomes.broken
        if self._outcomes.unwritten is not None:
            raise self._outcomes.unwritten

    # -- sending ---------------------------------------------------------------------------------------------

    async def _send(self, dialect: Dialect) -> None:
        dispatcher = Dispatcher(
            self._api, dialect, self._plan, self._control, self._guards, self._outcomes, self._journal
        )
        try:
            if self._shared is None:
                await self._recover_in_flight(dispatcher)
                await self._send_all(dispatcher)
            else:
                sending = self._send_claimed(dispatcher, self._shared)
                await together((self._shared.follow(dispatcher.recover), sending))
        finally:
            if self._watch is not None:
                self._watch.cancel()
                await asyncio.gather(self._watch, return_exceptions=True)

    async def _recover_in_flight(self, dispatcher: Dispatcher[T]) -> None:
        if self._journal is not None:
            rows = await self._journal.in_flight()
            self._control.start(len(rows))
            await dispatcher.recover(rows)

    async def _send_claimed(self, dispatcher: Dispatcher[T], shared: SharedRun[T]) -> None:
        """Send to the targets that this host claims, as long as there are any."""
        try:
            await self._send_all(dispatcher)
            # Not only at the end of the run: all hosts wait for a target as long as it is claimed.
            await self._give_back()
        finally:
            shared.sent_all()

    async def _send_all(self, dispatcher: Dispatcher[T]) -> None:
        total = self._queue.source.total
        if self._plan.is_for_all_at_once(total) and dispatcher.has_call_for_many:
            await self._send_in_chunks(dispatcher)
            return
        most = self._plan.width or _WIDTH
        if isinstance(self._queue.source, SharedTargets):
            self._queue.source.width, self._queue.source.wanted = most, lambda: min(self._hungry, most)
        width = most if total is None else min(most, total)
        await together(self._work(dispatcher) for _ in range(width))

    async def _work(self, dispatcher: Dispatcher[T]) -> None:
        guard = self._guards.guard()
        while (agent_id := self._take_at_once() or await self._next(guard)) is not None:
            await dispatcher.send(agent_id, guard)

    async def _send_in_chunks(self, dispatcher: Dispatcher[T]) -> None:
        guard = self._guards.guard()
        try:
            async with asyncio.TaskGroup() as chunks:
                while chunk := await self._chunk(guard):
                    entered = asyncio.Event()
                    sending = dispatcher.send_together(chunk, entered)
                    chunks.create_task(sending, name="trmm_async: a chunk")
                    if self._shared is not None:
                        # While this call is being sent, other hosts get to claim the next targets.
                        await entered.wait()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    # -- taking ----------------------------------------------------------------------------------------------

    async def _chunk(self, guard: UnsentGuard) -> list[str]:
        """The targets of the next call for many; empty if there are no more."""
        if isinstance(self._queue.source, SharedTargets):
            self._queue.source.wanted = lambda: _CLAIMED_MOST
        first = await self._next(guard)
        chunk = [] if first is None else [first]
        if self._shared is not None:
            while self._queue and not self._control.stopped:
                if not await self._is_put_off(agent_id := self._queue.take()):
                    chunk.append(agent_id)
            return chunk
        try:
            while chunk and len(chunk) < _AT_ONCE_MOST and (more := await self._take_now(guard)) is not None:
                chunk.append(more)
        except BaseException:
            self._queue.put_first(chunk)
            raise
        return chunk

    async def _next(self, guard: UnsentGuard) -> str | None:
        """Wait until a target may start, and take it. None if there are no more."""
        while (agent_id := await self._take_now(guard)) is None:
            if self._control.stopped or (self._queue.exhausted and not self._queue and not self._parked):
                return None
            await self._wait()
        return agent_id

    def _take_at_once(self) -> str | None:
        """Take the next target if nothing has to be waited for, as is usual. Saves a coroutine."""
        if self._asks_who_is_offline or self._control.allowance <= 0 or not self._queue.ready:
            return None
        self._control.start()
        return self._queue.ready.popleft()

    async def _take_now(self, guard: UnsentGuard) -> str | None:
        """Take the next target, if one may start now."""
        while self._control.allowance > 0:
            if not self._queue:
                if self._queue.exhausted:
                    return None
                with guard:
                    await self._fill()
                await self._end_those_not_back()
                if self._outcomes.broken is not None:
                    self._outcomes.stop("the targets can't be read")
                continue  # other workers may have taken targets meanwhile, or the run was stopped
            agent_id = self._queue.take()
            if not await self._is_put_off(agent_id):
                self._control.start()
                return agent_id
        return None

    async def _fill(self) -> None:
        self._hungry += 1
        try:
            async with self._filling:
                if self._control.allowance > 0:
                    await self._queue.fill()
        except Exception as error:  # noqa: BLE001 - targets in progress are waited for; then it is raised
            self._outcomes.broken = self._outcomes.broken or error
        finally:
            self._hungry -= 1

    async def _wait(self) -> None:
        """Wait until `wake` is called, or until the time for parked targets is over."""
        moved = self._moved
        self._sleepers += 1
        try:
            async with asyncio.timeout_at(self._parked_until if self._parked else None):
                await moved.wait()
        except TimeoutError:
            await self._end_those_not_back()
        finally:
            self._sleepers -= 1

    # -- agents that are offline -----------------------------------------------------------------------------

    async def _is_put_off(self, agent_id: str) -> bool:
        """Skip or park a target that is offline. Returns whether it is."""
        if not self._asks_who_is_offline or not self._presence.is_offline(agent_id):
            return False
        if self._plan.when_online is None:
            await self._outcomes.tell(Skipped(agent_id, "it is offline"), begun=False)
            return True
        if self._watch is None:
            self._parked_until = asyncio.get_running_loop().time() + self._plan.when_online.total_seconds()
            watching = self._presence.watch(self._parked, self._come_back)
            self._watch = asyncio.create_task(watching, name="trmm_async: who comes back")
        self._parked.add(agent_id)
        if self._shared is not None and self._journal is not None:
            # Another host may see the agent come back before this one does.
            await self._outcomes.write(self._journal.release([agent_id]))
        return True

    def _come_back(self, agent_ids: Iterable[str]) -> None:
        back = [agent_id for agent_id in agent_ids if agent_id in self._parked]
        if back:
            self._parked.difference_update(back)
            self._presence.came_back(back)
            if self._shared is None:
                self._queue.put_first(back)
            self.wake()

    async def _end_those_not_back(self) -> None:
        if self._parked and asyncio.get_running_loop().time() >= self._parked_until:
            await self._end_parked(self._not_back, is_final=True)

    async def _end_parked(self, end: Callable[[str], Outcome[T]], *, is_final: bool) -> None:
        for agent_id in sorted(self._parked):
            if agent_id in self._parked:  # it may have come back meanwhile
                self._parked.discard(agent_id)
                await self._outcomes.tell(end(agent_id), begun=False, is_final=is_final)

    def _not_back(self, agent_id: str) -> Outcome[T]:
        return Skipped(agent_id, f"it is offline, and did not come back within {self._plan.when_online}")

    # -- targets that are not sent to ------------------------------------------------------------------------

    def _skipped(self, agent_id: str) -> Outcome[T]:
        return Skipped(agent_id, self._control.stopped)

    async def _end_untold(self, why: object) -> None:
        """Hand over `Unknown` for the targets that an earlier process had sent to, without asking the server.

        They stay in flight in the journal, for the next `resume`.
        """
        rows = [] if self._journal is None else await self._journal.in_flight()
        self._control.start(len(rows))
        for row in rows:
            said = f"sent to {row.agent_id} by an earlier process, and the server was not asked: {why}"
            outcome = Unknown(row.agent_id, OutcomeUnknownError(said))
            await self._outcomes.tell(outcome, is_final=False, crashed=True)

    async def _end_rest(self, end: Callable[[str], Outcome[T]]) -> None:
        """Hand over an outcome of each target that was never taken, or is still parked."""
        if self._shared is not None:
            await self._end_shared(self._shared)
            return
        await self._end_parked(end, is_final=False)
        while self._queue or (self._queue.source.total is not None and not self._queue.exhausted):
            async with self._filling:
                await self._queue.fill()
            while self._queue:
                await self._outcomes.tell(end(self._queue.take()), begun=False, is_final=False)

    async def _end_shared(self, shared: SharedRun[T]) -> None:
        """The same if several hosts share the run, and others may go on with these targets."""
        if self._outcomes.unwritten is None:
            self._parked.clear()
            await self._give_back()
            try:
                await shared.tell_rest(self._control.stopped)
            except JournalError as error:
                self._outcomes.fail(error)

    async def _give_back(self) -> None:
        """Let other hosts claim the targets that this host has claimed and does not send to."""
        left = list(self._queue.ready)
        self._queue.ready.clear()
        if left and self._journal is not None:
            await self._outcomes.write(self._journal.release(left))

    async def _forecast(self, guard: UnsentGuard, why_it_fails: Callable[[str], str]) -> None:
        """Hand over what would happen to each target, as the reason of a `Skipped`, for a dry run."""
        place = 0
        while not (self._queue.exhausted or self._control.stopped):
            with guard:
                await self._queue.fill()
            while self._queue:
                agent_id = self._queue.take()
                offline = self._asks_who_is_offline and self._presence.is_offline(agent_id)
                said = self._plan.policy.words_for(place, self._queue.source.total)
                if why := why_it_fails(agent_id):
                    said = f"would fail{said.removeprefix('would run')}: {why}"
                if offline:
                    waits = self._plan.when_online is not None
                    said = "would wait until it is online" if waits else "would be skipped: offline"
                place += not offline
                await self._outcomes.tell(Skipped(agent_id, f"dry run: {said}"), begun=False, is_final=False)
        await self._end_rest(self._skipped)
