"""`FleetRun`: what the user holds of a run. One outcome for every target, whatever happens.

At the top of this floor, over `conductor`, which sends, and `ledger`, which counts.
"""

import asyncio
import weakref
from collections.abc import Coroutine, Generator, Iterable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, Self

from trmm_async.errors import ClosedError, InvalidRequestError, JournalError
from trmm_async.fleet.conductor import LEFT_EARLY, Conductor
from trmm_async.fleet.course import Course
from trmm_async.fleet.gates import Gates
from trmm_async.fleet.journal import Journal
from trmm_async.fleet.ledger import Ledger
from trmm_async.fleet.plan import Resumption, RunPlan
from trmm_async.fleet.reports import Group, report
from trmm_async.fleet.targets import (
    JournalTargets,
    ListedTargets,
    Queue,
    StreamedTargets,
    Targets,
    streamed,
)
from trmm_async.outcomes import Counts, Outcome, Skipped
from trmm_async.resources import Api

__all__ = ["FleetRun"]

_LAG: Final = 50
_STOPPED: Final = "the run was stopped"


class FleetRun:
    """A script on its way over the fleet.

    Either `await` it, for the outcomes in the order of the targets; or enter it and iterate it, for the
    outcomes in the order of completion:

        async with trmm.fleet.run_script(agents, script=1) as run:
            async for outcome in run: ...

    Once only. Sending stops while the loop lags behind by more than `width` outcomes (50 if not given).
    Leaving the block early stops sending, cancels what is in flight and leaves no task behind; what was never
    sent then counts as skipped, what was sent and not answered as unknown. `rest` has the outcomes that the
    loop did not get to. `stop()` is the gentle way: nothing more is sent, what is in flight is waited for.
    """

    def __init__(self, api: Api, plan: RunPlan | Resumption) -> None:
        self._api = api
        self._resumption = plan if isinstance(plan, Resumption) else None
        self._plan = plan if isinstance(plan, RunPlan) else None
        self._targets = plan.targets if isinstance(plan, RunPlan) else None
        self._total = len(self._targets) if isinstance(self._targets, list) else None
        if isinstance(plan, RunPlan) and plan.policy.needs_total and self._total is None and not plan.journal:
            raise InvalidRequestError(
                "a share of the targets can't be told of a stream: give a list, a journal, or a number"
            )
        self._ledger: Ledger | None = None
        self._course: Course | None = None
        self._queue: Queue | None = None
        self._conductor: Conductor | None = None
        self._journal: Journal | None = None
        self._task: asyncio.Task[None] | None = None
        self._dropped: weakref.finalize[..., FleetRun] | None = None
        self._earlier: Counts | None = None
        self._gates = Gates()
        self._stop_wanted = False
        self._state = "new"

    def __repr__(self) -> str:
        what = f"script {self._plan.run.script}" if self._plan else f"of {self._resumption!r}"
        return f"<FleetRun {what}, {self._state}, {self.counts}>"

    # -- looking ---------------------------------------------------------------------------------------------

    @property
    def counts(self) -> Counts:
        """Where the targets stand now; adds up to their number (of a stream: to those read so far)."""
        read = 0 if self._queue is None else self._queue.given
        total = read if self._total is None else self._total
        return Counts(pending=total) if self._ledger is None else self._ledger.counts(total)

    @property
    def succeeded(self) -> int:
        """How many of them are successes: by the run's `success`, or with return code 0."""
        return 0 if self._ledger is None else self._ledger.succeeded

    @property
    def stopped(self) -> str:
        """Why the run was stopped before its end, in words; empty if it was not."""
        return "" if self._course is None else self._course.stopped

    @property
    def rest(self) -> list[Outcome]:
        """Once the block was left: the outcomes that the loop was not given. Empty after a whole run.

        Of a run with a journal, without those that were never begun: they stand in the journal.
        """
        return [] if self._ledger is None else list(self._ledger.rest)

    def groups(self) -> list[Group]:
        """The outcomes so far, folded by identical output and return code; the largest group first."""
        return [] if self._ledger is None else self._ledger.grouping.groups()

    @property
    def worst_retcode(self) -> int | None:
        """The return code that is farthest from 0; None if no script has ended with one."""
        return None if self._ledger is None else self._ledger.grouping.worst

    def report(self, names: Mapping[str, str] | None = None) -> str:
        """The groups as text: which hosts, and what all of them printed; `names` by agent_id."""
        return report(self.groups(), names)

    def stop(self) -> None:
        """Send nothing more. What is in flight is waited for, what was never sent is skipped.

        Also what was sent and refused with 429, and would have been sent again: that certainly ran nothing.
        """
        self._stop_wanted = True
        self._gates.shut()
        if self._course is not None and self._conductor is not None:
            self._course.stop(_STOPPED)
            self._conductor.wake()

    # -- using -----------------------------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, list[Outcome]]:
        return self._collect().__await__()

    async def _collect(self) -> list[Outcome]:
        async with self:
            by_agent = {} if self._ledger is None else await self._all(self._ledger)
            order = await self._order(by_agent)
        return [by_agent[agent_id] for agent_id in order if agent_id in by_agent]

    async def _all(self, ledger: Ledger) -> Mapping[str, Outcome]:
        """All outcomes at the end. Nobody waits for one alone, so that none goes through the queue."""
        ledger.collected = {}
        end = await ledger.ready.get()
        if isinstance(end, BaseException):
            raise end
        self._state = "over"
        by_agent, ledger.collected = ledger.collected, None
        return by_agent

    async def _order(self, by_agent: Mapping[str, Outcome]) -> Iterable[str]:
        """The targets in the order in which they were given; of a stream, that of completion."""
        if self._journal is not None:
            return [agent_id async for agent_id in self._journal.agent_ids()]
        return self._targets if isinstance(self._targets, list) else by_agent

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise ClosedError("this run was used already; call fleet.run_script() again")
        self._state = "running"
        try:
            plan, source = await self._open()
        except BaseException:
            await self._end()
            raise
        self._plan = plan
        self._queue = Queue(source)
        self._course = Course(plan.policy, source.total)
        if self._stop_wanted:
            self._course.stop(_STOPPED)
        self._ledger = Ledger(plan.policy, self._course, self._journal, plan.width or _LAG)
        self._conductor = Conductor(
            self._api, plan, self._queue, self._course, self._gates, self._ledger, self._journal
        )
        self._ledger.changed = self._conductor.wake
        if self._earlier is not None and self._resumption is not None:
            self._ledger.expect(self._earlier, forgives=self._resumption.forgive)
        conduct = _conduct(self._conductor, self._ledger, self._journal, again=self._resumption is not None)
        task = self._task = asyncio.create_task(conduct, name="trmm_async: a run")
        self._dropped = weakref.finalize(self, _drop, asyncio.get_running_loop(), task, self._journal)
        self._dropped.atexit = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await _undisturbed(self._leave())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        if self._state == "new":
            raise ClosedError("enter the run first: async with trmm.fleet.run_script(…) as run")
        if self._ledger is None or self._state != "running":
            raise StopAsyncIteration
        outcome = await self._ledger.ready.get()
        if isinstance(outcome, BaseException):
            raise outcome
        if outcome is None:
            self._state = "over"
            raise StopAsyncIteration
        return outcome

    # -- inside ----------------------------------------------------------------------------------------------

    async def _leave(self) -> None:
        if self._dropped is not None:
            self._dropped.detach()
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)
            if self._ledger is not None and self._queue is not None:
                self._ledger.close()
                await self._skip_the_rest(self._ledger, self._queue)
        finally:
            await self._end()

    async def _open(self) -> tuple[RunPlan, Targets]:
        """The plan and its targets; of a run with a journal, all of them are written there by then."""
        if self._resumption is not None:
            return await self._reopen(self._resumption)
        if self._plan is None or self._targets is None:
            raise InvalidRequestError("a run without targets")
        if self._plan.journal is None or self._plan.dry_run:
            if isinstance(self._targets, list):
                return self._plan, ListedTargets(self._targets)
            return self._plan, StreamedTargets(self._targets)
        order = self._plan.order(self._api.transport.server.base_url)
        if isinstance(self._targets, list):
            self._journal = await Journal.create(self._plan.journal, order, self._targets)
        else:
            gate = self._gates.gate()
            with gate:
                async with aclosing(streamed(self._targets)) as targets:
                    if not self._stop_wanted:
                        self._journal = await Journal.create(self._plan.journal, order, targets)
            if self._journal is None:
                # Stopped before the last target was read: there is no journal of a part of them.
                return self._plan, ListedTargets([])
        return self._plan, await self._journal_targets(self._journal)

    async def _reopen(self, resumption: Resumption) -> tuple[RunPlan, Targets]:
        journal = self._journal = await Journal.resume(resumption.journal)
        ours = self._api.transport.server.base_url
        if journal.order.server != ours:
            raise JournalError(f"{journal.path} is a run on {journal.order.server}, and this is {ours}")
        plan = resumption.plan(journal.order)
        await journal.retry(resumption.retry)
        self._earlier = await journal.counts()
        return plan, await self._journal_targets(journal)

    async def _journal_targets(self, journal: Journal) -> Targets:
        self._total = (await journal.counts()).total
        return JournalTargets(journal, self._total)

    async def _skip_the_rest(self, ledger: Ledger, queue: Queue) -> None:
        """Those that were never begun. A journal has them as pending, and needs no list of them."""
        if self._journal is not None:
            ledger.drop_the_rest(self._total or 0)
            await self._journal.withdraw([one.agent_id for one in ledger.kept if isinstance(one, Skipped)])
            return
        for agent_id in [] if self._conductor is None else self._conductor.waiting:
            ledger.keep(Skipped(agent_id, LEFT_EARLY))
        while queue or (isinstance(self._targets, list) and not queue.exhausted):
            await queue.fill()
            while queue:
                ledger.keep(Skipped(queue.take(), LEFT_EARLY))

    async def _end(self) -> None:
        self._state = "ended"
        try:
            if self._queue is not None:
                await self._queue.source.aclose()
        finally:
            if self._journal is not None:
                await self._journal.aclose()


