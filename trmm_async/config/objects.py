"""What a kind of objects is: how it is read, written, named and compared."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

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
    "RefPath",
    "Row",
    "Secret",
    "StoredKey",
    "Update",
    "anything",
    "mapped",
    "noun_at",
    "noun_methods",
    "spec_of",
    "told_apart",
    "values_of",
]

RefPath = tuple[str, ...]
Only = Callable[[Any], bool]
"""Which things of a list are read whole."""
Create = Callable[[TRMM, Any, int | None], Awaitable[int]]
Update = Callable[[TRMM, "Row", Any, Sequence[str]], Awaitable[None]]
Delete = Callable[[TRMM, "Row"], Awaitable[None]]


class Secret:
    """A value of the key store, which is compared and sent, and shown nowhere."""

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
    """An entry of the key store as it is compared; without a value its value is not looked at."""

    name: str
    value: Any = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """An object as the server has it: `spec` holds ids where it refers to others.

    `spec` is None, and `odd` says why, where it can't be said in a file; what is odd of another is told.
    """

    kind: str
    id: int
    spec: Any
    owner: int | None = None
    thing: Any = field(default=None, repr=False, compare=False)
    odd: str = ""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How one kind of object is dealt with.

    Attributes:
        name, word: what many, and one, of it are called.
        spec: what is compared of one.
        key: its name, by which it is told from others of its kind (and, with an `owner`, of the same owner).
        read: what the server has of it, of these rows of its `owner`'s kind; of a list only those that fit.
        refs: where a spec refers to others, and to what kind.
        fixed: what can't be changed of one that is there.
        label: of a part, the fields of a spec that its `key` is made of: another value there is a rename.
        owner: the kind that it is a part of.
        create, update, delete: None where it can't be done.
        prepare: a spec as a file has it, as it is compared.
        unordered: where a spec has what is a set, and the server tells it in an order of its own.
        narrow: of a spec that is wanted and one that is there, what is compared.
    """

    name: str
    word: str
    spec: Any
    read: Callable[[TRMM, Sequence[Row], Only], Awaitable[list[Row]]]
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
    narrow: Callable[[Any, Any], tuple[Any, Any]] = lambda wanted, there: (wanted, there)

    def normal(self, spec: Any) -> Any:
        """The same in one form: what is a set, in one order."""
        for path in self.unordered:
            spec = mapped(spec, path, _in_order)
        return spec

    def differing(self, wanted: Any, there: Any) -> tuple[str, ...]:
        """The names of what is otherwise there, of what is said at all."""
        wanted, there = self.narrow(wanted, there)
        return tuple(
            name for name in wanted.__struct_fields__ if getattr(wanted, name) != getattr(there, name)
        )


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """What the files of one folder hold.

    Attributes:
        spec: what one file holds.
        parts: what it holds is the object, and others that belong to it, each with its kind.
        whole: the other way round, of a spec, of its parts by their kinds, and of what the file held before.
        is_code: its files are code with front matter.
    """

    name: str
    word: str
    spec: Any
    key: Callable[[Any], str] = lambda spec: str(spec.name)
    parts: Callable[[Any], tuple[Any, Mapping[str, Sequence[Any]]]] = lambda spec: (spec, {})
    whole: Callable[[Any, Mapping[str, Sequence[Any]], Any], Any] = lambda spec, *_: spec
    is_code: bool = False


_WEEK: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def _in_order(values: Any) -> tuple[Any, ...]:
    return tuple(sorted(dict.fromkeys(values), key=_rank))


def _rank(value: Any) -> tuple[int, int, str]:
    if value in _WEEK:
        return 0, _WEEK.index(value), ""
    return (0, value, "") if isinstance(value, int) else (1, 0, repr(value))


def mapped(value: Any, path: RefPath, change: Callable[[Any], Any]) -> Any:
    """The same with another value at this path: each of several at a `*`, the keys at `keys`. None stays."""
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


def told_apart(labels: Sequence[str]) -> list[str]:
    """The same labels, the second and later of one with a number that no other has: "ping x #2"."""
    taken = {*labels}
    found: list[str] = []
    for label in labels:
        named, number = label, 1
        while named in found or (number > 1 and named in taken):
            number += 1
            named = f"{label} #{number}"
        found.append(named)
    return found


def anything(_: Any) -> bool:
    """Every thing of a list is read whole."""
    return True


def spec_of(spec: Any, noun: Any, **other: Any) -> Any:
    """A spec with a noun's values; a text that is not there is an empty one."""
    values = dict(other)
    for one in msgspec.structs.fields(spec):
        if one.name not in values:
            value = getattr(noun, one.name)
            values[one.name] = "" if value is None and one.type is str else value
    return spec(**values)


def values_of(spec: Any, names: Sequence[str] | None = None) -> dict[str, Any]:
    """A spec's values, of these names, by their names."""
    return {name: getattr(spec, name) for name in names or spec.__struct_fields__}


def noun_methods(at: str, later: Sequence[str] = (), *, loss: str = "") -> tuple[Create, Update, Delete]:
    """How a noun's own methods create, update and delete; `later` can be set only of what is there.

    `loss` is what `delete` wants to be told, which the plan has shown and somebody has agreed to.
    """

    async def create(trmm: TRMM, spec: Any, _owner: int | None) -> int:
        noun = noun_at(trmm, at)
        values = values_of(spec)
        afterwards = {name: values.pop(name) for name in later}
        made = await noun.create(**values)
        if any(afterwards.values()):
            await noun.update(made, **afterwards)
        return int(made.id)

    async def update(trmm: TRMM, row: Row, spec: Any, names: Sequence[str]) -> None:
        await noun_at(trmm, at).update(row.thing, **values_of(spec, names))

    async def delete(trmm: TRMM, row: Row) -> None:
        await noun_at(trmm, at).delete(row.id, **({loss: True} if loss else {}))

    return create, update, delete


def noun_at(trmm: TRMM, path: str) -> Any:
    """The noun of a client's at this path, as "scripts.snippets"."""
    found: Any = trmm
    for word in path.split("."):
        found = getattr(found, word)
    return found
