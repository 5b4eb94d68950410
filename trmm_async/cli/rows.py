"""Converts things to rows for programs: by our fields' names, with their hosts, chosen, sorted, flat. Pure.

Below: `exits`, `text`. Above: `output`, `listing`, `tables`.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, TypeVar

from trmm_async.cli.exits import usage
from trmm_async.cli.text import alike, local
from trmm_async.plaintext import without_formulas

__all__ = [
    "HOST",
    "TableField",
    "as_row",
    "chosen_fields",
    "field_names",
    "fields_of",
    "fields_to_sort_by",
    "flat",
    "flat_names",
    "harmless",
    "in_order",
    "members_of",
    "plain",
    "sort_key",
    "value_of",
    "words_of",
]

T = TypeVar("T")
HOST: Final = "hostname"
_NOTHING: Final = (3, "")
"""The sort key of a field without a value."""

_KINDS: Final = {int: "integer", float: "real", bool: "boolean", datetime: "time"}


@dataclass(frozen=True)
class TableField:
    """A column: its name, and its type: "integer", "real", "boolean", "time" or "text"."""

    name: str
    kind: str


def plain(value: Any) -> Any:
    """The value in JSON's types. Structs are objects by their attributes' names, not by those on the wire."""
    match value:
        case None | str() | int() | float():
            told: Any = value
        case datetime() | date():
            told = value.isoformat()
        case Mapping():
            told = {str(key): plain(each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            told = [plain(each) for each in value]
        case bytes():
            told = _text(value)
        case Exception():
            told = {"type": type(value).__name__, "message": str(value)}
        case _:
            told = {name: plain(getattr(value, name)) for name in _fields_of(type(value))} or str(value)
    return told


def _text(value: bytes) -> str:
    """Bytes as text; if they are none, as `trmm call` takes them, so that nothing is lost."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"hex:{value.hex()}"


def _fields_of(kind: Any) -> tuple[str, ...]:
    """The names of the fields of a Struct or a dataclass; empty for any other type."""
    names: tuple[str, ...] = getattr(kind, "__struct_fields__", ())
    if dataclasses.is_dataclass(kind):
        names = tuple(field.name for field in dataclasses.fields(kind))
    return names


def as_row(thing: Any, hosts: Mapping[str, str] | None = None) -> Any:
    """A thing as a row. With `hosts`, the row begins with the agent's id and its host's name."""
    row = plain(thing)
    if hosts is None or not isinstance(row, dict):
        return row
    who = row.get("agent_id")
    host = hosts.get(who or "") or row.get(HOST)
    return {
        "agent_id": who,
        HOST: host,
        **{name: each for name, each in row.items() if name not in {"agent_id", HOST}},
    }


def field_names(kind: Any, *, hosted: bool) -> tuple[str, ...]:
    """The fields that --fields and --sort take for things of this type."""
    names = kind if isinstance(kind, tuple) else _fields_of(kind)
    return tuple(dict.fromkeys((*(("agent_id", HOST) if hosted else ()), *names)))


def fields_of(kind: Any, *, hosted: bool) -> tuple[TableField, ...]:
    """The columns of a flat table of such things. They don't depend on the rows."""
    front = [TableField("agent_id", "text"), TableField(HOST, "text")] if hosted else []
    own = [one for one in _columns_of(kind, "") if not hosted or one.name not in {"agent_id", HOST}]
    return (*front, *own)


def _columns_of(kind: Any, before: str) -> Iterator[TableField]:
    hints = typing.get_type_hints(kind)
    for name in _fields_of(kind):
        members = _members(hints[name])
        inner = [one for one in members if _fields_of(one)]
        if len(inner) == 1:
            yield from _columns_of(inner[0], f"{before}{name}_")
        else:
            kinds = {_KINDS.get(one, "text") for one in members}
            yield TableField(before + name, kinds.pop() if len(kinds) == 1 else "text")


def members_of(hint: Any) -> tuple[Any, ...]:
    """The members of a union; of any other type itself."""
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return tuple(inner for one in typing.get_args(hint) for inner in members_of(one))
    return (hint,)


def _members(hint: Any) -> set[Any]:
    """The types that a value may have, without None."""
    return {*members_of(hint)} - {type(None)}


def flat_names(kind: Any, paths: Sequence[str] | None, *, hosted: bool) -> tuple[str, ...]:
    """The names of the columns of a flat table of such things. They don't depend on the rows.

    Args:
        kind: the type of the things, or the names of their fields.
        paths: the fields of --fields; None for all.
        hosted: whether the rows also have `agent_id` and `hostname`.
    """
    if isinstance(kind, tuple):
        return tuple(paths or field_names(kind, hosted=hosted))
    if paths is None:
        return tuple(field.name for field in fields_of(kind, hosted=hosted))
    return tuple(dict.fromkeys(name for path in paths for name in _names_of(kind, path)))


def _names_of(kind: Any, path: str) -> Iterator[str]:
    for name in path.split("."):
        hint = typing.get_type_hints(kind).get(name) if kind else None
        kind = next((one for one in _members(hint) if _fields_of(one)), None)
    if kind is None:
        yield path
    else:
        yield from (field.name for field in _columns_of(kind, f"{path}_"))


