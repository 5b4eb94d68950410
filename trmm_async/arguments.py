"""Checks of arguments. A bad one is an `InvalidRequestError`, before anything is sent. Pure.

Each function returns the value in the form that the dialects take. `url_checks` has the URLs.
"""

import inspect
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final, TypeAlias, TypeVar, cast
from zoneinfo import ZoneInfo

from trmm_async.errors import InvalidRequestError
from trmm_async.plaintext import near_matches

__all__ = [
    "Check",
    "Checks",
    "agent_id",
    "agent_ids",
    "answer_of",
    "api_key",
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
CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)


def plain_text(value: object, what: str, *, empty: bool = False) -> str:
    """A text without control characters; not empty or blank unless allowed."""
    if not isinstance(value, str):
        raise InvalidRequestError(f"{what} must be text, not {type(value).__name__}")
    if CONTROL_CHARACTERS.search(value):
        raise InvalidRequestError(f"{what} must not contain control characters: {value!r}")
    if _SURROGATE.search(value):
        raise InvalidRequestError(f"{what} must be text that UTF-8 can carry: {value!r}")
    if not empty and not value.strip():
        raise InvalidRequestError(f"{what} must not be empty")
    return value


def name(value: object, what: str) -> str:
    """A text of one line, without the spaces around it: a server removes those of a name that it stores."""
    return plain_text(value, what).strip()


def place_name(value: object, what: str) -> str:
    """A client's or a site's name on a stock server, which refuses names with a bar."""
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
    """A text that can be one segment of a path."""
    if isinstance(value, str) and value.isascii() and value.isalnum():
        return value  # nearly all are of letters and digits, which break no rule below
    text = plain_text(value, what)
    if text in {".", ".."} or "/" in text or "\\" in text:
        raise InvalidRequestError(f"{what} must not contain a slash or be a dot path: {text!r}")
    if text != text.strip():
        raise InvalidRequestError(f"{what} must not begin or end with a space: {text!r}")
    return text


def agent_id(value: object) -> str:
    """An agent's id, given as such or by an object that has it. It can be one segment of a path."""
    return path_segment(getattr(value, "agent_id", value), "agent_id")


def several_agents(values: object, what: str) -> tuple[str, ...]:
    """The ids of at least one agent. A text is refused: as a sequence it would be one of letters."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidRequestError(f"{what} must be a sequence of agents, not {values!r}")
    return non_empty(tuple(agent_ids(values)), what)


def agent_ids(values: Iterable[object]) -> list[str]:
    """The ids of several agents. A list may have 100,000, so a plain id costs no call of its own."""
    return [
        value if isinstance(value, str) and value.isascii() and value.isalnum() else agent_id(value)
        for value in values
    ]


def object_id(value: object, what: str) -> int:
    """A numeric id, given as such or by an object that has it as `id`."""
    found = getattr(value, "id", value)
    if isinstance(found, bool) or not isinstance(found, int):
        given = "an object without an id" if found is None else repr(value)
        raise InvalidRequestError(f"{what} must be an id or an object that has one, not {given}")
    if not 0 <= found <= _ID_MOST:
        raise InvalidRequestError(f"{what} must {'not be negative' if found < 0 else 'be below 2**63'}")
    return found


def reference(value: object, what: str) -> int | str:
    """A script, client or site: by its name if it is a text, otherwise as `object_id`.

    An object without an id counts as its name: some answers name an object without its id.
    """
    if isinstance(value, str):
        return plain_text(value, what)
    name = getattr(value, "name", "") if getattr(value, "id", value) is None else ""
    return plain_text(name, what) if name else object_id(value, what)


def references(values: object, what: str) -> tuple[int | str, ...]:
    """One or several of them, without duplicates."""
    return tuple(dict.fromkeys(reference(value, what) for value in _one_or_several(values)))


def object_ids(values: object, what: str) -> tuple[int, ...]:
    """One or several of them, without duplicates."""
    return tuple(dict.fromkeys(object_id(value, what) for value in _one_or_several(values)))


def _one_or_several(values: object) -> Iterable[object]:
    if isinstance(values, Iterable) and not isinstance(values, str | bytes):
        return values
    return (values,)


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
    """Seconds, given as a number or a timedelta; not below 0."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    return number(value, what, minimum=0)


def integer(value: object, what: str, *, minimum: int, maximum: int | None = None) -> int:
    """A whole number from `minimum` to `maximum`, inclusive."""
    span = f"from {minimum}" if maximum is None else f"from {minimum} to {maximum}"
    high = isinstance(value, int) and maximum is not None and value > maximum
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum or high:
        raise InvalidRequestError(f"{what} must be a whole number {span}, not {value!r}")
    return value


