"""How long a connection may have been idle and still carry a call that must not be sent twice. Pure.

A server may close an idle connection at any moment. If it does so while a POST is on its way, the
client can't tell whether the POST was read, and would have to report an unknown outcome. So such a call uses
a connection that the server certainly keeps open: a new one, or one that was idle for at most half of the
longest idle time after which this server was *seen* to have a connection open. So a server that closes idle
connections after a fixed time is never raced against, and one that closes them at once is never trusted.
"""

from typing import Final

__all__ = ["KeepAliveTrust"]

IDLE_MOST: Final = 5.0
"""Seconds beyond which no evidence counts: firewalls on the way forget connections without notice."""


class KeepAliveTrust:
    """What was seen of how long one server keeps idle connections open.

    Attributes:
        limit: seconds for which a connection may have been idle and still be trusted.
    """

    enough: Final = 2 * IDLE_MOST
    """Seconds after which watching an idle connection teaches nothing more."""

    def __init__(self) -> None:
        self._seen_alive = 0.0
        self.limit: float = 0.0

    def __repr__(self) -> str:
        return f"<KeepAliveTrust up to {self.limit:.3f} s>"

    def survived(self, idle: float) -> None:
        """A connection was still open after it had been idle for so long."""
        if idle > self._seen_alive:
            self._learn(idle)

    def died(self, idle: float) -> None:
        """The server had closed a connection that had been idle for so long, or earlier."""
        if idle < self._seen_alive:
            self._learn(idle)

    def _learn(self, seen_alive: float) -> None:
        self._seen_alive = seen_alive
        self.limit = min(seen_alive / 2, IDLE_MOST)
