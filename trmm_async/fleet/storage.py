"""Where a journal is kept: the seam between what a run's states mean and what writes them down.

Below `journal`, which says what happened. `JournalStore` is what both kinds do: `sqlite` keeps a run in one
file, for one process. `SharedJournalStore` is what is done besides where several hosts work one run off:
`postgres` does. What may become of a target is decided here, purely, for it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from trmm_async.errors import JournalError
from trmm_async.fleet.rollout import RolloutPolicy

__all__ = [
    "ClaimLostError",
    "Judged",
    "JournalStore",
    "SharedJournalStore",
    "RunStanding",
    "may_settle",
]

UNDER_WAY: Final = frozenset({"claimed", "sending", "settling"})
"""What is somebody's: claimed (certainly not sent), sending (it may have been), settling (it was somebody's
whose lease has ended, and another finds out what became of it)."""


class ClaimLostError(JournalError):
    """The target is no longer ours to send to, or the run was stopped: nothing may be sent, nothing was."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What an outcome means for how far a run may go on, as `RolloutControl.settle` takes it.

    Attributes:
        begun: whether it counts at all: what was skipped, or never tried, does not.
        succeeded: whether it counts as a success.
        crashed: whether another process had begun it.
    """

    begun: bool = True
    succeeded: bool = False
    crashed: bool = False


@dataclass(frozen=True, slots=True)
class RunStanding:
    """How a run stands, over all hosts.

    Attributes:
        total: how many targets it has.
        ended: how many of them have an outcome.
        under_way: how many are a host's.
        serial: the number of the last outcome that was written.
        stopped: why nothing more may be begun, in words.
    """

    total: int
    ended: int
    under_way: int
    serial: int
    stopped: str


def may_settle(state: str, to: str, *, is_sender: bool, is_settler: bool) -> bool:
    """Whether this host may give a target in this state this outcome.

    Who has it may. Who had it when its lease ended may still bring a result, also over an `unknown` that was
    told of it meanwhile; over nothing else. One that is nobody's may be skipped by anybody.
    """
    if state in UNDER_WAY:
        return is_sender or (is_settler and state == "settling")
    if state == "pending":
        return to == "skipped"
    return is_sender and state == "unknown" and to == "done"


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

    async def begin(
        self, agent_ids: Sequence[str], at: float, mark: int, mark_time: str | None
    ) -> float | None:
        """Pending targets are sending now, one attempt more each.

        Args:
            agent_ids: whom.
            at: epoch seconds.
            mark: the last row of the server's history before; 0 for none.
            mark_time: that row's time, ISO 8601.

        Returns:
            Until when the call must have begun, by `time.monotonic()`; None: whenever.

        Raises:
            JournalError: one of them isn't pending; nothing was written.
        """
        ...

    async def withdraw(self, agent_ids: Sequence[str]) -> None:
        """Sending targets are to be sent again, one attempt less. Those in other states stay as they are."""

    async def release(self, agent_ids: Sequence[str]) -> None:
        """Targets that were to be sent, or were withdrawn, are pending, and nobody's."""

    async def settle(self, agent_id: str, values: Mapping[str, object], judged: Judged) -> bool:
        """One target has ended: its `state`, and the other columns of an outcome, are what `values` says.

        What can't be kept makes this target unknown, and is no error. Whether that is now its outcome:
        False where it was no longer ours to say.
        """
        ...

    async def retry(self, kinds: Sequence[str], *, forgive: bool) -> None:
        """Make those pending again that ended so. `forgive`: what has ended counts as a success."""

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


class SharedJournalStore(JournalStore, Protocol):
    """The same, of a run that several hosts may work off at once.

    A target that is to be sent is claimed first, for as long as a lease, which is renewed while this process
    moves. Whoever doesn't has lost what it had only claimed; what it may have sent is somebody's to settle.
    """

    @property
    def poll(self) -> float:
        """Seconds between two looks for what other hosts did, about."""
        ...

    async def govern(self, policy: RolloutPolicy, username: str | None) -> None:
        """By this policy the run goes on, on all hosts alike. Before anything is claimed or settled."""

    async def claim(self, most: int, width: int | None, leave_out: Collection[str]) -> list[str]:
        """Targets that this host is to send to, in their order; none while there are none.

        Args:
            most: so many at most.
            width: how many may be under way at once, on all hosts.
            leave_out: not these.
        """
        ...

    async def adopt(self, patience: float) -> list[tuple[str, float, int, str | None]]:
        """Take over what hosts left that don't move any more, to be settled; as `in_flight` tells it.

        What they had only claimed is pending by that. `patience`: what was sent counts as under way for so
        many seconds, whatever its lease.
        """
        ...

    async def standing(self) -> RunStanding:
        """How the run stands now."""
        ...

    async def news(self, after: int) -> list[tuple[Any, ...]]:
        """A page of what other hosts brought to an end, behind that number; each begins with its number.

        The rest is as of `ended`. Numbers become visible in their order.
        """
        ...

    async def unended(self, after: int) -> list[tuple[int, str, str]]:
        """A page of those that have no outcome, behind that place: place, agent, state."""
        ...

    async def stop(self, why: str) -> None:
        """Nothing more is begun, on no host, until somebody goes on with the run."""
