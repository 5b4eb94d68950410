"""The interface between `journal`, which knows what the states of a run mean, and the stores of journals.

`JournalStore` is what every store does: `sqlite` stores a run in one file, for one process.
`SharedJournalStore` adds what is needed if several hosts share a run: `postgres` does that. `may_settle`
decides for it, purely, which outcome a host may give a target.
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
"""The states of a target that belongs to a host: claimed (certainly not sent), sending (it may have been
sent), settling (the lease of the host that sent it has ended, and another host looks up what happened)."""


class ClaimLostError(JournalError):
    """The target no longer belongs to this host, or the run was stopped. Nothing was sent or may be sent."""


@dataclass(frozen=True, slots=True)
class Judged:
    """How an outcome counts for the rollout, as `RolloutControl.settle` takes it.

    Attributes:
        begun: whether it counts at all; a target that was skipped, or never tried, does not.
        succeeded: whether it counts as a success.
        crashed: whether another process had started the target.
    """

    begun: bool = True
    succeeded: bool = False
    crashed: bool = False


@dataclass(frozen=True, slots=True)
class RunStanding:
    """The state of a run, over all hosts.

    Attributes:
        total: how many targets it has.
        ended: how many of them have an outcome.
        under_way: how many of them belong to a host now (see `UNDER_WAY`).
        serial: the number of the last outcome that was written.
        stopped: why no more targets may start; empty as long as they may.
    """

    total: int
    ended: int
    under_way: int
    serial: int
    stopped: str


def may_settle(state: str, to: str, *, is_sender: bool, is_settler: bool) -> bool:
    """Whether a host may give the outcome `to` to a target in this state.

    The host that the target belongs to may. A host whose lease ended after it had sent to the target may
    still report a result, which also replaces an `unknown` that another host recorded meanwhile, but no other
    outcome. Any host may skip a pending target.
    """
    if state in UNDER_WAY:
        return is_sender or (is_settler and state == "settling")
    if state == "pending":
        return to == "skipped"
    return is_sender and state == "unknown" and to == "done"


class JournalStore(Protocol):
    """The targets of one run, and their states. It is opened once, by `create`, `resume` or `read`.

    It belongs to one event loop. When a method that changes something returns, the change is committed, and
    on disk; if it is cancelled, the change may be made all the same. A method raises `JournalError` if it
    can't write or read, or what it reads is not what was written. Then nothing may be sent.
    """

    @property
    def name(self) -> str:
        """Its name in messages: its path, or its address without a password."""
        ...

    @property
    def meta(self) -> Mapping[str, str]:
        """Texts about the run by name: `kind`, `order`, `username`."""
        ...

    @property
    def writes(self) -> bool:
        """Whether it was opened for writing."""
        ...

    async def create(self, kind: str) -> None:
        """Make the journal of a run with this kind of order. It must not exist. A failure leaves nothing."""

    async def resume(self) -> None:
        """Open it to continue the run, after a check that it is complete and that no other process has it."""

    async def read(self) -> None:
        """Open it for reading; another process may be writing it."""

    async def checkpoint(self) -> None:
        """Record that all targets and the order are written, so that the journal is complete."""

    async def discard(self) -> None:
        """Close and delete a journal that was being made. If this is cancelled, it goes on all the same."""

    async def close(self) -> None:
        """Close it, so that others can open it; it can be called again. If cancelled, it still goes on."""

    async def note(self, name: str, value: str) -> None:
        """Write a text about the run, as `meta` has it."""

    async def add(self, agent_ids: Sequence[str]) -> None:
        """Append targets, in their order. They are pending.

        Raises:
            InvalidRequestError: one of them is a target already.
        """

    async def begin(
        self, agent_ids: Sequence[str], at: float, mark: int, mark_time: str | None
    ) -> float | None:
        """Record that pending targets are sending now, each with one attempt more.

        Args:
            agent_ids: the targets.
            at: the time now, in epoch seconds.
            mark: the last row of the server's history before the call; 0 if there is none.
            mark_time: the time of that row, in ISO 8601.

        Returns:
            The time by `time.monotonic()` until which the call must have begun; None if there is no limit.

        Raises:
            JournalError: one of them isn't pending; nothing was written.
        """
        ...

    async def withdraw(self, agent_ids: Sequence[str]) -> None:
        """Undo `begin` for targets that are sending, and leave targets in other states as they are."""

    async def release(self, agent_ids: Sequence[str]) -> None:
        """Give up targets that were claimed, begun or withdrawn: they are pending, and belong to no host."""

    async def settle(self, agent_id: str, values: Mapping[str, object], judged: Judged) -> bool:
        """Record the outcome of a target: `values` has its `state` and the other columns of an outcome.

        If a value can't be stored, the outcome is recorded as unknown, without an error. Returns False if the
        target no longer belongs to this host, so that the outcome was not recorded.
        """
        ...

    async def retry(self, kinds: Sequence[str], *, forgive: bool) -> None:
        """Make ended targets of these kinds pending. `forgive`: all others that ended count as successes."""

    async def hold_still(self) -> None:
        """Begin to read one consistent state. Only for a journal that was opened by `read`."""

    async def move_on(self) -> None:
        """End what `hold_still` began."""

    async def counts(self) -> Mapping[str, int]:
        """How many targets are in each state."""
        ...

    async def in_flight(self) -> list[tuple[str, float, int, str | None]]:
        """The targets that are sending: each with the agent_id and what `begin` was given."""
        ...

    async def pending(self, after: int) -> list[tuple[int, str]]:
        """A page of the pending targets after the place `after`, each with its place."""
        ...

    async def targets(self, after: int) -> list[tuple[int, str]]:
        """A page of all targets after the place `after`, each with its place."""
        ...

    async def to_run(self, kinds: Iterable[str]) -> list[str]:
        """The targets that are pending, or would be after `retry` of these kinds."""
        ...

    async def successes(self) -> Mapping[int | None, int]:
        """How many targets were successes by the run's own `success`, by return code."""
        ...

    async def ended(self, after: int) -> list[tuple[Any, ...]]:
        """A page of the targets that have ended, after the place `after`.

        Each has: place, ok, agent_id, state, retcode, execution time, stdout, stderr, error, reason.
        """
        ...


