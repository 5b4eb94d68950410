"""`PingSchedule`: when to send a ping on a WebSocket, and when its peer is dead. Pure."""

import enum

__all__ = ["Liveness", "PingSchedule"]


class Liveness(enum.Enum):
    """What a `PingSchedule` says to do."""

    FINE = "nothing to do yet"
    ASK = "send a ping"
    DEAD = "the peer is gone"


class PingSchedule:
    """Decides when to send a ping, and when the peer is dead. Pure: the caller passes a monotonic time.

    Every byte that comes is a sign of life: set `heard` to its time.
    """

    __slots__ = ("_asked", "_interval", "_timeout", "heard")

    def __init__(self, interval: float, timeout: float, now: float) -> None:
        self._interval = interval
        self._timeout = timeout
        self._asked: float | None = None
        self.heard: float = now

    def check(self, now: float) -> tuple[Liveness, float]:
        """What to do now, and in how many seconds to check again."""
        if self._asked is not None and self.heard < self._asked:
            left = self._asked + self._timeout - now
            return (Liveness.FINE, min(left, self._interval)) if left > 0 else (Liveness.DEAD, 0.0)
        self._asked = None
        left = self.heard + self._interval - now
        if left > 0:
            return Liveness.FINE, left
        self._asked = now
        return Liveness.ASK, min(self._interval, self._timeout)

    def excuse(self, now: float) -> None:
        """Start again, since we have not read for a while, so the silence proves nothing."""
        self.heard = now
        self._asked = None
