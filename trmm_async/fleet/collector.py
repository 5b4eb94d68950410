"""What has become of a run's targets so far: counted, grouped, written to the journal, handed to the reader.

Between `scheduler`, who tells, and `run`, who reads.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from trmm_async.errors import JournalError
from trmm_async.fleet.journal import Journal
from trmm_async.fleet.reports import Grouping
from trmm_async.fleet.rollout import RolloutControl, RolloutPolicy
from trmm_async.fleet.storage import Judged
from trmm_async.outcomes import Counts, Done, Failed, Outcome, Skipped, Unknown, note_host

if TYPE_CHECKING:
    from trmm_async.observing import RunWatch

__all__ = ["OutcomeCollector"]

T = TypeVar("T")
T_any = TypeVar("T_any")

_KINDS: Final[tuple[type[Outcome[Any]], ...]] = (Done, Failed, Unknown, Skipped)


class OutcomeCollector(Generic[T]):
    """The outcomes of one run.

    Attributes:
        ready: those that the reader has not taken; None is the end, an exception is a mistake of ours.
        collected: those for a reader who wants all of them at the end, by agent; else None.
        rest: those that the reader was never given.
        kept: those of them that came of being cancelled.
        grouping: all of them, folded.
        succeeded: how many were successes by the run's policy.
        unwritten: why the journal could not be written, if it could not.
        watch: is told each outcome, if somebody wants to know.
        hosts: what targets are called, by their ids, of those of which it is known; each until it is told of.
        told: those that have been told of, where other hosts bring some to an end; else None.
        forgives: whether what another process had begun counts as a success.
        changed: called when more may start, or nothing may any more.
    """

    def __init__(
        self, policy: RolloutPolicy, control: RolloutControl, journal: Journal | None, lag: int
    ) -> None:
        self._success = policy.success
        self._control = control
        self._journal = journal
        self._tally = dict.fromkeys(_KINDS, 0)
        self._earlier = dict.fromkeys(_KINDS, 0)
        self.told: set[str] | None = None if journal is None or journal.shared is None else set()
        self.forgives: bool = False
        self.ready: asyncio.Queue[Outcome[T] | BaseException | None] = asyncio.Queue(lag)
        self.collected: dict[str, Outcome[T]] | None = None
        self.rest: list[Outcome[T]] = []
        self.kept: list[Outcome[T]] = []
        self.grouping: Grouping = Grouping()
        self.succeeded: int = 0
        self.unwritten: JournalError | None = None
        self.watch: RunWatch | None = None
        self.hosts: dict[str, str] = {}
        self.changed: Callable[[], None] = lambda: None

    async def tell(
        self, outcome: Outcome[T], *, begun: bool = True, is_final: bool = True, crashed: bool = False
    ) -> None:
        """Take down an outcome and hand it to the reader; waits while the reader lags behind.

        `begun`: it counts for the rollout; `is_final`: the journal may take it for the end of this target;
        `crashed`: an earlier process had begun it. Cancelled, or broken: the outcome is in `rest`.

        Where several hosts work, nothing is told that was another's to say: that is told by `tell_of_other`.
        """
        ok = is_counted = False
        try:
            ok = isinstance(outcome, Done) and self._success(outcome.result)
            if self.told is None:
                self._count(outcome, ok=ok)
                is_counted = True
            if self._journal is not None and is_final:
                succeeded = ok or (crashed and self.forgives)
                judged = Judged(begun=begun, succeeded=succeeded, crashed=crashed)
                if await self.write(self._journal.settle(outcome, ok=ok, judged=judged)) is False:
                    return
            if not is_counted:
                self._count(outcome, ok=ok)
                is_counted = True
            if begun and self._control.settle(
                outcome, succeeded=ok or (crashed and self.forgives), crashed=crashed
            ):
                self.changed()
            elif self.told is not None:
                self.changed()  # by what is written there, more may start
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
        """Hand over what another host has brought to an end, and judged so. Nothing is told twice."""
        if self.told is not None and outcome.agent_id not in self.told:
            self._count(outcome, ok=ok)
            await self._hand_over(outcome)

    async def write(self, writing: Awaitable[T_any]) -> T_any | None:
        """Wait for the journal to be written. If it can't be, the run is stopped; it does not break.

        What is under way then ends, and its outcome is told: scripts that have run must not become unknown
        for a disk that is full.
        """
        try:
            return await writing
        except JournalError as error:
            self.fail(error)
            return None

    def fail(self, error: JournalError) -> None:
        """The journal can't be used any more: stop; it is raised in the end."""
        if self.watch is not None and self.unwritten is None:
            self.watch.unwritten(error)
        self.unwritten = self.unwritten or error
        self._control.stop(str(error))
        self.changed()

    async def tell_again(self, outcome: Outcome[T], *, ok: bool) -> None:
        """Hand over an outcome of an earlier process, which judged it so."""
        if not isinstance(outcome, Skipped):
            self._control.start()
            self._control.settle(outcome, succeeded=ok or self.forgives, crashed=isinstance(outcome, Unknown))
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
        """An outcome that came of leaving: there is no reader any more, and the journal knows it as begun."""
        self._count(outcome, ok=False)
        self.kept.append(outcome)
        self.rest.append(outcome)

    def expect(self, earlier: Counts, *, forgives: bool) -> None:
        """So many outcomes of earlier processes are to be told again; `forgives`: as successes."""
        self.forgives = forgives
        self._earlier = {
            Done: earlier.done, Failed: earlier.failed, Unknown: earlier.unknown, Skipped: earlier.skipped
        }  # fmt: skip

    def drop_to(self, counts: Counts, in_flight: int) -> None:
        """Several hosts work on it, and its journal stands so: what was not told is as it stands there."""
        self._tally |= {Done: counts.done, Failed: counts.failed, Skipped: counts.skipped}
        self._tally[Unknown] = counts.unknown + in_flight
        self._tally[Skipped] += counts.pending - in_flight

    def drop_the_rest(self, total: int) -> None:
        """Of that many targets, those not told of stand in the journal: with an outcome, or as pending."""
        for kind, count in self._earlier.items():
            self._tally[kind] += count
        self._tally[Skipped] += self.counts(total).pending

    def close(self) -> None:
        """The reader has left: what it was not given is in `rest`."""
        self.rest += (self.collected or {}).values()
        self.collected = None
        while not self.ready.empty():
            outcome = self.ready.get_nowait()
            if outcome is not None and not isinstance(outcome, BaseException):
                self.rest.append(outcome)

    def counts(self, total: int) -> Counts:
        """Where that many targets stand."""
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
        if host := self.hosts.pop(outcome.agent_id, ""):
            note_host(outcome, host)
        self._tally[type(outcome)] += 1
        self.succeeded += ok
        self.grouping.add(outcome)
        watch = self.watch
        if watch is not None and (watch.is_logged or watch.observers.active):
            watch.outcome(outcome, ok=ok)
