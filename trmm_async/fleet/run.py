"""`FleetRun`: the object by which the user awaits, iterates and stops a run.

It stands above `scheduler`, which sends, and `collector`, which counts. Everything that a run consists of
once it is entered is one value, `_Running`.
"""

import asyncio
import weakref
from collections.abc import AsyncIterable, Coroutine, Generator, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Self

from trmm_async.addresses import same_server
from trmm_async.errors import ClosedError, JournalError, TRMMError
from trmm_async.fleet.collector import OutcomeCollector
from trmm_async.fleet.dispatcher import LEFT_EARLY
from trmm_async.fleet.guards import UnsentGuards
from trmm_async.fleet.journal import Journal
from trmm_async.fleet.page import page
from trmm_async.fleet.plan import Resumption, RunPlan
from trmm_async.fleet.reports import Group, report
from trmm_async.fleet.rollout import RolloutControl, RolloutPolicy
from trmm_async.fleet.scheduler import Scheduler
from trmm_async.fleet.targets import (
    JournalTargets,
    ListedTargets,
    Queue,
    SharedTargets,
    StreamedTargets,
    Targets,
    streamed,
)
from trmm_async.fleet.work import Work
from trmm_async.models import Agent
from trmm_async.observing import RUN, RunWatch
from trmm_async.outcomes import Counts, Outcome, Skipped
from trmm_async.resources import Api, Selector

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from trmm_async.models import ScriptResult

    T = TypeVar("T", default=ScriptResult)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["FleetRun"]

_LAG: Final = 50
_STOPPED: Final = "the run was stopped"


