"""Rate limits: never more than the server allows, and as fast as it allows.

The limits of one process, as `admission` has them: pure arithmetic (`RollingWindow`) under a thin shell that
waits (`WindowLimiter`). Knows nothing of HTTP.

A server that counts the requests of the last W seconds (Django REST framework's throttle) refuses what a
token bucket lets through: a bucket of N starts full and refills while it is emptied, so up to 2N - 1 pass in
the first W seconds. So the exact window decides, and the bucket (aiolimiter) only shapes bursts where asked.

The window is exact without a shared clock and for any latency: a slot is taken before a request is sent and
is free again W seconds after its *answer* came. The server counted the request before it answered, so our
window holds at every moment all that the server's does.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property

from aiolimiter import AsyncLimiter

from trmm_async.calls import Lane
from trmm_async.limits import RateLimit

__all__ = [
    "LocalLimiters",
    "RollingWindow",
    "SemaphorePool",
    "WindowEntry",
    "WindowLimiter",
    "WindowSlot",
    "bucket_of",
]


class WindowEntry:
    """One request in a window.

    Attributes:
        counted_at: when the server has certainly counted it, answered or not; infinity while unknown.
    """

    __slots__ = ("counted_at",)

    def __init__(self) -> None:
        self.counted_at: float = math.inf


class RollingWindow:
    """What the server may have counted in its window. Pure: every method is told the time.

    A place ends once: in `settle`, in `give_back`, or by itself some time after `written`. What is said of
    it later changes nothing.
    """

    def __init__(self, limit: RateLimit | None) -> None:
        self._limit = limit
        self._per = 0.0 if limit is None else limit.per
        self._counted_after = math.inf if limit is None else limit.surely_counted
        # Without values: a set that keeps its order.
        self._held: dict[WindowEntry, None] = {}
        self._free_at: deque[float] = deque()
        self._closed_until = -math.inf

    def __repr__(self) -> str:
        return f"<RollingWindow {self._limit}, {len(self._held)} held, {len(self._free_at)} cooling>"

    def wait(self, now: float) -> float:
        """Seconds until a place can be free; 0 for at once, infinity if only an answer can free one."""
        if now < self._closed_until:
            return self._closed_until - now
        if self._limit is None:
            return 0.0
        free_at = self._free_at
        while free_at and free_at[0] <= now:
            free_at.popleft()
        if len(self._held) + len(free_at) < self._limit.count:
            return 0.0
        self.look(now)
        if len(self._held) + len(free_at) < self._limit.count:
            return 0.0
        return min((*free_at, *(place.counted_at + self._per for place in self._held))) - now

    def look(self, now: float) -> None:
        """Take note of what time alone has brought: requests surely counted, places that are free."""
        for place in [place for place in self._held if place.counted_at <= now]:
            self._end(place, place.counted_at)
        while self._free_at and self._free_at[0] <= now:
            self._free_at.popleft()

    def take(self, place: WindowEntry) -> None:
        """A request is about to be sent."""
        if self._limit is not None:
            # Without a limit no place is ever counted, and so none that breaks would ever end.
            self._held[place] = None

    def give_back(self, place: WindowEntry, now: float) -> None:
        """That request was never sent."""
        if place.counted_at <= now:
            self.settle(place, now)
        else:
            self._held.pop(place, None)

    def settle(self, place: WindowEntry, now: float) -> None:
        """That request was answered, or is known to have been counted by now."""
        if place in self._held:
            self._end(place, min(place.counted_at, now))

    def written(self, place: WindowEntry, now: float) -> None:
        """That request's bytes are on their way: some time from now it has been counted, answered or not."""
        if place.counted_at == math.inf:
            place.counted_at = now + self._counted_after

    def close_until(self, when: float) -> None:
        """The server asked to wait: nothing is free before `when`."""
        self._closed_until = max(self._closed_until, when)

    def _end(self, place: WindowEntry, when: float) -> None:
        del self._held[place]
        free_at = when + self._per
        if self._free_at and self._free_at[-1] > free_at:
            # It was counted before another was answered, and answered after it.
            ordered = sorted((*self._free_at, free_at))
            self._free_at.clear()
            self._free_at.extend(ordered)
        else:
            self._free_at.append(free_at)


class WindowSlot(WindowEntry):
    """See `admission.Slot`."""

    __slots__ = ("_limiter",)

    def __init__(self, limiter: "WindowLimiter") -> None:
        self.counted_at: float = math.inf
        self._limiter = limiter

    def may_begin(self) -> bool:
        """See `admission.Slot`: nobody can have taken it meanwhile."""
        return True

    def settle(self) -> None:
        limiter = self._limiter
        limiter.window.settle(self, limiter.now())
        limiter.wake()

    def give_back(self) -> None:
        limiter = self._limiter
        limiter.window.give_back(self, limiter.now())
        limiter.wake()

    def written(self) -> None:
        limiter = self._limiter
        limiter.window.written(self, limiter.now())
        limiter.wake()


