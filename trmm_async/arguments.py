"""Checks of what users hand in: every refusal is an `InvalidRequestError`, before anything is sent.

Over the nouns. Pure. Each function returns the value in the form that the dialects take.
"""

import inspect
import ipaddress
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final, TypeAlias, TypeVar, cast
from urllib.parse import SplitResult, quote, unquote, urlsplit
from zoneinfo import ZoneInfo

from trmm_async import addresses
from trmm_async.errors import InvalidRequestError
from trmm_async.plaintext import near_matches

__all__ = [
    "Check",
    "Checks",
    "agent_id",
    "agent_ids",
    "answer_of",
    "api_key",
    "base_url",
    "choice",
    "command",
    "each",
    "exactly_one",
    "env_vars",
    "run_env_vars",
    "expiry",
    "filters",
    "field_value",
    "field_values",
    "name",
    "or_none",
    "boolean",
    "free_text",
    "moment",
    "names",
    "number",
    "object_id",
    "object_ids",
    "path_segment",
    "plain_text",
    "predicate",
    "raw_path",
    "script_args",
    "script_timeout",
    "seconds",
    "secret",
    "settings",
    "short_text",
    "time_zone",
    "non_empty",
    "token",
    "integer",
    "whole_minute",
]

T = TypeVar("T")


SCRIPT_TIMEOUT_MOST: Final = 300
_ID_MOST: Final = 2**63 - 1
_MOST: Final = sys.float_info.max
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_BARE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
_SLASH: Final = re.compile(r"[/\\]")
_FIT_FOR_HOST: Final = re.compile(r"([A-Za-z0-9._-]+|\[[A-Za-z0-9:.%]+\])(:[0-9]*)?")


def plain_text(value: object, what: str, *, empty: bool = False) -> str:
    """A text without control characters; not empty or blank unless allowed."""
    if not isinstance(value, str):
        raise InvalidRequestError(f"{what} must be text, not {type(value).__name__}")
    if _CONTROL.search(value):
        raise InvalidRequestError(f"{what} must not contain control characters: {value!r}")
    if _SURROGATE.search(value):
        raise InvalidRequestError(f"{what} must be text that UTF-8 can carry: {value!r}")
    if not empty and not value.strip():
        raise InvalidRequestError(f"{what} must not be empty")
    return value


def name(value: object, what: str) -> str:
    """A text of one line, without the spaces around it, which a server takes away where it keeps a name."""
    return plain_text(value, what).strip()


def place_name(value: object, what: str) -> str:
    """A client's or a site's name on a stock server, which takes none with a bar."""
    found = short_text(value, what, most=255)
    if "|" in found:
        raise InvalidRequestError(f"{what} must not contain |: {found!r}")
    return found


def free_text(value: object, what: str, *, empty: bool = False) -> str:
    """A text of any number of lines; not blank unless allowed."""
    if not isinstance(value, str):
        raise InvalidRequestError(f"{what} must be text, not {type(value).__name__}")
    if "\0" in value or _SURROGATE.search(value):
        raise InvalidRequestError(f"{what} must be text that UTF-8 can carry, without a null character")
    if not empty and not value.strip():
        raise InvalidRequestError(f"{what} must not be empty")
    return value


def path_segment(value: object, what: str) -> str:
    """A text that is fit to be one segment of a path."""
    if isinstance(value, str) and value.isascii() and value.isalnum():
        return value  # as nearly all are: no rule is broken by letters and digits
    text = plain_text(value, what)
    if text in {".", ".."} or "/" in text or "\\" in text:
        raise InvalidRequestError(f"{what} must not contain a slash or be a dot path: {text!r}")
    if text != text.strip():
        raise InvalidRequestError(f"{what} must not begin or end with a space: {text!r}")
    return text


def agent_id(value: object) -> str:
    """An agent's id, from itself or from the object that has it; fit to be one segment of a path."""
    return path_segment(getattr(value, "agent_id", value), "agent_id")


