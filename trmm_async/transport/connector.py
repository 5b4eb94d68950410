"""aiohttp's connection pool, kept from what would break a promise of ours.

Two of its habits: it hands out kept-alive connections that the server may be closing at this moment, and it
sends GET, PUT and DELETE again by itself when that happened. The first would make a POST's outcome unknown
for nothing; the second is a request that no limiter saw and no policy was asked about.
"""

import asyncio
import select
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, Final, Protocol, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from trmm_async.keepalive import KeepAliveTrust

__all__ = ["SENDING", "Connector", "Sending", "SentOnceError", "send_once"]

_PROBE_SECONDS: Final = 0.05
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
        self._probe: _Probe | None = None

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

    def close(self, **how: Any) -> Coroutine[Any, Any, None]:
        """Close all connections, as `aiohttp.TCPConnector.close` does."""
        if self._probe is not None:
            self._probe.cancel()
            self._probe = None
        return super().close(**how)

    def _usable(self, connection: Connection, *, careful: bool) -> bool:
        """Whether to send on this connection. If not, it has been disposed of."""
        # It has one until it is given back.
        protocol = cast("ResponseHandler", connection.protocol)
        known = self._known.get(protocol) or self._meet(protocol)
        if known.idle_since is not None:
            idle = self._loop.time() - known.idle_since
            if known.is_over():
                self._keep_alive.died(idle)
                connection.close()
                return False
            self._keep_alive.survived(idle)
            if careful and idle > self._keep_alive.limit:
                self._set_aside(connection, known)
                return False
        connection.add_callback(known.is_free)
        return True

    def _meet(self, protocol: ResponseHandler) -> "_Known":
        if len(self._known) >= self._known_most:
            # aiohttp does not tell which of its connections are gone.
            self._known = {one: known for one, known in self._known.items() if one.is_connected()}
            self._known_most = max(_KNOWN_AT_FIRST, 2 * len(self._known))
        known = self._known[protocol] = _Known(protocol, self._loop)
        return known

    def _set_aside(self, connection: Connection, known: "_Known") -> None:
        if self._probe is None:
            # One connection is enough to learn from.
            self._probe = _Probe(connection, known, self._conclude)
        else:
            connection.close()

    def _conclude(self, probe: "_Probe") -> None:
        self._probe = None
        if probe.known.is_over():
            self._keep_alive.died(probe.idle)
            probe.connection.close()
        else:
            self._keep_alive.survived(probe.idle)
            probe.connection.release()


class _Known:
    """One connection: since when it is idle (None: it never was), and whether the server has ended it."""

    __slots__ = ("_has_input", "_loop", "_protocol", "idle_since")

    def __init__(self, protocol: ResponseHandler, loop: asyncio.AbstractEventLoop) -> None:
        self._protocol = protocol
        self._loop = loop
        self._has_input: Callable[[], bool] | None = None
        self.idle_since: float | None = None

    def is_free(self) -> None:
        self.idle_since = self._loop.time()

    def is_over(self) -> bool:
        """Whether the kernel holds anything of the server's: on an idle connection, its end."""
        transport = self._protocol.transport
        if transport is None or transport.is_closing():
            return True
        if self._has_input is None:
            self._has_input = _input_of(transport.get_extra_info("socket").fileno())
        return self._has_input()


class _Probe:
    """An idle connection kept out of use for a moment, to see whether the server closes it."""

    def __init__(self, connection: Connection, known: _Known, conclude: Callable[["_Probe"], None]) -> None:
        self.connection = connection
        self.known = known
        self._since = known.idle_since or 0.0
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_PROBE_SECONDS, conclude, self)

    @property
    def idle(self) -> float:
        return self._loop.time() - self._since

    def cancel(self) -> None:
        self._timer.cancel()
        self.connection.close()


def _input_of(number: int) -> Callable[[], bool]:
    """Tells whether there is something to be read from the open file of that number."""
    if not hasattr(select, "poll"):
        return lambda: bool(select.select([number], [], [], 0)[0])
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return lambda: bool(poll.poll(0))


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
