"""aiohttp's connection pool, kept from what would break a promise of ours.

Three of its habits: it hands out kept-alive connections that the server may be closing at this moment, and it
sends GET, PUT and DELETE again by itself when that happened. The first would make a POST's outcome unknown
for nothing; the second is a request that no limiter saw and no policy was asked about. The third: bytes that
come unasked on an idle connection are the next request's answer to it. A server, or a proxy, that sends a
second answer would have its stranger's result told as that of a script that never ran.
"""

import asyncio
import functools
import math
import select
import ssl as tls
from collections.abc import Callable, Coroutine, Iterable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final, Protocol, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from trmm_async.engines.address import ProxyAddress, proxy_address
from trmm_async.engines.tunnel import TunnelError, tunnelled
from trmm_async.errors import InvalidRequestError
from trmm_async.hidden import hide
from trmm_async.keepalive import KeepAliveTrust
from trmm_async.receiving import Buffered, is_shared_by
from trmm_async.tls_trouble import tls_trouble

__all__ = [
    "SENDING",
    "Connector",
    "ExpiredError",
    "NoTunnelError",
    "Sending",
    "SentOnceError",
    "UnaskedError",
    "ask_first",
    "send_once",
]

_FIRST_LOOK: Final = 0.05


class Sending(Protocol):
    """One sending of one request, as far as the connector is concerned."""

    careful: bool
    """Whether it must not meet a connection that may be stale."""

    unwritten: bool
    """Whether it is certain that no byte of it was written, though it has a connection."""

    def has_connection(self) -> None:
        """A connection was found: from here on bytes may flow."""

    def may_begin(self) -> bool:
        """Whether the first byte may leave now; False: never, this is not sent."""
        ...


SENDING: Final[ContextVar[Sending | None]] = ContextVar("trmm_async_sending", default=None)
"""What the present task is sending. aiohttp offers no other way from a request to the connector."""


class Connector(aiohttp.TCPConnector):
    """A pool in which a call that must not be sent twice never meets a stale connection.

    Nor does any call meet one that has brought anything since its last answer.

    `KeepAliveTrust` decides what may be reused for such a call. `TRMM` makes its own; give one to a session
    of yours that you hand to `TRMM(session=…)`: `aiohttp.ClientSession(connector=Connector())`. Takes the
    keywords of `aiohttp.TCPConnector`.
    """

    def __init__(self, *, through: ProxyAddress | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self._through = through
        self._keep_alive = KeepAliveTrust()
        # aiohttp has no public place for what its connections are made of. Should it make them otherwise one
        # day, each is used once: see `_usable`.
        line = _BufferedLine if is_shared_by(self._loop) else _Line
        self._factory = functools.partial(cast("type[ResponseHandler]", line), self._loop)
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
        if isinstance(connection.protocol, _Line):
            connection.protocol.guard(sending)
        return connection

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        """A new connection; called by aiohttp. Through a proxy it is our own tunnel.

        Of aiohttp's own the proxy's answer would be bytes that nobody has asked for.
        """
        proxy = self._through or _proxy_of(req)
        if proxy is None:
            return await super()._create_connection(req, traces, timeout)
        try:
            async with asyncio.timeout(timeout.sock_connect):
                return await tunnelled(
                    proxy,
                    req.url.raw_host or "",
                    req.url.port or 0,
                    self._factory,
                    context=self._get_ssl_context(req),
                    proxy_context=self._context_for_proxy,
                )
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"no way through the proxy {proxy} in time") from error
        except TunnelError as error:
            raise NoTunnelError(str(error), is_final=error.is_final) from error
        except tls.CertificateError as error:
            raise aiohttp.ClientConnectorCertificateError(req.connection_key, error) from error
        except OSError as error:
            raise NoTunnelError(tls_trouble(error) or f"through the proxy {proxy}: {error}") from error

    def _context_for_proxy(self) -> tls.SSLContext:
        return self._ssl if isinstance(self._ssl, tls.SSLContext) else tls.create_default_context()

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
        if isinstance(protocol, _Line):
            protocol.rest()
        super()._release(key, protocol, **how)

    def _usable(self, connection: Connection, *, careful: bool) -> bool:
        """Whether to send on this connection. If not, it has been disposed of."""
        # It has one until it is given back.
        line = cast("ResponseHandler", connection.protocol)
        if not isinstance(line, _Line):
            line.force_close()
            return True
        if line.is_new:
            return True
        idle = self._loop.time() - line.idle_since
        if line.is_over():
            self._keep_alive.died(idle)
            connection.close()
            return False
        self._keep_alive.survived(idle)
        if careful and idle > self._keep_alive.limit:
            self._set_aside(connection, line)
            return False
        return True

    def _set_aside(self, connection: Connection, line: "_Line") -> None:
        if self._scout is None:
            # One connection is enough to learn from.
            self._scout = _Scout(connection, line, self._keep_alive, self._loop, self._relieve)
        else:
            connection.close()

    def _relieve(self) -> None:
        self._scout = None


