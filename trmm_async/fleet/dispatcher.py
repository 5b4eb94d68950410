"""Sends to the targets that `scheduler` has taken, and hands one outcome of each to `collector`.

It also finds out what became of targets that an earlier process, or another host, had sent to.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final, Generic, TypeVar

from trmm_async.dialects import Dialect
from trmm_async.errors import AuthenticationError, JournalError, OutcomeUnknownError, TRMMError
from trmm_async.fleet.collector import OutcomeCollector
from trmm_async.fleet.guards import UnsentGuard, UnsentGuards
from trmm_async.fleet.journal import InFlight, Journal
from trmm_async.fleet.plan import RunPlan
from trmm_async.fleet.rollout import RolloutControl
from trmm_async.fleet.storage import ClaimLostError
from trmm_async.fleet.work import CallForMany, MakeCall
from trmm_async.outcomes import Done, Failed, Outcome, Skipped, Unknown
from trmm_async.resources import Api
from trmm_async.script_runs import RecoveredRun, RunMatcher, Watermark
from trmm_async.transport import SendRecord

__all__ = ["LEFT_EARLY", "Dispatcher", "together"]

T = TypeVar("T")

LEFT_EARLY: Final = "the run was left early"


class Dispatcher(Generic[T]):
    """Sends the work of one run, by one call for each target or by calls for many.

    Every target that it is given gets one outcome, also if the run is stopped, or left and cancelled. The
    exception is a target of a shared run that this host gives back for another host, or a later attempt.
    """

    def __init__(  # noqa: PLR0917 - the parts of a run
        self,
        api: Api,
        dialect: Dialect,
        plan: RunPlan[T],
        control: RolloutControl,
        guards: UnsentGuards,
        outcomes: OutcomeCollector[T],
        journal: Journal | None,
    ) -> None:
        self._api = api
        self._dialect = dialect
        self._plan = plan
        self._control = control
        self._guards = guards
        self._outcomes = outcomes
        self._journal = journal
        self._matcher = plan.work.poller(api).matcher

    @property
    def has_call_for_many(self) -> bool:
        """Whether one call can carry the work to many targets."""
        return self._call_for_many(()) is not None

    def _call_for_many(self, agent_ids: tuple[str, ...]) -> MakeCall | None:
        return self._plan.work.call_for_many(self._api, self._dialect, agent_ids)

    def _records(self, agent_ids: list[str]) -> "_JournalRecords | None":
        return None if self._journal is None else _JournalRecords(self._matcher, self._journal, agent_ids)

    # -- one target ------------------------------------------------------------------------------------------

    async def send(self, agent_id: str, guard: UnsentGuard) -> None:
        """Send to one target, unless the run was stopped."""
        if self._control.stopped:
            await self._skip_unsent([agent_id])
            return
        outcome: Outcome[T] | None = None
        work = self._plan.work
        records = self._records([agent_id])
        try:
            with guard:
                if self._plan.splay:
                    await asyncio.sleep(random.uniform(0, self._plan.splay))  # noqa: S311 - no secret
                answer = await work.send(self._api, self._dialect, agent_id, guard, records)
                outcome = Done(agent_id, answer)
        except TRMMError as error:
            if await self._is_given_back([agent_id], error, records):
                return
            outcome = self._of_error(agent_id, error, in_doubt=work.is_users and guard.is_sent)
        except asyncio.CancelledError:
            if not (work.is_users and _was_cancelled_from_within()):
                self._outcomes.keep(_left(agent_id, sent=guard.is_sent))
                raise
            outcome = _of_broken_call(agent_id, "was cancelled from within", sent=guard.is_sent)
        except Exception as error:
            if not work.is_users:
                raise
            outcome = _of_broken_call(agent_id, f"raised {error!r}", sent=guard.is_sent)
            self._outcomes.broken = self._outcomes.broken or error
            self._outcomes.stop(f"{work.name} raised {type(error).__name__}")
        if outcome is None:
            await self._skip_unsent([agent_id])
        else:
            # Without a journal there is nothing to record besides, which saves a coroutine for each target.
            await (self._outcomes.tell(outcome) if self._journal is None else self._tell(outcome))

    # -- many targets ----------------------------------------------------------------------------------------

    async def send_together(self, agent_ids: list[str], entered: asyncio.Event) -> None:
        """Send to these targets by one call. `entered` is set once it is sent, or certainly won't be."""
        try:
            make = self._call_for_many(tuple(agent_ids)) if len(agent_ids) > 1 else None
            if make is None:
                guard = self._guards.guard()
                for agent_id in agent_ids:
                    await self.send(agent_id, guard)
                return
            records = self._records(agent_ids)
            await self._collect(agent_ids, partial(make, before=records), records=records, entered=entered)
        finally:
            entered.set()

    async def _collect(
        self,
        agent_ids: Iterable[str],
        make: MakeCall,
        *,
        crashed: bool = False,
        records: "_JournalRecords | None" = None,
        entered: asyncio.Event | None = None,
    ) -> None:
        """Enter a call for many, and hand over one outcome of each target, also if this is cancelled.

        Args:
            agent_ids: the targets.
            make: makes the call.
            crashed: whether an earlier process has sent it already, so that only its outcomes are read.
            records: the records of what is sent, in a journal.
            entered: set once the call was sent.
        """
        left = dict.fromkeys(agent_ids)
        guard = self._guards.guard()
        call = make(on_sent=guard.sent)
        try:
            async with AsyncExitStack() as stack:
                if not await self._enter(stack, call, left, guard, crashed=crashed, records=records):
                    return
                if entered is not None:
                    entered.set()
                async for agent_id, answer in call:
                    del left[agent_id]
                    await self._tell(self._of_answer(agent_id, answer), crashed=crashed)
        except BaseException:
            for agent_id, answer in call.known():
                del left[agent_id]
                self._outcomes.keep(self._of_answer(agent_id, answer))
            for agent_id in left:
                self._outcomes.keep(_left(agent_id, sent=crashed or guard.is_sent))
            raise

    async def _enter(
        self,
        stack: AsyncExitStack,
        call: CallForMany,
        left: dict[str, None],
        guard: UnsentGuard,
        *,
        crashed: bool,
        records: "_JournalRecords | None",
    ) -> bool:
        """Send the call. Returns False if it was not sent; then no target is `left` without an outcome."""
        if self._control.stopped and not crashed:
            await self._skip_unsent(_emptied(left))
            return False
        try:
            with guard:
                guard.is_sent = crashed
                if not crashed:
                    await self._plan.work.check_for_many(self._api, self._dialect)
                await stack.enter_async_context(call)
        except TRMMError as error:
            # The call was refused for all of its targets, or was never sent.
            if not crashed and await self._is_given_back(tuple(left), error, records):
                left.clear()
                return False
            for agent_id in tuple(left):
                del left[agent_id]
                await self._tell(self._of_error(agent_id, error))
            return False
        if guard.was_shut:
            await self._skip_unsent(_emptied(left))
        return not guard.was_shut

    # -- outcomes --------------------------------------------------------------------------------------------

    async def _is_given_back(
        self, agent_ids: Iterable[str], error: TRMMError, records: "_JournalRecords | None"
    ) -> bool:
        """Whether this error means that another host sends to these targets, or this one does so later.

        Certainly nothing was sent to them then, and they have no outcome yet.
        """
        if self._journal is None or self._journal.shared is None:
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
        """Skip targets to which nothing was sent before the run was stopped."""
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

    def _of_answer(self, agent_id: str, answer: Any) -> Outcome[T]:
        return self._of_error(agent_id, answer) if isinstance(answer, TRMMError) else Done(agent_id, answer)

    def _of_error(self, agent_id: str, error: TRMMError, *, in_doubt: bool = False) -> Failed | Unknown:
        if isinstance(error, AuthenticationError | JournalError):
            # All targets have the same key and the same journal.
            self._outcomes.stop(str(error))
        in_doubt = in_doubt or isinstance(error, OutcomeUnknownError)
        return Unknown(agent_id, error) if in_doubt else Failed(agent_id, error)

    # -- targets that others have sent to --------------------------------------------------------------------

    async def recover(self, rows: Iterable[InFlight]) -> None:
        """Find out what became of targets that an earlier process, or another host, had sent to."""
        if self._journal is not None:
            self._matcher.username = self._matcher.username or self._journal.username
        await together(self._recover(group) for group in _by_call(rows))

    async def _recover(self, rows: list[InFlight]) -> None:
        """The same for the targets of one call."""
        agent_ids = tuple(row.agent_id for row in rows)
        first = rows[0]
        sent = RecoveredRun(watermark=Watermark(first.mark, first.mark_time), sent_at=first.sent_at)
        make = self._plan.work.recovery(self._api, self._dialect, agent_ids, sent)
        if make is None:
            for agent_id in agent_ids:
                said = f"sent to {agent_id} by a process that ended before the answer came"
                await self._outcomes.tell(Unknown(agent_id, OutcomeUnknownError(said)), crashed=True)
            return
        await self._collect(agent_ids, make, crashed=True)