def chosen_fields(text: str, kind: Any, option: str, *, hosted: bool = False) -> tuple[str, ...]:
    """The fields that an option names: `hostname,client.name`. An unknown one is a `CommandError`.

    Args:
        text: the value of the option.
        kind: the type of the things, or the names of their fields.
        option: the option.
        hosted: whether the rows also have `agent_id` and `hostname`.
    """
    names = field_names(kind, hosted=hosted)
    asked = tuple(part.strip() for part in text.split(",") if part.strip())
    if not asked:
        raise usage(f"{option} is fields as {', '.join(names[:2])}, not empty")
    for one in asked:
        _check_path(one, kind, names, option)
    return asked


def _check_path(path: str, kind: Any, names: Sequence[str], option: str) -> None:
    before = ""
    for name in path.split("."):
        if name not in names:
            hint = alike(name if before else path, names)
            there = (
                f"there is {', '.join(before + each for each in names)}"
                if names
                else f"{before[:-1]} has none"
            )
            raise usage(f"{option}: there is no field {before + name!r}; {there}{hint}")
        hint_of = {} if isinstance(kind, tuple) else typing.get_type_hints(kind)
        members = _members(hint_of.get(name, Any))
        if any(one in {Any, Mapping} or typing.get_origin(one) is Mapping for one in members):
            return  # only the server knows the fields in it
        kind = next((one for one in members if _fields_of(one)), ())
        names, before = _fields_of(kind), f"{before}{name}."


def fields_to_sort_by(text: str) -> list[tuple[str, bool]]:
    """The fields of `--sort`, and whether each is in descending order: "status,-last_seen"."""
    parts = [part.strip() for part in text.split(",")]
    return [(part.removeprefix("-"), part.startswith("-")) for part in parts if part]


def in_order(things: Iterable[T], order: str, hosts: Mapping[str, str] | None = None) -> list[T]:
    """Sort the things by the fields of `--sort`. Things without a value come last in either order."""
    told = list(things)
    for path, is_turned in reversed(fields_to_sort_by(order)):
        key = sort_key(path, hosts)
        keyed = [(key(thing), thing) for thing in told]
        some = [each for each in keyed if each[0] != _NOTHING]
        some.sort(key=lambda each: each[0], reverse=is_turned)
        told = [thing for _, thing in some] + [thing for found, thing in keyed if found == _NOTHING]
    return told


def value_of(thing: Any, path: str, hosts: Mapping[str, str] | None = None) -> Any:
    """The value of a field: `client.name` is the name of its client. None if there is none."""
    found = thing
    for name in path.split("."):
        if found is thing and name == HOST and hosts is not None:
            found = hosts.get(value_of(thing, "agent_id") or "") or _part(thing, HOST)
        else:
            found = _part(found, name)
    return found


def _part(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def sort_key(path: str, hosts: Mapping[str, str] | None = None) -> Callable[[Any], tuple[int, Any]]:
    """Make a sort key: numbers and times by size, texts ignoring case, missing values last."""

    def key(thing: Any) -> tuple[int, Any]:
        value = value_of(thing, path, hosts)
        if value is None:
            return _NOTHING
        if isinstance(value, datetime):
            return 1, value.timestamp()
        if isinstance(value, int | float):
            return 0, value
        return 2, words_of(value).casefold()

    return key


def words_of(value: Any) -> str:
    """A field's value as a text for people."""
    match value:
        case None:
            words = ""
        case bool():
            words = str(value)
        case datetime():
            words = f"{local(value):%Y-%m-%d %H:%M:%S}"
        case list() | tuple():
            words = ", ".join(words_of(each) for each in value)
        case _ if (tell := _OF_NOUNS.get(type(value).__name__)) is not None:
            words = tell(value)
        case _:
            words = str(plain(value))
    return words


def _of_disk(disk: Any) -> str:
    used = "" if disk.percent is None else f" {disk.percent:g}% used"
    return f"{disk.device}{used} ({disk.free} of {disk.total} free)"


_OF_NOUNS: Final[Mapping[str, Callable[[Any], str]]] = {
    "ClientRef": lambda one: str(one.name),
    "SiteRef": lambda one: str(one.name),
    "CheckCounts": lambda one: f"{one.passing} of {one.total} passing",
    "Disk": _of_disk,
    "CustomFieldValue": lambda one: f"{one.field}={one.value}",
}


def flat(row: Mapping[str, Any], columns: Container[str] = ()) -> dict[str, Any]:
    """The row with texts, numbers, booleans and None only.

    A field of an inner object gets a column that is named after both (`client_name`). Lists become JSON, and
    so do objects that have a column themselves.
    """
    told: dict[str, Any] = {}
    for name, value in row.items():
        is_open = isinstance(value, Mapping) and name not in {"extra", "custom_fields"}
        if is_open and value and name not in columns:
            told |= {f"{name}_{inner}": each for inner, each in flat(value).items()}
        elif isinstance(value, list | Mapping):
            told[name] = json.dumps(value, ensure_ascii=False) if value else None
        else:
            told[name] = value
    return told


def harmless(values: Iterable[Any]) -> list[Any]:
    """The values, escaped so that a spreadsheet takes none for a formula."""
    return [
        ("'" if value.startswith(("\t", "\r")) else "") + without_formulas(value)
        if isinstance(value, str)
        else value
        for value in values
    ]
