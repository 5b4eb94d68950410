"""Takes targets and sends to them, as far as the rollout allows.

Over `rollout`, `collector`, `targets`, `presence` and `journal`; `run` starts it and is told the outcomes.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final, Generic, TypeVar

from trmm_async.dialects import Dialect
from trmm_async.errors import AuthenticationError, JournalError, OutcomeUnknownError, TRMMError
from trmm_async.fleet.collector import OutcomeCollector
from trmm_async.fleet.guards import UnsentGuard, UnsentGuards
from trmm_async.fleet.journal import InFlight, Journal
from trmm_async.fleet.plan import RunPlan
from trmm_async.fleet.presence import Presence
from trmm_async.fleet.rollout import RolloutControl
from trmm_async.fleet.sharing import SharedRun
from trmm_async.fleet.storage import ClaimLostError
from trmm_async.fleet.targets import Queue, SharedTargets
from trmm_async.fleet.work import CallForMany, MakeSending
from trmm_async.outcomes import Done, Failed, Outcome, Skipped, Unknown
from trmm_async.resources import Api
from trmm_async.script_runs import RecoveredRun, RunMatcher, Watermark
from trmm_async.transport import SendRecord

__all__ = ["LEFT_EARLY", "Scheduler"]

T = TypeVar("T")

LEFT_EARLY: Final = "the run was left early"

_WIDTH: Final = 50
_AT_ONCE_MOST: Final = 5000
"""Targets of one call for many: their ids make a body of 200 kB."""
_CLAIMED_MOST: Final = 200
"""The same where other hosts are to have some as well."""


class Scheduler(Generic[T]):
    """Who sends one run. `run` goes through it; cancelled, it leaves nothing behind."""

    def __init__(  # noqa: PLR0917 - the rooms that it goes through
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
        self._matcher = plan.work.poller(api).matcher
        self._asks_who_is_offline = plan.asks_who_is_offline
        targets = plan.targets if isinstance(plan.targets, list) and plan.targets else None
        self._presence = Presence(api, plan.poll, plan.hosts, targets)
        self._guards = guards
        self._filling = asyncio.Lock()
        self._broken: Exception | None = None
        self._why_it_fails: Callable[[str], str] = lambda _: ""
        self._moved = asyncio.Event()
        self._sleepers = 0
        self._parked: set[str] = set()
        self._parked_until = 0.0
        self._watch: asyncio.Task[None] | None = None
        self._hungry = 0
        self._shared: SharedRun[T] | None = None
        if journal is not None and journal.shared is not None and isinstance(queue.source, SharedTargets):
            self._shared = SharedRun(
                journal,
                journal.shared,
                queue.source,
                outcomes,
                control,
                self._parked,
                patience=plan.work.longest + api.transport.timeout,
                settle=self._settle_others,
                changed=self.wake,
            )
            queue.source.leave_out = self._parked

    @property
    def waiting(self) -> list[str]:
        """Those that are offline, and would be run if they came back."""
        return sorted(self._parked)

    def wake(self) -> None:
        """Something has changed: more may start, or nothing may any more."""
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
        """Send to all targets that may be sent to.

        Raises only what is a mistake, a journal's failure, or that of a stream of targets.
        """
        guard = self._guards.guard()
        dialect: Dialect | None = None
        try:
            with guard:
                dialect = await self._api.dialect()
                if self._asks_who_is_offline and not self._control.stopped:
                    await self._presence.ask()
                if self._plan.dry_run and not self._control.stopped:
                    self._why_it_fails = await self._plan.work.foreseen(self._api, dialect)
        except TRMMError as error:
            # Not even that could be found out, so nothing was sent. From here: other hosts may know better.
            if self._queue.source.total is None or self._shared is not None:
                raise
            await self._end_untold(error)
            await self._end_rest(partial(_failed, error))
            return
        if dialect is None or guard.was_shut:
            if self._shared is None:
                await self._end_untold(self._control.stopped)
            await self._end_rest(partial(_skipped, self._control.stopped))
            return
        if self._plan.dry_run:
            await self._pretend(guard)
            return
        await self._send(dialect)
        await self._end_rest(partial(_skipped, self._control.stopped))
        if self._broken is not None:
            raise self._broken
        if self._outcomes.unwritten is not None:
            raise self._outcomes.unwritten

    async def _send(self, dialect: Dialect) -> None:
        try:
            if self._shared is None:
                await self._settle_in_flight(dialect)
                await self._send_all(dialect)
            else:
                await _together((self._shared.follow(), self._send_what_is_claimed(dialect, self._shared)))
        finally:
            if self._watch is not None:
                self._watch.cancel()
                await asyncio.gather(self._watch, return_exceptions=True)

    async def _send_what_is_claimed(self, dialect: Dialect, shared: SharedRun[T]) -> None:
        """Send to those that this host claims, as long as there are any."""
        self._dialect = dialect
        try:
            await self._send_all(dialect)
            # Now, and not at the end: as long as they are claimed, all hosts wait for them.
            await self._give_back()
        finally:
            shared.sent_all()

    async def _send_all(self, dialect: Dialect) -> None:
        total = self._queue.source.total
        if self._plan.is_for_all_at_once(total) and self._sending((), dialect) is not None:
            await self._send_in_chunks(dialect)
            return
        most = self._plan.width or _WIDTH
        if isinstance(self._queue.source, SharedTargets):
            self._queue.source.width, self._queue.source.wanted = most, lambda: min(self._hungry, most)
        width = most if total is None else min(most, total)
        await _together(self._work(dialect) for _ in range(width))

    async def _end_rest(self, end: Callable[[str], Outcome[T]]) -> None:
        """What was never taken, and what still waits to come back."""
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
        """The same where others may go on with it."""
        if self._outcomes.unwritten is None:
            self._parked.clear()
            await self._give_back()
            try:
                await shared.tell_rest(self._control.stopped)
            except JournalError as error:
                self._outcomes.fail(error)

    async def _give_back(self) -> None:
        """Others get back what was claimed here, and is not sent to."""
        left = list(self._queue.ready)
        self._queue.ready.clear()
        if left and self._journal is not None:
            await self._outcomes.write(self._journal.release(left))

    # -- taking ----------------------------------------------------------------------------------------------

    async def _next(self, guard: UnsentGuard) -> str | None:
        """The next target that may start, when it may; None when there is none any more."""
        while (agent_id := await self._take_now(guard)) is None:
            if self._control.stopped or (self._queue.exhausted and not self._queue and not self._parked):
                return None
            await self._wait()
        return agent_id

    def _take_at_once(self) -> str | None:
        """The next target where there is nothing to wait for and nobody to be asked, which is the usual."""
        if self._asks_who_is_offline or self._control.allowance <= 0:
            return None
        if not self._queue.ready:
            return None
        self._control.start()
        return self._queue.ready.popleft()

    async def _take_now(self, guard: UnsentGuard) -> str | None:
        while self._control.allowance > 0:
            if not self._queue:
                if self._queue.exhausted:
                    return None
                with guard:
                    await self._fill()
                await self._end_those_not_back()
                if self._broken is not None:
                    self._stop("the targets can't be read")
                continue  # others may have started meanwhile, or the run was stopped
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
        except Exception as error:  # noqa: BLE001 - what is in flight is waited for; then it is raised
            self._broken = self._broken or error
        finally:
            self._hungry -= 1

    async def _wait(self) -> None:
        """Wait until something moves; for those that are parked, not for ever."""
        moved = self._moved
        self._sleepers += 1
        try:
            async with asyncio.timeout_at(self._parked_until if self._parked else None):
                await moved.wait()
        except TimeoutError:
            await self._end_those_not_back()
        finally:
            self._sleepers -= 1

    async def _end_those_not_back(self) -> None:
        if self._parked and asyncio.get_running_loop().time() >= self._parked_until:
            await self._end_parked(self._not_back, is_final=True)

    # -- those that are offline ------------------------------------------------------------------------------

    async def _is_put_off(self, agent_id: str) -> bool:
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
            # Other hosts may see it come back before we do.
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

    async def _end_parked(self, end: Callable[[str], Outcome[T]], *, is_final: bool) -> None:
        for agent_id in sorted(self._parked):
            if agent_id in self._parked:  # it may have come back meanwhile
                self._parked.discard(agent_id)
                await self._outcomes.tell(end(agent_id), begun=False, is_final=is_final)

    def _not_back(self, agent_id: str) -> Outcome[T]:
        return Skipped(agent_id, f"it is offline, and did not come back within {self._plan.when_online}")

    # -- sending ---------------------------------------------------------------------------------------------

    async def _work(self, dialect: Dialect) -> None:
        guard = self._guards.guard()
        while (agent_id := self._take_at_once() or await self._next(guard)) is not None:
            await self._single(agent_id, dialect, guard)

    async def _single(self, agent_id: str, dialect: Dialect, guard: UnsentGuard) -> None:
        if self._control.stopped:
            await self._skip_unsent([agent_id])
            return
        outcome: Outcome[T] | None = None
        work = self._plan.work
        records = None if self._journal is None else self._before([agent_id])
        try:
            with guard:
                if self._plan.splay:
                    await asyncio.sleep(random.uniform(0, self._plan.splay))  # noqa: S311 - no secret
                outcome = Done(agent_id, await work.send(self._api, dialect, agent_id, guard, records))
        except TRMMError as error:
            if await self._is_given_up([agent_id], error, records):
                return
            outcome = self._trouble(agent_id, error, in_doubt=work.is_users and guard.is_sent)
        except asyncio.CancelledError:
            if not (work.is_users and _is_own()):
                self._outcomes.keep(cancelled(agent_id, sent=guard.is_sent))
                raise
            outcome = _broke(agent_id, "was cancelled from within", sent=guard.is_sent)
        except Exception as error:
            if not work.is_users:
                raise
            outcome = _broke(agent_id, f"raised {error!r}", sent=guard.is_sent)
            self._broken = self._broken or error
            self._stop(f"{work.name} raised {type(error).__name__}")
        if outcome is None:
            await self._skip_unsent([agent_id])
        else:
            # Without a journal there is nothing to be noted besides, and one coroutine less.
            await (self._outcomes.tell(outcome) if self._journal is None else self._tell(outcome))

    async def _is_given_up(
        self, agent_ids: Iterable[str], error: TRMMError, records: "_Records | None"
    ) -> bool:
        """Whether that says that another host is to send to these, or that it is to be tried again later.

        Certainly nothing was sent; what becomes of them is told once it is known.
        """
        if self._shared is None or self._journal is None:
            return False
        if isinstance(error, JournalError):
            if not isinstance(error, ClaimLostError):
                self._outcomes.fail(error)
        elif records is None or not records.is_late or isinstance(error, OutcomeUnknownError):
            return False
        await self._outcomes.write(self._journal.release(agent_ids))
        return True

    async def _tell(self, outcome: Outcome[T], *, crashed: bool = False) -> None:
        shared = None if self._journal is None else self._journal.shared
        refused = isinstance(outcome, Failed | Unknown) and isinstance(outcome.error, AuthenticationError)
        if shared is not None and refused:
            await self._outcomes.write(shared.stop(self._control.stopped))
        await self._outcomes.tell(outcome, crashed=crashed)
        if self._journal is not None and (name := self._matcher.username) is not None:
            await self._outcomes.write(self._journal.remember_user(name))

    async def _skip_unsent(self, agent_ids: Iterable[str]) -> None:
        """The run was stopped before anything was sent to these, which had been begun."""
        left = deque(agent_ids)
        try:
            if self._journal is not None:
                await self._outcomes.write(self._journal.release(left))
            while left:
                await self._outcomes.tell(Skipped(left.popleft(), self._control.stopped), is_final=False)
        except BaseException:
            for agent_id in left:
                self._outcomes.keep(Skipped(agent_id, self._control.stopped))
            raise

    async def _send_in_chunks(self, dialect: Dialect) -> None:
        guard = self._guards.guard()
        try:
            async with asyncio.TaskGroup() as chunks:
                while chunk := await self._chunk(guard):
                    entered = asyncio.Event()
                    sending = self._send_chunk(chunk, dialect, entered)
                    chunks.create_task(sending, name="trmm_async: a chunk")
                    if self._shared is not None:
                        # Meanwhile other hosts claim some.
                        await entered.wait()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _chunk(self, guard: UnsentGuard) -> list[str]:
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

    async def _send_chunk(self, chunk: list[str], dialect: Dialect, entered: asyncio.Event) -> None:
        try:
            await self._send_together(chunk, dialect, entered)
        finally:
            entered.set()

    async def _send_together(self, chunk: list[str], dialect: Dialect, entered: asyncio.Event) -> None:
        make = self._sending(tuple(chunk), dialect) if len(chunk) > 1 else None
        if make is None:
            guard = self._guards.guard()
            for agent_id in chunk:
                await self._single(agent_id, dialect, guard)
            return
        records = self._before(chunk)
        await self._collect(chunk, partial(make, before=records), records=records, entered=entered)

    def _sending(self, agent_ids: tuple[str, ...], dialect: Dialect) -> MakeSending | None:
        return self._plan.work.sending(self._api, dialect, agent_ids)

    async def _collect(
        self,
        agent_ids: Iterable[str],
        make: MakeSending,
        *,
        crashed: bool = False,
        records: "_Records | None" = None,
        entered: asyncio.Event | None = None,
    ) -> None:
        """Tell of each of them, whatever happens: by leaving, too. `crashed`: they were sent before."""
        left = dict.fromkeys(agent_ids)
        guard = self._guards.guard()
        sending = make(on_sent=guard.sent)
        try:
            async with AsyncExitStack() as stack:
                if not await self._enter(stack, sending, left, guard, crashed=crashed, records=records):
                    return
                if entered is not None:
                    entered.set()
                async for agent_id, told in sending:
                    del left[agent_id]
                    await self._tell(self._outcome(agent_id, told), crashed=crashed)
        except BaseException:
            for agent_id, told in sending.known():
                del left[agent_id]
                self._outcomes.keep(self._outcome(agent_id, told))
            for agent_id in left:
                self._outcomes.keep(cancelled(agent_id, sent=crashed or guard.is_sent))
            raise

    async def _enter(
        self,
        stack: AsyncExitStack,
        sending: CallForMany,
        left: dict[str, None],
        guard: UnsentGuard,
        *,
        crashed: bool,
        records: "_Records | None",
    ) -> bool:
        """Send; whether that was done. Else all of them have their outcome already."""
        if self._control.stopped and not crashed:
            await self._skip_unsent(_emptied(left))
            return False
        try:
            with guard:
                guard.is_sent = crashed
                await stack.enter_async_context(sending)
        except TRMMError as error:
            # The call for all of them was refused, or never sent.
            if not crashed and await self._is_given_up(tuple(left), error, records):
                left.clear()
                return False
            for agent_id in tuple(left):
                del left[agent_id]
                await self._tell(self._trouble(agent_id, error))
            return False
        if guard.was_shut:
            await self._skip_unsent(_emptied(left))
        return not guard.was_shut

    def _before(self, agent_ids: list[str]) -> "_Records | None":
        return None if self._journal is None else _Records(self._matcher, self._journal, agent_ids)

    def _outcome(self, agent_id: str, told: Any) -> Outcome[T]:
        return self._trouble(agent_id, told) if isinstance(told, TRMMError) else Done(agent_id, told)

    def _trouble(self, agent_id: str, error: TRMMError, *, in_doubt: bool = False) -> Failed | Unknown:
        if isinstance(error, AuthenticationError | JournalError):
            # The key is the same for all of them, and so is the journal.
            self._stop(str(error))
        in_doubt = in_doubt or isinstance(error, OutcomeUnknownError)
        return Unknown(agent_id, error) if in_doubt else Failed(agent_id, error)

    def _stop(self, why: str) -> None:
        self._control.stop(why)
        self.wake()

    # -- after a crash ---------------------------------------------------------------------------------------

    async def _settle_in_flight(self, dialect: Dialect) -> None:
        """Those that an earlier process had begun: what the server can still tell of them."""
        if self._journal is None:
            return
        rows = await self._journal.in_flight()
        matcher = self._matcher
        matcher.username = matcher.username or self._journal.username
        self._control.start(len(rows))
        await _together(self._look_back(group, dialect) for group in _by_call(rows))

    async def _settle_others(self, rows: list[InFlight]) -> None:
        """Those that a host had sent to that doesn't move any more; all hosts look for such."""
        if self._journal is not None:
            self._matcher.username = self._matcher.username or self._journal.username
        groups = _by_call(rows)
        await _together(self._look_back(group, self._dialect) for group in groups)

    async def _end_untold(self, why: object) -> None:
        """The server was not even asked for those: they stay in flight in the journal, for the next time."""
        rows = [] if self._journal is None else await self._journal.in_flight()
        self._control.start(len(rows))
        for row in rows:
            said = f"sent to {row.agent_id} by an earlier process, and the server was not asked: {why}"
            outcome = Unknown(row.agent_id, OutcomeUnknownError(said))
            await self._outcomes.tell(outcome, is_final=False, crashed=True)

    async def _look_back(self, rows: list[InFlight], dialect: Dialect) -> None:
        agent_ids = tuple(row.agent_id for row in rows)
        first = rows[0]
        sent = RecoveredRun(watermark=Watermark(first.mark, first.mark_time), sent_at=first.sent_at)
        make = self._plan.work.recovering(self._api, dialect, agent_ids, sent)
        if make is None:
            for row in rows:
                said = f"sent to {row.agent_id} by a process that ended before the answer came"
                await self._outcomes.tell(Unknown(row.agent_id, OutcomeUnknownError(said)), crashed=True)
            return
        await self._collect(agent_ids, make, crashed=True)

    # -- only saying -----------------------------------------------------------------------------------------

    async def _pretend(self, guard: UnsentGuard) -> None:
        """Say of each target what would happen to it."""
        place = 0
        while not (self._queue.exhausted or self._control.stopped):
            with guard:
                await self._queue.fill()
            while self._queue:
                agent_id = self._queue.take()
                offline = self._asks_who_is_offline and self._presence.is_offline(agent_id)
                said = self._plan.policy.words_for(place, self._queue.source.total)
                if why := self._why_it_fails(agent_id):
                    said = f"would fail{said.removeprefix('would run')}: {why}"
                if offline:
                    said = (
                        "would wait until it is online"
                        if self._plan.when_online
                        else "would be skipped: offline"
                    )
                place += not offline
                await self._outcomes.tell(Skipped(agent_id, f"dry run: {said}"), begun=False, is_final=False)
        await self._end_rest(partial(_skipped, self._control.stopped))


