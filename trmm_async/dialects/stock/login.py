"""How a user of a stock server logs in; see `Logins`.

Its sockets take neither the API key nor anything that could be had for it: only the token of a user who has
logged in as the web client does. First come name and password; the server says whether a second factor is
wanted, and of a user who has none yet gives a token of three minutes, which is a full one all the same (any
use makes it five hours long). Then come all three. The server counts both calls: ten a minute from one
address.

No error may hold the answer, since a token stands in it: the decoders don't raise.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from trmm_async import codec
from trmm_async.calls import Call, Replay, Words
from trmm_async.dialects.beyond import Checked, Token
from trmm_async.errors import AuthenticationError
from trmm_async.hidden import HiddenBytes
from trmm_async.models import Moment

__all__ = ["StockLogins"]

T = TypeVar("T")

_NEVER_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
"""Each attempt counts, and there are few: one that was refused is told, not repeated."""

_WHO_GETS_NONE: Final = (
    "a user who is blocked from the dashboard, or logs in by SSO, can't log in here at all"
)


class StockLogins:
    """See `Logins`."""

    def check_credentials(self, username: str, password: str) -> Call[Checked | None]:
        body = {"username": username, "password": password}
        return _call("/v2/checkcreds/", body, _checked, "is the password right?")

    def log_in(self, username: str, password: str, code: str) -> Call[Token | None]:
        body = {"username": username, "password": password, "twofactor": code}
        return _call("/v2/login/", body, _token, "are the password and the TOTP code right?")


class _Sent(msgspec.Struct):
    token: str | None = None
    expiry: Moment | None = None
    totp: bool | None = None


def _call(path: str, body: dict[str, str], decode: Callable[[bytes], T], doubt: str) -> Call[T]:
    advice = f"{doubt} {_WHO_GETS_NONE}"

    def explain(status: int, answer: bytes) -> Words:
        del answer
        return Words(advice, AuthenticationError) if status == 400 else Words()

    return Call(
        method="POST",
        path=path,
        decode=decode,
        body=HiddenBytes(codec.encode({name: str(value) for name, value in body.items()})),
        replay=Replay.NEVER,
        explain=explain,
        definite=_NEVER_AGAIN,
    )


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