def names(values: object, what: str) -> tuple[str, ...]:
    """Texts of one line each. A single text is refused: as a sequence it would be one of letters."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InvalidRequestError(f"{what} must be a sequence of texts, not {values!r}")
    return tuple(plain_text(value, what) for value in values)


def script_timeout(value: object) -> int:
    """A script's timeout: whole seconds from 1 to 300, the server's own bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= SCRIPT_TIMEOUT_MOST:
        raise InvalidRequestError(
            f"timeout must be whole seconds from 1 to {SCRIPT_TIMEOUT_MOST}, not {value!r}"
        )
    return value


def script_args(values: object, what: str = "args") -> tuple[str, ...]:
    """A script's arguments: texts. A single text is refused: as a sequence it would be one of letters."""
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
    """Environment variables in the server's form: "NAME=value"."""
    if not isinstance(values, Mapping):
        raise InvalidRequestError(f"{what} must be a mapping of names to texts, not {type(values).__name__}")
    return tuple(_env_var(name, value, what) for name, value in values.items())


def run_env_vars(values: object) -> tuple[str, ...]:
    """The environment variables of one run; None means none."""
    return env_vars({} if values is None else values)


def _env_var(name: object, value: object, what: str) -> str:
    plain_text(name, f"{what}: a name")
    if "=" in str(name):
        raise InvalidRequestError(f"{what}: a name must not contain an equals sign: {name!r}")
    if not isinstance(value, str) or "\0" in value or _SURROGATE.search(value):
        raise InvalidRequestError(f"{what}: the value of {name} must be text without a null character")
    return f"{name}={value}"


def boolean(value: object, what: str) -> bool:
    """True or False, and no other value that is truthy or falsy."""
    if not isinstance(value, bool):
        raise InvalidRequestError(f"{what} must be True or False, not {value!r}")
    return value


Check: TypeAlias = Callable[[object, str], object]
"""(value, its name in an error) -> the value as it is sent. Raises `InvalidRequestError`."""

Checks: TypeAlias = Mapping[str, Check | tuple[str, Check]]
"""How each of our keywords is checked, and the name by which it is sent, if that is another."""


def short_text(value: object, what: str, *, most: int, empty: bool = False) -> str:
    """A text of one line and at most so many characters, without the spaces around it."""
    text = plain_text(value, what, empty=empty).strip()
    if len(text) > most:
        raise InvalidRequestError(f"{what} must have {most} characters at most, {text!r} has {len(text)}")
    return text


def time_zone(value: object, what: str) -> str:
    """The name of a time zone, such as "Europe/Berlin".

    If this machine has no time zones at all (Windows without `tzdata`), only the server can check the name.
    """
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
    """A check that also takes None, which is sent as null."""
    return lambda value, what: None if value is None else check(value, what)


def each(check: Check) -> Check:
    """A check of every element. A single text is refused: as a sequence it would be one of letters."""

    def checked(values: object, what: str) -> list[object]:
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
            raise InvalidRequestError(f"{what} must be a sequence, not {values!r}")
        return [check(value, what) for value in values]

    return checked


def settings(given: Mapping[str, object], checks: Checks, method: str) -> dict[str, Any]:
    """The keywords of an update, checked and by the server's names. At least one must be given.

    None is a value, if its check takes it, and does not mean "leave it as it is".
    """
    found = _checked(given, checks, method)
    if not found:
        raise InvalidRequestError(f"{method}: nothing to change: give {', '.join(checks)}, one or more")
    return found


def filters(given: Mapping[str, object], checks: Checks, method: str) -> dict[str, Any]:
    """The filters of a list, checked and by the server's names. None means that a filter is not given."""
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
    if not isinstance(name, str):  # possible in a mapping that is given in place of keywords
        raise InvalidRequestError(f"{method}: keywords must be texts, not {name!r}")
    if name not in known:
        close = get_close_matches(name, known, n=1, cutoff=0.5)
        meant = f" (did you mean {close[0]!r}?)" if close else f": it takes {', '.join(known)}"
        raise InvalidRequestError(f"{method}() got an unexpected keyword {name!r}{meant}")


def exactly_one(method: str, **given: object) -> str:
    """The name of the one argument that is given, which means that it is neither None nor False.

    Raises:
        InvalidRequestError: none of them is given, or several are.
    """
    found = [name for name, value in given.items() if value is not None and value is not False]
    if len(found) != 1:
        *names, last = (f"{name}=True" if isinstance(given[name], bool) else name for name in given)
        raise InvalidRequestError(f"{method}: give one of {', '.join(names)} and {last}")
    return found[0]


