"""`Mailbox`: a bounded queue between many writers and one reader.

A `Subscription` has one for the events of its agents. It is faster than `asyncio.Queue`: in the common case
(there is room, and an item waits), writing and reading are deque operations without an await.
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
    """A first-in, first-out queue of at most `size` items. If it is full, a writer waits; nothing is lost.

    Belongs to one event loop. Waiting writers are served in order.

    Attributes:
        filled_at: when it was last empty and an item came.
        stamp: called with each item before it is put in.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.filled_at: float = time.monotonic()
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
        """The items, the oldest first, without those of waiting writers."""
        return iter(self._items)

    def purge(self, unwanted: Callable[[T], bool]) -> None:
        """Discard unwanted items, and let waiting writers put theirs in."""
        self._items = deque(item for item in self._items if not unwanted(item))
        for item, turn in self._writers:
            if unwanted(item) and not turn.done():
                turn.set_result(None)
        while self._writers and len(self._items) < self._size:
            self._let_in()

    def offer(self, item: T) -> bool:
        """Put the item in if there is room. Returns whether there was."""
        # Nobody is overtaken: as soon as there is room, a waiting writer gets it.
        if self.stamp is not None:
            self.stamp(item)
        if len(self._items) >= self._size:
            return False
        if not self._items:
            self.filled_at = time.monotonic()
        self._items.append(item)
        if self._reader is not None:
            self._call_reader()
        return True

    async def put(self, item: T) -> None:
        """Put the item in, and wait for room. If this is cancelled while it waits, the item is not in."""
        if not self.offer(item):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._writers.append((item, turn))
            await turn

    async def get(self) -> T:
        """Take the next item. Safe to cancel: then nothing is taken.

        Raises:
            InvalidRequestError: another reader is waiting.
            BaseException: the end that was given to `finish`, after all items.
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
        """Let `get` raise `end` after the items in here. Only the first call counts."""
        self._end = self._end or end
        self._call_reader()

    def close(self, end: BaseException) -> None:
        """Discard all items, and let `get` raise `end` from now on."""
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
