"""aiohttp's connection pool, kept from what would break a promise of ours.

Two of its habits: it hands out kept-alive connections that the server may be closing at this moment, and it
sends GET, PUT and DELETE again by itself when that happened. The first would make a POST's outcome unknown
for nothing; the second is a request that no limiter saw and no policy was asked about.
"""

import asyncio
import select
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.connector import Connection

from trmm_async.keepalive import KeepAliveTrust

__all__ = ["SENDING", "Connector", "Sending", "SentOnceError", "send_once"]

_PROBE_SECONDS: Final = 0.05


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
        self._idle_since: WeakKeyDictionary[object, float] = WeakKeyDictionary()
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
        connection.add_callback(partial(self._note_idle, connection.protocol))
        if sending is not None:
            sending.has_connection()
        return connection

    def close(self, **how: Any) -> Coroutine[Any, Any, None]:
        """Close all connections, as `aiohttp.TCPConnector.close` does."""
        if self._probe is not None:
            self._probe.cancel()
            self._probe = None
        return super().close(**how)

    def _note_idle(self, protocol: object) -> None:
        self._idle_since[protocol] = self._loop.time()

    def _usable(self, connection: Connection, *, careful: bool) -> bool:
        """Whether to send on this connection. If not, it has been disposed of."""
        since = self._idle_since.pop(connection.protocol, None)
        if since is None:
            return True
        idle = self._loop.time() - since
        if not self._learn(connection, idle):
            connection.close()
            return False
        if not careful or idle <= self._keep_alive.limit:
            return True
        if self._probe is None:
            # One connection is enough to learn from.
            self._probe = _Probe(connection, since, self._conclude)
        else:
            connection.close()
        return False

    def _learn(self, connection: Connection, idle: float) -> bool:
        alive = not _has_input(connection)
        (self._keep_alive.survived if alive else self._keep_alive.died)(idle)
        return alive

    def _conclude(self, probe: "_Probe") -> None:
        self._probe = None
        if self._learn(probe.connection, self._loop.time() - probe.since):
            self._idle_since[probe.connection.protocol] = probe.since
            probe.connection.release()
        else:
            probe.connection.close()


class _Probe:
    """An idle connection kept out of use for a moment, to see whether the server closes it."""

    def __init__(self, connection: Connection, since: float, conclude: Callable[["_Probe"], None]) -> None:
        self.connection = connection
        self.since = since
        self._timer = asyncio.get_running_loop().call_later(_PROBE_SECONDS, conclude, self)

    def cancel(self) -> None:
        self._timer.cancel()
        self.connection.close()


def _has_input(connection: Connection) -> bool:
    """Whether the kernel holds anything of the server's. On an idle connection that can only be its end."""
    transport = connection.transport
    if transport is None or transport.is_closing():
        return True
    sock = transport.get_extra_info("socket")
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([sock.fileno()], [], [], 0)[0])


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
