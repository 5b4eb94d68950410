"""The interval between two counts on the dashboard's sockets, which a test may change at any time.

Below: nothing. Above: `sockets.py` waits by it, `stock_switches.py` sets it.
"""

from __future__ import annotations

import asyncio

__all__ = ["Interval"]

SECONDS = 30.0


class Interval:
    """A pause between two messages, which ends early when its length is changed."""

    def __init__(self) -> None:
        self._seconds = SECONDS
        self._changed = asyncio.Event()

    @property
    def seconds(self) -> float:
        """The length of the pause. Setting it ends the present pauses."""
        return self._seconds

    @seconds.setter
    def seconds(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed.set()
        self._changed = asyncio.Event()

    async def pause(self) -> None:
        """Wait for the length of the pause."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