class FleetRun(Generic[T]):
    """A run of a script, or of any other call, on many agents. It has exactly one outcome for each target.

    Either `await` it: that returns the outcomes as a list, in the order of the targets. (If the targets are a
    stream and there is no journal, the order is that of completion.) Or enter it and iterate it: that yields
    the outcomes in the order in which they are completed.

        async with trmm.fleet.run_script(agents, script=1) as run:
            async for outcome in run: ...

    A run can be used once; a second use raises `ClosedError`. If your loop is slower than the fleet, at most
    `width` outcomes (50 if not given) are kept for it; then nothing more is sent until the loop takes one.

    If you leave the block early, or cancel the `await`, nothing more is sent, the client stops waiting for
    what is in progress, and no task remains. Targets that were never sent are then `skipped`, and those that
    were sent and not answered are `unknown`, since their script may still run. `rest` has the outcomes that
    the loop did not get to. `stop()` ends a run without cutting anything off.
    """

    def __init__(self, api: Api, plan: RunPlan[T] | Resumption) -> None:
        if isinstance(plan, RunPlan) and isinstance(plan.targets, AsyncIterable) and plan.journal is None:
            plan.policy.check_total(None)
        self._api = api
        self._plan = plan
        self._guards = UnsentGuards()
        self._running: _Running[T] | None = None
        self._stop_wanted = False
        self._state = "new"

    def __repr__(self) -> str:
        plan = self._plan if self._running is None else self._running.plan
        what = plan.work.name if isinstance(plan, RunPlan) else f"of {plan!r}"
        return f"<FleetRun {what}, {self._state}, {self.counts}>"

    # -- looking ---------------------------------------------------------------------------------------------

    @property
    def counts(self) -> Counts:
        """How many targets have which state now. They add up to the number of targets.

        If the targets are a stream, they add up to the number of targets read so far.
        """
        if self._running is not None:
            return self._running.counts
        targets = self._plan.targets if isinstance(self._plan, RunPlan) else None
        return Counts(pending=len(targets) if isinstance(targets, list) else 0)

    @property
    def succeeded(self) -> int:
        """How many targets have succeeded, by the run's `success` (by default: return code 0)."""
        return 0 if self._running is None else self._running.outcomes.succeeded

    @property
    def stopped(self) -> str:
        """Why the run was stopped before its end, as a text; empty if it was not stopped."""
        return "" if self._running is None else self._running.control.stopped

    @property
    def rest(self) -> list[Outcome[T]]:
        """After the block was left: the outcomes that the loop did not get to. Empty if it got all of them.

        If the run has a journal, targets that were never started are not in this list; the journal has them.
        """
        return [] if self._running is None else list(self._running.outcomes.rest)

    def groups(self) -> list[Group]:
        """The outcomes so far, grouped by identical output and return code; the largest group first."""
        return [] if self._running is None else self._running.outcomes.grouping.groups()

    @property
    def worst_retcode(self) -> int | None:
        """The return code that is farthest from 0; None if no target has a return code so far."""
        return None if self._running is None else self._running.outcomes.grouping.worst

    def report(self, names: Mapping[str, str] | None = None) -> str:
        """The groups as a text: the hosts of each group, and the output that they have in common.

        Args:
            names: host names by agent_id. A target that is not in it is shown by its id.
        """
        return report(self.groups(), names)

    def html(self, agents: Iterable[Agent] = (), *, title: str = "") -> str:
        """The outcomes so far as one self-contained page of HTML, for a browser or a mail.

            Path("report.html").write_text(run.html(agents), encoding="utf-8")

        The page has the counts; the groups of identical output with their hosts, and how each differs from
        the largest group; a plot of the execution times; and a table of all targets that can be filtered by
        host, client and return code. Whatever a script printed is escaped, so none of it is interpreted as
        HTML.

        Args:
            agents: agents whose host names and clients the page shows. A target that is not among them is
                shown by its id.
            title: the heading. Default: what was run.
        """
        plan = self._plan if self._running is None else self._running.plan
        named = plan.work.name if isinstance(plan, RunPlan) else "A run"
        now = datetime.now().astimezone()
        return page(self.groups(), self.counts, agents, title=title or named, when=now)

    def stop(self) -> None:
        """Send nothing more. Targets in progress are waited for; targets that were never sent are skipped.

        A call that the server refused with 429, and that would have been sent again, is skipped, too: it
        certainly ran nothing. If the server answers 429 when its history is read, the pause that it asks for
        is not waited out: such a target is `Unknown` once the script's timeout is over.
        """
        self._stop_wanted = True
        self._guards.shut()
        self._api.poller.hurry()
        self._api.commands.hurry()
        if self._running is not None:
            self._running.control.stop(_STOPPED)
            self._running.scheduler.wake()

    # -- using -----------------------------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, list[Outcome[T]]]:
        return self._collect().__await__()

    async def _collect(self) -> list[Outcome[T]]:
        running = await self._enter()
        try:
            by_agent = await running.all()
            self._state = "over"
            return [by_agent[agent_id] for agent_id in await running.order(by_agent) if agent_id in by_agent]
        finally:
            await self._leave(running)

    async def __aenter__(self) -> Self:
        await self._enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is not None:
            await self._leave(self._running)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome[T]:
        if self._state == "new":
            raise ClosedError("enter the run first: async with trmm.fleet.run_script(…) as run")
        if self._running is None or self._state != "running":
            raise StopAsyncIteration
        outcome = await self._running.outcomes.ready.get()
        if isinstance(outcome, BaseException):
            raise outcome
        if outcome is None:
            self._state = "over"
            raise StopAsyncIteration
        return outcome

    # -- inside ----------------------------------------------------------------------------------------------

    async def _enter(self) -> "_Running[T]":
        if self._state != "new":
            raise ClosedError("this run was used already; call fleet.run_script() again")
        self._state = "running"
        try:
            async with AsyncExitStack() as stack:
                opened = await self._open(stack)
                self._running = self._start(opened, stack)
        except BaseException:
            self._state = "ended"
            raise
        return self._running

    def _start(self, opened: "_OpenedJournal[T]", stack: AsyncExitStack) -> "_Running[T]":
        plan, journal, queue = opened.plan, opened.journal, Queue(opened.targets)
        is_shared = journal is not None and journal.shared is not None
        # Where several hosts work, the journal keeps count for all of them.
        control = RolloutControl(RolloutPolicy() if is_shared else plan.policy, opened.targets.total)
        if self._stop_wanted:
            control.stop(_STOPPED)
        watch = RunWatch(
            self._api.observers,
            plan.work.name,
            opened.targets.total,
            None if journal is None else journal.name,
            resumed=opened.earlier is not None,
        )
        outcomes: OutcomeCollector[T] = OutcomeCollector(
            plan.policy,
            control,
            journal,
            lag=plan.width or _LAG,
            hosts=plan.hosts,
            watch=watch,
            forgives=opened.forgives,
        )
        scheduler = Scheduler(self._api, plan, queue, control, self._guards, outcomes, journal)
        is_told_again = opened.earlier is not None and not is_shared
        if opened.earlier is not None and is_told_again:
            outcomes.expect(opened.earlier)
        conduct = _conduct(scheduler, outcomes, journal, watch.number, again=is_told_again)
        task = asyncio.create_task(conduct, name="trmm_async: a run")
        dropped = weakref.finalize(self, _drop, asyncio.get_running_loop(), task, journal)
        dropped.atexit = False
        return _Running(
            plan, queue, control, outcomes, scheduler, journal, task, dropped, stack.pop_all(), watch
        )

    async def _leave(self, running: "_Running[T]") -> None:
        try:
            await _undisturbed(running.leave())
        finally:
            self._state = "ended"

    async def _open(self, stack: AsyncExitStack) -> "_OpenedJournal[T]":
        """Open the run's targets, and its journal if it has one: the journal then has all targets.

        `stack` closes what was opened.
        """
        plan = self._plan
        if isinstance(plan, Resumption):
            return await self._reopen(plan, stack)
        await self._require(plan.work)
        plan = replace(plan, work=await plan.work.identified(self._api))
        targets = plan.targets
        if isinstance(targets, Selector):
            with self._guards.guard():
                if not self._stop_wanted:
                    plan.hosts.update(await plan.work.chosen(targets))
                    targets = list(plan.hosts)
            if isinstance(targets, Selector):
                # Stopped before the last target was read.
                return _OpenedJournal(replace(plan, targets=[]), ListedTargets([]))
            plan = replace(plan, targets=targets)
        if plan.journal is None or plan.dry_run:
            if isinstance(targets, list):
                return _OpenedJournal(plan, ListedTargets(targets))
            stream = StreamedTargets(targets, plan.hosts)
            stack.push_async_callback(stream.aclose)
            return _OpenedJournal(plan, stream)
        order = plan.order(self._api.transport.server.base_url)
        journal: Journal | None = None
        if isinstance(targets, list):
            journal = await Journal.create(plan.journal, order, targets)
        else:
            with self._guards.guard():
                async with aclosing(streamed(targets, plan.hosts)) as streaming:
                    if not self._stop_wanted:
                        journal = await Journal.create(plan.journal, order, streaming)
        if journal is None:
            # Stopped before the last target was read: no journal is made of some of the targets.
            return _OpenedJournal(plan, ListedTargets([]))
        stack.push_async_callback(journal.aclose)
        return _OpenedJournal(plan, await _targets_of(journal, plan), journal)

    async def _require(self, work: Work[Any]) -> None:
        """Refuse work that this kind of server can't do, before a journal is made."""
        if work.stock:
            try:
                dialect = await self._api.dialect()
            except TRMMError:
                return  # the first call asks again, and then each target gets the error
            dialect.require_stock(work.stock)

    async def _reopen(self, resumption: Resumption, stack: AsyncExitStack) -> "_OpenedJournal[T]":
        journal = await Journal.resume(resumption.journal)
        stack.push_async_callback(journal.aclose)
        ours = self._api.transport.server.base_url
        if not same_server(journal.order.server, ours):
            raise JournalError(
                f"{journal.name} is a run on {journal.order.server}, but this client's server is {ours}"
            )
        plan = resumption.plan(journal.order)
        await self._require(plan.work)
        targets = await _targets_of(journal, plan)
        await journal.retry(resumption.retry, forgive=resumption.forgive)
        return _OpenedJournal(plan, targets, journal, await journal.counts(), resumption.forgive)


