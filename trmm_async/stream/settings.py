"""How a subscription behaves, and the states it can be in.

Over `sockets`, whose settings these extend; below whatever carries a stream out.
"""

import enum
import random
from collections.abc import Callable
from dataclasses import dataclass

from trmm_async.errors import InvalidRequestError
from trmm_async.stream.sockets import LinkSettings

__all__ = ["Backoff", "StreamSettings", "StreamState"]


class StreamState(enum.StrEnum):
    """How fresh the picture of one agent is."""

    CONNECTING = "connecting"
    CATCHING_UP = "catching up"
    LIVE = "live"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings(LinkSettings):
    """How a subscription behaves, besides how its connections are kept.

    Attributes:
        queue: events that wait for the reader at most; then the sockets are not read on.
        backoff_first: seconds before the first attempt to come back; each further wait is twice as long.
        backoff_most: the longest of these waits.
        connect_attempts: handshakes per agent in vain before entering the subscription fails.
        handshakes: at once, at most, for all agents together.
        baseline_wait: seconds that entering waits at most for the present state; it is learned later then.
        gather: seconds that a fetch of the server's state waits for more agents that need it.
        jitter: from 0 to 1; each wait is taken from the upper half of its interval.

    Raises:
        InvalidRequestError: a count below 1, or a time that is not positive where it has to be.
    """

    queue: int = 1000
    backoff_first: float = 0.5
    backoff_most: float = 30.0
    connect_attempts: int = 4
    handshakes: int = 10
    baseline_wait: float = 5.0
    gather: float = 0.05
    jitter: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        for name in ("queue", "connect_attempts", "handshakes", "max_frame"):
            if getattr(self, name) < 1:
                raise InvalidRequestError(f"{name} must be at least 1, not {getattr(self, name)!r}")
        for name in ("backoff_first", "backoff_most", "ping_interval", "ping_timeout"):
            if not getattr(self, name) > 0:
                raise InvalidRequestError(f"{name} must be above 0 seconds, not {getattr(self, name)!r}")


class Backoff:
    """Waits that double up to a bound and are never nothing. Pure."""

    __slots__ = ("_settings", "failures")

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self.failures = 0

    def next(self) -> float:
        """Seconds to wait now."""
        # A larger exponent only overflows; the bound is reached long before.
        full = min(self._settings.backoff_most, self._settings.backoff_first * 2.0 ** min(self.failures, 64))
        self.failures += 1
        return full * (0.5 + self._settings.jitter() / 2)

    def reset(self) -> None:
        """It works again."""
        self.failures = 0
