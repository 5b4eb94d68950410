"""Who is told before a call may have an effect: the caller, a record on the disk, whoever watches a context.

`sender` tells them. A request that is not a `Call` is reported where it is sent.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, Protocol

from trmm_async.calls import Call

__all__ = ["WATCH", "OnSent", "SendRecord", "SendWatch"]

OnSent = Callable[[bool], None]
"""Called with True once the call may have had an effect, with False if it certainly had none."""


class SendRecord(Protocol):
    """Records each attempt before it is sent. If a method raises, the attempt is not sent."""

    async def begin(self) -> None:
        """The next attempt is about to be sent: no limit and no connection is waited for any more."""

    async def withdraw(self) -> None:
        """The attempt certainly had no effect, and the call pauses before the next one."""

    def may_begin(self) -> bool:
        """Whether the first byte may be sent now. False if the record may no longer be valid."""
        ...


class SendWatch(Protocol):
    """Sees every request that a context sends, also from tasks that were started in it."""

    def begins(self, call: Call[Any], on_sent: OnSent | None) -> OnSent:
        """A call is about to wait for its turn. Returns the `on_sent` to use for it."""
        ...

    def changes(self) -> None:
        """A request that is not a call is about to be sent, and may change something."""


WATCH: Final[ContextVar[SendWatch | None]] = ContextVar("trmm_async_watch", default=None)
