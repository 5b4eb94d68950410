"""Who may send, and when: the seam between those who send and whatever keeps a server's limits.

Over `calls` and `limits`. `pacing` keeps the limits of one process; what keeps them for several
processes satisfies the same protocols. The transport and the dialer know nothing else.

Whoever keeps a limit elsewhere than in this process can lose it there while this process is paused. So what
it gives has a lease, and is asked once more (`may_begin`) at the last moment before the first byte leaves.
"""

from collections.abc import Iterable
from typing import Protocol

from trmm_async.calls import Lane
from trmm_async.limits import RateLimit

__all__ = ["Limiter", "LimiterFactory", "Slot", "WorkerLease", "WorkerPool", "give_back"]


class Slot(Protocol):
    """The right to send one request. Ends in one of `settle` and `give_back`; later calls do nothing.

    No method waits or raises. What has to be told to another process is told in the background, by a task of
    the limiter; a slot of which nothing is told any more ends there by its lease.
    """

    def may_begin(self) -> bool:
        """Whether the first byte may leave now. False: its lease has run out; send nothing, and give it back.

        Judged by a clock of this machine that never goes back, from before the slot was asked for.
        """
        ...

    def written(self) -> None:
        """The request's bytes are on their way, and its answer will be long in coming, or never comes."""
        ...

    def settle(self) -> None:
        """The server has counted the request: the slot is free a window's length from now."""
        ...

    def give_back(self) -> None:
        """No byte of the request was sent: the slot is free at once."""
        ...


class Limiter(Protocol):
    """Gives slots under one `RateLimit` (None: unlimited). Belongs to one event loop."""

    @property
    def limit(self) -> RateLimit | None:
        """What it keeps to."""
        ...

    @property
    def next_free_in(self) -> float | None:
        """Seconds until a slot may be free: 0.0 for at once, None where that is not known."""
        ...

    def acquire_now(self) -> Slot | None:
        """A slot, if one is at hand and nobody waits; None otherwise, or always."""
        ...

    async def acquire(self) -> Slot:
        """Wait for a slot, first come, first served. Safe to cancel.

        Raises:
            TRMMError: whether a slot is free can't be known. Nothing may be sent then, and nothing was.
        """
        ...

    def pause(self, seconds: float) -> None:
        """The server asked all who use this key to wait that long. Does not wait, and never raises."""
        ...


class WorkerLease(Protocol):
    """The right to hold one of the server's workers, from before a call is sent until its answer is read."""

    def may_begin(self) -> bool:
        """See `Slot.may_begin`."""
        ...

    def release(self) -> None:
        """The worker is free for others. Does not wait, never raises; twice is the same as once."""
        ...


class WorkerPool(Protocol):
    """Lets so many calls at once hold a worker of the server (`max_waiting`). Belongs to one event loop."""

    @property
    def is_full(self) -> bool:
        """Whether a worker will have to be waited for, as far as that is known."""
        ...

    async def acquire(self) -> WorkerLease:
        """Wait for a worker. Safe to cancel.

        Raises:
            TRMMError: as `Limiter.acquire`.
        """
        ...


class LimiterFactory(Protocol):
    """Makes what keeps a server's limits. Who made the factory closes what it has opened."""

    def limiter(self, lane: Lane | None, limit: RateLimit | None) -> Limiter:
        """For the calls of this lane; None: for all calls."""
        ...

    def workers(self, most: int) -> WorkerPool:
        """For calls that each hold a worker (`Lane.WORKERS`): at most so many at once."""
        ...


def give_back(slots: Iterable[Slot]) -> None:
    """Give all of them back."""
    for slot in slots:
        slot.give_back()
