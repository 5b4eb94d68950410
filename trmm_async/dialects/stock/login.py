"""How a user of a stock server logs in, which its WebSockets require.

Its sockets accept neither the API key nor anything that can be got with it: only the token of a user who has
logged in as the web client does. The first call has the username and the password. The server answers whether
it requires a second factor. A user who has none yet gets a token for three minutes; it is a full one (any use
makes it last five hours). The second call has all three. The server limits both calls: ten a minute from one
address.

The answer contains a token, which must be in no error: so the decoders don't raise.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from trmm_async import codec
from trmm_async.calls import Call, ErrorHint
from trmm_async.dialects.stock.endpoint import Endpoint, act
from trmm_async.errors import AuthenticationError
from trmm_async.hidden import HiddenBytes, HiddenText
from trmm_async.models import Moment

__all__ = ["BAD_TOKEN", "Checked", "Token", "check_credentials", "log_in"]

T = TypeVar("T")

_NEVER_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
"""Each attempt counts against the limit, so a refused one is reported, not repeated."""

BAD_TOKEN: Final = frozenset({403})
"""Statuses of a handshake that mean that the token is not accepted."""

_WHO_GETS_NONE: Final = (
    "a user who is blocked from the dashboard, or logs in by SSO, can't log in here at all"
)


@dataclass(frozen=True, slots=True)
class Token:
    """The token for WebSockets, and when it expires, if the server says so. `text` is in no repr."""

    text: str = field(repr=False)
    expiry: datetime | None = None

    @property
    def query(self) -> str:
        """The query of the socket's address."""
        return HiddenText(f"access_token={self.text}")


@dataclass(frozen=True, slots=True)
class Checked:
    """The answer to the first call: a token, or None if a second factor is required."""

    token: Token | None = None


class _Sent(msgspec.Struct):
    token: str | None = None
    expiry: Moment | None = None
    totp: bool | None = None


def _checked(body: bytes) -> Checked | None:
    sent = _read(body)
    if sent is None or (not sent.token and sent.totp is not True):
        return None
    return Checked(_made(sent))


def _token(body: bytes) -> Token | None:
    sent = _read(body)
    return None if sent is None else _made(sent)


def _made(sent: _Sent) -> Token | None:
    expiry = sent.expiry if sent.expiry is not None and sent.expiry.tzinfo is not None else None
    return Token(sent.token, expiry) if sent.token else None


def _read(body: bytes) -> _Sent | None:
    try:
        return codec.decoder(_Sent)(body)
    except (msgspec.DecodeError, RecursionError):
        return None


CHECK = act("login", "/v2/checkcreds/", decode=_checked, secret=True, since="0.19.0")
LOGIN = act(
    "login",
    "/v2/login/",
    decode=_token,
    secret=True,
    since="0.19.0",
    needs="username password twofactor",
)


def check_credentials(username: str, password: str) -> Call[Checked | None]:
    """The first call; None for an answer that can't be read, since no error may contain it."""
    return _call(CHECK, "is the password right?", username=username, password=password)


def log_in(username: str, password: str, code: str) -> Call[Token | None]:
    """The second call, with the second factor; None as for the first."""
    doubt = "are the password and the TOTP code right?"
    return _call(LOGIN, doubt, username=username, password=password, twofactor=code)


def _call(endpoint: Endpoint[T], doubt: str, **body: str) -> Call[T]:
    call = endpoint.call()

    def explain(status: int, answer: bytes) -> ErrorHint:
        if status == 400:
            return ErrorHint(f"{doubt} {_WHO_GETS_NONE}", AuthenticationError)
        return call.explain(status, answer) if status == 404 else ErrorHint()

    hidden = HiddenBytes(codec.encode({name: str(value) for name, value in body.items()}))
    return msgspec.structs.replace(call, body=hidden, explain=explain, definite=_NEVER_AGAIN)
