"""A rolling window for each key: which requests a server admits, and how long it tells others to wait.

Below: nothing, this module is pure and its clock is handed in. Above: `gate.py`, which asks it about every
request. It counts exactly as the throttle of Django REST framework does (`SimpleRateThrottle.allow_request`
and `wait` in `rest_framework/throttling.py`), because clients have to deal with that one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Rate", "Throttle", "ThrottleDecision"]

Rate = tuple[int, float]
"""So many requests in so many seconds."""


@dataclass(frozen=True, slots=True)
class ThrottleDecision:
    """The throttle's decision on one request.

    `wait` is None for an admitted request. For a refused one it is the number of seconds that the server
    suggests, or None where it has no suggestion (the limit was lowered below what has already been used).
    """

    admitted: bool
    wait: float | None = None


@dataclass(slots=True)
class Throttle:
    """Admits `rate[0]` requests of one key in any `rate[1]` seconds; a rate of None admits everything.

    Only admitted requests are counted. A request exactly `rate[1]` seconds old no longer counts. `rate` may
    be changed at any time and holds for the next request.
    """

    rate: Rate | None
    clock: Callable[[], float]
    _admitted: dict[str, deque[float]] = field(default_factory=dict)

    def admit(self, key: str) -> ThrottleDecision:
        """Judge one request of `key` that arrives now, and count it if it is admitted."""
        if self.rate is None:
            return ThrottleDecision(admitted=True)
        allowed, seconds = self.rate
        now = self.clock()
        history = self._admitted.setdefault(key, deque())
        while history and history[0] <= now - seconds:
            history.popleft()
        if len(history) >= allowed:
            return ThrottleDecision(admitted=False, wait=_wait(history, now, allowed, seconds))
        history.append(now)
        return ThrottleDecision(admitted=True)

    def used(self, key: str) -> int:
        """Tell how many requests of `key` count at this moment."""
        if self.rate is None:
            return 0
        oldest = self.clock() - self.rate[1]
        return sum(moment > oldest for moment in self._admitted.get(key, ()))

    def reset(self) -> None:
        """Forget every request of every key, as a flushed cache does."""
        self._admitted.clear()


def _wait(history: deque[float], now: float, allowed: int, seconds: float) -> float | None:
    remaining = seconds - (now - history[0]) if history else seconds
    available = allowed - len(history) + 1
    return remaining / available if available > 0 else None