class _JournalRecords:
    """Makes the record of each call that is sent to some targets.

    Attributes:
        is_late: whether the last record was no longer valid when its attempt was about to leave.
    """

    def __init__(self, matcher: RunMatcher, journal: Journal, agent_ids: list[str]) -> None:
        self.is_late: bool = False
        self.matcher = matcher
        self.journal = journal
        self.agent_ids = agent_ids

    def __call__(self, watermark: Watermark) -> SendRecord:
        return _JournalRecord(self, watermark)


class _JournalRecord(SendRecord):
    """Records in the journal that an attempt leaves, and not earlier.

    An attempt that waits for a limit, or for the end of a 429, has not left: after a crash it counts as not
    sent.
    """

    def __init__(self, records: _JournalRecords, watermark: Watermark) -> None:
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


async def together(jobs: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all jobs at once. The first that fails cancels the others, and its exception is raised."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _by_call(rows: Iterable[InFlight]) -> list[list[InFlight]]:
    """Group targets by the call that sent to them, since a call for many is looked up as a whole."""
    by_call: dict[tuple[int, float], list[InFlight]] = {}
    for row in rows:
        by_call.setdefault((row.mark, row.sent_at), []).append(row)
    return list(by_call.values())


def _emptied(agents: dict[str, None]) -> list[str]:
    taken = list(agents)
    agents.clear()
    return taken


def _was_cancelled_from_within() -> bool:
    """Whether a `CancelledError` came out of the awaited call, and nobody has cancelled this task."""
    task = asyncio.current_task()
    return task is not None and not task.cancelling()


def _of_broken_call(agent_id: str, how: str, *, sent: bool) -> Failed | Unknown:
    """The outcome of a target whose user function ended with an exception that is not ours."""
    said = f"the call for {agent_id} {how}"
    return Unknown(agent_id, OutcomeUnknownError(said)) if sent else Failed(agent_id, TRMMError(said))


def _left(agent_id: str, *, sent: bool) -> Skipped | Unknown:
    """The outcome of a target that was in progress when the run was left."""
    if not sent:
        return Skipped(agent_id, LEFT_EARLY)
    return Unknown(agent_id, OutcomeUnknownError(f"sent to {agent_id}, and {LEFT_EARLY}"))
