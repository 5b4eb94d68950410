"""How long a connection may have been idle and still carry a call that must not be sent twice. Pure.

A server may close an idle connection at any moment. If it does so while a POST is on its way, the
client can't tell whether the POST was read, and would have to report an unknown outcome. So such a call goes
out on a connection that the server surely still wants: a new one, or one that was idle for no more than half
of the longest idle time that this server has been *seen* to put up with. A server that closes idle
connections after a fixed time is then never raced against; one that closes them at once is never trusted.
"""

from typing import Final

__all__ = ["KeepAliveTrust"]

IDLE_MOST: Final = 5.0
"""Seconds beyond which no evidence counts: firewalls on the way forget connections without a word."""


class KeepAliveTrust:
    """What has been seen of one server's patience with idle connections.

    Attributes:
        limit: seconds of idleness up to which a connection is trusted.
    """

    enough: Final = 2 * IDLE_MOST
    """Seconds of idleness beyond which nothing more is to be learnt."""

    def __init__(self) -> None:
        self._seen_alive = 0.0
        self.limit: float = 0.0

    def __repr__(self) -> str:
        return f"<KeepAliveTrust up to {self.limit:.3f} s>"

    def survived(self, idle: float) -> None:
        """A connection was still open after that long."""
        if idle > self._seen_alive:
            self._learn(idle)

    def died(self, idle: float) -> None:
        """The server had closed a connection after that long, or less."""
        if idle < self._seen_alive:
            self._learn(idle)

    def _learn(self, seen_alive: float) -> None:
        self._seen_alive = seen_alive
        self.limit = min(seen_alive / 2, IDLE_MOST)
