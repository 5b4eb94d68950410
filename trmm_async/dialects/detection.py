"""Which language a server speaks, from its answer to one harmless question. Pure.

The question is a gateway's list of active deployments: short on a gateway, and on a stock server a path that
does not exist, which it says before it looks at the key.
"""

from typing import Any, Final

from msgspec import structs

from trmm_async import codec
from trmm_async.calls import WRONG_ADDRESS, Call
from trmm_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    TRMMError,
    UnsupportedError,
)

__all__ = ["PROBE", "PROBE_ANEW", "dialect_of"]

PROBE: Final[Call[Any]] = Call(
    method="GET",
    path="/api/v3/agents/deployments/",
    decode=codec.decoder(list[dict[str, Any]]),
    # The language is told by a 401, too. Another key is for the call to ask for that this is asked for.
    keeps_key=True,
)
PROBE_ANEW: Final[Call[Any]] = structs.replace(PROBE, keeps_key=False)
"""The same where a 401 did not tell it: whatever stands before the server may let another key in."""


def dialect_of(error: TRMMError | None) -> str:
    """The dialect's name, from the error that came of `PROBE`, or None for an answer.

    Raises:
        UnsupportedError: the answer is that of neither; it says what to try.
        TRMMError: the very error, where it says nothing about the language.
    """
    if error is None:
        return "gateway"
    is_page = isinstance(error, APIError) and error.body.lstrip().startswith("<")
    # Django's own page, as a stock server has it; a proxy's or a web site's has other words.
    is_djangos = is_page and isinstance(error, APIError) and "<title>Not Found</title>" in error.body
    if isinstance(error, AuthenticationError | PermissionDeniedError) and not is_page:
        return "gateway"
    if isinstance(error, NotFoundError) and is_djangos:
        return "stock"
    if isinstance(error, NotFoundError | BadRequestError | DecodeError):
        raise UnsupportedError(
            f"this is neither a gateway's answer nor a stock server's: {WRONG_ADDRESS} "
            f'Else say dialect="gateway" or "stock" yourself. {error}'
        ) from error
    raise error
