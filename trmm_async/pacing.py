"""Rate limits of one process: never more than the server allows, and as fast as it allows.

`RollingWindow` is pure arithmetic, `WindowLimiter` waits. They know nothing of HTTP.

A server that counts the requests of the last W seconds (Django REST framework's throttle) refuses requests
that a token bucket lets through: a bucket of N starts full and refills while it is emptied, so up to 2N - 1
pass in the first W seconds. So the exact window decides, and a bucket (aiolimiter) only spreads bursts if the
user asks for it.

The window is exact without a shared clock and with any latency: a slot is taken before a request is sent and
is free again W seconds after its *answer* came. The server counted the request before it answered, so our
window contains at every moment everything that the server's window contains.
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
        counted_at: when the server has certainly counted it, answered or not; infinity if that is unknown.
    """

    __slots__ = ("counted_at",)

    def __init__(self) -> None:
        self.counted_at: float = math.inf


class RollingWindow:
    """The requests that the server may have counted in its window. Pure: the caller passes the time.

    An entry ends once: by `settle`, by `give_back`, or by itself some time after `written`. Later calls for
    it change nothing.
    """

    def __init__(self, limit: RateLimit | None) -> None:
        self._limit = limit
        self._per = 0.0 if limit is None else limit.per
        self._counted_after = math.inf if limit is None else limit.surely_counted
        # A dict without values is a set that keeps its order.
        self._held: dict[WindowEntry, None] = {}
        self._free_at: deque[float] = deque()
        self._closed_until = -math.inf

    def __repr__(self) -> str:
        return f"<RollingWindow {self._limit}, {len(self._held)} held, {len(self._free_at)} cooling>"

    def wait(self, now: float) -> float:
        """Seconds until a request may be sent; 0 for at once, infinity if an answer has to come first."""
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
        return min((*free_at, *(entry.counted_at + self._per for entry in self._held))) - now

    def look(self, now: float) -> None:
        """Update the window: end the entries that are surely counted by now, drop those that are over."""
        for entry in [entry for entry in self._held if entry.counted_at <= now]:
            self._end(entry, entry.counted_at)
        while self._free_at and self._free_at[0] <= now:
            self._free_at.popleft()

    def take(self, entry: WindowEntry) -> None:
        """A request is about to be sent."""
        if self._limit is not None:
            # Without a limit no entry would ever be counted, so those of broken requests would stay for ever.
            self._held[entry] = None

    def give_back(self, entry: WindowEntry, now: float) -> None:
        """The request was never sent."""
        if entry.counted_at <= now:
            self.settle(entry, now)
        else:
            self._held.pop(entry, None)

    def settle(self, entry: WindowEntry, now: float) -> None:
        """The request was answered, or is known to have been counted by now."""
        if entry in self._held:
            self._end(entry, min(entry.counted_at, now))

    def written(self, entry: WindowEntry, now: float) -> None:
        """The request's bytes were written: some time from now it has been counted, answered or not."""
        if entry.counted_at == math.inf:
            entry.counted_at = now + self._counted_after

    def close_until(self, when: float) -> None:
        """The server asked to wait: nothing may be sent before `when`."""
        self._closed_until = max(self._closed_until, when)

    def _end(self, entry: WindowEntry, when: float) -> None:
        del self._held[entry]
        free_at = when + self._per
        if self._free_at and self._free_at[-1] > free_at:
            # This request was counted before another was answered, and was answered after it.
            ordered = sorted((*self._free_at, free_at))
            self._free_at.clear()
            self._free_at.extend(ordered)
        else:
            self._free_at.append(free_at)


class WindowSlot(WindowEntry):
    """The right to send one request under a `WindowLimiter`."""

    __slots__ = ("_limiter",)

    def __init__(self, limiter: "WindowLimiter") -> None:
        self.counted_at: float = math.inf
        self._limiter = limiter

    def may_begin(self) -> bool:
        return True  # the window is in this process, so a slot never expires

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
    """Gives slots under one `RateLimit` (None: unlimited), first come, first served. For one event loop.

    Only the head of the queue waits for a time. All others wait for a plain lock, so ten thousand of them are
    cheap. A waiter that is cancelled leaves nothing behind.

    Attributes:
        limit: the limit.
        window: the requests that the server may have counted.
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
        with suppress(RuntimeError):  # outside of the event loop, the window is shown as of its last update
            self.window.look(self.now())
        return f"<WindowLimiter {self.window!r}>"

    @cached_property
    def now(self) -> Callable[[], float]:
        """The clock of the event loop that first uses this limiter."""
        return asyncio.get_running_loop().time

    @property
    def next_free_in(self) -> float | None:
        with suppress(RuntimeError):  # outside of the event loop: not known
            wait = self.window.wait(self.now())
            return wait if wait < math.inf else None
        return None

    async def acquire(self) -> WindowSlot:
        return self.acquire_now() or await self._queue()

    def acquire_now(self) -> WindowSlot | None:
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
        self.window.close_until(self.now() + seconds)

    def wake(self) -> None:
        """The window has changed. Called by `WindowSlot`."""
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
        # After a pause the call pays again: the bucket has leaked meanwhile, and would let one more pass.
        while self.window.wait(self.now()) > 0:
            await self._wait_for_window()
            await bucket.acquire(1)


def bucket_of(limit: RateLimit | None) -> AsyncLimiter | None:
    """The token bucket that spreads the bursts of a limit; None if the limit has no `burst`."""
    if limit is None or limit.burst is None:
        return None
    return AsyncLimiter(limit.burst, limit.burst * limit.per / limit.count)


class SemaphorePool:
    """Lets at most so many calls of this process hold a worker of the server at once."""

    def __init__(self, most: int) -> None:
        self._semaphore = asyncio.Semaphore(most)

    def __repr__(self) -> str:
        return f"<SemaphorePool {self._semaphore!r}>"

    @property
    def is_full(self) -> bool:
        return self._semaphore.locked()

    async def acquire(self) -> "_Permit":
        await self._semaphore.acquire()
        return _Permit(self._semaphore)


class _Permit:
    """One worker of a `SemaphorePool`."""

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
    """Makes the limits that this process keeps by itself."""

    def limiter(self, lane: Lane | None, limit: RateLimit | None) -> WindowLimiter:
        del lane
        return WindowLimiter(limit)

    def workers(self, most: int) -> SemaphorePool:
        return SemaphorePool(most)