async def _conduct(conductor: Conductor, ledger: Ledger, journal: Journal | None, *, again: bool) -> None:
    """Go through with a run. It doesn't know the run, so that a run that nobody has any more ends."""
    try:
        if journal is not None and again:
            async for outcome, ok in journal.judged():
                await ledger.tell_again(outcome, ok=ok)
        await conductor.run()
        await ledger.ready.put(None)
    except Exception as error:  # noqa: BLE001 - it must reach the one who waits, not hang them
        await ledger.ready.put(error)


_leaving: Final[set[asyncio.Task[None]]] = set()


def _drop(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None], journal: Journal | None) -> None:
    """A run was entered, and never left, and nobody has it: end it, and give its journal's lock back.

    Where the loop has ended, too, nothing goes on by itself; the journal then lets go when it is collected.
    """

    async def leave() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if journal is not None:
            await journal.aclose()

    def begin() -> None:
        leaving = loop.create_task(leave(), name="trmm_async: a run that was dropped")
        _leaving.add(leaving)
        leaving.add_done_callback(_leaving.discard)

    if not loop.is_closed():
        loop.call_soon_threadsafe(begin)


async def _undisturbed(leaving: Coroutine[Any, Any, None]) -> None:
    """Go through with it, whoever is cancelled meanwhile; the cancellation comes after."""
    task = asyncio.ensure_future(leaving)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
