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

__all__ = ["Limiter", "Place", "RollingWindow", "Slot", "give_back"]


class Place:
    """One request's place in a window. Which state it is in, only the window says."""

    __slots__ = ("is_held", "is_under_way")

    def __init__(self) -> None:
        self.is_held = False
        self.is_under_way = False


class RollingWindow:
    """What the server may have counted in its window. Pure: every method is told the time.

    A place ends once: in `settle`, in `give_back`, or by itself some time after `written`. What is said of
    it later changes nothing.
    """

    def __init__(self, limit: RateLimit | None) -> None:
        self._limit = limit
        self._counted_after = math.inf if limit is None else limit.surely_counted
        self._held = 0
        self._freed_at: deque[float] = deque()
        # In the order of time, since all take equally long. Those answered meanwhile are passed over.
        self._under_way: deque[tuple[float, Place]] = deque()
        self._closed_until = -math.inf

    def __repr__(self) -> str:
        return f"<RollingWindow {self._limit}, {self._held} held, {len(self._freed_at)} cooling>"

    def wait(self, now: float) -> float:
        """Seconds until a place can be free; 0 for at once, infinity if only an answer can free one."""
        if now < self._closed_until:
            return self._closed_until - now
        if self._limit is None:
            return 0.0
        if self._under_way or self._freed_at:
            self.look(now)
        if self._held + len(self._freed_at) < self._limit.count:
            return 0.0
        if self._freed_at:
            return self._freed_at[0] - now
        return self._under_way[0][0] + self._limit.per - now if self._under_way else math.inf

    def look(self, now: float) -> None:
        """Take note of what time alone has brought: requests surely counted, places that are free."""
        self._count(now)
        while self._under_way and not self._under_way[0][1].is_held:
            self._under_way.popleft()
        while self._freed_at and self._freed_at[0] <= now:
            self._freed_at.popleft()

    def take(self, place: Place) -> None:
        """A request is about to be sent."""
        place.is_held = True
        self._held += 1

    def give_back(self, place: Place, now: float) -> None:
        """That request was never sent."""
        self._count(now)
        if place.is_held:
            place.is_held = False
            self._held -= 1

    def settle(self, place: Place, now: float) -> None:
        """That request was answered, or is known to have been counted by now."""
        self._count(now)
        if place.is_held:
            self._end(place, now)

    def written(self, place: Place, now: float) -> None:
        """That request's bytes are on their way: some time from now it has been counted, answered or not."""
        if place.is_held and not place.is_under_way and self._limit is not None:
            place.is_under_way = True
            self._under_way.append((now + self._counted_after, place))

    def close_until(self, when: float) -> None:
        """The server asked to wait: nothing is free before `when`."""
        self._closed_until = max(self._closed_until, when)

    def _count(self, now: float) -> None:
        # Before anything else ends, so that the places are free in the order of time.
        while self._under_way and self._under_way[0][0] <= now:
            when, place = self._under_way.popleft()
            if place.is_held:
                self._end(place, when)

    def _end(self, place: Place, when: float) -> None:
        place.is_held = False
        self._held -= 1
        if self._limit is not None:
            self._freed_at.append(when + self._limit.per)


class Slot(Place):
    """The right to send one request. Ends in one of `settle` and `give_back`; later calls do nothing."""

    __slots__ = ("_limiter",)

    def __init__(self, limiter: "Limiter") -> None:
        self.is_held = self.is_under_way = False
        self._limiter = limiter

    def settle(self) -> None:
        """The server has counted the request: the slot is free a window's length from now."""
        if self.is_held:
            self._limiter.settle(self)

    def give_back(self) -> None:
        """The request was never sent: the slot is free at once."""
        if self.is_held:
            self._limiter.give_back(self)

    def written(self) -> None:
        """The request's bytes are on their way, and its answer will be long in coming."""
        if self.is_held:
            self._limiter.written(self)


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
        with suppress(RuntimeError):  # outside of the event loop: as it was when last looked at
            self._window.look(asyncio.get_running_loop().time())
        return f"<Limiter {self._window!r}>"

    async def acquire(self) -> Slot:
        """Wait for the right to send one request. Safe to cancel: the place goes to the next in line."""
        return self.acquire_now() or await self._queue()

    def acquire_now(self) -> Slot | None:
        """The right to send one request, if nobody waits for it and it is there; None otherwise."""
        if self._queued or self._bucket is not None or not self._has_room():
            return None
        slot = Slot(self)
        self._window.take(slot)
        return slot

    def _has_room(self) -> bool:
        return self._window.wait(asyncio.get_running_loop().time()) <= 0

    async def _queue(self) -> Slot:
        self._queued += 1
        try:
            async with self._turn:
                await self._wait_for_window()
                if self._bucket is not None:
                    await self._smooth(self._bucket)
                slot = Slot(self)
                self._window.take(slot)
                return slot
        finally:
            self._queued -= 1

    def pause(self, seconds: float) -> None:
        """The server asked all of us to wait that long."""
        self._window.close_until(asyncio.get_running_loop().time() + seconds)

    def settle(self, slot: Slot) -> None:
        """It was counted by the server. For `Slot`."""
        self._window.settle(slot, asyncio.get_running_loop().time())
        if self._queued:
            self._changed.set()

    def give_back(self, slot: Slot) -> None:
        """It was not used. For `Slot`."""
        self._window.give_back(slot, asyncio.get_running_loop().time())
        if self._queued:
            self._changed.set()

    def written(self, slot: Slot) -> None:
        """Its request is under way. For `Slot`."""
        self._window.written(slot, asyncio.get_running_loop().time())
        if self._queued:
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


def give_back(slots: Iterable[Slot]) -> None:
    """Give all of them back."""
    for slot in slots:
        slot.give_back()
