"""Waiting: for an agent to stand, and for everything to be gone.

Over `source`, below `subscription`.
"""

import asyncio
from collections.abc import Callable, Generator
from typing import Any

from trmm_async.stream.source import AgentStreamState

__all__ = ["Standing", "wait_out"]


class Standing:
    """When an agent that was added stands; see `Subscription.add`. May be awaited often, or never."""

    def __init__(self, course: AgentStreamState | None) -> None:
        self._course = course

    def __await__(self) -> Generator[Any, Any, None]:
        if self._course is not None:
            yield from self._course.settled.wait().__await__()


async def wait_out(remaining: Callable[[], list[asyncio.Future[None]]], hurry: Callable[[], None]) -> None:
    """Wait until nothing remains. Cancelled, it hurries, and still waits: for a turn of the loop, then."""
    cancelled: asyncio.CancelledError | None = None
    while waiting := remaining():
        try:
            await asyncio.wait(waiting)
        except asyncio.CancelledError as error:
            cancelled = error
            hurry()
    if cancelled is not None:
        raise cancelled
