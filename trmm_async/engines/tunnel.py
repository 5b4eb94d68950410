"""Connects through an HTTP proxy: `CONNECT`, then TLS inside. For calls and for event sockets.

Nothing of a request is sent before the tunnel is open, so a call that fails here was certainly not sent. The
proxy sees the server's host and port, and the encrypted bytes.
"""

import asyncio
import re
import ssl as tls
from collections.abc import Callable
from typing import Final, TypeVar, cast

from trmm_async.engines.address import ProxyAddress, authority
from trmm_async.hidden import HiddenBytes
from trmm_async.tls_trouble import tls_trouble

__all__ = ["TunnelError", "tunnelled"]

P = TypeVar("P", bound=asyncio.Protocol)
_ANSWER_MOST: Final = 2**14
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: ([^\r\n]*))?\r?(?:\n|$)")
_PROXY_AUTHENTICATION: Final = 407
_TEMPORARY: Final = frozenset({408, 425, 429})


class TunnelError(OSError):
    """The proxy opened no tunnel. Nothing was sent to the server.

    Attributes:
        status: the proxy's HTTP status; 0 if it gave no answer.
    """

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status: int = status

    @property
    def is_final(self) -> bool:
        """Whether the proxy refuses. Asking again would not help, and may lock the user out."""
        return 400 <= self.status < 500 and self.status not in _TEMPORARY


async def tunnelled(
    proxy: ProxyAddress,
    host: str,
    port: int,
    make: Callable[[], P],
    *,
    context: tls.SSLContext | None,
    proxy_context: Callable[[], tls.SSLContext],
) -> P:
    """Connect a protocol to a server through a proxy. It has no timeout of its own; safe to cancel.

    Args:
        proxy: which proxy.
        host: the server's host, which the proxy looks up.
        port: its port.
        make: makes the protocol, which is connected when this returns.
        context: for TLS with the server; None for plain text.
        proxy_context: for TLS with the proxy, if that is spoken.

    Raises:
        TunnelError: the proxy can't be reached, or refuses.
        OSError: TLS with the server fails.
    """
    loop = asyncio.get_running_loop()
    try:
        _, asking = await loop.create_connection(
            lambda: _Asking(proxy, authority(host, port)),
            proxy.host,
            proxy.port,
            ssl=proxy_context() if proxy.is_encrypted else None,
            server_hostname=proxy.host if proxy.is_encrypted else None,
        )
    except (OSError, UnicodeError) as error:
        why = tls_trouble(error, "proxy") or error
        raise TunnelError(f"the proxy {proxy} can't be reached: {why}") from error
    transport = asking.transport
    try:
        await asking.answered
        lost = TunnelError(f"the proxy {proxy} closed the connection behind its answer")
        if transport.is_closing():
            raise lost
        protocol = make()
        if context is None:
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            transport.resume_reading()
            return protocol
        inside = await loop.start_tls(transport, protocol, context, server_hostname=host)
        if inside is None or inside.is_closing():  # one that was lost in the meantime
            raise lost
        # asyncio does not call this: it takes the protocol for one that was connected before.
        protocol.connection_made(inside)
    except BaseException:
        transport.abort()
        raise
    return protocol


class _Asking(asyncio.Protocol):
    """Sends `CONNECT` and reads the answer's head, and nothing after it."""

    def __init__(self, proxy: ProxyAddress, target: str) -> None:
        self._proxy = proxy
        self._target = target
        self._answer = b""
        self.transport: asyncio.Transport
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        lines = [f"CONNECT {self._target} HTTP/1.1", f"Host: {self._target}"]
        if credentials := self._proxy.credentials:
            lines.append(f"Proxy-Authorization: Basic {credentials}")
        self.transport.write(HiddenBytes("\r\n".join([*lines, "", ""]).encode()))

    def data_received(self, data: bytes) -> None:
        if self.answered.done():
            return
        self._answer += data
        head, end, rest = self._answer.partition(b"\r\n\r\n")
        while end and _status(head) in range(100, 200):
            head, end, rest = rest.partition(b"\r\n\r\n")
        if not end and len(self._answer) <= _ANSWER_MOST:
            return
        self.transport.pause_reading()
        status = _status(head) if end else 0
        if not 200 <= status < 300:
            self._fail(self._refusal(head, status), status)
        elif rest:
            # The server sends nothing before the client does, so these bytes are not from the server.
            self._fail("sent more than its answer")
        else:
            self.answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"closed the connection without an answer to CONNECT{f' ({exc})' if exc else ''}")

    def _refusal(self, head: bytes, status: int) -> str:
        found = _STATUS.match(head)
        if not status or found is None:
            return f"gave no HTTP answer to CONNECT {self._target}"
        said = (found[2] or b"").decode("latin-1")[:200]
        for secret in self._proxy.secrets:
            said = said.replace(secret, "***")
        said = "".join(letter for letter in said if letter.isprintable()).strip()
        words = f"answered {status}{f' {said}' if said else ''} to CONNECT {self._target}"
        if status == _PROXY_AUTHENTICATION:
            wrong = "its user name or password is wrong" if self._proxy.credentials else "it wants a login"
            return f"{words}: {wrong}; both stand in its URL, as http://user:password@proxy:3128"
        return words

    def _fail(self, why: str, status: int = 0) -> None:
        if not self.answered.done():
            self.answered.set_exception(TunnelError(f"the proxy {self._proxy} {why}", status))


def _status(head: bytes) -> int:
    found = _STATUS.match(head)
    return int(found[1]) if found else 0
