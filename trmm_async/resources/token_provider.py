"""The token of a user who has logged in, which WebSockets need in place of the API key.

Over the transport, which sends the logins. A token is requested when it is needed. If that needs no person,
it is renewed a little before it expires, and when a server refuses it. Password, code and token are added to
`Server.secrets`, so that they are in no error, even if a server quotes them.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias

from trmm_async import arguments
from trmm_async.dialects import Dialect
from trmm_async.dialects.stock.login import Token, check_credentials, log_in
from trmm_async.errors import AuthenticationError, DecodeError
from trmm_async.hidden import hide
from trmm_async.single_flight import SingleFlight
from trmm_async.transport import Transport

__all__ = ["TOTP", "TokenProvider", "TokenSource"]

Secret: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A text, or a function that returns one; it may be async."""

TOTP: TypeAlias = Secret
TokenSource: TypeAlias = Secret

_MARGIN_MOST: Final = 60.0
_MARGIN_PART: Final = 0.1

Dialects: TypeAlias = Callable[[], Awaitable[Dialect]]
Source: TypeAlias = Callable[[], Awaitable[Token]]


@dataclass(frozen=True, slots=True)
class _Held:
    """The token in use. `until` is when to renew it, by the loop's clock; None if that is not known."""

    token: Token = field(repr=False)
    until: float | None


class TokenProvider:
    """The tokens of one client. Belongs to one event loop.

    Args:
        transport: sends the logins; its server keeps the secrets out of errors.
        dialect: returns the dialect in use.
        access_token: a token that the user renews; None until `login`.
        now: returns the time, with a time zone.
    """

    def __init__(
        self,
        transport: Transport,
        dialect: Dialects,
        access_token: TokenSource | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._transport = transport
        self._dialect = dialect
        self._now = now
        self._single_flight = SingleFlight()
        self._held: _Held | None = None
        self._source: Source | None = None
        self._who = ""
        if access_token is not None:
            self._adopt(access_token)

    def __repr__(self) -> str:
        state = "no token" if self._held is None else "a token"
        return f"<TokenProvider {self._who or 'not logged in'}, {state}>"

    async def login(self, username: str, password: str, totp: TOTP | None) -> None:
        """Log a user in, in place of the previous one.

        Raises:
            AuthenticationError: the server refuses the user, or requires a second factor.
            UnsupportedError: the server has no logins.
            TRMMError: the call failed.
        """
        name = arguments.plain_text(username, "username")
        self._keep(arguments.secret(password, "password"))
        if totp is not None and not callable(totp):
            self._keep(arguments.secret(totp, "totp"))
        (await self._dialect()).require_stock("login")

        async def again() -> Token:
            return await self._log_in(name, password, totp)

        async with self._single_flight.take():
            self._single_flight.forget()
            token = await again()
            self._who = name
            self._source = again if totp is None or callable(totp) else None
            self._hold(token)

    async def token(self) -> Token:
        """A token that should be valid. Concurrent callers share one renewal.

        Raises:
            AuthenticationError: nobody has logged in, or the token has expired and can't be renewed.
            TRMMError: the renewal failed.
        """
        if self._held is not None and self._is_fresh(self._held):
            return self._held.token
        return await self._renew(None)

    async def after(self, refused: Token) -> Token:
        """A new token in place of one that the server refused. All who used that one share the renewal.

        Raises:
            AuthenticationError: there is no other.
            TRMMError: as `token`.
        """
        return await self._renew(refused)

    async def _renew(self, refused: Token | None) -> Token:
        async with self._single_flight.take() as share_failure:
            held = self._held
            if held is not None and self._is_fresh(held) and held.token is not refused:
                return held.token
            share_failure()
            return await self._ask()

    async def _ask(self) -> Token:
        if self._source is None:
            raise _not_logged_in() if self._held is None else _ended(self._who)
        return self._hold(await self._single_flight.attempt(self._source()))

    def _is_fresh(self, held: _Held) -> bool:
        # A token that can't be renewed is used until the server refuses it: each use extends it there.
        ended = held.until is not None and asyncio.get_running_loop().time() >= held.until
        return not (ended and self._source is not None)

    def _hold(self, token: Token) -> Token:
        self._keep(token.text)
        self._held = _Held(token, self._end_of(token))
        return token

    def _end_of(self, token: Token) -> float | None:
        left = 0.0 if token.expiry is None else (token.expiry - self._now()).total_seconds()
        # If a new token seems to have expired already, a clock is wrong, the server's or ours.
        if left <= 0:
            return None
        return asyncio.get_running_loop().time() + left - min(_MARGIN_MOST, left * _MARGIN_PART)

    def _adopt(self, access_token: TokenSource) -> None:
        if callable(access_token):

            async def again() -> Token:
                return self._given(await _obtain(access_token))

            self._source = again
        else:
            self._held = _Held(self._given(access_token), None)

    def _given(self, text: object) -> Token:
        token = Token(arguments.token(text))
        self._keep(token.text)
        return token

    async def _log_in(self, username: str, password: str, totp: TOTP | None) -> Token:
        self._keep(password)
        first = check_credentials(username, password)
        checked = await self._transport.send(first)
        if checked is None:
            raise _unreadable(first.path)
        if checked.token is not None:
            return _fit(checked.token, first.path)
        if totp is None:
            raise AuthenticationError(401, f"{username} has a second factor: call login(…, totp=…)")
        code = hide(arguments.secret(await _obtain(totp), "totp"))
        self._keep(code)
        second = log_in(username, password, code)
        token = await self._transport.send(second)
        if token is None:
            raise _unreadable(second.path)
        return _fit(token, second.path)

    def _keep(self, text: str) -> None:
        self._transport.server.secrets.keep(text)


async def _obtain(secret: Secret) -> object:
    if not callable(secret):
        return secret
    given = secret()
    return hide(await given if inspect.isawaitable(given) else given)


def _fit(token: Token, path: str) -> Token:
    try:
        arguments.token(token.text)
    except ValueError:
        raise _unreadable(path) from None
    return token


def _unreadable(path: str) -> DecodeError:
    hidden = "(not shown: a token may stand in it)"
    return DecodeError(200, "the answer to a login can't be read", method="POST", path=path, body=hidden)


def _not_logged_in() -> AuthenticationError:
    return AuthenticationError(
        401,
        "this server's WebSockets need a login: await trmm.login(username, password, totp=…), "
        "or TRMM(…, access_token=…)",
    )


def _ended(who: str) -> AuthenticationError:
    if not who:
        return AuthenticationError(
            401,
            "the server refuses access_token: it has ended, or its user may not use sockets; give another, "
            "or a callable that gives one whenever it is asked",
        )
    return AuthenticationError(
        401,
        f"the server refuses the token of {who}: it has ended, and a new one needs a new code: "
        "call trmm.login again, or give it a callable as totp, which can be asked by itself",
    )
