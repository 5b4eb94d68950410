"""What a host does besides its own sending if several hosts share a run.

It hands over the outcomes of other hosts, notices when the run was stopped, and has the targets looked up
that hosts which no longer respond had sent to. It stands between `scheduler` and the journal's store.
"""

import asyncio
from collections.abc import Callable, Coroutine
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
_Recover = Callable[[list[InFlight]], Coroutine[Any, Any, None]]


class SharedRun(Generic[T]):
    """One host's part in a shared run, apart from sending.

    Args:
        patience: seconds for which a target that was sent counts as in progress, whatever its host's lease.

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
    ) -> None:
        self.parked = parked
        self._journal = journal
        self._shared = shared
        self._targets = targets
        self._outcomes = outcomes
        self._control = control
        self._patience = patience
        self._moved = asyncio.Event()
        self._is_sent = False
        self._read = 0
        self._recovering: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<SharedRun of {self._journal!r}, {self._read} outcomes read>"

    def wake(self) -> None:
        """Look again at once: this host has a new outcome."""
        self._moved.set()

    def sent_all(self) -> None:
        """Record that this host sends nothing more."""
        self._is_sent = True
        self.wake()

    async def follow(self, recover: _Recover) -> None:
        """Follow the run until all targets have ended, or until a stopped run has none in progress.

        If the journal can't be read, the run is stopped on this host, and the error is raised at the end.

        Args:
            recover: finds out what became of targets that another host had sent to, and hands over their
                outcomes.
        """
        try:
            while not await self._is_over(recover):
                await at_most(self._shared.poll, self._moved)
                self._moved.clear()
        except JournalError as error:
            self._outcomes.fail(error)
        finally:
            self._targets.end()
            for task in self._recovering:
                task.cancel()
            await asyncio.gather(*self._recovering, return_exceptions=True)

    async def _is_over(self, recover: _Recover) -> bool:
        is_sent = self._is_sent
        await self._adopt(recover)
        standing = await self._shared.standing()
        await self._tell(standing)
        if standing.stopped and not self._control.stopped:
            self._outcomes.stop(standing.stopped)
        if standing.ended >= standing.total:
            self._targets.end()
            self._outcomes.changed()
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

    async def _adopt(self, recover: _Recover) -> None:
        for task in [each for each in self._recovering if each.done()]:
            self._recovering.discard(task)
            task.result()
        if rows := await self._shared.adopt(self._patience):
            recovering = recover(self._journal.in_flight_of(rows))
            self._recovering.add(asyncio.create_task(recovering, name="trmm_async: targets of another host"))

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
