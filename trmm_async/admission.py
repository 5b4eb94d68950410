"""The protocols between the code that sends requests and the code that keeps a server's limits.

`pacing` keeps the limits of one process, `shared` those of several. The transport and the dialer know only
these protocols.

A limit that is kept outside of this process may grant a slot to somebody else while this process is paused.
So a slot has a lease, which is checked once more (`may_begin`) just before the first byte is sent.
"""

from collections.abc import Iterable
from typing import Protocol

from trmm_async.calls import Lane
from trmm_async.limits import RateLimit

__all__ = ["Limiter", "LimiterFactory", "Slot", "WorkerLease", "WorkerPool", "give_back"]


class Slot(Protocol):
    """The right to send one request. It ends by `settle` or `give_back`; later calls do nothing.

    No method waits or raises. A limiter outside of this process is informed by a task in the background. If
    it is informed no more, the slot ends there by its lease.
    """

    def may_begin(self) -> bool:
        """Whether the first byte may be sent now. False: the lease has expired; send nothing, give it back.

        The lease is measured by a clock of this machine that never goes back, from before the slot was asked
        for.
        """
        ...

    def written(self) -> None:
        """The request's bytes were written, and its answer will take long, or will never come."""
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
        """The limit."""
        ...

    @property
    def next_free_in(self) -> float | None:
        """Seconds until a slot may be free: 0.0 for at once, None if that is not known."""
        ...

    def acquire_now(self) -> Slot | None:
        """A slot, if one is free, nobody waits, and both are known without asking; otherwise None."""
        ...

    async def acquire(self) -> Slot:
        """Wait for a slot, first come, first served. Safe to cancel.

        Raises:
            TRMMError: the limit can't be asked. Nothing was sent, and nothing may be sent.
        """
        ...

    def pause(self, seconds: float) -> None:
        """The server asked every user of this key to wait so long. Does not wait, and never raises."""
        ...


class WorkerLease(Protocol):
    """The right to occupy one of the server's workers, from before a call is sent to its answer's end."""

    def may_begin(self) -> bool:
        """Whether the first byte may be sent now; False if the lease has expired, as for a `Slot`."""
        ...

    def release(self) -> None:
        """The worker is free for other calls. Does not wait, never raises; may be called twice."""
        ...


class WorkerPool(Protocol):
    """Lets at most so many calls occupy a worker at once (`max_waiting`). Belongs to one event loop."""

    @property
    def is_full(self) -> bool:
        """Whether the next call has to wait for a worker, as far as that is known."""
        ...

    async def acquire(self) -> WorkerLease:
        """Wait for a worker. Safe to cancel.

        Raises:
            TRMMError: as `Limiter.acquire`.
        """
        ...


class LimiterFactory(Protocol):
    """Makes the limiters of one server. Whoever made the factory closes it."""

    def limiter(self, lane: Lane | None, limit: RateLimit | None) -> Limiter:
        """The limiter of this lane; None: the one for all calls."""
        ...

    def workers(self, most: int) -> WorkerPool:
        """A pool for the calls of `Lane.WORKERS`, at most so many at once."""
        ...


def give_back(slots: Iterable[Slot]) -> None:
    """Give all of them back."""
    for slot in slots:
        slot.give_back()
