"""Where a journal is kept: the seam between what a run's states mean and what writes them down.

Below `journal`, which says what happened; `sqlite` keeps it in one file. What keeps it elsewhere, so that
several hosts work a run off, satisfies the same protocol.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

__all__ = ["JournalStore"]


class JournalStore(Protocol):
    """One run's targets and their states. Opened once, by `create`, `resume` or `read`. One event loop's.

    What changes something is committed, and on disk, when its method returns; cancelled, it may be done all
    the same. What can't be written, read or believed is a `JournalError`, and then nothing may be sent.
    """

    @property
    def name(self) -> str:
        """What messages call it: its path, or its address without a password."""
        ...

    @property
    def meta(self) -> Mapping[str, str]:
        """What stands there about the run: `kind`, `order`, `username`."""
        ...

    @property
    def writes(self) -> bool:
        """Whether it was opened to be written."""
        ...

    async def create(self, kind: str) -> None:
        """Make it, for a run of this kind of order. There must be none yet. Failed, nothing is left of it."""

    async def resume(self) -> None:
        """Open it to go on with the run, once it is seen to be whole, and held by nobody else."""

    async def read(self) -> None:
        """Open it to look at it; others may be writing it."""

    async def checkpoint(self) -> None:
        """All targets and the order are written: whoever finds it may believe it from now on."""

    async def discard(self) -> None:
        """What was being made is not wanted: close it, and leave nothing. Cancelled, it goes on."""

    async def close(self) -> None:
        """Close it, and let others work on it. Twice is the same as once. Cancelled, it goes on."""

    async def note(self, name: str, value: str) -> None:
        """Write something about the run."""

    async def add(self, agent_ids: Sequence[str]) -> None:
        """More targets, in their order, all of them pending.

        Raises:
            InvalidRequestError: one is there already.
        """

    async def begin(self, agent_ids: Sequence[str], at: float, mark: int, mark_time: str | None) -> None:
        """Pending targets are sending now, one attempt more each.

        Args:
            agent_ids: whom.
            at: epoch seconds.
            mark: the last row of the server's history before; 0 for none.
            mark_time: that row's time, ISO 8601.

        Raises:
            JournalError: one of them isn't pending; nothing was written.
        """

    async def withdraw(self, agent_ids: Sequence[str]) -> None:
        """Sending targets are pending again, one attempt less. Those in other states stay as they are."""

    async def settle(self, agent_id: str, values: Mapping[str, object]) -> None:
        """One target has ended: its `state`, and the other columns of an outcome, are what `values` says.

        What can't be kept makes this target unknown, and is no error.
        """

    async def retry(self, kinds: Sequence[str]) -> None:
        """Make those pending again that ended so."""

    async def hold_still(self) -> None:
        """What is read from here on is of one moment. Where it is read only."""

    async def move_on(self) -> None:
        """The end of that."""

    async def counts(self) -> Mapping[str, int]:
        """How many targets are in each state."""
        ...

    async def in_flight(self) -> list[tuple[str, float, int, str | None]]:
        """Of those that are sending: agent, and what `begin` was given."""
        ...

    async def pending(self, after: int) -> list[tuple[int, str]]:
        """A page of those that are pending, with their places, behind that place."""
        ...

    async def targets(self, after: int) -> list[tuple[int, str]]:
        """A page of all targets, with their places, behind that place."""
        ...

    async def to_run(self, kinds: Iterable[str]) -> list[str]:
        """Who is pending, or would be after `retry` of these kinds."""
        ...

    async def successes(self) -> Mapping[int | None, int]:
        """How many were successes by the run's own rule, by return code."""
        ...

    async def ended(self, after: int) -> list[tuple[Any, ...]]:
        """A page of those that have ended, behind that place.

        Each: place, ok, agent, state, retcode, execution time, stdout, stderr, error, reason.
        """
        ...