def several_agents(values: object, what: str) -> tuple[str, ...]:
    """The ids of some agents, of one at least; a lone one is refused, as a text has letters."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidRequestError(f"{what} must be a sequence of agents, not {values!r}")
    return non_empty(tuple(agent_ids(values)), what)


def agent_ids(values: Iterable[object]) -> list[str]:
    """The ids of several; a plain one, as nearly all are, costs no call of its own."""
    return [
        value if isinstance(value, str) and value.isascii() and value.isalnum() else agent_id(value)
        for value in values
    ]


def object_id(value: object, what: str) -> int:
    """A numeric id, from itself or from the object that has it as `id`."""
    found = getattr(value, "id", value)
    if isinstance(found, bool) or not isinstance(found, int):
        given = "an object without an id" if found is None else repr(value)
        raise InvalidRequestError(f"{what} must be an id or an object that has one, not {given}")
    if not 0 <= found <= _ID_MOST:
        raise InvalidRequestError(f"{what} must {'not be negative' if found < 0 else 'be below 2**63'}")
    return found


def reference(value: object, what: str) -> int | str:
    """What says which script, client or site is meant: a text is a name, anything else as `object_id`.

    An object that the server named without its id stands for its name.
    """
    if isinstance(value, str):
        return plain_text(value, what)
    name = getattr(value, "name", "") if getattr(value, "id", value) is None else ""
    return plain_text(name, what) if name else object_id(value, what)


def references(values: object, what: str) -> tuple[int | str, ...]:
    """Several of them, each once; a lone one is as good as several."""
    several = isinstance(values, Iterable) and not isinstance(values, str | bytes)
    given: Iterable[object] = values if several else (values,)  # type: ignore[assignment]
    return tuple(dict.fromkeys(reference(value, what) for value in given))


def object_ids(values: object, what: str) -> tuple[int, ...]:
    """Several of them, each once; a lone one is as good as several."""
    several = isinstance(values, Iterable) and not isinstance(values, str | bytes)
    given: Iterable[object] = values if several else (values,)  # type: ignore[assignment]
    return tuple(dict.fromkeys(object_id(value, what) for value in given))


def number(value: object, what: str, *, minimum: float | None = None, above: float | None = None) -> float:
    """A finite number, at least `minimum` or more than `above`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_MOST <= value <= _MOST:
        raise InvalidRequestError(f"{what} must be a number, not {value!r}")
    if minimum is not None and value < minimum:
        raise InvalidRequestError(f"{what} must be at least {minimum:g}, not {value!r}")
    if above is not None and value <= above:
        raise InvalidRequestError(f"{what} must be more than {above:g}, not {value!r}")
    return value


def seconds(value: object, what: str) -> float:
    """Seconds, as a number of them or as a timedelta; none below 0."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    return number(value, what, minimum=0)


def integer(value: object, what: str, *, minimum: int, maximum: int | None = None) -> int:
    """A whole number from `minimum`, up to `maximum` and with it."""
    span = f"from {minimum}" if maximum is None else f"from {minimum} to {maximum}"
    high = isinstance(value, int) and maximum is not None and value > maximum
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum or high:
        raise InvalidRequestError(f"{what} must be a whole number {span}, not {value!r}")
    return value


def names(values: object, what: str) -> tuple[str, ...]:
    """Texts of one line each: no lone text, taken apart into letters, and no mapping, without its values."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InvalidRequestError(f"{what} must be a sequence of texts, not {values!r}")
    return tuple(plain_text(value, what) for value in values)


def script_timeout(value: object) -> int:
    """A script's time limit: whole seconds from 1 to 300, as the server has it."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= SCRIPT_TIMEOUT_MOST:
        raise InvalidRequestError(
            f"timeout must be whole seconds from 1 to {SCRIPT_TIMEOUT_MOST}, not {value!r}"
        )
    return value


def script_args(values: object, what: str = "args") -> tuple[str, ...]:
    """A script's arguments: texts. A lone text is refused: it would be taken apart into letters."""
    if isinstance(values, str | bytes):
        raise InvalidRequestError(
            f"{what} must be a sequence of texts, not the text {values!r}: write {what}=[…]"
        )
    if isinstance(values, Mapping) or not isinstance(values, Iterable):
        raise InvalidRequestError(f"{what} must be a sequence of texts, not {values!r}")
    return tuple(_script_arg(arg, what) for arg in values)


def _script_arg(arg: object, what: str) -> str:
    if not isinstance(arg, str):
        raise InvalidRequestError(f"{what} must be texts; {arg!r} is {type(arg).__name__}")
    if _SURROGATE.search(arg):
        raise InvalidRequestError(f"{what} must be texts that UTF-8 can carry, not {arg!r}")
    return arg


