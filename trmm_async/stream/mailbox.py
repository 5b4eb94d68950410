"""A bounded queue between many writers and one reader.

`subscription` merges its agents' events in one. Shorter than `asyncio.Queue` on the way of an event: the
common case, room on one side and something waiting on the other, is a deque operation without an await.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from trmm_async.errors import InvalidRequestError

__all__ = ["Mailbox"]

T = TypeVar("T")


class Mailbox(Generic[T]):
    """First in, first out, never more than `size` items. A writer that finds it full waits; nothing is lost.

    Belongs to one event loop. Waiting writers are served first come, first served.

    Attributes:
        filled_at: when it was last empty and something came, by `clock`.
        stamp: is called with each item before it is in.
    """

    def __init__(self, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._clock = clock
        self.filled_at: float = clock()
        self._items: deque[T] = deque()
        self._writers: deque[tuple[T, asyncio.Future[None]]] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._end: BaseException | None = None
        self.stamp: Callable[[T], None] | None = None

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"<Mailbox {len(self._items)}/{self._size}, {len(self._writers)} writers waiting>"

    def __iter__(self) -> Iterator[T]:
        """What is in here, the oldest first; without what waiting writers have."""
        return iter(self._items)

    def purge(self, unwanted: Callable[[T], bool]) -> None:
        """Throw away what is unwanted, and let waiting writers into the room that makes."""
        self._items = deque(item for item in self._items if not unwanted(item))
        for item, turn in self._writers:
            if unwanted(item) and not turn.done():
                turn.set_result(None)
        while self._writers and len(self._items) < self._size:
            self._let_in()

    def offer(self, item: T) -> bool:
        """Put the item in if there is room; whether there was."""
        # Room is given to a waiting writer in the moment it comes up: where there is some, nobody waits.
        if self.stamp is not None:
            self.stamp(item)
        if len(self._items) >= self._size:
            return False
        if not self._items:
            self.filled_at = self._clock()
        self._items.append(item)
        if self._reader is not None:
            self._call_reader()
        return True

    async def put(self, item: T) -> None:
        """Put the item in, waiting for room. Cancelled while waiting: it is not in."""
        if not self.offer(item):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._writers.append((item, turn))
            await turn

    async def get(self) -> T:
        """The next item. Safe to cancel: nothing is taken then.

        Raises:
            InvalidRequestError: another reader is waiting here.
            BaseException: what `finish` was given, once everything before it has been read.
        """
        while not self._items:
            if self._end is not None:
                raise self._end
            await self._wait()
        item = self._items.popleft()
        if self._writers:
            self._let_in()
        return item

    def finish(self, end: BaseException) -> None:
        """Nothing more will come: `get` raises `end` after what is in here. The first end stands."""
        self._end = self._end or end
        self._call_reader()

    def close(self, end: BaseException) -> None:
        """Throw away what is in here, and let `get` raise `end` from now on."""
        self._items.clear()
        self._end = end
        self._call_reader()

    def reopen(self) -> None:
        """Take back the end."""
        self._end = None

    async def _wait(self) -> None:
        if self._reader is not None:
            raise InvalidRequestError("two loops read the same events at once: open a subscription for each")
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _call_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _let_in(self) -> None:
        while self._writers:
            item, turn = self._writers.popleft()
            if not turn.done():
                self._items.append(item)
                turn.set_result(None)
                return
