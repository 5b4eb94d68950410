"""Single-flight: concurrent callers share one request and its failure.

The caller keeps the result of a request that succeeded. This module keeps only the failure.
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
    """One request at a time, for all callers that want the same. Belongs to one event loop."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._failures = 0
        self._failure: TRMMError | None = None

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Callable[[], None]]:
        """Wait for a turn. Safe to cancel.

        Yields a function that raises the failure of an attempt that ended while this caller waited, if there
        was one. A caller that comes later makes a new attempt.
        """
        seen = self._failures

        def share_failure() -> None:
            if self._failure is not None and self._failures != seen:
                # A copy for each task, since each adds its own traceback.
                shared = copy.copy(self._failure)
                shared.__cause__ = self._failure.__cause__
                raise shared

        async with self._lock:
            yield share_failure

    async def attempt(self, asking: Awaitable[T]) -> T:
        """Make the request, within `take`. A failure is shared with all callers that wait."""
        self.forget()
        try:
            return await asking
        except TRMMError as error:
            self._failures, self._failure = self._failures + 1, error
            raise

    def forget(self) -> None:
        """Share no failure that happened up to now."""
        self._failure = None
