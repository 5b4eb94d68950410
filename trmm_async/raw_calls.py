"""Makes the call for a request that has no method of its own. Pure."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from trmm_async import arguments, codec, url_checks
from trmm_async.calls import Call, Replay
from trmm_async.errors import InvalidRequestError

__all__ = ["raw_call"]

_METHOD: Final = re.compile(r"[A-Z]{3,10}", re.ASCII)
_JSON_OR_NOTHING: Final = codec.AnyDecoder()


def raw_call(method: object, path: str, params: Mapping[str, object] | None, json: object) -> Call[Any]:
    """Make the call of `TRMM.request`, which describes the arguments.

    Raises:
        InvalidRequestError: an argument is wrong.
    """
    verb = method.upper() if isinstance(method, str) else ""
    if not _METHOD.fullmatch(verb):
        raise InvalidRequestError(f"method must be an HTTP method, not {method!r}")
    try:
        body = None if json is None else codec.encode(json)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidRequestError(f"json can't be encoded: {error}") from error
    return Call(
        method=verb,
        path=url_checks.raw_path(path),
        decode=_JSON_OR_NOTHING,
        query=_query(params),
        body=body,
        replay=Replay.SAFE if verb in {"GET", "HEAD", "OPTIONS"} else Replay.NEVER,
    )


def _query(params: object) -> dict[str, str]:
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        raise InvalidRequestError(f"params must be a mapping of names to values, not {params!r}")
    return {_query_text(name): _query_text(value) for name, value in params.items() if value is not None}


def _query_text(value: object) -> str:
    if isinstance(value, Collection) and not isinstance(value, str):
        raise InvalidRequestError(f"params must have text, numbers or booleans as values, not {value!r}")
    # Booleans as the server's own web client writes them.
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return arguments.free_text(text, "params", empty=True)
