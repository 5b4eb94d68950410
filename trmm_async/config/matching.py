"""Which object of a server is the one that a file is about. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from trmm_async.config.folder import Known
from trmm_async.config.objects import Kind, Row
from trmm_async.config.table import KINDS

__all__ = ["Matching", "SeenRow", "Want", "match_objects", "match_parts"]


@dataclass(frozen=True, kw_only=True)
class Want:
    """An object as a folder wants it.

    `handle` is its file's name in the folder, of what belongs to it with its kind and name behind a `#`;
    `owner` is the handle of what it belongs to.
    """

    kind: str
    handle: str
    spec: Any
    owner: str | None = None

    @property
    def key(self) -> str:
        """Its name."""
        return KINDS[self.kind].key(self.spec)


@dataclass(frozen=True)
class SeenRow:
    """A row, with names in place of ids in `spec`; None if it can't be said so."""

    row: Row
    spec: Any
    key: str


@dataclass
class Matching:
    """Pairs of what is wanted and what is there, None for what is not."""

    pairs: list[tuple[Want, SeenRow | None]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


# -- objects by themselves -----------------------------------------------------------------------------------


def match_objects(
    kind: Kind, wants: Sequence[Want], found: Sequence[SeenRow], known: Mapping[str, Known]
) -> Matching:
    """By the id that its file was about, so that a rename is one; else by its name."""
    matching = Matching()
    by_key: defaultdict[str, list[SeenRow]] = defaultdict(list)
    for one in found:
        by_key[one.key].append(one)
    for key, several in by_key.items():
        if len(several) > 1:
            matching.findings.append(
                f"{kind.word}s {_numbers(several)} have one name, {key!r}: they are left alone"
            )
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


def _numbers(several: Sequence[SeenRow]) -> str:
    return ", ".join(str(one.row.id) for one in several)


# -- what belongs to others ----------------------------------------------------------------------------------


def match_parts(
    kind: Kind,
    wants: Sequence[Want],
    found: Sequence[SeenRow],
    known: Mapping[str, Known],
    owners: Mapping[str, int],
) -> Matching:
    """Among those of one owner: first what is the same, then by name, then by what its file has had before.

    Args:
        kind: the kind.
        wants: those of all owners.
        found: those of all owners.
        known: what the files were about before.
        owners: the ids of owners that are there, by their handles.
    """
    matching = Matching()
    by_owner: defaultdict[str, list[Want]] = defaultdict(list)
    for want in wants:
        by_owner[want.owner or ""].append(want)
    pairs: dict[str, SeenRow | None] = {want.handle: None for want in wants}
    for owner, theirs in by_owner.items():
        left = [one for one in found if owner in owners and one.row.owner == owners[owner]]
        files = [owner, *_former_names(kind, owners.get(owner), known)]
        one_file = _OneFile(kind, files, theirs, left, known)
        pairs |= one_file.matches
        if one_file.new and (gone := one_file.had):
            matching.findings.append(
                f"{owner}: {_named(kind, [want.key for want in one_file.new])} new there, and "
                f"{_named(kind, [one.key for one in gone])} gone. If these are renames, apply them one by one"
            )
    matching.pairs = [(want, pairs[want.handle]) for want in wants]
    return matching


def _former_names(kind: Kind, owner: int | None, known: Mapping[str, Known]) -> list[str]:
    """What the owner's file was called before, by the record."""
    return [
        handle
        for handle, one in known.items()
        if one.id == owner and "#" not in handle and handle.startswith(f"{kind.owner}/")
    ]


def _named(kind: Kind, names: Sequence[str]) -> str:
    listed = ", ".join(repr(name) for name in names[:5]) + (", …" if names[5:] else "")
    return f"{kind.word}{'s' if names[1:] else ''} {listed} {'are' if names[1:] else 'is'}"


class _OneFile:
    """What belongs to one owner. `new` and `left` become fewer by each rule, and `matches` more."""

    def __init__(
        self,
        kind: Kind,
        files: Sequence[str],
        wants: Sequence[Want],
        found: Sequence[SeenRow],
        known: Mapping[str, Known],
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
        """What the file had, and has no more, in its order there."""
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
        """Renames of what is otherwise the same."""
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
        """Renames of what stands between the same two as before, if as many stand there."""
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
    """What has no number yet, by the numbers before and behind it."""
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


def _is_renamed(kind: Kind, wanted: Any, there: Any) -> bool:
    if type(wanted) is not type(there):
        return False
    label = {name: getattr(there, name) for name in kind.label(wanted)}
    return bool(msgspec.structs.replace(wanted, **label) == there)