class WindowLimiter:
    """First come, first served, under one `RateLimit` (None: unlimited). Belongs to one event loop.

    Only the head of the queue ever waits for time; all others wait for a plain lock, which keeps ten
    thousand of them cheap. A waiter that is cancelled leaves no trace.

    Attributes:
        limit: what it keeps to.
        window: what the server may have counted.
        now: the loop's clock.
    """

    def __init__(self, limit: RateLimit | None) -> None:
        self.limit = limit
        self.window: RollingWindow = RollingWindow(limit)
        self._bucket = bucket_of(limit)
        self._turn = asyncio.Lock()
        self._queued = 0
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        with suppress(RuntimeError):  # outside of the event loop: as it was when last looked at
            self.window.look(self.now())
        return f"<WindowLimiter {self.window!r}>"

    @cached_property
    def now(self) -> Callable[[], float]:
        """Of the event loop that first asks."""
        return asyncio.get_running_loop().time

    @property
    def next_free_in(self) -> float | None:
        """See `admission.Limiter`; None also outside of the event loop."""
        with suppress(RuntimeError):
            wait = self.window.wait(self.now())
            return wait if wait < math.inf else None
        return None

    async def acquire(self) -> WindowSlot:
        """Wait for the right to send one request. Safe to cancel: the place goes to the next in line."""
        return self.acquire_now() or await self._queue()

    def acquire_now(self) -> WindowSlot | None:
        """The right to send one request, if nobody waits for it and it is there; None otherwise."""
        if self._queued or self._bucket is not None or self.window.wait(self.now()) > 0:
            return None
        return self._take()

    def _take(self) -> WindowSlot:
        slot = WindowSlot(self)
        self.window.take(slot)
        return slot

    async def _queue(self) -> WindowSlot:
        self._queued += 1
        try:
            async with self._turn:
                await self._wait_for_window()
                if self._bucket is not None:
                    await self._smooth(self._bucket)
                return self._take()
        finally:
            self._queued -= 1

    def pause(self, seconds: float) -> None:
        """The server asked all of us to wait that long."""
        self.window.close_until(self.now() + seconds)

    def wake(self) -> None:
        """Something has changed in the window. For `WindowSlot`."""
        if self._queued:
            self._changed.set()

    async def _wait_for_window(self) -> None:
        while (delay := self.window.wait(self.now())) > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(delay if delay < math.inf else None):
                    await self._changed.wait()

    async def _smooth(self, bucket: AsyncLimiter) -> None:
        # Never more than 1: aiolimiter wakes its waiters by amount, not in order.
        await bucket.acquire(1)
        # Out of a pause they pay again: the bucket has leaked meanwhile, and would let one more pass.
        while self.window.wait(self.now()) > 0:
            await self._wait_for_window()
            await bucket.acquire(1)


def bucket_of(limit: RateLimit | None) -> AsyncLimiter | None:
    """What shapes the bursts of a limit; None where it says nothing of them."""
    if limit is None or limit.burst is None:
        return None
    return AsyncLimiter(limit.burst, limit.burst * limit.per / limit.count)


class SemaphorePool:
    """See `admission.WorkerPool`."""

    def __init__(self, most: int) -> None:
        self._semaphore = asyncio.Semaphore(most)

    def __repr__(self) -> str:
        return f"<SemaphorePool {self._semaphore!r}>"

    @property
    def is_full(self) -> bool:
        """See `admission.WorkerPool`."""
        return self._semaphore.locked()

    async def acquire(self) -> "_Permit":
        """See `admission.WorkerPool`; fails never."""
        await self._semaphore.acquire()
        return _Permit(self._semaphore)


class _Permit:
    """See `admission.WorkerLease`."""

    __slots__ = ("_semaphore",)

    def __init__(self, semaphore: asyncio.Semaphore) -> None:
        self._semaphore: asyncio.Semaphore | None = semaphore

    def may_begin(self) -> bool:
        return True

    def release(self) -> None:
        semaphore, self._semaphore = self._semaphore, None
        if semaphore is not None:
            semaphore.release()


class LocalLimiters:
    """See `admission.LimiterFactory`: limits that this process alone keeps to. Holds nothing open."""

    def limiter(self, lane: Lane | None, limit: RateLimit | None) -> WindowLimiter:
        del lane
        return WindowLimiter(limit)

    def workers(self, most: int) -> SemaphorePool:
        return SemaphorePool(most)