class _Records:
    """Makes a record of what is sent to some targets, each time when it is.

    Attributes:
        is_late: whether what was written down did not hold any more when it was to leave.
    """

    def __init__(self, matcher: RunMatcher, journal: Journal, agent_ids: list[str]) -> None:
        self.is_late: bool = False
        self.matcher = matcher
        self.journal = journal
        self.agent_ids = agent_ids

    def __call__(self, watermark: Watermark) -> SendRecord:
        """See `Before`."""
        return _Record(self, watermark)


class _Record(SendRecord):
    """Writes down in a journal when a script leaves: what waits for a limit, or for a 429 to end, has not."""

    def __init__(self, records: _Records, watermark: Watermark) -> None:
        self._records = records
        self._watermark = watermark
        self._until: float | None = None

    async def begin(self) -> None:
        records, self._records.is_late = self._records, False
        if (name := records.matcher.username) is not None:
            await records.journal.remember_user(name)
        mark = self._watermark
        self._until = await records.journal.begin(records.agent_ids, mark.row, mark.time)

    async def withdraw(self) -> None:
        await self._records.journal.withdraw(self._records.agent_ids)

    def may_begin(self) -> bool:
        if self._until is None or time.monotonic() < self._until:
            return True
        self._records.is_late = True
        return False


