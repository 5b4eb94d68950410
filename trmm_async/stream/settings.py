"""How a subscription behaves, and the states it can be in.

Over `sockets`, whose settings these extend; below whatever carries a stream out.
"""

import enum
import random
from collections.abc import Callable
from dataclasses import dataclass

from trmm_async.errors import InvalidRequestError
from trmm_async.stream.sockets import LinkSettings

__all__ = ["Backoff", "Rhythm", "StreamSettings", "StreamState"]


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
        poll_interval: where a server pushes nothing: seconds between two looks at it, at least.
        poll_share: the part of one of its workers that looking may cost: the longer it takes to answer, the
            longer the pause.
        poll_scripts: whether to look at its history of script runs too.
        wait_for_all: whether entering waits until every agent's stream stands or was refused. False: until
            the first stands, or all were refused; the others come later, each with its events.
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
    poll_interval: float = 5.0
    poll_share: float = 0.1
    poll_scripts: bool = True
    wait_for_all: bool = True
    jitter: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        for name in ("queue", "connect_attempts", "handshakes", "max_frame"):
            if getattr(self, name) < 1:
                raise InvalidRequestError(f"{name} must be at least 1, not {getattr(self, name)!r}")
        for name in ("backoff_first", "backoff_most", "ping_interval", "ping_timeout", "poll_interval"):
            if not getattr(self, name) > 0:
                raise InvalidRequestError(f"{name} must be above 0 seconds, not {getattr(self, name)!r}")
        if not 0 < self.poll_share <= 1:
            raise InvalidRequestError(f"poll_share must be above 0 and at most 1, not {self.poll_share!r}")


class Rhythm:
    """When to look at a server again. Pure: told what the last look took."""

    __slots__ = ("_settings", "_took")

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self._took = 0.0

    def looked(self, took: float) -> None:
        """A look is over, after so many seconds."""
        self._took = took

    def least(self) -> float:
        """Seconds to wait before the next look, so that looking costs no more than its share of a worker."""
        return self._took * (1 / self._settings.poll_share - 1)

    def next(self) -> float:
        """Seconds to wait before the next look, if there is no hurry: never in step with other clients."""
        return max(self._settings.poll_interval, self.least()) * (1 + self._settings.jitter() / 4)


class Backoff:
    """Waits that double up to a bound and are never nothing. Pure."""

    __slots__ = ("_settings", "failures")

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self.failures: int = 0

    def next(self) -> float:
        """Seconds to wait now."""
        # A larger exponent only overflows; the bound is reached long before.
        full = min(self._settings.backoff_most, self._settings.backoff_first * 2.0 ** min(self.failures, 64))
        self.failures += 1
        return full * (0.5 + self._settings.jitter() / 2)

    def reset(self) -> None:
        """It works again."""
        self.failures = 0
