"""`Dialer`: opens a WebSocket to the server, and says what the answer to the handshake means.

It stands above `sockets` and below `session`. A `Dialer` makes one handshake, and returns a `Link`, or a
`NoLink` with a typed error; the caller decides whether to try again. No `OSError` and no exception of
`websockets` leaves this module. The key is sent to no other host, and is in no error.
"""

import asyncio
import ssl as tls
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

from trmm_async.admission import Slot
from trmm_async.answers import error_for, is_page, kind_of
from trmm_async.calls import WRONG_ADDRESS, Call, ignore_answer
from trmm_async.engines.address import ProxyAddress
from trmm_async.engines.tunnel import TunnelError, tunnelled
from trmm_async.errors import (
    APIError,
    ClosedError,
    ConnectionFailedError,
    DecodeError,
    InvalidRequestError,
    RateLimitedError,
    TRMMError,
)
from trmm_async.key_source import KeySource
from trmm_async.plaintext import log_of
from trmm_async.receiving import is_shared_by
from trmm_async.retry import Reply, retry_after
from trmm_async.stream.sockets import Address, BufferedLink, Link, LinkSettings
from trmm_async.tls_trouble import tls_trouble

__all__ = ["Dialer", "NoLink", "no_link", "refusal"]

_LOG: Final = log_of("events")
_BODY_KEPT: Final = 2**12
_LONGEST_WAIT: Final = 3600.0
_TEMPORARY: Final = frozenset({408, 425})


@dataclass(frozen=True, slots=True)
class NoLink:
    """A handshake without success.

    Attributes:
        error: the error for a caller who does not try again.
        final: the server refuses, so another attempt makes no sense.
        wait: for how many seconds the server asked to wait; 0 if it did not.
        status: the HTTP status of the answer; 0 if there was none.
        late: it was a timeout, and the next attempt will hardly be faster.
    """

    error: TRMMError
    final: bool = False
    wait: float = 0.0
    status: int = 0
    late: bool = False