class _Line(ResponseHandler):
    """One connection, as aiohttp has it; but bytes that come unasked close it, and are nobody's answer.

    Attributes:
        is_new: no request has been sent on it yet.
        idle_since: in the loop's time; long ago while it is in use.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.is_new = True
        self.idle_since = -math.inf
        self._is_asked = False
        self._input: Callable[[int], object] | None = None

    def guard(self, sending: Sending | None) -> None:
        """It is handed out: what comes before a request is written is not the answer to it."""
        self.idle_since = -math.inf
        self._is_asked = False
        if sending is not None:
            sending.unwritten = True
        transport: Any = self.transport
        if transport is not None:
            real = transport.real if isinstance(transport, _Guard) else transport
            self.transport = cast("asyncio.Transport", _Guard(self, real, sending))

    def begin(self, transport: asyncio.Transport) -> bool:
        """Whether a request may be written now; if not, the connection is closed. Told by the guard."""
        self.transport = transport
        # A new one is not looked at: TLS 1.3 has tickets to bring.
        if not self.is_new and self._has_input(transport):
            transport.abort()
            return False
        self.is_new, self._is_asked = False, True
        return True

    def rest(self) -> None:
        """It is free again: nothing is to come before the next request."""
        self.idle_since = self._loop.time()
        self._is_asked = False

    def is_over(self) -> bool:
        """Whether the server has ended it, or sent what nobody has asked for: read by now, or not yet."""
        transport = self.transport
        if transport is None or transport.is_closing() or self.should_close:
            return True
        return self._has_input(transport) or self._has_begun_another()

    def _has_begun_another(self) -> bool:
        """Whether behind its last answer, in the same packet, there was the beginning of a head.

        aiohttp shows whole heads (`should_close`), and makes a new parser for the next request: of an
        unfinished one nothing would be left, and its rest be taken for the answer. The parser says of it what
        it says at the end of a connection; between two answers, that there is nothing.
        """
        parser: Any = self._parser
        if parser is None:
            return False
        try:
            # aiohttp's parser in Python, where its extensions are missing, keeps an unfinished line here.
            return bool(getattr(parser, "_tail", b"")) or parser.feed_eof() is not None
        except Exception:  # noqa: BLE001 - whatever it finds wrong with it, it has something
            return True

    def data_received(self, data: bytes) -> None:
        if self._is_asked or not data:
            super().data_received(data)
        elif self.transport is not None:
            self.transport.abort()

    def _has_input(self, transport: asyncio.Transport) -> bool:
        if self._input is None:
            self._input = _input_of(transport.get_extra_info("socket").fileno())
        return bool(self._input(0))


class _BufferedLine(_Line, Buffered):
    """One that is read into the buffer of all."""


class _Guard:
    """Stands for a connection's transport until a request's first byte is written.

    aiohttp writes a body in a task of its own: between the last look at the connection and the first byte the
    loop turns, which takes milliseconds where it is busy.
    """

    __slots__ = ("_line", "_sending", "real")

    def __init__(self, line: _Line, real: asyncio.Transport, sending: Sending | None) -> None:
        self._line = line
        self._sending = sending
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def write(self, data: bytes) -> None:
        if self._begin():
            self.real.write(data)

    def writelines(self, chunks: Iterable[bytes]) -> None:
        if self._begin():
            self.real.writelines(chunks)

    def _begin(self) -> bool:
        sending = self._sending
        if sending is not None and sending.unwritten and not sending.may_begin():
            self.real.abort()
            return False
        begins = self._line.begin(self.real)
        if begins and sending is not None:
            sending.unwritten = False
        return begins


class _Scout:
    """An idle connection kept out of use, to see for how long the server puts up with it.

    Watched until that is more than can matter, or the server has closed it: from then on no connection has
    to be given up for nothing.
    """

    def __init__(
        self,
        connection: Connection,
        line: _Line,
        trust: KeepAliveTrust,
        loop: asyncio.AbstractEventLoop,
        relieved: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._line = line
        self._since = line.idle_since
        self._trust = trust
        self._loop = loop
        self._relieved = relieved
        self._timer = loop.call_later(_FIRST_LOOK, self._look)

    def cancel(self) -> None:
        self._timer.cancel()
        self._connection.close()

    def _look(self) -> None:
        idle = self._loop.time() - self._since
        if self._line.is_over():
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
        self._line.idle_since = self._since
        self._relieved()


def _proxy_of(request: aiohttp.ClientRequest) -> ProxyAddress | None:
    """The proxy that a session of the user's names for this request, if there has to be a tunnel."""
    if request.proxy is None or not request.is_ssl():
        return None  # in plain text a proxy is asked by the request itself
    try:
        proxy = proxy_address(str(request.proxy), "proxy")
    except InvalidRequestError as error:
        raise NoTunnelError(str(error), is_final=True) from None
    login = request.proxy_auth
    return (
        proxy if login is None else replace(proxy, username=hide(login.login), password=hide(login.password))
    )


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


class NoTunnelError(aiohttp.ClientConnectionError):
    """There is no way through the proxy. Nothing was written to the server.

    Attributes:
        is_final: the next attempt would come to the same.
    """

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final: bool = is_final


class UnaskedError(aiohttp.ClientConnectionError):
    """The connection had brought bytes that nobody has asked for. Nothing was written to it."""


class ExpiredError(aiohttp.ClientConnectionError):
    """The right to send ran out. Nothing was written."""


async def ask_first(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """A client middleware for other connectors than ours: none of an earlier call's bytes is an answer.

    All that aiohttp lets be seen of a connection: what has come by now and begins an answer, or ends none. It
    is the last moment, too, at which a right to send can be seen to have run out.
    """
    send = request.send

    async def send_if_unasked(connection: Connection) -> aiohttp.ClientResponse:
        # In the first turn the loop sees what has come, in the second aiohttp has read it.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if connection.protocol is None or connection.protocol.should_close:
            raise UnaskedError("the connection had brought what nobody has asked for")
        sending = SENDING.get()
        if sending is not None and not sending.may_begin():
            raise ExpiredError("the right to send ran out")
        return await send(connection)

    request.send = send_if_unasked  # type: ignore[assignment, method-assign]
    return await handler(request)
