"""Numbers to be dealt with one after the other, each once while it waits.

Below `polling`, which deals with alerts so: never two questions about the same one at a time, and never more
than one worker of the server for all of them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

__all__ = ["Errands"]

_MOST: Final = 1000


class Errands:
    """A bounded queue without repeats, and who works it off. Belongs to one event loop."""

    def __init__(self, do: Callable[[int], Awaitable[None]]) -> None:
        self._do = do
        self._waiting: dict[int, None] = {}
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, number: int) -> bool:
        """Have this dealt with, from now on; False if too many wait."""
        if number not in self._waiting and len(self._waiting) >= _MOST:
            return False
        self._waiting[number] = None
        self._news.set()
        return True

    async def run(self) -> None:
        """Work them off, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                number = next(iter(self._waiting))
                # Before, not after: what is added while it is under way is another errand.
                del self._waiting[number]
                await self._do(number)