class Dialer:
    """Opens connections to one server with one key.

    Args:
        base_url: `https://host[:port][/prefix]`; `http` is opened as `ws`, `https` as `wss`.
        headers: sent with each handshake, with the key if there is no `source`.
        pace: waits for a slot of the rate limit, as `admission.Limiter.acquire` does.
        pause: called with the seconds for which the server asks to send nothing.
        scrub: takes secrets out of a text.
        ssl: for `https`; None for the defaults, which are then loaded once.
        open_timeout: seconds for the TCP and TLS connect and the handshake together.
        source: provides the key, and another one after a 401; None: the key is among the headers.
        proxy: the proxy for all connections.

    Raises:
        ValueError: `base_url` has no host, or an invalid port. (`TRMM` has checked it before.)
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str],
        pace: Callable[[], Awaitable[Slot]],
        pause: Callable[[float], None],
        scrub: Callable[[str], str],
        ssl: tls.SSLContext | None = None,
        open_timeout: float = 10.0,
        source: KeySource | None = None,
        proxy: ProxyAddress | None = None,
    ) -> None:
        self._address = Address.of(base_url)
        self._headers = headers
        self._source = source
        self._proxy = proxy
        self._pace = pace
        self._pause = pause
        self._ssl = ssl
        self._open_timeout = open_timeout
        self.scrub = scrub

    def __repr__(self) -> str:
        return f"<Dialer {self._address}>"

    def within(self, open_timeout: float) -> "Dialer":
        """The same dialer with another time for connecting."""
        other = copy(self)
        other._open_timeout = open_timeout  # noqa: SLF001 - another object of this class
        return other

    async def dial(
        self, path: str, settings: LinkSettings, roll: set[Link], *, query: str = ""
    ) -> Link | NoLink:
        """Make one handshake, and a second one only with another key after a 401.

        No redirect is followed, and no proxy but the given one is used. It waits for its turn under the rate
        limit first, and gives back a slot that it did not use. Safe to cancel.

        Args:
            path: the path from the server's root, quoted.
            settings: the settings of the connection.
            roll: contains each connection from its TCP connect until it is gone.
            query: the query string, quoted. It is a secret, and is shown nowhere.
        """
        if self._source is None:
            return await self._dial(path, settings, roll, query, self._headers)
        try:
            key = await self._source.ready()
            link = await self._dial(path, settings, roll, query, {**self._headers, "X-API-KEY": key})
            if isinstance(link, NoLink) and link.status == 401 and await self._source.after(key):
                headers = {**self._headers, "X-API-KEY": self._source.key}
                link = await self._dial(path, settings, roll, query, headers)
        except TRMMError as error:
            return NoLink(error, final=isinstance(error, InvalidRequestError))
        return link

    async def _dial(
        self, path: str, settings: LinkSettings, roll: set[Link], query: str, headers: Mapping[str, str]
    ) -> Link | NoLink:
        try:
            slot = await self._pace()
        except TRMMError as error:
            return NoLink(error, final=isinstance(error, ClosedError))
        kind = BufferedLink if is_shared_by(asyncio.get_running_loop()) else Link
        link = kind(self._address, path, headers, settings, roll, query=query, may_begin=slot.may_begin)
        problem, late, refused = "", False, False
        try:
            problem = await self._open(link)
        except TunnelError as error:
            problem, refused = str(error), error.is_final
        except TimeoutError:
            problem, late = f"no connection within {self._open_timeout:g} s", True
        except BaseException:
            link.abort()
            raise
        finally:
            slot.settle() if link.spoke else slot.give_back()
        if link.accepted:
            _LOG.debug("%s: the socket stands", path)
            return link
        link.abort()
        failed = self._explain(link, path, problem)
        failed = replace(failed, late=late, final=failed.final or refused)
        _LOG.debug("%s: no socket: %s", path, failed.error)
        return failed

    async def _open(self, link: Link) -> str:
        """Connect and make the handshake. Returns what went wrong below the WebSocket, or "".

        Raises:
            TunnelError: the proxy could not be used.
            TimeoutError: it took longer than `open_timeout`.
        """
        loop = asyncio.get_running_loop()
        host, port, secure = self._address.host, self._address.port, self._address.secure
        try:
            async with asyncio.timeout(self._open_timeout):
                if self._proxy is not None:
                    await tunnelled(
                        self._proxy,
                        host,
                        port,
                        lambda: link,
                        context=self._context if secure else None,
                        proxy_context=lambda: self._context,
                    )
                elif secure:
                    await loop.create_connection(
                        lambda: link, host, port, ssl=self._context, server_hostname=host
                    )
                else:
                    await loop.create_connection(lambda: link, host, port)
                await link.opened
        except (TimeoutError, TunnelError):
            raise
        except (OSError, UnicodeError) as error:
            return tls_trouble(error) or str(error) or type(error).__name__
        return ""

    def _explain(self, link: Link, path: str, problem: str) -> NoLink:
        if link.answer is None or link.answer.status == 101:
            why = problem or (link.lost.why if link.lost is not None else "no answer")
            return NoLink(ConnectionFailedError(self.scrub(why), method="GET", path=path))
        answer = Reply(
            status=link.answer.status,
            headers={name: self.scrub(value) for name, value in link.answer.headers.items()},
            body=self.scrub(link.answer.body.decode(errors="replace"))[:_BODY_KEPT].encode(),
        )
        failed = replace(no_link(path, answer, datetime.now(UTC)), status=answer.status)
        if answer.status == 429 and failed.wait:
            self._pause(failed.wait)
        return failed

    @cached_property
    def _context(self) -> tls.SSLContext:
        return self._ssl if self._ssl is not None else tls.create_default_context()


def no_link(path: str, answer: Reply, now: datetime) -> NoLink:
    """What an answer other than 101 to a handshake means. Pure.

    401, 403, 404 and other definite answers are final. 408, 425, 429 and 5xx are not.
    """
    asked = retry_after(answer.headers, now)
    wait = min(asked or 0.0, _LONGEST_WAIT)
    handshake = Call(method="GET", path=path, decode=ignore_answer)
    if answer.status >= 500 or answer.status in _TEMPORARY:
        failed = ConnectionFailedError(f"the server answered {answer.status}", method="GET", path=path)
        return NoLink(failed, wait=wait)
    if answer.status < 300:
        body = answer.body.decode(errors="replace")
        said = f"not a WebSocket, but a page: {WRONG_ADDRESS}" if is_page(answer.body) else "not a WebSocket"
        return NoLink(DecodeError(answer.status, said, method="GET", path=path, body=body), final=True)
    error = error_for(handshake, answer, str)
    if isinstance(error, RateLimitedError):
        error.retry_after = asked
        return NoLink(error, wait=wait)
    return NoLink(error, final=True)


def refusal(path: str, status: int, detail: str) -> APIError:
    """The error for a stream that the server has refused by a close code."""
    return kind_of(status)(status, detail, method="GET", path=path)
