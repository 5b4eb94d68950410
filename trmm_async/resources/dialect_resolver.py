"""The dialect of one client's server: given, or found out when it is first needed."""

from collections.abc import Callable, Mapping
from typing import Any

from trmm_async.calls import Call
from trmm_async.dialects import Dialect
from trmm_async.dialects.detection import PROBE, PROBE_ANEW, dialect_of
from trmm_async.errors import AuthenticationError, TRMMError
from trmm_async.single_flight import SingleFlight
from trmm_async.transport import Transport

__all__ = ["DialectResolver"]


class DialectResolver:
    """The dialect in use.

    Args:
        transport: asks the server.
        choice: the possible dialects by name. If there are several, the server is asked.
        found: called with the dialect when it was found out.

    Attributes:
        known: the dialect in use; None before the server was asked.
        version: a stock server's version, as it was read last; "" before.
    """

    def __init__(
        self, transport: Transport, choice: Mapping[str, Dialect], found: Callable[[Dialect], None]
    ) -> None:
        self._transport = transport
        self._choice = choice
        self._found = found
        self._single_flight = SingleFlight()
        self.known: Dialect | None = next(iter(choice.values())) if len(choice) == 1 else None
        self.version: str = ""

    def __repr__(self) -> str:
        return f"<DialectResolver {self.name}>"

    @property
    def name(self) -> str:
        """The dialect's name; "auto" before the server was asked."""
        return self.known.name if self.known is not None else "auto"

    async def dialect(self) -> Dialect:
        """The dialect. Concurrent callers share one call and its failure; later callers ask again.

        Raises:
            UnsupportedError: the server is of neither kind.
            TRMMError: the server could not be asked.
        """
        known = self.known
        if known is not None:
            return known
        async with self._single_flight.take() as share_failure:
            share_failure()
            known = self.known
            return known if known is not None else await self._single_flight.attempt(self._ask())

    async def _ask(self) -> Dialect:
        try:
            name = dialect_of(await self._told(PROBE))
        except AuthenticationError:
            # A proxy refuses the key, with a page that doesn't show the kind of server.
            if self._transport.server.source is None:
                raise
            name = dialect_of(await self._told(PROBE_ANEW))
        self.known = self._choice[name]
        self._found(self.known)
        return self.known

    async def _told(self, probe: Call[Any]) -> TRMMError | None:
        try:
            await self._transport.send(probe)
        except TRMMError as error:
            return error
        return None
