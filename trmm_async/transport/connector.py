"""aiohttp's connection pool, without three of its habits that would break a promise of ours.

1. It hands out kept-alive connections that the server may be closing at this moment. That would make the
   outcome of a POST unknown for nothing.
2. It sends GET, PUT and DELETE again by itself when that has happened. Neither the limiter nor the retry
   policy sees that request.
3. It takes bytes that arrive on an idle connection for the answer to the next request. If a server or a proxy
   sends a second answer, a script that never ran would be reported with somebody else's result.
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
    "CURRENT_ATTEMPT",
    "Connector",
    "ExpiredError",
    "NoTunnelError",
    "SendAttempt",
    "SentOnceError",
    "UnexpectedBytesError",
    "ask_first",
    "send_once",
]

_FIRST_LOOK: Final = 0.05
"""Seconds of idling after which `_Scout` looks at its connection for the first time."""


class SendAttempt(Protocol):
    """One attempt to send one request, as far as the connector is concerned."""

    non_idempotent: bool
    """Whether the request must not meet a connection that the server may be closing."""

    unwritten: bool
    """Whether it is certain that no byte was written, although the attempt has a connection."""

    def has_connection(self) -> None:
        """The attempt has a connection: from now on bytes may be sent."""

    def may_begin(self) -> bool:
        """Whether the first byte may be sent now. False is final: this attempt is not sent."""
        ...


CURRENT_ATTEMPT: Final[ContextVar[SendAttempt | None]] = ContextVar("trmm_async_attempt", default=None)
"""The attempt that the present task is making. aiohttp has no other way from a request to the connector."""


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
        # aiohttp has no public way to set the class of its handlers. Should a version of it stop reading
        # `_factory`, each connection is used only once: see `_usable`.
        handler = _BufferedHandler if is_shared_by(self._loop) else _GuardedHandler
        self._factory = functools.partial(cast("type[ResponseHandler]", handler), self._loop)
        self._scout: _Scout | None = None

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """A connection for this request; called by aiohttp."""
        attempt = CURRENT_ATTEMPT.get()
        non_idempotent = req.method == "POST" if attempt is None else attempt.non_idempotent
        connection = await super().connect(req, traces, timeout)
        while not self._usable(connection, non_idempotent=non_idempotent):
            connection = await super().connect(req, traces, timeout)
        if attempt is not None:
            attempt.has_connection()
        if isinstance(connection.protocol, _GuardedHandler):
            connection.protocol.guard(attempt)
        return connection

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        """A new connection; called by aiohttp. Through a proxy it is our own tunnel.

        In a tunnel that aiohttp makes, `_GuardedHandler` would take the proxy's answer for unexpected bytes.
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

    # aiohttp's is a coroutine function; the scout is to be stopped even if nobody awaits the coroutine.
    def close(self, **how: Any) -> Coroutine[Any, Any, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Close all connections, as `aiohttp.TCPConnector.close` does."""
        if self._scout is not None:
            self._scout.cancel()
            self._scout = None
        return super().close(**how)

    def _release(self, key: Any, protocol: ResponseHandler, **how: Any) -> None:
        """Note when a connection is free again; called by aiohttp, which has no public hook for it.

        Should a version of aiohttp stop calling it, connections are never trusted: see `_usable`. A callback
        of each `Connection` would report the same, and cost several calls more each time.
        """
        if isinstance(protocol, _GuardedHandler):
            protocol.became_idle()
        super()._release(key, protocol, **how)

    def _usable(self, connection: Connection, *, non_idempotent: bool) -> bool:
        """Whether to send on this connection. If not, it has been closed or set aside."""
        # A connection has a handler until it is released.
        handler = cast("ResponseHandler", connection.protocol)
        if not isinstance(handler, _GuardedHandler):
            handler.force_close()
            return True
        if handler.is_new:
            return True
        idle = self._loop.time() - handler.idle_since
        if handler.is_over():
            self._keep_alive.died(idle)
            connection.close()
            return False
        self._keep_alive.survived(idle)
        if non_idempotent and idle > self._keep_alive.limit:
            self._set_aside(connection, handler)
            return False
        return True

    def _set_aside(self, connection: Connection, handler: "_GuardedHandler") -> None:
        if self._scout is None:
            # One connection is enough to learn from.
            self._scout = _Scout(connection, handler, self._keep_alive, self._loop, self._scout_is_done)
        else:
            connection.close()

    def _scout_is_done(self) -> None:
        self._scout = None


class _GuardedHandler(ResponseHandler):
    """aiohttp's protocol of one connection. Bytes that arrive without a request close the connection.

    Attributes:
        is_new: no request has been sent on it yet.
        idle_since: in the loop's time; minus infinity while the connection is in use.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.is_new = True
        self.idle_since = -math.inf
        self._expects_answer = False
        self._input: Callable[[int], object] | None = None

    def guard(self, attempt: SendAttempt | None) -> None:
        """The connection is handed out. Bytes that arrive before the request is written are no answer."""
        self.idle_since = -math.inf
        self._expects_answer = False
        if attempt is not None:
            attempt.unwritten = True
        transport: Any = self.transport
        if transport is not None:
            real = transport.real if isinstance(transport, _GuardedTransport) else transport
            self.transport = cast("asyncio.Transport", _GuardedTransport(self, real, attempt))

    def begin(self, transport: asyncio.Transport) -> bool:
        """Whether a request may be written now. If not, this closes the connection."""
        self.transport = transport
        # A new connection is not checked: a server with TLS 1.3 sends tickets after the handshake.
        if not self.is_new and self._has_input(transport):
            transport.abort()
            return False
        self.is_new, self._expects_answer = False, True
        return True

    def became_idle(self) -> None:
        """The connection is free again. Until the next request nothing may arrive."""
        self.idle_since = self._loop.time()
        self._expects_answer = False

    def is_over(self) -> bool:
        """Whether the server has closed the connection, or sent bytes without a request, read or unread."""
        transport = self.transport
        if transport is None or transport.is_closing() or self.should_close:
            return True
        return self._has_input(transport) or self._has_partial_head()

    def _has_partial_head(self) -> bool:
        """Whether the packet with the last answer also contained the beginning of another head.

        aiohttp notices whole heads (`should_close`), but makes a new parser for the next request: it would
        forget the beginning of a head, and take the rest for the answer. So the parser is told that the
        connection has ended. Between two answers it returns None; within a head it raises, or returns it.
        """
        parser: Any = self._parser
        if parser is None:
            return False
        try:
            # aiohttp's parser in Python, used where its C extensions are missing, keeps a partial line here.
            return bool(getattr(parser, "_tail", b"")) or parser.feed_eof() is not None
        except Exception:  # noqa: BLE001 - whatever the parser finds wrong, it has something
            return True

    def data_received(self, data: bytes) -> None:
        if self._expects_answer or not data:
            super().data_received(data)
        elif self.transport is not None:
            self.transport.abort()

    def _has_input(self, transport: asyncio.Transport) -> bool:
        if self._input is None:
            self._input = _input_of(transport.get_extra_info("socket").fileno())
        return bool(self._input(0))


class _BufferedHandler(_GuardedHandler, Buffered):
    """A handler whose bytes are read into the buffer that all connections share; see `receiving`."""


class _GuardedTransport:
    """Takes the place of a connection's transport until a request's first byte is written.

    aiohttp writes a body in a task of its own. Between the check of the connection and the first byte the
    event loop runs other tasks, for milliseconds if it is busy, so the check is made again at the write.
    """

    __slots__ = ("_attempt", "_handler", "real")

    def __init__(
        self, handler: _GuardedHandler, real: asyncio.Transport, attempt: SendAttempt | None
    ) -> None:
        self._handler = handler
        self._attempt = attempt
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
        attempt = self._attempt
        if attempt is not None and attempt.unwritten and not attempt.may_begin():
            self.real.abort()
            return False
        begins = self._handler.begin(self.real)
        if begins and attempt is not None:
            attempt.unwritten = False
        return begins


class _Scout:
    """An idle connection that is kept out of use, to learn how long the server keeps it open.

    It is watched until that is longer than can matter, or until the server has closed it. From then on no
    connection has to be given up for nothing.
    """

    def __init__(
        self,
        connection: Connection,
        handler: _GuardedHandler,
        trust: KeepAliveTrust,
        loop: asyncio.AbstractEventLoop,
        done: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._handler = handler
        self._since = handler.idle_since
        self._trust = trust
        self._loop = loop
        self._done = done
        self._look_in(_FIRST_LOOK)

    def cancel(self) -> None:
        self._timer.cancel()
        self._connection.close()

    def _look_in(self, seconds: float) -> None:
        self._planned = self._loop.time() - self._since + seconds
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        idle = self._loop.time() - self._since
        if self._handler.is_over():
            self._trust.died(idle)
            self._connection.close()
            self._done()
            return
        # A late look proves no more than one in time: that the server has closed it meanwhile may not have
        # arrived yet, for example where the whole machine stood still.
        self._trust.survived(min(idle, self._planned))
        if idle < self._trust.enough:
            self._look_in(min(max(idle, _FIRST_LOOK), self._trust.enough - idle))
            return
        self._connection.release()
        # To `release`, the connection is idle since now; to the server it is so since then.
        self._handler.idle_since = self._since
        self._done()


def _proxy_of(request: aiohttp.ClientRequest) -> ProxyAddress | None:
    """The proxy that the user's session sets for this request, if the request needs a tunnel."""
    if request.proxy is None or not request.is_ssl():
        return None  # a request in plain http is sent to the proxy itself
    try:
        proxy = proxy_address(str(request.proxy), "proxy")
    except InvalidRequestError as error:
        raise NoTunnelError(str(error), is_final=True) from None
    login = request.proxy_auth
    return (
        proxy if login is None else replace(proxy, username=hide(login.login), password=hide(login.password))
    )


def _input_of(number: int) -> Callable[[int], object]:
    """A function that returns what can be read from this file descriptor, waiting so many milliseconds."""
    if not hasattr(select, "poll"):
        return lambda wait: select.select([number], [], [], wait / 1000)[0]
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return poll.poll


class SentOnceError(aiohttp.ClientError):
    """Replaces an error after which aiohttp would send again by itself; `__cause__` is that error."""


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
    """The proxy opened no tunnel. Nothing was written to the server.

    Attributes:
        is_final: the next attempt would fail in the same way.
    """

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final: bool = is_final


class UnexpectedBytesError(aiohttp.ClientConnectionError):
    """Bytes had arrived on the connection without a request. Nothing was written to it."""


class ExpiredError(aiohttp.ClientConnectionError):
    """The right to send has expired. Nothing was written."""


async def ask_first(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """A client middleware for foreign connectors: bytes of an earlier call are not taken for the answer.

    It sees only what aiohttp shows of a connection: whether bytes have arrived that begin another answer, or
    follow none. It is also the last moment at which an expired right to send can be noticed.
    """
    send = request.send

    async def send_if_unasked(connection: Connection) -> aiohttp.ClientResponse:
        # In the first turn the event loop sees what has arrived, in the second aiohttp has read it.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if connection.protocol is None or connection.protocol.should_close:
            raise UnexpectedBytesError("bytes had arrived on the connection without a request")
        attempt = CURRENT_ATTEMPT.get()
        if attempt is not None and not attempt.may_begin():
            raise ExpiredError("the right to send ran out")
        return await send(connection)

    request.send = send_if_unasked  # type: ignore[assignment, method-assign]
    return await handler(request)
