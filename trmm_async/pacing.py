"""Rate limits: never more than the server allows, and as fast as it allows.

Floor 3: pure arithmetic (`RollingWindow`) under a thin shell that waits (`Limiter`). Knows nothing of HTTP.

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
from collections.abc import Iterable
from contextlib import suppress

from aiolimiter import AsyncLimiter

from trmm_async.limits import RateLimit

__all__ = ["Limiter", "RollingWindow", "Slot", "give_back", "settle"]


class RollingWindow:
    """What the server may have counted in its window. Pure: every method is told the time."""

    def __init__(self, limit: RateLimit | None) -> None:
        self._limit = limit
        self._held = 0
        self._freed_at: deque[float] = deque()
        self._closed_until = -math.inf

    def __repr__(self) -> str:
        return f"<RollingWindow {self._limit}, {self._held} held, {len(self._freed_at)} cooling>"

    def wait(self, now: float) -> float:
        """Seconds until a slot can be free; 0 for at once, infinity if only an answer can free one."""
        if now < self._closed_until:
            return self._closed_until - now
        if self._limit is None:
            return 0.0
        while self._freed_at and self._freed_at[0] <= now:
            self._freed_at.popleft()
        if self._held + len(self._freed_at) < self._limit.count:
            return 0.0
        return self._freed_at[0] - now if self._freed_at else math.inf

    def take(self) -> None:
        """A request is about to be sent."""
        self._held += 1

    def give_back(self) -> None:
        """That request was never sent."""
        self._held -= 1

    def settle(self, now: float) -> None:
        """That request was answered, or is known to have been counted by now."""
        self._held -= 1
        if self._limit is not None:
            self._freed_at.append(now + self._limit.per)

    def close_until(self, when: float) -> None:
        """The server asked to wait: nothing is free before `when`."""
        self._closed_until = max(self._closed_until, when)


class Slot:
    """The right to send one request. Ends in one of `settle` and `give_back`; later calls do nothing."""

    __slots__ = ("_limiter", "_timer")

    def __init__(self, limiter: "Limiter") -> None:
        self._limiter: Limiter | None = limiter
        self._timer: asyncio.TimerHandle | None = None

    def settle(self) -> None:
        """The server has counted the request: the slot is free a window's length from now."""
        if (limiter := self._end()) is not None:
            limiter.settled()

    def give_back(self) -> None:
        """The request was never sent: the slot is free at once."""
        if (limiter := self._end()) is not None:
            limiter.given_back()

    def written(self) -> None:
        """The request's bytes are on their way, and its answer will be long in coming."""
        if self._limiter is not None and self._limiter.limit is not None and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._limiter.limit.surely_counted, self.settle)

    def _end(self) -> "Limiter | None":
        if self._timer is not None:
            self._timer.cancel()
        limiter, self._limiter = self._limiter, None
        return limiter


class Limiter:
    """First come, first served, under one `RateLimit` (None: unlimited). Belongs to one event loop.

    Only the head of the queue ever waits for time; all others wait for a plain lock, which keeps ten
    thousand of them cheap. A waiter that is cancelled leaves no trace.
    """

    def __init__(self, limit: RateLimit | None) -> None:
        self.limit = limit
        self._window = RollingWindow(limit)
        self._bucket = _bucket(limit)
        self._turn = asyncio.Lock()
        self._queued = 0
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Limiter {self._window!r}>"

    async def acquire(self) -> Slot:
        """Wait for the right to send one request. Safe to cancel: the place goes to the next in line."""
        # The common case, nobody waiting and room, costs no turn of the lock.
        if self._queued or self._bucket is not None or not self._has_room():
            await self._queue()
        else:
            self._window.take()
        return Slot(self)

    def _has_room(self) -> bool:
        return self._window.wait(asyncio.get_running_loop().time()) <= 0

    async def _queue(self) -> None:
        self._queued += 1
        try:
            async with self._turn:
                await self._wait_for_window()
                if self._bucket is not None:
                    await self._smooth(self._bucket)
                self._window.take()
        finally:
            self._queued -= 1

    def pause(self, seconds: float) -> None:
        """The server asked all of us to wait that long."""
        self._window.close_until(asyncio.get_running_loop().time() + seconds)

    def settled(self) -> None:
        """A slot was counted by the server. For `Slot`."""
        self._window.settle(asyncio.get_running_loop().time())
        self._changed.set()

    def given_back(self) -> None:
        """A slot was not used. For `Slot`."""
        self._window.give_back()
        self._changed.set()

    async def _wait_for_window(self) -> None:
        loop = asyncio.get_running_loop()
        while (delay := self._window.wait(loop.time())) > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(delay if delay < math.inf else None):
                    await self._changed.wait()

    async def _smooth(self, bucket: AsyncLimiter) -> None:
        # Never more than 1: aiolimiter wakes its waiters by amount, not in order.
        await bucket.acquire(1)
        # Out of a pause they pay again: the bucket has leaked meanwhile, and would let one more pass.
        while not self._has_room():
            await self._wait_for_window()
            await bucket.acquire(1)


def _bucket(limit: RateLimit | None) -> AsyncLimiter | None:
    if limit is None or limit.burst is None:
        return None
    return AsyncLimiter(limit.burst, limit.burst * limit.per / limit.count)


def settle(slots: Iterable[Slot]) -> None:
    """Settle all of them."""
    for slot in slots:
        slot.settle()


def give_back(slots: Iterable[Slot]) -> None:
    """Give all of them back."""
    for slot in slots:
        slot.give_back()
