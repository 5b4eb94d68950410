"""`admission`'s limiter, worker pool and factory, over a window that several processes share.

Over `queue`, which waits, and `store`, which asks.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from trmm_async.admission import Slot
from trmm_async.calls import Lane
from trmm_async.engines.redis_link import RedisLink
from trmm_async.limits import RateLimit
from trmm_async.pacing import WindowLimiter, bucket_of
from trmm_async.shared.queue import SharedLease, WindowQueue, clock
from trmm_async.shared.store import WindowStore
from trmm_async.shared.window import Window

__all__ = ["LEASE", "SharedLimiter", "SharedLimiters", "SharedPool"]

LEASE: Final = 5.0
"""Seconds for which a slot is held of which nothing is reported; see `Window`."""


class SharedLimiter(WindowQueue):
    """The limit of one lane. What is free is known as of the window's last answer."""

    def __init__(self, store: WindowStore, lane: Lane | None, limit: RateLimit) -> None:
        window = Window(limit.count, limit.per, store.lease, limit.surely_counted)
        super().__init__(store, "all" if lane is None else lane.name.lower(), window)
        self.limit: RateLimit = limit
        self._bucket = bucket_of(limit)
        self._turn = asyncio.Lock()

    @property
    def next_free_in(self) -> float | None:
        if self._anchor is None or self._away_since is not None:
            return None
        return max(0.0, self._free_at - clock())

    def acquire_now(self) -> Slot | None:
        return None  # the window must be asked, which takes time

    async def acquire(self) -> Slot:
        if self._bucket is None:
            return await self._acquire()
        async with self._turn:
            slot = await self._acquire()
            try:
                await self._bucket.acquire(1)
            except BaseException:
                slot.give_back()
                raise
            return slot


class SharedPool(WindowQueue):
    """The server's workers. Whether all are in use is known as of the window's last answer."""

    def __init__(self, store: WindowStore, most: int) -> None:
        super().__init__(store, "workers", Window(most, 0.0, store.lease, 0.0))

    @property
    def is_full(self) -> bool:
        return self._is_full or self._has_waiters

    async def acquire(self) -> SharedLease:
        return await self._acquire()


class SharedLimiters:
    """Makes the limits that all processes with this key keep to. An unlimited lane stays in this process.

    Args:
        link: the connection to the Redis server.
        server: the normalised address of the server whose limits these are.
        key: gives the API key that is in use. Only a digest of it is sent.
        timeout: seconds after which a waiting call fails while the Redis server is away.
        lease: seconds for which a slot is held of which nothing is reported; the same for all clients of a
            key.
    """

    def __init__(
        self,
        link: RedisLink,
        server: str,
        key: Callable[[], str],
        *,
        timeout: float = 30.0,
        lease: float = LEASE,
    ) -> None:
        self.store: WindowStore = WindowStore(link, server, key, timeout=timeout, lease=lease)
        self._queues: list[WindowQueue] = []

    def __repr__(self) -> str:
        return f"<SharedLimiters {self.store.address}>"

    def limiter(self, lane: Lane | None, limit: RateLimit | None) -> SharedLimiter | WindowLimiter:
        if limit is None:
            return WindowLimiter(None)
        made = SharedLimiter(self.store, lane, limit)
        self._queues.append(made)
        return made

    def workers(self, most: int) -> SharedPool:
        made = SharedPool(self.store, most)
        self._queues.append(made)
        return made

    async def aclose(self) -> None:
        """Report the slots that have ended, and close the connection."""
        for one in self._queues:
            await one.aclose()
        await self.store.aclose()
