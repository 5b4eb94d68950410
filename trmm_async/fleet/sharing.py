"""What a host does besides its own sending where several work one run off.

It follows: tells what other hosts bring to an end, and hears that the run was stopped. And it settles what
was sent by hosts that don't move any more. Between `scheduler`, which sends, and the journal's store.
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
    """One host's part in a run that is not its sending.

    Args:
        patience: seconds for which what a host has sent counts as under way, whatever its lease.
        settle: finds out, and tells, what became of targets that another host had sent to.
        changed: is told when the run was stopped, or more may be to be claimed.

    Attributes:
        parked: those that this host knows to be offline, and waits for.
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
        """This host has brought something to an end."""
        self._moved.set()

    def sent_all(self) -> None:
        """This host sends no more."""
        self._is_sent = True
        self.wake()

    async def follow(self) -> None:
        """Until all have ended; or, where the run was stopped, until nothing is under way that is to be told.

        A journal that can't be read stops the run here, and is raised in the end.
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
        # Stopped for all, what others have sent ends soon; stopped here alone, they may go on for long.
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
        """Of those that have no outcome: what is known of them now. They stay as they are in the journal."""
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
    said = f"sent to {agent_id} by another host, which has not told what came of it: {why}"
    return Unknown(agent_id, OutcomeUnknownError(said))