class SharedJournalStore(JournalStore, Protocol):
    """The journal of a run that several hosts may share.

    A host claims a target before it sends to it, for the time of a lease, which it renews as long as it runs.
    If the lease ends, the host has lost the targets that it had only claimed, and another host looks up what
    became of those that it may have sent to.
    """

    @property
    def poll(self) -> float:
        """About how many seconds lie between two reads of what other hosts did."""
        ...

    async def govern(self, policy: RolloutPolicy, username: str | None) -> None:
        """Set the policy by which all hosts continue the run. Call this before `claim` and `settle`."""

    async def claim(self, most: int, width: int | None, leave_out: Collection[str]) -> list[str]:
        """Claim pending targets for this host, in their order. Empty if none may start now.

        Args:
            most: claim at most so many.
            width: how many may be in progress at once, on all hosts; None: any number.
            leave_out: targets not to claim.
        """
        ...

    async def adopt(self, patience: float) -> list[tuple[str, float, int, str | None]]:
        """Take over the targets that hosts without a lease had sent to, to look up what became of them.

        Returns them as `in_flight` does. Targets that those hosts had only claimed become pending.
        `patience`: for so many seconds a target that was sent to is not taken over, whatever the lease.
        """
        ...

    async def standing(self) -> RunStanding:
        """The state of the run now."""
        ...

    async def news(self, after: int) -> list[tuple[Any, ...]]:
        """A page of the outcomes that other hosts recorded, after the number `after`.

        Each has its number, and then what `ended` has. The numbers become visible in their order.
        """
        ...

    async def unended(self, after: int) -> list[tuple[int, str, str]]:
        """A page of the targets without an outcome, after the place `after`: place, agent_id, state."""
        ...

    async def stop(self, why: str) -> None:
        """Let no host start more targets, until somebody resumes the run."""