def env_vars(values: object, what: str = "env_vars") -> tuple[str, ...]:
    """Environment variables, as the server takes them: "NAME=value"."""
    if not isinstance(values, Mapping):
        raise InvalidRequestError(f"{what} must be a mapping of names to texts, not {type(values).__name__}")
    return tuple(_env_var(name, value, what) for name, value in values.items())


def run_env_vars(values: object) -> tuple[str, ...]:
    """The environment variables of one run, where None means that there are none."""
    return env_vars({} if values is None else values)


def _env_var(name: object, value: object, what: str) -> str:
    plain_text(name, f"{what}: a name")
    if "=" in str(name):
        raise InvalidRequestError(f"{what}: a name must not contain an equals sign: {name!r}")
    if not isinstance(value, str) or "\0" in value or _SURROGATE.search(value):
        raise InvalidRequestError(f"{what}: the value of {name} must be text without a null character")
    return f"{name}={value}"


def boolean(value: object, what: str) -> bool:
    """True or False, and nothing that merely counts as one."""
    if not isinstance(value, bool):
        raise InvalidRequestError(f"{what} must be True or False, not {value!r}")
    return value


Check: TypeAlias = Callable[[object, str], object]
"""(value, what an error calls it) -> the value as it is sent. Raises `InvalidRequestError`."""

Checks: TypeAlias = Mapping[str, Check | tuple[str, Check]]
"""By the names of our keywords how each is checked, and by which name it is sent, where by another."""


def short_text(value: object, what: str, *, most: int, empty: bool = False) -> str:
    """A line of so many characters at most, without the spaces around it, as servers store it."""
    text = plain_text(value, what, empty=empty).strip()
    if len(text) > most:
        raise InvalidRequestError(f"{what} must have {most} characters at most, {text!r} has {len(text)}")
    return text


def time_zone(value: object, what: str) -> str:
    """The name of a time zone, as "Europe/Berlin". Where nothing is known of any, the server has to say."""
    name = plain_text(value, what)
    if not _is_zone(name) and _is_zone("Europe/London"):
        raise InvalidRequestError(
            f"{what}: there is no time zone {name!r}; one is Europe/Berlin, and a newer list is tzdata's: "
            "pip install -U tzdata"
        )
    return name


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True


def or_none(check: Check) -> Check:
    """The check of what may be None as well, which then is sent as null."""
    return lambda value, what: None if value is None else check(value, what)


def each(check: Check) -> Check:
    """The check of every one of several. A lone text is refused: it would be taken apart into letters."""

    def checked(values: object, what: str) -> list[object]:
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
            raise InvalidRequestError(f"{what} must be a sequence, not {values!r}")
        return [check(value, what) for value in values]

    return checked


def settings(given: Mapping[str, object], checks: Checks, method: str) -> dict[str, Any]:
    """What `method` was given as keywords, checked and by the server's names; it must be something.

    None is a value where the check takes it, and not "stays".
    """
    found = _checked(given, checks, method)
    if not found:
        raise InvalidRequestError(f"{method}: nothing to change: give {', '.join(checks)}, one or more")
    return found


def filters(given: Mapping[str, object], checks: Checks, method: str) -> dict[str, Any]:
    """What narrows a list, checked and by the server's names; None is as good as not given."""
    return _checked({name: value for name, value in given.items() if value is not None}, checks, method)


