"""How often the dashboard's sockets are told their counts; a test may change it while they are open.

Below: nothing. Above: `sockets.py` waits by it, `stock_switches.py` sets it.
"""

from __future__ import annotations

import asyncio

__all__ = ["Pulse"]

SECONDS = 30.0


class Pulse:
    """A pause between two messages, which ends early when its length is changed."""

    def __init__(self) -> None:
        self._seconds = SECONDS
        self._changed = asyncio.Event()

    @property
    def seconds(self) -> float:
        """The length of the pause; setting it ends the pauses that are under way."""
        return self._seconds

    @seconds.setter
    def seconds(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed.set()
        self._changed = asyncio.Event()

    async def pause(self) -> None:
        """Let the pause pass."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
