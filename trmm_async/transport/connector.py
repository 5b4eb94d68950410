"""aiohttp's connection pool, kept from what would break a promise of ours.

Two of its habits: it hands out kept-alive connections that the server may be closing at this moment, and it
sends GET, PUT and DELETE again by itself when that happened. The first would make a POST's outcome unknown
for nothing; the second is a request that no limiter saw and no policy was asked about.
"""

import asyncio
import math
import select
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, Final, Protocol, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from trmm_async.keepalive import KeepAliveTrust

__all__ = ["SENDING", "Connector", "Sending", "SentOnceError", "send_once"]

_FIRST_LOOK: Final = 0.05
_KNOWN_AT_FIRST: Final = 256


class Sending(Protocol):
    """One sending of one request, as far as the connector is concerned."""

    careful: bool
    """Whether it must not meet a connection that may be stale."""

    def has_connection(self) -> None:
        """A connection was found: from here on bytes may flow."""


SENDING: Final[ContextVar[Sending | None]] = ContextVar("trmm_async_sending", default=None)
"""What the present task is sending. aiohttp offers no other way from a request to the connector."""


class Connector(aiohttp.TCPConnector):
    """A pool in which a call that must not be sent twice never meets a stale connection.

    `KeepAliveTrust` decides what may be reused for such a call. `TRMM` makes its own; give one to a session
    of yours that you hand to `TRMM(session=…)`: `aiohttp.ClientSession(connector=Connector())`. Takes the
    keywords of `aiohttp.TCPConnector`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._keep_alive = KeepAliveTrust()
        self._known: dict[ResponseHandler, _Known] = {}
        self._known_most = _KNOWN_AT_FIRST
        self._scout: _Scout | None = None

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """A connection for this request; called by aiohttp."""
        sending = SENDING.get()
        careful = req.method == "POST" if sending is None else sending.careful
        connection = await super().connect(req, traces, timeout)
        while not self._usable(connection, careful=careful):
            connection = await super().connect(req, traces, timeout)
        if sending is not None:
            sending.has_connection()
        return connection

    # aiohttp's is an `async def`; what it has to do first must not wait for the first step of a coroutine.
    def close(self, **how: Any) -> Coroutine[Any, Any, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Close all connections, as `aiohttp.TCPConnector.close` does."""
        if self._scout is not None:
            self._scout.cancel()
            self._scout = None
        return super().close(**how)

    def _release(self, key: Any, protocol: ResponseHandler, **how: Any) -> None:
        """Note when a connection is free again; called by aiohttp, which has no public place for it.

        Should it no longer be called one day, connections are just never trusted: see `_usable`. A callback
        of each `Connection` would tell the same, and take several calls more each time.
        """
        known = self._known.get(protocol)
        if known is not None:
            known.idle_since = self._loop.time()
        super()._release(key, protocol, **how)

    def _usable(self, connection: Connection, *, careful: bool) -> bool:
        """Whether to send on this connection. If not, it has been disposed of."""
        # It has one until it is given back.
        protocol = cast("ResponseHandler", connection.protocol)
        known = self._known.get(protocol)
        if known is None:
            self._meet(protocol)
            return True
        idle = self._loop.time() - known.idle_since
        if known.is_over():
            self._keep_alive.died(idle)
            connection.close()
            return False
        self._keep_alive.survived(idle)
        if careful and idle > self._keep_alive.limit:
            self._set_aside(connection, known)
            return False
        known.idle_since = -math.inf
        return True

    def _meet(self, protocol: ResponseHandler) -> None:
        if len(self._known) >= self._known_most:
            # aiohttp does not tell which of its connections are gone.
            self._known = {one: known for one, known in self._known.items() if one.is_connected()}
            self._known_most = max(_KNOWN_AT_FIRST, 2 * len(self._known))
        self._known[protocol] = _Known(protocol)

    def _set_aside(self, connection: Connection, known: "_Known") -> None:
        if self._scout is None:
            # One connection is enough to learn from.
            self._scout = _Scout(connection, known, self._keep_alive, self._loop, self._relieve)
        else:
            connection.close()

    def _relieve(self) -> None:
        self._scout = None


class _Known:
    """One connection: since when it is idle, and whether the server has ended it.

    `idle_since` is in the loop's time; long ago while it is in use.
    """

    __slots__ = ("_input", "_protocol", "idle_since")

    def __init__(self, protocol: ResponseHandler) -> None:
        self._protocol = protocol
        self._input: Callable[[int], object] | None = None
        self.idle_since = -math.inf

    def is_over(self) -> bool:
        """Whether the kernel holds anything of the server's: on an idle connection, its end."""
        transport = self._protocol.transport
        if transport is None or transport.is_closing():
            return True
        if self._input is None:
            self._input = _input_of(transport.get_extra_info("socket").fileno())
        return bool(self._input(0))


class _Scout:
    """An idle connection kept out of use, to see for how long the server puts up with it.

    Watched until that is more than can matter, or the server has closed it: from then on no connection has
    to be given up for nothing.
    """

    def __init__(
        self,
        connection: Connection,
        known: _Known,
        trust: KeepAliveTrust,
        loop: asyncio.AbstractEventLoop,
        relieved: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._known = known
        self._since = known.idle_since
        self._trust = trust
        self._loop = loop
        self._relieved = relieved
        self._timer = loop.call_later(_FIRST_LOOK, self._look)

    def cancel(self) -> None:
        self._timer.cancel()
        self._connection.close()

    def _look(self) -> None:
        idle = self._loop.time() - self._since
        if self._known.is_over():
            self._trust.died(idle)
            self._connection.close()
            self._relieved()
            return
        self._trust.survived(idle)
        if idle < self._trust.enough:
            self._timer = self._loop.call_later(
                min(max(idle, _FIRST_LOOK), self._trust.enough - idle), self._look
            )
            return
        self._connection.release()
        # That it was kept aside has not made it any younger.
        self._known.idle_since = self._since
        self._relieved()


def _input_of(number: int) -> Callable[[int], object]:
    """What there is to be read from the open file of that number, within so many milliseconds."""
    if not hasattr(select, "poll"):
        return lambda wait: select.select([number], [], [], wait / 1000)[0]
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return poll.poll


class SentOnceError(aiohttp.ClientError):
    """Stands for an error after which aiohttp would send again by itself; `__cause__` is that error."""


async def send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """A client middleware that keeps aiohttp from sending again by itself."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise SentOnceError(str(error)) from error
