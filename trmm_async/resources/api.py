"""What every resource works with: a dialect to ask for calls, a transport and a dialer to carry them out."""

from collections.abc import Callable
from typing import TypeVar

from trmm_async.calls import Call
from trmm_async.dialects import Dialect
from trmm_async.stream import Dialer
from trmm_async.transport import Transport

__all__ = ["Api"]

T = TypeVar("T")


class Api:
    """One server, as the resources see it."""

    def __init__(self, transport: Transport, dialer: Dialer, dialect: Dialect) -> None:
        self.transport = transport
        self.dialer = dialer
        self.dialect = dialect

    async def send(
        self, intent: Callable[[Dialect], Call[T]], on_sent: Callable[[], None] | None = None
    ) -> T:
        """Ask the dialect for a call and carry it out. Raises `TRMMError`s only; safe to cancel.

        `on_sent` is called when the first byte may leave.
        """
        return await self.transport.send(intent(self.dialect), on_sent)