def _by_call(rows: Iterable[InFlight]) -> list[list[InFlight]]:
    """Those of one call for many were begun together: only these are waited for together."""
    by_call: dict[tuple[int, float], list[InFlight]] = {}
    for row in rows:
        by_call.setdefault((row.mark, row.sent_at), []).append(row)
    return list(by_call.values())


async def _together(jobs: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All of them at once; the first that breaks ends the others, and is raised."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _emptied(agents: dict[str, None]) -> list[str]:
    taken = list(agents)
    agents.clear()
    return taken


def _failed(error: TRMMError, agent_id: str) -> Failed:
    return Failed(agent_id, error)


def _skipped(reason: str, agent_id: str) -> Skipped:
    return Skipped(agent_id, reason)


def _is_own() -> bool:
    """Whether nobody has cancelled this task: then it is what it waits for that ended so."""
    task = asyncio.current_task()
    return task is not None and not task.cancelling()


def _broke(agent_id: str, how: str, *, sent: bool) -> Failed | Unknown:
    """What became of a target whose call broke in a way that is no error of ours."""
    said = f"the call for {agent_id} {how}"
    return Unknown(agent_id, OutcomeUnknownError(said)) if sent else Failed(agent_id, TRMMError(said))


def cancelled(agent_id: str, *, sent: bool) -> Skipped | Unknown:
    """What became of a target when the run was left."""
    if not sent:
        return Skipped(agent_id, LEFT_EARLY)
    return Unknown(agent_id, OutcomeUnknownError(f"sent to {agent_id}, and {LEFT_EARLY}"))
