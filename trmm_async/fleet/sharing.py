"""What a host does besides its own sending if several hosts share a run.

It hands over the outcomes of other hosts, notices when the run was stopped, and finds out what became of
targets that were sent by hosts that no longer respond. It stands between `scheduler`, which sends, and the
journal's store.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from trmm_async.errors import JournalError, OutcomeUnknownError
from trmm_async.fleet.collector import OutcomeCollector
from trmm_async.fleet.journal import InFlight, Journal
from trmm_async.fleet.rollout import RolloutControl
from trmm_async.fleet.storage import RunStanding, SharedJournalStore
from trmm_async.fleet.targets import SharedTargets, at_most
from trmm_async.outcomes import Outcome, Skipped, Unknown

__all__ = ["SharedRun"]

T = TypeVar("T")


class SharedRun(Generic[T]):
    """One host's part in a shared run, apart from sending.

    Args:
        patience: seconds for which a target that was sent counts as in progress, whatever its host's lease.
        settle: finds out what became of targets that another host had sent, and hands over the outcomes.
        changed: called when the run was stopped, or when there may be more to claim.

    Attributes:
        parked: targets that are offline and that this host waits for.
    """

    def __init__(  # noqa: PLR0917 - what it goes between
        self,
        journal: Journal,
        shared: SharedJournalStore,
        targets: SharedTargets,
        outcomes: OutcomeCollector[T],
        control: RolloutControl,
        parked: set[str],
        *,
        patience: float,
        settle: Callable[[list[InFlight]], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        self.parked = parked
        self._journal = journal
        self._shared = shared
        self._targets = targets
        self._outcomes = outcomes
        self._control = control
        self._patience = patience
        self._settle = settle
        self._changed = changed
        self._moved = asyncio.Event()
        self._is_sent = False
        self._read = 0
        self._settling: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<SharedRun of {self._journal!r}, {self._read} outcomes read>"

    def wake(self) -> None:
        """Look again at once: this host has a new outcome."""
        self._moved.set()

    def sent_all(self) -> None:
        """Record that this host sends nothing more."""
        self._is_sent = True
        self.wake()

    async def follow(self) -> None:
        """Follow the run until all targets have ended, or until a stopped run has none in progress.

        If the journal can't be read, the run is stopped on this host, and the error is raised at the end.
        """
        try:
            while not await self._is_over():
                await at_most(self._shared.poll, self._moved)
                self._moved.clear()
        except JournalError as error:
            self._outcomes.fail(error)
        finally:
            self._targets.end()
            for task in self._settling:
                task.cancel()
            await asyncio.gather(*self._settling, return_exceptions=True)

    async def _is_over(self) -> bool:
        is_sent = self._is_sent
        await self._adopt()
        standing = await self._shared.standing()
        await self._tell(standing)
        if standing.stopped and not self._control.stopped:
            self._control.stop(standing.stopped)
            self._changed()
        if standing.ended >= standing.total:
            self._targets.end()
            self._changed()
            return is_sent
        if not (self._control.stopped and is_sent):
            return False
        # If the run is stopped for all hosts, their targets end soon. If it is stopped only here, the other
        # hosts may go on for long, and this one doesn't wait for them.
        return not standing.under_way or not standing.stopped

    async def _tell(self, standing: RunStanding) -> None:
        while rows := await self._journal.news(self._read):
            self._read = rows[-1][0]
            for _, outcome, ok in rows:
                self.parked.discard(outcome.agent_id)
                await self._outcomes.tell_of_other(outcome, ok=ok)
        self._read = max(self._read, standing.serial)

    async def _adopt(self) -> None:
        for task in [each for each in self._settling if each.done()]:
            self._settling.discard(task)
            task.result()
        rows = await self._shared.adopt(self._patience)
        if rows:
            settling = self._settle(self._journal.in_flight_of(rows))
            self._settling.add(asyncio.ensure_future(settling))

    async def tell_rest(self, why: str) -> None:
        """Hand over what is known now of the targets without an outcome. The journal is not changed."""
        left: list[tuple[str, str]] = []
        place = 0
        while page := await self._shared.unended(place):
            place = page[-1][0]
            left += [(agent_id, state) for _, agent_id, state in page]
        await self._tell(await self._shared.standing())
        told = self._outcomes.told or set()
        for agent_id, state in left:
            if agent_id not in told:
                outcome = _so_far(agent_id, state, why)
                await self._outcomes.tell(outcome, begun=False, is_final=False)


def _so_far(agent_id: str, state: str, why: str) -> Outcome[Any]:
    if state in {"pending", "claimed"}:
        return Skipped(agent_id, why)
    said = f"sent to {agent_id} by another host, which has not recorded an outcome: {why}"
    return Unknown(agent_id, OutcomeUnknownError(said))
