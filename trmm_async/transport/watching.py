"""Who wants to know what is sent in a context: of all calls that are made there, also in tasks begun there.

`sender` tells. What goes to a server by another way than a call is told where it leaves.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, Protocol

from trmm_async.calls import Call

__all__ = ["WATCH", "SendWatch"]

OnSent = Callable[[bool], None]


class SendWatch(Protocol):
    """Told of what a context sends."""

    def begins(self, call: Call[Any], on_sent: OnSent | None) -> OnSent:
        """A call is about to wait for its turn; what is to be told of it, as in `Transport.send`."""
        ...

    def changes(self) -> None:
        """Something that may change something leaves, by another way than a call."""


WATCH: Final[ContextVar[SendWatch | None]] = ContextVar("trmm_async_watch", default=None)
