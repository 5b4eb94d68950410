"""Single-flight: concurrent callers share one request and its failure.

What succeeded is kept by who asks; this room knows only of what failed.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from trmm_async.errors import TRMMError

__all__ = ["SingleFlight"]

T = TypeVar("T")


class SingleFlight:
    """One request at a time, for all who want the same. Belongs to one event loop."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._failures = 0
        self._failure: TRMMError | None = None

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Callable[[], None]]:
        """Wait for a turn. Safe to cancel.

        Gives what raises the failure of an attempt that ended while one waited, if there was one: many who
        wait are one attempt. Who comes later asks anew.
        """
        seen = self._failures

        def share_failure() -> None:
            if self._failure is not None and self._failures != seen:
                # A copy: each task that raises it has a traceback of its own.
                shared = copy.copy(self._failure)
                shared.__cause__ = self._failure.__cause__
                raise shared

        async with self._lock:
            yield share_failure

    async def attempt(self, asking: Awaitable[T]) -> T:
        """Ask, in one's turn; a failure is for all who wait."""
        self.forget()
        try:
            return await asking
        except TRMMError as error:
            self._failures, self._failure = self._failures + 1, error
            raise

    def forget(self) -> None:
        """Nobody shares what has failed up to now."""
        self._failure = None