def non_empty(given: tuple[T, ...], what: str) -> tuple[T, ...]:
    """At least one: a filter by no values would match nothing, which nobody wants."""
    if not given:
        raise InvalidRequestError(f"{what} must not be empty; leave it out for any")
    return given


def field_values(values: object, what: str = "custom_fields") -> dict[int, object]:
    """Values of custom fields, by field or id. Their types are checked later, when the fields are known."""
    if not isinstance(values, Mapping) or not values:
        raise InvalidRequestError(f"{what} must be a mapping of fields to values, and not empty")
    return {object_id(field, f"{what}: a field"): value for field, value in values.items()}


def field_value(value: object, what: str) -> str | bool | tuple[str, ...]:
    """A custom field's value: a boolean, a text, a number (which is stored as text), or several texts."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return str(number(value, what))
    if isinstance(value, str):
        return free_text(value, what, empty=True)
    return names(value, what)


def choice(value: object, what: str, allowed: tuple[str, ...]) -> str:
    """One of these words, in any case; returned as it is in `allowed`."""
    if isinstance(value, str) and value not in allowed:
        value = next((word for word in allowed if word.casefold() == value.casefold()), value)
    if not isinstance(value, str) or value not in allowed:
        near = near_matches(value, allowed) if isinstance(value, str) else ()
        hint = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
        raise InvalidRequestError(f"{what} must be one of {', '.join(allowed)}; not {value!r}{hint}")
    return value


def expiry(value: object, *, now: datetime | None = None) -> datetime:
    """An aware time in the future, in UTC."""
    found = _datetime(value, "expires", "datetime.now(UTC) + timedelta(…)")
    if found <= (now or datetime.now(UTC)):
        raise InvalidRequestError(f"expires must lie in the future, not at {found.isoformat()}")
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise _too_late("expires", found) from None


def moment(value: object, what: str) -> datetime:
    """An aware time."""
    return _datetime(value, what, "datetime.now(UTC) - timedelta(…)")


def whole_minute(value: object, what: str, *, now: datetime | None = None) -> datetime:
    """A time in the future, rounded up to a whole minute. Of a naive time it is not known whether it is."""
    found = _datetime(value, what)
    if found.utcoffset() is not None and found <= (now or datetime.now(UTC)):
        raise InvalidRequestError(f"{what} must lie in the future, not at {found.isoformat()}")
    minute = found.replace(second=0, microsecond=0)
    try:
        return minute if minute == found else minute + timedelta(minutes=1)
    except OverflowError:
        raise _too_late(what, found) from None


def _datetime(value: object, what: str, aware: str = "") -> datetime:
    """A time. If `aware` is given, it must have a time zone; the error shows `aware` as an example."""
    if not isinstance(value, datetime):
        raise InvalidRequestError(f"{what} must be a datetime, not {type(value).__name__}")
    if aware and value.utcoffset() is None:
        raise InvalidRequestError(f"{what} must say its time zone: {aware}")
    return value


def _too_late(what: str, when: datetime) -> InvalidRequestError:
    return InvalidRequestError(f"{what} must lie before the year 10000, not at {when.isoformat()}")


def api_key(value: object) -> str:
    """An API key that can be sent in a header. No message contains it."""
    if not isinstance(value, str):
        raise InvalidRequestError(f"api_key must be text, not {type(value).__name__}")
    if not value.strip():
        raise InvalidRequestError("api_key must not be empty")
    if CONTROL_CHARACTERS.search(value) or not value.isascii() or value != value.strip():
        raise InvalidRequestError(
            "api_key must be plain ASCII, without control characters or spaces around it"
        )
    return value


def command(value: object) -> str:
    """A command for a shell, which may have several lines and tabs."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequestError("command must be text, and not empty")
    if "\0" in value or _SURROGATE.search(value):
        raise InvalidRequestError("command must be text without a null character that UTF-8 can carry")
    return value


def secret(value: object, what: str) -> str:
    """A password or a code: any text. No message contains it."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequestError(f"{what} must be text, and not empty")
    if _SURROGATE.search(value):
        raise InvalidRequestError(f"{what} must be text that UTF-8 can carry")
    return value


def token(value: object) -> str:
    """A token that can be put into a URL as it is: the server does not decode it. No message contains it."""
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise InvalidRequestError(
            "access_token must be a token: ASCII letters, digits, and none but -_.~ besides"
        )
    return value


def predicate(value: Any, name: str, of: str) -> Callable[[Any], object]:
    """A function of one argument that returns True or False, and is not asynchronous."""
    asks = getattr(type(value), "__call__", None)  # noqa: B004 - an object's `__call__` may be asynchronous
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
