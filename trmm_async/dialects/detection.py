"""Which kind of server it is, by its answer to one harmless call. Pure.

The call is a gateway's list of active deployments, which is short. A stock server has no such path, and says
so before it looks at the key.
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
    # A 401 shows the kind of server, too. If the key is refused, the user's own call asks for another one.
    keeps_key=True,
)
PROBE_ANEW: Final[Call[Any]] = structs.replace(PROBE, keeps_key=False)
"""The same call with another key, if a 401 did not show it: a proxy may accept that key."""


def dialect_of(error: TRMMError | None) -> str:
    """The dialect's name, by the error of `PROBE`; None if it was answered.

    Raises:
        UnsupportedError: it is the answer of neither kind.
        TRMMError: the error itself, if it doesn't show the kind of server.
    """
    if error is None:
        return "gateway"
    is_page = isinstance(error, APIError) and error.body.lstrip().startswith("<")
    # Django's own page, as of a stock server. The pages of proxies and web sites have other texts.
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