def _checked(given: Mapping[str, object], checks: Checks, method: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in given.items():
        keyword(name, checks, method)
        how = checks[name]
        sent, check = how if isinstance(how, tuple) else (name, how)
        found[sent] = check(value, name)
    return found


def keyword(name: object, known: Collection[str], method: str) -> None:
    """Refuse a keyword that the method does not take."""
    if not isinstance(name, str):  # of a mapping that stands for keywords
        raise InvalidRequestError(f"{method}: keywords must be texts, not {name!r}")
    if name not in known:
        close = get_close_matches(name, known, n=1, cutoff=0.5)
        meant = f" (did you mean {close[0]!r}?)" if close else f": it takes {', '.join(known)}"
        raise InvalidRequestError(f"{method}() got an unexpected keyword {name!r}{meant}")


def exactly_one(method: str, **given: object) -> str:
    """The name of the one argument that is given: that is neither None nor False.

    Raises:
        InvalidRequestError: none of them is given, or several are.
    """
    found = [name for name, value in given.items() if value is not None and value is not False]
    if len(found) != 1:
        *names, last = (f"{name}=True" if isinstance(given[name], bool) else name for name in given)
        raise InvalidRequestError(f"{method}: give one of {', '.join(names)} and {last}")
    return found[0]


def non_empty(given: tuple[T, ...], what: str) -> tuple[T, ...]:
    """Several, and not none: a filter by none lets nothing through, which nobody asks for on purpose."""
    if not given:
        raise InvalidRequestError(f"{what} must not be empty; leave it out for any")
    return given


def field_values(values: object, what: str = "custom_fields") -> dict[int, object]:
    """Values of custom fields by the fields, or their ids; whether they fit, their types say."""
    if not isinstance(values, Mapping) or not values:
        raise InvalidRequestError(f"{what} must be a mapping of fields to values, and not empty")
    return {object_id(field, f"{what}: a field"): value for field, value in values.items()}


def field_value(value: object, what: str) -> str | bool | tuple[str, ...]:
    """A custom field's value: True or False, a text, a number (kept as text), or several texts."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return str(number(value, what))
    if isinstance(value, str):
        return free_text(value, what, empty=True)
    return names(value, what)


def choice(value: object, what: str, allowed: tuple[str, ...]) -> str:
    """One of a closed set of words, as the set has it; in any case, as names are."""
    if isinstance(value, str) and value not in allowed:
        value = next((word for word in allowed if word.casefold() == value.casefold()), value)
    if not isinstance(value, str) or value not in allowed:
        near = near_matches(value, allowed) if isinstance(value, str) else ()
        hint = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
        raise InvalidRequestError(f"{what} must be one of {', '.join(allowed)}; not {value!r}{hint}")
    return value


def expiry(value: object, *, now: datetime | None = None) -> datetime:
    """A moment in the future that says its time zone, in UTC."""
    if not isinstance(value, datetime):
        raise InvalidRequestError(f"expires must be a datetime, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise InvalidRequestError("expires must say its time zone: datetime.now(UTC) + timedelta(…)")
    if value <= (now or datetime.now(UTC)):
        raise InvalidRequestError(f"expires must lie in the future, not at {value.isoformat()}")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidRequestError(
            f"expires must lie before the year 10000, not at {value.isoformat()}"
        ) from None


def moment(value: object, what: str) -> datetime:
    """A moment that says its time zone."""
    if not isinstance(value, datetime):
        raise InvalidRequestError(f"{what} must be a datetime, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise InvalidRequestError(f"{what} must say its time zone: datetime.now(UTC) - timedelta(…)")
    return value


def whole_minute(value: object, what: str, *, now: datetime | None = None) -> datetime:
    """A time in the future, rounded up to a whole minute. What has no time zone may be past too."""
    if not isinstance(value, datetime):
        raise InvalidRequestError(f"{what} must be a datetime, not {type(value).__name__}")
    if value.utcoffset() is not None and value <= (now or datetime.now(UTC)):
        raise InvalidRequestError(f"{what} must lie in the future, not at {value.isoformat()}")
    minute = value.replace(second=0, microsecond=0)
    try:
        return minute if minute == value else minute + timedelta(minutes=1)
    except OverflowError:
        raise InvalidRequestError(
            f"{what} must lie before the year 10000, not at {value.isoformat()}"
        ) from None


def raw_path(value: object) -> str:
    """A path from the server's root for `TRMM.request`: no host, no query, no way out of it by dots."""
    text = plain_text(value, "path")
    if not text.startswith("/") or text.startswith("//") or "\\" in text:
        raise InvalidRequestError(f"path must begin with one slash: {text!r}")
    if _BARE_PERCENT.search(text):
        raise InvalidRequestError(f"path must have two hex digits after each %; %25 is a plain %: {text!r}")
    if {".", ".."} & set(_SLASH.split(unquote(text))) or "?" in text or "#" in text:
        raise InvalidRequestError(
            f"path must have no dot segments, query or fragment (params=… holds those): {text!r}"
        )
    return quote(text, safe="/%:@!$&'()*+,;=~")


def api_key(value: object) -> str:
    """A key that can stand in a header. Its text is in no message."""
    if not isinstance(value, str):
        raise InvalidRequestError(f"api_key must be text, not {type(value).__name__}")
    if not value.strip():
        raise InvalidRequestError("api_key must not be empty")
    if _CONTROL.search(value) or not value.isascii() or value != value.strip():
        raise InvalidRequestError(
            "api_key must be plain ASCII, without control characters or spaces around it"
        )
    return value


def command(value: object) -> str:
    """A command, as a shell reads it: lines and tabs are part of it."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequestError("command must be text, and not empty")
    if "\0" in value or _SURROGATE.search(value):
        raise InvalidRequestError("command must be text without a null character that UTF-8 can carry")
    return value


def secret(value: object, what: str) -> str:
    """A password or a code: any text. It is in no message."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequestError(f"{what} must be text, and not empty")
    if _SURROGATE.search(value):
        raise InvalidRequestError(f"{what} must be text that UTF-8 can carry")
    return value


def token(value: object) -> str:
    """A token that can stand in a URL as it is, since the server takes it as it is. It is in no message."""
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise InvalidRequestError(
            "access_token must be a token: ASCII letters, digits, and none but -_.~ besides"
        )
    return value


_HOOK: Final = re.compile(r"https?://[^\s/]+\S*")
_API_WITHIN: Final = re.compile(r"/+api/+v3(/|\Z)", re.IGNORECASE)


def base_url(value: object, *, allow_http: bool) -> str:
    """The server's URL in its normal form; see `addresses.normal`.

    Plain http only to this machine, unless allowed.
    """
    parts = _split_url(value)
    _check_url_parts(parts)
    _check_scheme(parts, "the API key", allow_http=allow_http)
    try:
        address = addresses.normal(parts.geturl())
    except ValueError as error:
        raise InvalidRequestError(f"url is not a URL: {error}") from None
    if _API_WITHIN.search(urlsplit(address).path):
        raise InvalidRequestError('url must end before "/api/v3", which each call has in its path')
    return address


def webhook_url(value: object, *, allow_http: bool) -> str:
    """Where a server is to post its alerts to. Plain http only to this machine, unless allowed."""
    if not isinstance(value, str) or not _HOOK.fullmatch(value):
        raise InvalidRequestError(
            f"url must be a whole one, as https://hooks.example.com/trmm; not {value!r}"
        )
    _check_scheme(_split_url(value), "the webhook's secret", allow_http=boolean(allow_http, "allow_http"))
    return value


def _check_scheme(parts: SplitResult, secret: str, *, allow_http: bool) -> None:
    if parts.scheme == "http" and not allow_http and not _is_loopback(parts.hostname or ""):
        raise InvalidRequestError(
            f"url: plain http would show {secret} to everybody on the way to {parts.hostname}; "
            "use https, or allow_http=True if you must"
        )


# The URL itself stands in no message: it may hold a password.


def _split_url(value: object) -> SplitResult:
    if not isinstance(value, str):
        raise InvalidRequestError(f"url must be text, not {type(value).__name__}")
    if _CONTROL.search(value) or not value.isascii():
        raise InvalidRequestError(
            "url must be plain ASCII without control characters; write such a host in its xn-- form"
        )
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - raises on a port that is none
    except ValueError:
        raise InvalidRequestError("url is not a URL: its host or its port is malformed") from None
    return parts


def _check_url_parts(parts: SplitResult) -> None:
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidRequestError('url must have a scheme and a host, as in "https://api.example.com"')
    if "@" in parts.netloc:
        raise InvalidRequestError("url must not hold a user name or password")
    if parts.query or parts.fragment:
        raise InvalidRequestError("url must have no query and no fragment")
    if any(char.isspace() for char in parts.netloc + parts.path):
        raise InvalidRequestError("url must not contain spaces")
    if not _FIT_FOR_HOST.fullmatch(parts.netloc):
        raise InvalidRequestError("url: its host has characters that no host has")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def predicate(value: Any, name: str, of: str) -> Callable[[Any], object]:
    """A function that says yes or no. Raises `InvalidRequestError`."""
    asks = getattr(type(value), "__call__", None)  # noqa: B004 - an object's own may be asynchronous
    if not callable(value) or inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(asks):
        raise InvalidRequestError(
            f"{name} must be a plain function of {of} that returns True or False, not {value!r}"
        )
    return cast("Callable[[Any], object]", value)


def answer_of(answer: object, name: str) -> bool:
    """What such a function said; no awaitable, which would always be true. Raises `InvalidRequestError`."""
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise InvalidRequestError(f"{name} must return True or False, and no awaitable: {answer!r}")
    return bool(answer)
