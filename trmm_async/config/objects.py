"""`Kind`: how one kind of object is read from the server, written to it, named and compared."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

import msgspec

from trmm_async.client import TRMM

__all__ = [
    "EXCLUDED",
    "UNORDERED_EXCLUDED",
    "Create",
    "Delete",
    "FileKind",
    "Kind",
    "Only",
    "Read",
    "RefPath",
    "Row",
    "Secret",
    "StoredKey",
    "Update",
    "WriteMethods",
    "every",
    "fields_differing",
    "mapped",
    "read_list",
    "resource_at",
    "spec_of",
    "tuple_of",
    "unique_labels",
    "values_of",
    "write_methods",
]

RefPath = tuple[str, ...]
"""The path of a field in a spec; see `mapped` for "*" and "keys"."""
Only = Callable[[Any], bool]
"""Which objects of a list are read in full."""
Read = Callable[[TRMM, "Sequence[Row]", Only], Awaitable["list[Row]"]]
"""(client, rows of the owner's kind, only)"""
Create = Callable[[TRMM, Any, int | None], Awaitable[int]]
"""(client, spec with ids, the owner's id); returns the new object's id."""
Update = Callable[[TRMM, "Row", Any, Sequence[str]], Awaitable[None]]
"""(client, present row, spec with ids, names of the fields to change)"""
Delete = Callable[[TRMM, "Row"], Awaitable[None]]


class WriteMethods(TypedDict):
    """The three methods of a `Kind` that write."""

    create: Create
    update: Update
    delete: Delete


class Secret:
    """A value of the key store. It is compared and sent, but shown nowhere."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value: str = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return "***"


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the key store. If `value` is None, the value is not compared."""

    name: str
    value: Any = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """An object as the server has it.

    Attributes:
        kind: the name of its kind.
        id: its id.
        spec: its content, with ids where it refers to other objects. None if no file can hold it.
        owner: the id of the object that it belongs to.
        thing: the object of the SDK that it was made from.
        odd: what is wrong with it, for the findings of a plan.
    """

    kind: str
    id: int
    spec: Any
    owner: int | None = None
    thing: Any = field(default=None, repr=False, compare=False)
    odd: str = ""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How one kind of object is read, written and compared.

    Attributes:
        name: the kind's name, a plural, such as "url_actions".
        word: what messages call one object, such as "URL action".
        spec: the Struct that is compared.
        key: the object's name. It is unique within its kind, or within its owner if it has one.
        read: reads the objects from the server; with an `owner`, those of the given owners.
        refs: the paths at which a spec refers to other objects, and their kinds.
        fixed: the fields that can't be changed in an existing object.
        label: for a part, the fields from which its `key` is made: a change there is a rename.
        owner: the kind that it is a part of.
        create, update, delete: None if the server does not offer it.
        prepare: turns a spec from a file (given with its handle) into the form that is compared.
        unordered: the paths of sets, which the server returns in any order.
        narrow: reduces the wanted and the present spec to what is to be compared.
    """

    name: str
    word: str
    spec: Any
    read: Read
    key: Callable[[Any], str] = lambda spec: str(spec.name)
    label: Callable[[Any], tuple[str, ...]] = lambda _: ("name",)
    refs: Mapping[RefPath, str] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    owner: str | None = None
    create: Create | None = None
    update: Update | None = None
    delete: Delete | None = None
    prepare: Callable[[Any, str], Any] = lambda spec, _: spec
    unordered: Sequence[RefPath] = ()
    narrow: Callable[[Any, Any], tuple[Any, Any]] = lambda wanted, present: (wanted, present)

    def normal(self, spec: Any) -> Any:
        """The spec with each set in one fixed order, so that equal specs compare as equal."""
        for path in self.unordered:
            spec = mapped(spec, path, _in_order)
        return spec

    def differing(self, wanted: Any, present: Any) -> tuple[str, ...]:
        """The names of the fields that differ, among those that are compared at all."""
        return fields_differing(*self.narrow(wanted, present))


def fields_differing(first: Any, second: Any) -> tuple[str, ...]:
    """The names of the fields in which two Structs of one type differ."""
    return tuple(name for name in first.__struct_fields__ if getattr(first, name) != getattr(second, name))


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """What the files of one folder contain.

    Attributes:
        name: the folder's name, which is the kind's.
        word: what messages call one object.
        spec: the Struct of one file.
        key: the object's name.
        split: splits a file's content into the object and its parts, by their kinds.
        join: the reverse. Takes the object, its parts by their kinds, and the file's former content or None.
        is_code: the files are code with front matter.
    """

    name: str
    word: str
    spec: Any
    key: Callable[[Any], str] = lambda spec: str(spec.name)
    split: Callable[[Any], tuple[Any, Mapping[str, Sequence[Any]]]] = lambda spec: (spec, {})
    join: Callable[[Any, Mapping[str, Sequence[Any]], Any], Any] = lambda spec, *_: spec
    is_code: bool = False


_WEEK: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def _in_order(values: Any) -> tuple[Any, ...]:
    return tuple(sorted(dict.fromkeys(values), key=_rank))


def _rank(value: Any) -> tuple[int, int, str]:
    if value in _WEEK:
        return 0, _WEEK.index(value), ""
    return (0, value, "") if isinstance(value, int) else (1, 0, repr(value))


def mapped(value: Any, path: RefPath, change: Callable[[Any], Any]) -> Any:
    """The value with `change` applied at a path. None stays None.

    In the path, "*" stands for each item of a tuple, and "keys" for each key of a mapping.
    """
    if value is None:
        return None
    if not path:
        return change(value)
    head, rest = path[0], path[1:]
    if head == "*":
        return tuple(mapped(one, rest, change) for one in value)
    if head == "keys":
        return {change(name): one for name, one in value.items()}
    if head not in value.__struct_fields__:
        return value
    return msgspec.structs.replace(value, **{head: mapped(getattr(value, head), rest, change)})


EXCLUDED: Final[Mapping[RefPath, str]] = {
    ("excluded_agents", "*"): "agents",
    ("excluded_clients", "*"): "clients",
    ("excluded_sites", "*"): "sites",
}
"""What may be excluded from a policy or an alert template."""
UNORDERED_EXCLUDED: Final[Sequence[RefPath]] = tuple((path[0],) for path in EXCLUDED)


def unique_labels(labels: Sequence[str]) -> list[str]:
    """The labels, with a number added to the second and later of the same ones, such as "ping x #2"."""
    taken = {*labels}
    found: list[str] = []
    for label in labels:
        named, number = label, 1
        while named in found or (number > 1 and named in taken):
            number += 1
            named = f"{label} #{number}"
        found.append(named)
    return found


def every(_: Any) -> bool:
    """An `Only` that accepts every object."""
    return True


def spec_of(spec: Any, thing: Any, **other: Any) -> Any:
    """Make a spec from an object of the SDK. `other` replaces its values, and a missing text becomes ""."""
    values = dict(other)
    for one in msgspec.structs.fields(spec):
        if one.name not in values:
            value = getattr(thing, one.name)
            values[one.name] = "" if value is None and one.type is str else value
    return spec(**values)


def values_of(spec: Any, names: Sequence[str] | None = None) -> dict[str, Any]:
    """The fields of a spec with these names, or all of them, as a dict."""
    return {name: getattr(spec, name) for name in names or spec.__struct_fields__}


def tuple_of(value: Any) -> Any:
    """The value, or a tuple if it is a list."""
    return tuple(value) if isinstance(value, list) else value


def read_list(kind: str, at: str, to_spec: Callable[[Any], Any]) -> Read:
    """A `read` for objects that the list of a resource returns in full.

    Args:
        kind: the kind's name.
        at: the path of the resource, see `resource_at`.
        to_spec: makes a spec of an object of the SDK.
    """

    async def read(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
        listed = await resource_at(trmm, at).list()
        return [Row(kind=kind, id=one.id, spec=to_spec(one), thing=one) for one in filter(only, listed)]

    return read


def write_methods(
    at: str,
    *,
    later: Sequence[str] = (),
    loss: str = "",
    values: Callable[[Any, Sequence[str] | None], dict[str, Any]] = values_of,
    create: Create | None = None,
) -> WriteMethods:
    """Write by the methods `create`, `update` and `delete` of a resource.

    Args:
        at: the path of the resource, see `resource_at`.
        later: fields that `create` does not take; they are set by an `update` after it.
        loss: the argument by which `delete` is told that the loss of data was accepted: the plan showed it.
        values: makes the arguments from a spec and the names of the fields to change (None: all).
        create: creates a part of another object, in place of the method `create`.
    """

    async def create_alone(trmm: TRMM, spec: Any, _owner: int | None) -> int:
        resource = resource_at(trmm, at)
        arguments = values(spec, None)
        afterwards = {name: arguments.pop(name) for name in later}
        made = await resource.create(**arguments)
        if any(afterwards.values()):
            await resource.update(made, **afterwards)
        return int(made.id)

    async def update(trmm: TRMM, row: Row, spec: Any, names: Sequence[str]) -> None:
        await resource_at(trmm, at).update(row.thing or row.id, **values(spec, names))

    async def delete(trmm: TRMM, row: Row) -> None:
        await resource_at(trmm, at).delete(row.id, **({loss: True} if loss else {}))

    return WriteMethods(create=create or create_alone, update=update, delete=delete)


def resource_at(trmm: TRMM, path: str) -> Any:
    """A resource of a client by its path, such as "scripts.snippets"."""
    found: Any = trmm
    for word in path.split("."):
        found = getattr(found, word)
    return found
