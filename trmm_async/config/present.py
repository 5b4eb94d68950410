"""What a server has: its objects with names in place of ids, and in the form of files. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from trmm_async.config.matching import SeenRow, shared_names
from trmm_async.config.names import Name
from trmm_async.config.objects import Kind, Row, StoredKey, mapped, unique_labels
from trmm_async.config.specs import SiteName, plain
from trmm_async.config.table import KINDS

__all__ = ["Described", "NamedRows", "Present", "Thing", "describe"]


@dataclass(frozen=True, kw_only=True)
class Present:
    """What a server has: its objects by kinds, and by kinds and ids the names to which objects refer."""

    rows: Mapping[str, Sequence[Row]]
    names: Mapping[str, Mapping[int, Name]] = field(default_factory=dict)


class NamedRows:
    """Reads the rows of a server with names in place of ids. Kinds must be read in the order of the table.

    Attributes:
        seen: the rows that were read, by their kinds.
        names: the names by kinds and ids; labels of parts are added when their kind is read.
        findings: what is odd in the rows that were read.
    """

    def __init__(self, present: Present) -> None:
        self._rows = present.rows
        self.seen: dict[str, list[SeenRow]] = {}
        self.names: dict[str, dict[int, Name]] = {kind: dict(names) for kind, names in present.names.items()}
        self.findings: list[str] = []

    def read(self, kind: Kind) -> list[SeenRow]:
        """Read the rows of a kind, without those that have no name."""
        found = [one for row in self._rows.get(kind.name, ()) if (one := self._as_seen(kind, row))]
        self.seen[kind.name] = found
        self._label_parts(kind, found)
        return found

    def _as_seen(self, kind: Kind, row: Row) -> SeenRow | None:
        """The row with names in place of ids; None if the object has no name."""
        what = f"{kind.word} {row.id}"
        if row.spec is None:
            self.findings.append(f"{what}: {row.odd}; it is left alone")
            return SeenRow(row, None, "")
        if row.odd:
            self.findings.append(f"{what}: {row.odd}")
        spec = row.spec
        if kind.owner is None and not kind.key(spec):
            self.findings.append(f"{what} has no name: a half-done write of the server's; it is left alone")
            return None
        for path, other in kind.refs.items():
            spec = mapped(spec, path, partial(self._named, what, other))
        try:
            spec = spec if isinstance(spec, StoredKey) else msgspec.convert(plain(spec), kind.spec)
            spec = kind.normal(spec)
        except msgspec.ValidationError as error:
            self.findings.append(f"{what} can't be said in a file ({error}); it is left alone")
            return SeenRow(row, None, kind.key(spec))
        return SeenRow(row, spec, kind.key(spec))

    def _named(self, what: str, kind: str, number: Any) -> Name:
        found = self.names.get(kind, {}).get(number)
        if found is None:
            self.findings.append(f"{what} refers to {KINDS[kind].word} {number}, which is not there")
            return SiteName(client=f"#{number}", site=f"#{number}") if kind == "sites" else f"#{number}"
        return found

    def _label_parts(self, kind: Kind, found: Sequence[SeenRow]) -> None:
        """Record the labels of parts, by which tasks refer to checks. Equal ones get a number added."""
        if kind.owner is None or kind.name == "sites":
            return
        of: defaultdict[int | None, list[SeenRow]] = defaultdict(list)
        for one in sorted(found, key=lambda one: one.row.id):
            of[one.row.owner].append(one)
        for theirs in of.values():
            labels = unique_labels([one.key for one in theirs])
            self.names.setdefault(kind.name, {}).update(
                {one.row.id: label for one, label in zip(theirs, labels, strict=True)}
            )


@dataclass(frozen=True, kw_only=True)
class Thing:
    """An object of a server in the form of files, with its parts."""

    kind: str
    id: int
    name: str
    spec: Any = field(repr=False)
    parts: Mapping[str, Sequence["Thing"]] = field(default_factory=dict)

    @property
    def parts_by_kind(self) -> dict[str, list[Any]]:
        """The specs of its parts, by their kinds."""
        return {kind: [one.spec for one in things] for kind, things in self.parts.items()}


@dataclass(frozen=True, kw_only=True)
class Described:
    """A server's objects in the form of files, and what is odd on the server."""

    things: tuple[Thing, ...] = ()
    findings: tuple[str, ...] = ()


def describe(present: Present, kinds: Sequence[str]) -> Described:
    """Turn what is present into the form of files. Objects that share a name are left out."""
    rows = NamedRows(present)
    for name, kind in KINDS.items():
        if name in kinds:
            found = rows.read(kind)
            if kind.owner is None:
                rows.findings += shared_names(kind, found)
    parts: defaultdict[int, dict[str, list[Thing]]] = defaultdict(dict)
    for name, found in rows.seen.items():
        if (owner := KINDS[name].owner) is None:
            continue
        for row in present.rows[owner]:
            parts[row.id].setdefault(name, [])
        for one in sorted(found, key=lambda one: one.row.id):
            if one.spec is not None and one.row.owner is not None:
                thing = Thing(kind=name, id=one.row.id, name=one.key, spec=one.spec)
                parts[one.row.owner].setdefault(name, []).append(thing)
    counts = Counter((name, one.key) for name, found in rows.seen.items() for one in found)
    things = [
        Thing(kind=name, id=one.row.id, name=one.key, spec=one.spec, parts=_of_kind(name, parts[one.row.id]))
        for name, found in rows.seen.items()
        if KINDS[name].owner is None
        for one in found
        if one.spec is not None and counts[name, one.key] == 1
    ]
    return Described(things=tuple(things), findings=tuple(dict.fromkeys(rows.findings)))


def _of_kind(kind: str, parts: Mapping[str, list[Thing]]) -> dict[str, list[Thing]]:
    """Without the parts of another kind's object, which may have the same id."""
    return {part: things for part, things in parts.items() if KINDS[part].owner == kind}
