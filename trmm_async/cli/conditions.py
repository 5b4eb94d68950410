"""Turns `--where FIELD=VALUE` and `--field NAME=VALUE` into tests of agents. Pure; it never evaluates Python.

Below: `values`. Above: `selection`.
"""

import operator
import re
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fnmatch import translate
from typing import TYPE_CHECKING, Any, Final

import trmm_async as sdk
from trmm_async.cli.exits import usage
from trmm_async.cli.text import alike
from trmm_async.cli.values import choice, length
from trmm_async.plaintext import comparable
from trmm_async.words import AgentStatus, MonitoringType, Platform

if TYPE_CHECKING:
    from trmm_async import CustomField

__all__ = ["condition", "field_value", "name_and_value"]

_YES: Final = ("true", "yes")
_NO: Final = ("false", "no")
_SIGNS: Final = re.compile(r"([^=<>]*)(<=|>=|=|<|>)(.*)", re.DOTALL)
_ORDER: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    # "unknown" is the SDK's word, for a server that does not send the status.
    "status": (*typing.get_args(AgentStatus), "unknown"),
    "plat": typing.get_args(Platform),
    "monitoring_type": typing.get_args(MonitoringType),
}
_INSTEAD: Final = {"client": "--client", "site": "--site", "custom_fields": "--field"}


def name_and_value(text: str, option: str, example: str) -> tuple[str, str]:
    """Both sides of the first equals sign, stripped."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise usage(
            f"{option} is {'FIELD' if option == '--where' else 'NAME'}=VALUE as {example}, not {text!r}"
        )
    return name.strip(), value.strip()


def condition(text: str) -> "Callable[[sdk.Agent], bool]":
    """Make a test of agents from a condition, such as `needs_reboot=true`.

    Text fields are compared with a pattern, ignoring case; of a field with several texts one must match. An
    empty value matches a field without a value. Numbers and times can be ordered, too: `last_seen<-7d` means
    before seven days ago.
    """
    found = _SIGNS.fullmatch(text)
    sign = "=" if found is None else found[2]
    if found is None or sign == "=":
        name, value = name_and_value(text, "--where", "needs_reboot=true")
    else:
        name, value = found[1].strip(), found[3].strip()
    field, kinds = name.replace("-", "_").casefold(), _kinds()
    if field in _INSTEAD:
        raise usage(f"--where takes no {field}: use {_INSTEAD[field]}")
    if field not in kinds:
        hint = alike(field, list(kinds))
        raise usage(
            f"--where: agents have no field {name!r} to compare{hint or f'; there is {_listed(kinds)}'}"
        )
    if sign != "=" or (value and kinds[field] is datetime):
        in_order = _in_order(kinds[field], field, sign, value)
        return lambda agent: in_order(getattr(agent, field))
    if not value:
        return lambda agent: getattr(agent, field) in {None, "", ()}
    fits = _fitting(kinds[field], f"--where {field}", value)
    words = _WORDS.get(field, ())
    if words and not any(map(fits, words)):
        choice(value, f"--where {field}", words)  # its error suggests a word
    return lambda agent: fits(getattr(agent, field))


def field_value(field: "CustomField", value: str) -> str | bool | None:
    """The value with which a custom field is compared; None for a field that is not set."""
    what = f"--field {field.name}"
    if not value:
        return None
    if field.type == "checkbox":
        return _boolean(value, what)
    if field.type == "number":
        _number(value, what)
    return choice(value, what, field.options) if len(field.options) > 1 else value


def _kinds() -> dict[str, type]:
    """The fields of agents that can be compared, and the types of their values."""
    found: dict[str, type] = {}
    for name, hint in typing.get_type_hints(sdk.Agent).items():
        for one in typing.get_args(hint) if type(None) in typing.get_args(hint) else (hint,):
            if one in {str, bool, int, float, datetime}:
                found[name] = one
            elif one == tuple[str, ...]:
                found[name] = tuple
    return found


def _listed(kinds: dict[str, type]) -> str:
    return ", ".join(kinds)


def _fitting(kind: type, what: str, value: str) -> Callable[[Any], bool]:
    if kind is bool:
        wanted = _boolean(value, what)
        return lambda found: found is wanted
    if kind in {int, float}:
        number = _number(value, what)
        return lambda found: found == number
    pattern = re.compile(translate(comparable(value)))
    if kind is tuple:
        return lambda found: any(pattern.match(comparable(one)) for one in found)
    return lambda found: pattern.match(comparable(found or "")) is not None


def _in_order(kind: type, field: str, sign: str, value: str) -> Callable[[Any], bool]:
    """Make a test whether a value is known, and is less or more than this one."""
    what = f"--where {field}"
    if kind is datetime:
        if sign == "=":
            raise usage(f"{what}: a time is compared by < or >, as '{field}<-7d'; not by =")
        limit: Any = _time(value, what)
    elif kind in {int, float}:
        limit = _number(value, what)
    else:
        raise usage(f"{what} has no order: compare it by =, not by {sign}")
    compare = _ORDER[sign]
    return lambda found: found is not None and compare(found, limit)


def _time(value: str, what: str) -> datetime:
    if value.startswith("-"):
        return datetime.now(UTC) - length(value[1:], what)
    try:
        return datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError, OSError) as error:
        # A length without its minus would be in the future, and every time would be before it.
        raise usage(f"{what} is a time as -12h, -7d or 2030-01-31T18:00, not {value!r}") from error


def _boolean(value: str, what: str) -> bool:
    return choice(value, what, (*_YES, *_NO)) in _YES


def _number(value: str, what: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise usage(f"{what} is a number, not {value!r}") from None
