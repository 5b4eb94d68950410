"""Makes the error for a call that has failed. Pure.

The transport reports a `Reply` or a `NoReply`. This module chooses the error's class and its text.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast
from urllib.parse import unquote

import msgspec

from trmm_async import codec
from trmm_async.calls import WRONG_ADDRESS, Call, ErrorHint
from trmm_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConnectionFailedError,
    DecodeError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitedError,
    RedirectedError,
    ServerError,
    ServerFaultError,
    TimeoutError,
    TRMMError,
    UnsupportedError,
)
from trmm_async.retry import Meaning, NoReply, Reply, Stage, Tries

__all__ = ["BODY_KEPT", "Scrub", "detail_of", "error_for", "failure", "frameless", "is_page", "kind_of"]

BODY_KEPT: Final = 2000
HIDDEN: Final = "(not shown: it may hold secrets)"
_DETAIL_MOST: Final = 300
_PAGE: Final = re.compile(rb"(\xef\xbb\xbf)?\s*<")
_MORE_TIME: Final = "TRMM(timeout=…) allows more"
_NO_SUCH_CALL: Final = frozenset({404, 405})
"""What a web server for files answers to API calls: it has no such path, or accepts no POST."""
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)

_AGENT_PLACE: Final = re.compile(
    r"(?:/api/v3)?/(?:agents|checks|services|software|scripts|logs|winupdate|tasks|automation)/([^/]+)/"
)
_HOST_NAME: Final = re.compile(r"(?=[^a-z]*[a-zA-Z])(?=.*[-A-Z0-9.])[A-Za-z0-9][-A-Za-z0-9._]{0,62}")
"""With something besides lower-case letters; otherwise it could be a word of a path."""
_ID: Final = re.compile(r"[A-Za-z]{40}|[0-9a-fA-F]{32,40}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_NOT_FIELDS: Final = frozenset({"detail", "non_field_errors"})
_BEFORE_QUERY: Final = re.compile(r"[?#]")

Scrub = Callable[[str], str]
"""Removes the API key from a text that a server sent."""

_BY_STATUS: Final[dict[int, type[APIError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    429: RateLimitedError,
}


def is_page(body: bytes) -> bool:
    """Whether an answer is HTML or XML, which no API sends."""
    return _PAGE.match(body) is not None


def detail_of(body: bytes, scrub: Scrub) -> str:
    """The message in an error's body: `detail`, fields and messages, a page's title, or the first line."""
    try:
        words = _in_words(codec.decoder(cast("type[Any]", Any))(body))
    except (msgspec.DecodeError, RecursionError):
        words = _first_words(_beginning(body, scrub))
    return scrub(words)[:_DETAIL_MOST]


def _first_words(page: str) -> str:
    title = _TITLE.search(page)
    first = title.group(1) if title else page.strip().partition("\n")[0]
    return " ".join(first.split())


def _beginning(body: bytes, scrub: Scrub) -> str:
    # Scrubbed before it is cut: if the cut went through the key, the rest of the key would not be recognised.
    return scrub(body.decode("utf-8", "replace"))[:BODY_KEPT]


def _in_words(said: Any) -> str:
    if isinstance(said, dict):
        named = [_field_in_words(name, value) for name, value in said.items()]
        return "; ".join(named)
    if isinstance(said, list):
        return ", ".join(_in_words(one) for one in said)
    return "" if said is None else str(said)


def _field_in_words(name: str, value: Any) -> str:
    words = _in_words(value)
    return words if name in _NOT_FIELDS else f"{name}: {words}"


def error_for(call: Call[Any], reply: Reply, scrub: Scrub) -> APIError:
    """The error for an answer that isn't success."""
    if not 300 <= reply.status < 400:
        words = call.explain(reply.status, reply.body)
        return _build(
            words.kind or kind_of(reply.status), call, reply, scrub, _detail(call, reply, words, scrub)
        )
    # aiohttp decodes bytes that are not UTF-8 to surrogates, which can't be printed.
    said = reply.headers.get("location", "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    location = scrub(_BEFORE_QUERY.split(said)[0])
    where = f"redirected to {location}; is that" if location else "redirected, but not told where to; is this"
    error = _build(RedirectedError, call, reply, scrub, f"{where} the URL to use?")
    error.location = location
    return error


def kind_of(status: int) -> type[APIError]:
    """The class of the error for a status that isn't success."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ServerError if status >= 500 else APIError


def _detail(call: Call[Any], reply: Reply, words: ErrorHint, scrub: Scrub) -> str:
    said = detail_of(reply.body, scrub)
    advice = words.advice
    if not advice and reply.status in _NO_SUCH_CALL and is_page(reply.body):
        advice = f"a page of HTML: {WRONG_ADDRESS}"
    return "; ".join(filter(None, (said, advice, _of_a_host_name(call.path) if reply.status == 404 else "")))


def _of_a_host_name(path: str) -> str:
    """The advice for a path that seems to have a host name in place of an agent's id."""
    found = _AGENT_PLACE.match(path)
    name = unquote(found.group(1)) if found else ""
    if not _HOST_NAME.fullmatch(name) or _ID.fullmatch(name):
        return ""
    return f"{name!r} looks like a host name: agents.find({name!r}) finds its agent"


_Error = TypeVar("_Error", bound=APIError)


def _build(kind: type[_Error], call: Call[Any], reply: Reply, scrub: Scrub, detail: str) -> _Error:
    body = HIDDEN if call.is_secret else _beginning(reply.body, scrub)
    error = kind(reply.status, detail, method=call.method, path=scrub(call.path), body=body)
    if isinstance(error, BadRequestError):
        error.fields = _fields(reply.body, scrub)
    return error


def _fields(body: bytes, scrub: Scrub) -> Mapping[str, str]:
    try:
        said = codec.decoder(dict[str, Any])(body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    named = {
        scrub(name)[:_DETAIL_MOST]: scrub(_in_words(value))[:_DETAIL_MOST] for name, value in said.items()
    }
    return {name: words for name, words in named.items() if name not in _NOT_FIELDS}


def failure(
    call: Call[Any], result: Reply | NoReply, meaning: Meaning, tries: Tries, scrub: Scrub
) -> TRMMError:
    """The error to raise for a call's last result."""
    if isinstance(result, NoReply):
        error = _fault(call, result, meaning, scrub)
        error.__cause__ = frameless(result.cause)
        return error
    if meaning is Meaning.UNKNOWN and result.status >= 500:
        words = call.explain(result.status, result.body)
        return _build(ServerFaultError, call, result, scrub, _detail(call, result, words, scrub))
    if meaning is not Meaning.UNKNOWN and (said := call.explain(result.status, result.body).unsupported):
        return UnsupportedError(said)
    answered = error_for(call, result, scrub)
    if meaning is Meaning.UNKNOWN:
        told = "sent, and answered with"
        if tries.had_effect:
            told = "sent, its answer was lost, and sending it again got"
        said = f"{told} {result.status}: {answered.detail or 'no words'}; it may have taken effect"
        unknown = OutcomeUnknownError(said, method=call.method, path=scrub(call.path))
        unknown.__cause__ = answered
        return unknown
    if isinstance(answered, RateLimitedError):
        answered.attempts, answered.waited, answered.retry_after = tries.sent, tries.waited, tries.asked
    return answered


def frameless(error: BaseException | None) -> BaseException | None:
    """Remove the tracebacks of this exception, and of its causes and contexts.

    Their frames hold the request with the key, and the answer, and some error reporters write them down.
    """
    seen: set[int] = set()
    left = [error]
    while left:
        one = left.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.__traceback__ = None
            left += (one.__cause__, one.__context__)
    return error


def _fault(call: Call[Any], fault: NoReply, meaning: Meaning, scrub: Scrub) -> TRMMError:
    reason = scrub(fault.reason)
    if fault.reply is not None and is_page(fault.reply.body):
        reason = f"a page of HTML where JSON is due: {WRONG_ADDRESS} ({reason})"
    if meaning is Meaning.UNKNOWN:
        said = f"sent, and it may have taken effect: {reason}"
        return OutcomeUnknownError(said, method=call.method, path=scrub(call.path))
    if fault.reply is not None:
        return _build(DecodeError, call, fault.reply, scrub, reason)
    if fault.stage is Stage.LATE:
        return TimeoutError(f"{reason}; {_MORE_TIME}", method=call.method, path=scrub(call.path))
    return ConnectionFailedError(reason, method=call.method, path=scrub(call.path))
