"""Collects the outcomes of a run: counts, groups and records them, and hands them to the reader.

It stands between `scheduler`, which produces outcomes, and `run`, which reads them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

from trmm_async.errors import JournalError
from trmm_async.fleet.journal import Journal
from trmm_async.fleet.reports import Grouping
from trmm_async.fleet.rollout import RolloutControl, RolloutPolicy
from trmm_async.fleet.storage import Judged
from trmm_async.observing import RunWatch
from trmm_async.outcomes import Counts, Done, Failed, Outcome, Skipped, Unknown, note_host

__all__ = ["OutcomeCollector"]

T = TypeVar("T")
T_any = TypeVar("T_any")

_KINDS: Final[tuple[type[Outcome[Any]], ...]] = (Done, Failed, Unknown, Skipped)


class OutcomeCollector(Generic[T]):
    """The outcomes of one run.

    Args:
        policy: decides which results are successes.
        control: is told of each end.
        journal: records the outcomes.
        lag: how many outcomes may wait for the reader.
        hosts: known host names by agent_id; each is removed when its outcome is counted.
        watch: observes each outcome.
        forgives: whether targets that another process had started count as successes.

    Attributes:
        ready: outcomes that the reader has not taken yet. None is the end; an exception is raised there.
        collected: all outcomes by agent_id, for a reader who wants them at the end; otherwise None.
        rest: outcomes that the reader never got.
        kept: those of `rest` that exist because the run was left.
        grouping: all outcomes, grouped.
        succeeded: how many were successes by the run's policy.
        unwritten: why the journal could not be written; None if it could.
        broken: what the user's function or stream raised, which stopped the run; None if nothing.
        told: the targets whose outcomes were handed over, if several hosts share the run; otherwise None.
        changed: called when more targets may start, or none any more.
    """

    def __init__(
        self,
        policy: RolloutPolicy,
        control: RolloutControl,
        journal: Journal | None,
        *,
        lag: int,
        hosts: dict[str, str],
        watch: RunWatch,
        forgives: bool,
    ) -> None:
        self._success = policy.success
        self._control = control
        self._journal = journal
        self._hosts = hosts
        self._watch = watch
        self._forgives = forgives
        self._tally = dict.fromkeys(_KINDS, 0)
        self._earlier = dict.fromkeys(_KINDS, 0)
        self.told: set[str] | None = None if journal is None or journal.shared is None else set()
        self.ready: asyncio.Queue[Outcome[T] | BaseException | None] = asyncio.Queue(lag)
        self.collected: dict[str, Outcome[T]] | None = None
        self.rest: list[Outcome[T]] = []
        self.kept: list[Outcome[T]] = []
        self.grouping: Grouping = Grouping()
        self.succeeded: int = 0
        self.unwritten: JournalError | None = None
        self.broken: Exception | None = None
        self.changed: Callable[[], None] = lambda: None

    async def tell(
        self, outcome: Outcome[T], *, begun: bool = True, is_final: bool = True, crashed: bool = False
    ) -> None:
        """Count and record an outcome and hand it to the reader; waits while the reader lags behind.

        If this is cancelled or fails, the outcome is in `rest`. If several hosts share the run and another
        host has to decide this outcome, it is dropped here, and comes by `tell_of_other`.

        Args:
            outcome: the outcome.
            begun: whether it counts for the rollout.
            is_final: whether the journal may record it as the target's end.
            crashed: whether an earlier process had started the target.
        """
        ok = is_counted = False
        try:
            ok = isinstance(outcome, Done) and self._success(outcome.result)
            if self.told is None:
                self._count(outcome, ok=ok)
                is_counted = True
            if self._journal is not None and is_final:
                succeeded = ok or (crashed and self._forgives)
                judged = Judged(begun=begun, succeeded=succeeded, crashed=crashed)
                if await self.write(self._journal.settle(outcome, ok=ok, judged=judged)) is False:
                    return
            if not is_counted:
                self._count(outcome, ok=ok)
                is_counted = True
            if begun and self._control.settle(
                outcome, succeeded=ok or (crashed and self._forgives), crashed=crashed
            ):
                self.changed()
            elif self.told is not None:
                self.changed()  # what was written to the journal may allow more targets to start
            if self.collected is None:
                await self.ready.put(outcome)
            else:
                self.collected[outcome.agent_id] = outcome
        except BaseException:
            if not is_counted:
                self._count(outcome, ok=ok)
            self.rest.append(outcome)
            raise

    async def tell_of_other(self, outcome: Outcome[T], *, ok: bool) -> None:
        """Hand over an outcome of another host, which decided whether it is `ok`. Never twice the same."""
        if self.told is not None and outcome.agent_id not in self.told:
            self._count(outcome, ok=ok)
            await self._hand_over(outcome)

    async def write(self, writing: Awaitable[T_any]) -> T_any | None:
        """Wait for the journal to be written. If it can't be written, the run is stopped, but not cancelled.

        Targets in progress still come to their end, and their outcomes are handed over: a full disk must not
        make the outcome of a script that ran unknown.
        """
        try:
            return await writing
        except JournalError as error:
            self.fail(error)
            return None

    def fail(self, error: JournalError) -> None:
        """Stop the run, since the journal can't be used any more. The error is raised at the end."""
        if self.unwritten is None:
            self._watch.unwritten(error)
            self.unwritten = error
        self.stop(str(error))

    def stop(self, why: str) -> None:
        """Let no more targets start."""
        self._control.stop(why)
        self.changed()

    async def tell_again(self, outcome: Outcome[T], *, ok: bool) -> None:
        """Hand over an outcome of an earlier process, which decided whether it is `ok`."""
        if not isinstance(outcome, Skipped):
            self._control.start()
            self._control.settle(
                outcome, succeeded=ok or self._forgives, crashed=isinstance(outcome, Unknown)
            )
        self._earlier[type(outcome)] -= 1
        self._count(outcome, ok=ok)
        await self._hand_over(outcome)

    async def _hand_over(self, outcome: Outcome[T]) -> None:
        if self.collected is not None:
            self.collected[outcome.agent_id] = outcome
            return
        try:
            await self.ready.put(outcome)
        except asyncio.CancelledError:
            self.rest.append(outcome)
            raise

    def keep(self, outcome: Outcome[T]) -> None:
        """Keep an outcome that exists because the run was left. Nobody reads it, and it is not recorded."""
        self._count(outcome, ok=False)
        self.kept.append(outcome)
        self.rest.append(outcome)

    def expect(self, earlier: Counts) -> None:
        """Expect so many outcomes of earlier processes by `tell_again`."""
        self._earlier = {
            Done: earlier.done, Failed: earlier.failed, Unknown: earlier.unknown, Skipped: earlier.skipped
        }  # fmt: skip

    def drop_to(self, counts: Counts, in_flight: int) -> None:
        """Take over the counts of a shared journal, for targets that were not handed over here."""
        self._tally |= {Done: counts.done, Failed: counts.failed, Skipped: counts.skipped}
        self._tally[Unknown] = counts.unknown + in_flight
        self._tally[Skipped] += counts.pending - in_flight

    def drop_the_rest(self, total: int) -> None:
        """Count the targets that were not handed over, of `total`, by what the journal has of them."""
        for kind, count in self._earlier.items():
            self._tally[kind] += count
        self._tally[Skipped] += self.counts(total).pending

    def close(self) -> None:
        """Move the outcomes that the reader did not take to `rest`, since it has left."""
        self.rest += (self.collected or {}).values()
        self.collected = None
        while not self.ready.empty():
            outcome = self.ready.get_nowait()
            if outcome is not None and not isinstance(outcome, BaseException):
                self.rest.append(outcome)

    def counts(self, total: int) -> Counts:
        """The counts for a run of `total` targets."""
        settled = sum(self._tally.values())
        return Counts(
            done=self._tally[Done],
            failed=self._tally[Failed],
            unknown=self._tally[Unknown],
            skipped=self._tally[Skipped],
            pending=total - settled,
        )

    def _count(self, outcome: Outcome[T], *, ok: bool) -> None:
        if self.told is not None:
            self.told.add(outcome.agent_id)
        if host := self._hosts.pop(outcome.agent_id, ""):
            note_host(outcome, host)
        self._tally[type(outcome)] += 1
        self.succeeded += ok
        self.grouping.add(outcome)
        if self._watch.is_logged or self._watch.observers.active:
            self._watch.outcome(outcome, ok=ok)