async def _targets_of(journal: Journal, plan: RunPlan[Any]) -> Targets:
    total = (await journal.counts()).total
    if journal.shared is None:
        return JournalTargets(journal, total)
    await journal.shared.govern(plan.policy, journal.username)
    return SharedTargets(journal.shared, total)


@dataclass(frozen=True, slots=True)
class _OpenedJournal(Generic[T]):
    """What a run begins with. For a resumed run, `earlier` has the counts that its journal had."""

    plan: RunPlan[T]
    targets: Targets
    journal: Journal | None = None
    earlier: Counts | None = None
    forgives: bool = False


@dataclass(frozen=True, slots=True)
class _Running(Generic[T]):
    """Everything that a run consists of once it is entered. It must hold no reference to the `FleetRun`.

    Otherwise a run that was entered and then dropped would never be collected, and would never end.
    """

    plan: RunPlan[T]
    queue: Queue
    control: RolloutControl
    outcomes: OutcomeCollector[T]
    scheduler: Scheduler[T]
    journal: Journal | None
    task: asyncio.Task[None]
    dropped: "weakref.finalize[..., Any]"
    stack: AsyncExitStack
    watch: RunWatch

    @property
    def counts(self) -> Counts:
        """The counts now. If the targets are a stream, of those that were read so far."""
        total = self.queue.source.total
        return self.outcomes.counts(self.queue.given if total is None else total)

    async def all(self) -> Mapping[str, Outcome[T]]:
        """All outcomes, at the end of the run. They don't go through the queue: nobody takes them singly."""
        self.outcomes.collected = {}
        end = await self.outcomes.ready.get()
        if isinstance(end, BaseException):
            raise end
        by_agent, self.outcomes.collected = self.outcomes.collected, None
        return by_agent

    async def order(self, by_agent: Mapping[str, Outcome[T]]) -> Iterable[str]:
        """The targets in the order in which they were given; of a stream without a journal, of completion."""
        if self.journal is not None:
            return [agent_id async for agent_id in self.journal.agent_ids()]
        return self.plan.targets if isinstance(self.plan.targets, list) else by_agent

    async def leave(self) -> None:
        """End the run. Targets that were never started are skipped, and targets in progress are unknown."""
        self.dropped.detach()
        async with self.stack:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            self.outcomes.close()
            await self._skip_the_rest()
            self.watch.ended(self.counts, self.control.stopped)

    async def _skip_the_rest(self) -> None:
        """Skip the targets that were never started. In a journal they stay pending, for `resume`."""
        queue, outcomes = self.queue, self.outcomes
        if self.journal is not None:
            kept = [one.agent_id for one in outcomes.kept if isinstance(one, Skipped)]
            if self.journal.shared is None:
                outcomes.drop_the_rest(queue.source.total or 0)
                await self.journal.release(kept)
            else:
                await self._leave_to_others(self.journal, kept)
            return
        for agent_id in self.scheduler.waiting:
            outcomes.keep(Skipped(agent_id, LEFT_EARLY))
        while queue or (isinstance(queue.source, ListedTargets) and not queue.exhausted):
            await queue.fill()
            while queue:
                outcomes.keep(Skipped(queue.take(), LEFT_EARLY))

    async def _leave_to_others(self, journal: Journal, kept: Iterable[str]) -> None:
        """Release the targets that this host only claimed. If that fails, their lease ends by itself."""
        try:
            await journal.release(kept)
            if self.counts.pending:
                self.outcomes.drop_to(await journal.counts(), len(await journal.in_flight()))
        except JournalError:
            # The database can't be reached, so the state of the targets of other hosts is not known here.
            self.outcomes.drop_to(self.counts, self.counts.pending)


async def _conduct(
    scheduler: Scheduler[Any],
    outcomes: OutcomeCollector[Any],
    journal: Journal | None,
    number: int,
    *,
    again: bool,
) -> None:
    """The task of a run. It holds no reference to the `FleetRun`, so that a dropped run can be collected."""
    RUN.set(number)
    try:
        if journal is not None and again:
            async for outcome, ok in journal.judged():
                await outcomes.tell_again(outcome, ok=ok)
        await scheduler.run()
        await outcomes.ready.put(None)
    except Exception as error:  # noqa: BLE001 - it must reach the caller, who would otherwise wait forever
        await outcomes.ready.put(error)


_leaving: Final[set[asyncio.Task[None]]] = set()


def _drop(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None], journal: Journal | None) -> None:
    """End a run that was entered, never left, and then garbage-collected, and release its journal's lock.

    If the loop is closed, no task of the run goes on; the journal is then released when it is collected.
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
    """Await `leaving` to its end even if this task is cancelled; the cancellation is raised afterwards."""
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
