"""Matches files to the objects of a server. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from trmm_async.config.folder import ObjectRecord
from trmm_async.config.objects import Kind, Row
from trmm_async.config.table import KINDS

__all__ = ["Matching", "SeenRow", "Want", "match_objects", "match_parts", "shared_names"]


@dataclass(frozen=True, kw_only=True)
class Want:
    """An object as the folder describes it.

    Attributes:
        kind: its kind.
        handle: its file's name in the folder; for a part, followed by "#KIND/LABEL".
        spec: its content, with names where it refers to other objects.
        owner: the handle of the object that it belongs to.
    """

    kind: str
    handle: str
    spec: Any
    owner: str | None = None

    @property
    def key(self) -> str:
        """The object's name."""
        return KINDS[self.kind].key(self.spec)


@dataclass(frozen=True)
class SeenRow:
    """A row whose `spec` has names in place of ids. `spec` is None if no file can hold it."""

    row: Row
    spec: Any
    key: str


@dataclass
class Matching:
    """The pairs of wanted objects and their rows (None: not on the server), and what was found on the way."""

    pairs: list[tuple[Want, SeenRow | None]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


# -- objects by themselves -----------------------------------------------------------------------------------


def match_objects(
    kind: Kind, wants: Sequence[Want], found: Sequence[SeenRow], known: Mapping[str, ObjectRecord]
) -> Matching:
    """Match by the id that is recorded for the file, so that a rename is recognized; otherwise by name."""
    matching = Matching(findings=shared_names(kind, found))
    by_key = _by_key(found)
    by_id = {one.row.id: one for one in found}
    by_file = {want.handle: by_id.get(known[want.handle].id) for want in wants if want.handle in known}
    renamed = {
        there.row.id: want.handle
        for want in wants
        if (there := by_file.get(want.handle)) is not None and there.key != want.key
    }
    taken: dict[int, str] = {}
    for want in wants:
        match: SeenRow | None = by_file.get(want.handle)
        named = [one for one in by_key.get(want.key, ()) if one is not match]
        free = [one for one in named if renamed.get(one.row.id, want.handle) == want.handle]
        if match is not None and free:
            matching.problems.append(
                f"{want.handle} is about {kind.word} {match.row.id}, {match.key!r} by now, and "
                f"{free[0].row.id} has the name {want.key!r}: rename one of them"
            )
        elif match is None and len(named) > 1:
            matching.problems.append(
                f"{want.handle}: the server has several objects of one name: {kind.word} {want.key!r} is "
                f"{_numbers(named)}. Rename all but one"
            )
        match = match or next(iter(named), None)
        if match is not None and (other := taken.setdefault(match.row.id, want.handle)) != want.handle:
            matching.problems.append(
                f"{want.handle} and {other} are both about {kind.word} {match.row.id}; "
                "apply one of them without the other first"
            )
        matching.pairs.append((want, match))
    return matching


def shared_names(kind: Kind, found: Sequence[SeenRow]) -> list[str]:
    """The findings about names that several objects have."""
    return [
        f"{kind.word}s {_numbers(several)} have one name, {key!r}: they are left alone"
        for key, several in _by_key(found).items()
        if len(several) > 1
    ]


def _by_key(found: Sequence[SeenRow]) -> Mapping[str, list[SeenRow]]:
    by_key: defaultdict[str, list[SeenRow]] = defaultdict(list)
    for one in found:
        by_key[one.key].append(one)
    return by_key


def _numbers(several: Sequence[SeenRow]) -> str:
    return ", ".join(str(one.row.id) for one in several)


# -- parts ---------------------------------------------------------------------------------------------------


def match_parts(
    kind: Kind,
    wants: Sequence[Want],
    found: Sequence[SeenRow],
    known: Mapping[str, ObjectRecord],
    owners: Mapping[str, int],
) -> Matching:
    """Match the parts of each owner: equal ones first, then by name, then by the records of its file.

    Args:
        kind: the parts' kind.
        wants: the wanted parts of all owners.
        found: the rows of all owners.
        known: the records of the folder, by handles.
        owners: the ids of the owners that exist, by their handles.
    """
    matching = Matching()
    by_owner: defaultdict[str, list[Want]] = defaultdict(list)
    for want in wants:
        by_owner[want.owner or ""].append(want)
    pairs: dict[str, SeenRow | None] = {want.handle: None for want in wants}
    for owner, theirs in by_owner.items():
        left = [one for one in found if owner in owners and one.row.owner == owners[owner]]
        files = [owner, *_former_names(kind, owners.get(owner), known)]
        parts = _PartsMatcher(kind, files, theirs, left, known)
        pairs |= parts.matches
        if parts.new and (gone := parts.had):
            matching.findings.append(
                f"{owner}: {_named(kind, [want.key for want in parts.new])} new there, and "
                f"{_named(kind, [one.key for one in gone])} gone. If these are renames, apply them one by one"
            )
    matching.pairs = [(want, pairs[want.handle]) for want in wants]
    return matching


def _former_names(kind: Kind, owner: int | None, known: Mapping[str, ObjectRecord]) -> list[str]:
    """The handles that the owner's file had before, by the records."""
    return [
        handle
        for handle, one in known.items()
        if one.id == owner and "#" not in handle and handle.startswith(f"{kind.owner}/")
    ]


def _named(kind: Kind, names: Sequence[str]) -> str:
    listed = ", ".join(repr(name) for name in names[:5]) + (", …" if names[5:] else "")
    return f"{kind.word}{'s' if names[1:] else ''} {listed} {'are' if names[1:] else 'is'}"


class _PartsMatcher:
    """Matches the parts of one owner by rules, the surest first.

    Each rule moves pairs from `new` (wanted parts) and `left` (rows) to `matches`.
    """

    def __init__(
        self,
        kind: Kind,
        files: Sequence[str],
        wants: Sequence[Want],
        found: Sequence[SeenRow],
        known: Mapping[str, ObjectRecord],
    ) -> None:
        self._kind = kind
        prefixes = tuple(f"{file}#{kind.name}/" for file in files)
        self._places = {one.id: one.place for handle, one in known.items() if handle.startswith(prefixes)}
        self.order = list(wants)
        self.new = list(wants)
        self.left = list(found)
        self.matches: dict[str, SeenRow] = {}
        for fits in (_is_same, _has_same_key):
            self._pair(fits)
        self._pair(lambda want, one: want.handle in known and known[want.handle].id == one.row.id)
        self._pair_uniquely()
        self._pair_neighbours()

    @property
    def had(self) -> list[SeenRow]:
        """The rows that were parts of the file before and are not matched, in the file's former order."""
        old = [one for one in self.left if one.row.id in self._places and one.spec is not None]
        return sorted(old, key=lambda one: self._places[one.row.id])

    def _match(self, want: Want, one: SeenRow) -> None:
        self.new.remove(want)
        self.left.remove(one)
        self.matches[want.handle] = one

    def _pair(self, fits: Callable[[Want, SeenRow], bool]) -> None:
        for want in list(self.new):
            if match := next((one for one in self.left if fits(want, one)), None):
                self._match(want, match)

    def _pair_uniquely(self) -> None:
        """Recognize renames of parts that are otherwise equal, if there is only one candidate."""
        fitting = [
            (want, one)
            for want in self.new
            for one in self.had
            if _is_renamed(self._kind, want.spec, one.spec)
        ]
        wants = Counter(want.handle for want, _ in fitting)
        things = Counter(one.row.id for _, one in fitting)
        for want, one in fitting:
            if wants[want.handle] == things[one.row.id] == 1:
                self._match(want, one)

    def _pair_neighbours(self) -> None:
        """Recognize renames by position: as many parts as before are between the same two neighbours."""
        old_order = sorted(
            (*self.had, *(one for one in self.matches.values() if one.row.id in self._places)),
            key=lambda one: self._places[one.row.id],
        )
        numbers = {handle: one.row.id for handle, one in self.matches.items()}
        new = _between([(want, numbers.get(want.handle)) for want in self.order])
        matched = {*numbers.values()}
        old = _between([(one, one.row.id if one.row.id in matched else None) for one in old_order])
        pairs = [
            pair
            for around, wants in new.items()
            if len(wants) == len(old.get(around, ()))
            for pair in zip(wants, old[around], strict=True)
        ]
        if not pairs and len(self.new) == len(self.had) == 1:
            pairs = [(self.new[0], self.had[0])]
        for want, one in pairs:
            if type(want.spec) is type(one.spec):
                self._match(want, one)


def _between(sequence: Sequence[tuple[Any, int | None]]) -> dict[tuple[int | None, int | None], list[Any]]:
    """Group the items that have no number by the numbers of their neighbours."""
    found: defaultdict[tuple[int | None, int | None], list[Any]] = defaultdict(list)
    waiting: list[Any] = []
    before: int | None = None
    for thing, number in (*sequence, (None, -1)):
        if number is None:
            waiting.append(thing)
            continue
        if waiting:
            found[before, number] += waiting
            waiting = []
        before = number
    return found


def _is_same(want: Want, one: SeenRow) -> bool:
    return bool(want.spec == one.spec)


def _has_same_key(want: Want, one: SeenRow) -> bool:
    return want.key == one.key


def _is_renamed(kind: Kind, wanted: Any, present: Any) -> bool:
    if type(wanted) is not type(present):
        return False
    label = {name: getattr(present, name) for name in kind.label(wanted)}
    return bool(msgspec.structs.replace(wanted, **label) == present)
