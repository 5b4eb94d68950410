"""The settings of a subscription, the states of its streams, and when to poll or to connect again.

It stands above `sockets`, whose settings these extend.
"""

import enum
import random
from collections.abc import Callable
from dataclasses import dataclass

from trmm_async.errors import InvalidRequestError
from trmm_async.stream.sockets import LinkSettings

__all__ = ["Backoff", "PollTiming", "StreamSettings", "StreamState"]


class StreamState(enum.StrEnum):
    """The state of one agent's stream: whether what it has yielded is up to date.

    `CONNECTING`: there is no connection. `CATCHING_UP`: connected, and the changes in a gap are being found
    out. `LIVE`: up to date. `ENDED`: the server has refused the agent, or the block was left.
    """

    CONNECTING = "connecting"
    CATCHING_UP = "catching up"
    LIVE = "live"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings(LinkSettings):
    """The settings of a subscription, in addition to those of its connections.

    Attributes:
        queue: how many events may wait for the reader. If there are more, the client stops reading from the
            server.
        backoff_first: seconds before the first attempt to reconnect. Each further wait is twice as long.
        backoff_most: the longest of these waits, in seconds.
        connect_attempts: how many handshakes per agent may fail before entering the subscription fails.
        handshakes: how many handshakes may be in progress at once, for all agents together.
        baseline_wait: how many seconds entering waits for the present state. If it takes longer, the state is
            read later.
        gather: seconds for which a request for the server's state waits for further agents that need it.
        poll_interval: on a server that pushes no events: seconds between two polls, at least.
        poll_share: which part of one of the server's workers polling may use. The longer the server takes to
            answer, the longer the pause.
        poll_scripts: whether to poll the history of script runs, too.
        wait_for_all: whether entering waits until every agent is connected or refused. False: until the first
            is connected, or all were refused; the others follow later.
        jitter: returns a number from 0 to 1. Each wait is taken from the upper half of its interval.

    Raises:
        InvalidRequestError: a count is below 1, or a time is not above 0.
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


class PollTiming:
    """Decides when to poll a server again. Pure: the caller reports how long the last poll took."""

    __slots__ = ("_settings", "_took")

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self._took = 0.0

    def polled(self, took: float) -> None:
        """Record that a poll took so many seconds."""
        self._took = took

    def least(self) -> float:
        """Seconds to wait before the next poll, so that polling uses no more than its share of a worker."""
        return self._took * (1 / self._settings.poll_share - 1)

    def next(self) -> float:
        """Seconds to wait before the next regular poll, with jitter so that clients don't poll in step."""
        return max(self._settings.poll_interval, self.least()) * (1 + self._settings.jitter() / 4)


class Backoff:
    """Waits that double up to a limit and are never zero. Pure."""

    __slots__ = ("_settings", "failures")

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self.failures: int = 0

    def next(self) -> float:
        """Seconds to wait now. Each call makes the next wait longer."""
        # A larger exponent would only overflow; the limit is reached long before.
        full = min(self._settings.backoff_most, self._settings.backoff_first * 2.0 ** min(self.failures, 64))
        self.failures += 1
        return full * (0.5 + self._settings.jitter() / 2)

    def reset(self) -> None:
        """Start again with the shortest wait, since an attempt succeeded."""
        self.failures = 0
