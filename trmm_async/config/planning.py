"""What has to be done to a server so that it is as a folder says. Pure: of what is wanted, and what is."""

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal

import msgspec

from trmm_async.config.folder import Known
from trmm_async.config.specs import SiteName, plain
from trmm_async.config.table import KINDS, Kind, RefPath, Row, StoredKey, mapped
from trmm_async.errors import ConfigError
from trmm_async.plaintext import alike, clean, one_line

__all__ = [
    "Described",
    "ConfigPlan",
    "Present",
    "Step",
    "Thing",
    "Want",
    "Wanted",
    "compare",
    "describe",
    "in_words",
    "named",
]

Name = str | SiteName
_NUMBER: Final = re.compile(r"#([0-9]{1,18})")
_SIGNS: Final = {"create": "+", "change": "~", "delete": "-"}


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


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a folder says about a server: all objects of these kinds, and what is known from before."""

    server: str
    kinds: tuple[str, ...]
    objects: tuple[Want, ...] = ()
    known: Mapping[str, Known] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Present:
    """What a server has: its objects by their kinds, and the names of whatever can be referred to."""

    rows: Mapping[str, Sequence[Row]]
    names: Mapping[str, Mapping[int, Name]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do: to create, to change or to delete an object.

    Attributes:
        action: "create", "change" or "delete".
        kind, name: which object; `owner` is the name of what it belongs to.
        id: the server's number for it; None of one that is to be created.
        before, after: how it is, and how it is to be; None where it is not.
        changes: the names of what differs between the two.
        handle: the file that says so.
    """

    action: Literal["create", "change", "delete"]
    kind: str
    name: str
    handle: str
    id: int | None = None
    before: Any = field(default=None, repr=False)
    after: Any = field(default=None, repr=False)
    changes: tuple[str, ...] = ()
    owner: str | None = None
    seen: Row | None = field(default=None, repr=False)
    owner_handle: str | None = field(default=None, repr=False)

    @property
    def title(self) -> str:
        """The step on one line, as "~ script 'Clear-Temp'"."""
        of = f" of {self.owner!r}" if self.owner is not None else ""
        return one_line(clean(f"{_SIGNS[self.action]} {KINDS[self.kind].word} {self.name!r}{of}"))

    def to_dict(self) -> dict[str, Any]:
        """The step in the types of JSON. What is secret is not in it."""
        return {
            "action": self.action,
            "kind": self.kind,
            "name": self.name,
            "owner": self.owner,
            "id": self.id,
            "file": self.handle,
            "changes": list(self.changes),
            "before": plain(self.before),
            "after": plain(self.after),
        }


@dataclass(frozen=True, kw_only=True)
class ConfigPlan:
    """What `apply` would do, in this order. `str(plan)` shows it, with what differs; nothing secret is in it.

    Attributes:
        server: its address.
        steps: what is to be done. Nothing: the server is as the folder says.
        would_delete: what `apply` made, and no file is about any more: it stays, since nobody asked for that.
        findings: what is odd on the server: objects without a name, those that refer to what is not there,
            those that no file can say.
        unmanaged: how many objects there are that no file is about, by their kinds. They are left alone.
    """

    server: str
    steps: tuple[Step, ...] = ()
    would_delete: tuple[Step, ...] = ()
    findings: tuple[str, ...] = ()
    unmanaged: Mapping[str, int] = field(default_factory=dict)
    ids: Mapping[str, Mapping[Name, int]] = field(default_factory=dict, repr=False)
    matches: Mapping[str, int] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __str__(self) -> str:
        return in_words(self)

    def to_dict(self) -> dict[str, Any]:
        """The plan in the types of JSON."""
        return {
            "server": self.server,
            "steps": [step.to_dict() for step in self.steps],
            "would_delete": [step.to_dict() for step in self.would_delete],
            "findings": list(self.findings),
            "unmanaged": dict(self.unmanaged),
        }


def compare(wanted: Wanted, present: Present, *, delete: bool = False) -> ConfigPlan:
    """The plan that makes of what is present what is wanted.

    Args:
        wanted: what the folder says.
        present: what the server has.
        delete: also delete what is known to be made by `apply`, and that no file is about any more.

    Raises:
        ConfigError: it can't be done: two objects have one name, something refers to what is not there, a
            thing can't be created or changed. All that is wrong is in the one error.
    """
    comparison = _Comparison(wanted, present)
    comparison.compare_all()
    return comparison.plan(delete=delete)


@dataclass(frozen=True, kw_only=True)
class Thing:
    """An object of a server as a file can say it, with what belongs to it."""

    kind: str
    id: int
    name: str
    spec: Any = field(repr=False)
    parts: Mapping[str, Sequence["Thing"]] = field(default_factory=dict)

    @property
    def parts_by_kind(self) -> dict[str, list[Any]]:
        """What belongs to it, by its kinds."""
        return {kind: [one.spec for one in things] for kind, things in self.parts.items()}


@dataclass(frozen=True, kw_only=True)
class Described:
    """What files can say of a server, and what is odd there."""

    things: tuple[Thing, ...] = ()
    findings: tuple[str, ...] = ()


def describe(present: Present, kinds: Sequence[str]) -> Described:
    """What files can say of what is present. Two objects of one name are none of it."""
    comparison = _Comparison(Wanted(server="", kinds=tuple(kinds)), present)
    comparison.compare_all()
    of: defaultdict[int, dict[str, list[Thing]]] = defaultdict(dict)
    for name, found in comparison.seen.items():
        if (owner := KINDS[name].owner) is None:
            continue
        for row in present.rows[owner]:
            of[row.id].setdefault(name, [])
        for one in sorted(found, key=lambda one: one.row.id):
            if one.spec is not None and one.row.owner is not None:
                thing = Thing(kind=name, id=one.row.id, name=one.key, spec=one.spec)
                of[one.row.owner].setdefault(name, []).append(thing)
    things = [
        Thing(kind=name, id=one.row.id, name=one.key, spec=one.spec, parts=_parts(name, of[one.row.id]))
        for name, found in comparison.seen.items()
        if KINDS[name].owner is None
        for one in found
        if one.spec is not None and Counter(each.key for each in found)[one.key] == 1
    ]
    return Described(things=tuple(things), findings=tuple(dict.fromkeys(comparison.findings)))


def _parts(kind: str, found: Mapping[str, list[Thing]]) -> dict[str, list[Thing]]:
    return {part: things for part, things in found.items() if KINDS[part].owner == kind}


class _Comparison:
    def __init__(self, wanted: Wanted, present: Present) -> None:
        self.wanted = wanted
        self.present = present
        self.problems: list[str] = []
        self.findings: list[str] = []
        self.steps: list[Step] = []
        self.deletes: list[Step] = []
        self.unmanaged: Counter[str] = Counter()
        self.names: dict[str, dict[int, Name]] = {kind: dict(names) for kind, names in present.names.items()}
        self.matched: dict[str, Row] = {}
        self.seen: dict[str, list[_Seen]] = {}
        self.coming: defaultdict[str, set[Name]] = defaultdict(set)
        self._made_of = {
            (_kind_of(handle), known.id): handle for handle, known in wanted.known.items() if known.made
        }

    def compare_all(self) -> None:
        """Every kind, in the order of dependency."""
        for name, kind in KINDS.items():
            if name in self.wanted.kinds:
                self.compare(kind)
        if self.problems:
            raise ConfigError("; ".join(dict.fromkeys(self.problems)))

    def plan(self, *, delete: bool) -> ConfigPlan:
        """All of it together."""
        ids: dict[str, dict[Name, int]] = {
            kind: {name: number for number, name in names.items()} for kind, names in self.names.items()
        }
        deletes = tuple(reversed(self.deletes))
        return ConfigPlan(
            server=self.wanted.server,
            steps=(*self.steps, *(deletes if delete else ())),
            would_delete=() if delete else deletes,
            findings=tuple(dict.fromkeys(self.findings)),
            unmanaged=dict(self.unmanaged),
            ids=ids,
            matches={handle: row.id for handle, row in self.matched.items()},
        )

    def compare(self, kind: Kind) -> None:
        """One kind, after all that it may refer to."""
        wants = [want for want in self.wanted.objects if want.kind == kind.name]
        found = [one for row in self.present.rows.get(kind.name, ()) if (one := self._as_seen(kind, row))]
        self.seen[kind.name] = found
        if kind.owner is None:
            pairs = self._matched(kind, wants, found)
        else:
            pairs = self._matched_parts(kind, wants, found)
        self._label_parts(kind, found)
        for want, one in pairs:
            if one is not None:
                self.matched[want.handle] = one.row
                self.names.setdefault(kind.name, {})[one.row.id] = self._name(kind, want)
            else:
                self.coming[kind.name].add(self._name(kind, want))
        for want, one in pairs:
            self._step(kind, want, one)
        matched = {one.row.id for _, one in pairs if one is not None}
        for one in found:
            if one.row.id not in matched:
                self._left(kind, one)

    def _name(self, kind: Kind, want: Want) -> Name:
        if kind.name == "sites":
            return SiteName(client=self._owner_name(want) or "", site=want.key)
        return want.key if kind.owner is None else want.handle.partition(f"#{kind.name}/")[2]

    def _label_parts(self, kind: Kind, found: Sequence["_Seen"]) -> None:
        """What a policy's checks are referred to by: of several of one name, the later have a number."""
        if kind.owner is None or kind.name == "sites":
            return
        seen: Counter[tuple[int | None, str]] = Counter()
        for one in sorted(found, key=lambda one: one.row.id):
            seen[one.row.owner, one.key] += 1
            count = seen[one.row.owner, one.key]
            self.names.setdefault(kind.name, {})[one.row.id] = f"{one.key} #{count}" if count > 1 else one.key

    def _owner_name(self, want: Want) -> str | None:
        owner = next((one for one in self.wanted.objects if one.handle == want.owner), None)
        return None if owner is None else owner.key

    # -- what there is ---------------------------------------------------------------------------------------

    def _as_seen(self, kind: Kind, row: Row) -> "_Seen | None":
        """A row with names in place of ids; None of one that is nobody's."""
        what = f"{kind.word} {row.id}"
        if row.spec is None:
            self.findings.append(f"{what}: {row.odd}; it is left alone")
            return _Seen(row, None, "")
        spec = row.spec
        if kind.owner is None and not spec.name:
            self.findings.append(f"{what} has no name: a half-done write of the server's; it is left alone")
            return None
        for path, other in kind.refs.items():
            spec = mapped(spec, path, partial(self._named, what, other))
        try:
            spec = spec if isinstance(spec, StoredKey) else msgspec.convert(plain(spec), kind.spec)
        except msgspec.ValidationError as error:
            self.findings.append(f"{what} can't be said in a file ({error}); it is left alone")
            return _Seen(row, None, kind.key(spec))
        return _Seen(row, spec, kind.key(spec))

    def _named(self, what: str, kind: str, number: Any) -> Name:
        found = self.names.get(kind, {}).get(number)
        if found is None:
            self.findings.append(f"{what} refers to {KINDS[kind].word} {number}, which is not there")
            return SiteName(client=f"#{number}", site=f"#{number}") if kind == "sites" else f"#{number}"
        return found

    # -- which is which --------------------------------------------------------------------------------------

    def _matched(
        self, kind: Kind, wants: Sequence[Want], found: Sequence["_Seen"]
    ) -> list[tuple[Want, "_Seen | None"]]:
        by_key: defaultdict[str, list[_Seen]] = defaultdict(list)
        for one in found:
            by_key[one.key].append(one)
        for key, several in by_key.items():
            if len(several) > 1:
                numbers = ", ".join(str(one.row.id) for one in several)
                self.findings.append(f"{kind.word}s {numbers} have one name, {key!r}: they are left alone")
        by_id = {one.row.id: one for one in found}
        taken: dict[int, str] = {}
        pairs = [(want, self._match(kind, want, by_id, by_key)) for want in wants]
        for want, match in pairs:
            if match is not None and match.row.id in taken:
                self.problems.append(
                    f"{want.handle} and {taken[match.row.id]} are both about {kind.word} {match.row.id}"
                )
            elif match is not None:
                taken[match.row.id] = want.handle
        return pairs

    def _match(
        self, kind: Kind, want: Want, by_id: Mapping[int, "_Seen"], by_key: Mapping[str, Sequence["_Seen"]]
    ) -> "_Seen | None":
        """By the id that its file was about, so that a rename is one; else by its name."""
        known = self.wanted.known.get(want.handle)
        by_file = by_id.get(known.id) if known else None
        by_name = [one for one in by_key.get(want.key, ()) if one is not by_file]
        if by_file is not None and by_name:
            self.problems.append(
                f"{want.handle} is about {kind.word} {by_file.row.id}, {by_file.key!r} by now, and "
                f"{by_name[0].row.id} has the name {want.key!r}: rename one of them"
            )
        elif len(by_name) > 1:
            numbers = ", ".join(str(one.row.id) for one in by_name)
            self.problems.append(
                f"{want.handle}: the server has several objects of one name: {kind.word} {want.key!r} is "
                f"{numbers}. Rename all but one"
            )
        return by_file or next(iter(by_name), None)

    def _matched_parts(
        self, kind: Kind, wants: Sequence[Want], found: Sequence["_Seen"]
    ) -> list[tuple[Want, "_Seen | None"]]:
        """What belongs to others, by name among those of one owner; first what is the same."""
        pairs: list[tuple[Want, _Seen | None]] = []
        by_owner: defaultdict[str | None, list[Want]] = defaultdict(list)
        for want in wants:
            by_owner[want.owner].append(want)
        for owner, theirs in by_owner.items():
            row = self.matched.get(owner or "")
            left = [one for one in found if row is not None and one.row.owner == row.id]
            # First what is the same, then what has the same name, then what was known by this file.
            for fits in (_is_same, _has_same_key, self._is_known):
                for want in list(theirs):
                    match = next((one for one in left if fits(want, one)), None)
                    if match is not None:
                        left.remove(match)
                        theirs.remove(want)
                        pairs.append((want, match))
            if len(theirs) == 1 and len(renamed := [one for one in left if self._was_known(one, owner)]) == 1:
                pairs.append((theirs.pop(), renamed[0]))
            pairs += [(want, None) for want in theirs]
        order = {want.handle: place for place, want in enumerate(wants)}
        return sorted(pairs, key=lambda pair: order[pair[0].handle])

    def _is_known(self, want: Want, one: "_Seen") -> bool:
        known = self.wanted.known.get(want.handle)
        return known is not None and known.id == one.row.id

    def _was_known(self, one: "_Seen", owner: str | None) -> bool:
        """Whether the file had it, under another name: then it was renamed there."""
        return any(
            known.id == one.row.id and handle.startswith(f"{owner}#{one.row.kind}/")
            for handle, known in self.wanted.known.items()
        )

    # -- what is to be done ----------------------------------------------------------------------------------

    def _step(self, kind: Kind, want: Want, one: "_Seen | None") -> None:
        spec = want.spec
        self._hold_references(kind, want)
        about: dict[str, Any] = {
            "kind": kind.name,
            "name": want.key,
            "handle": want.handle,
            "owner": self._owner_name(want),
            "owner_handle": want.owner,
        }
        if one is None:
            if kind.create is None:
                self.problems.append(f"{want.handle}: the server has no {kind.word} {want.key!r}")
            elif isinstance(spec, StoredKey) and spec.value is None:
                self.problems.append(
                    f"{want.handle}: a new entry needs value_from: env:NAME or keyring:SERVICE/NAME"
                )
            else:
                self.steps.append(Step(action="create", after=spec, **about))
            return
        if one.spec is None:
            self.problems.append(f"{want.handle}: {kind.word} {one.row.id} is there, and can't be compared")
            return
        if isinstance(spec, StoredKey) and spec.value is None:
            spec = msgspec.structs.replace(spec, value=one.spec.value)
        if type(spec) is not type(one.spec):
            self.problems.append(f"{want.handle}: {want.key!r} is of another type on the server")
            return
        names = spec.__struct_fields__
        changes = tuple(name for name in names if getattr(spec, name) != getattr(one.spec, name))
        if fixed := [name for name in changes if name in kind.fixed]:
            self.problems.append(
                f"{want.handle}: {fixed[0]} of {kind.word} {one.row.id} is {getattr(one.spec, fixed[0])!r}, "
                f"and can't be changed to {getattr(spec, fixed[0])!r}"
            )
        elif changes:
            self.steps.append(
                Step(
                    action="change",
                    id=one.row.id,
                    before=one.spec,
                    after=spec,
                    changes=changes,
                    seen=one.row,
                    **about,
                )
            )

    def _hold_references(self, kind: Kind, want: Want) -> None:
        """What it refers to must be there, or come before it."""
        for path, other in kind.refs.items():
            for name in _at(want.spec, path):
                if KINDS[other].owner == kind.owner is not None:
                    if not any(one.handle == f"{want.owner}#{other}/{name}" for one in self.wanted.objects):
                        self.problems.append(f"{want.handle}: its file has no {KINDS[other].word} {name!r}")
                    continue
                known = Counter(self.names.get(other, {}).values())
                shown = f"{name.client}/{name.site}" if isinstance(name, SiteName) else str(name)
                if known[name] > 1:
                    self.problems.append(f"{want.handle}: there are several of {KINDS[other].word} {shown!r}")
                elif not known[name] and name not in self.coming[other] and not _NUMBER.fullmatch(shown):
                    texts = [one for one in (*known, *self.coming[other]) if isinstance(one, str)]
                    self.problems.append(
                        f"{want.handle}: there is no {KINDS[other].word} {shown!r}{alike(shown, texts)}"
                    )

    def _left(self, kind: Kind, one: "_Seen") -> None:
        """What no file is about."""
        handle = self._made_of.get((kind.name, one.row.id))
        # Of a file that is there, a part is gone; a part of a policy that goes, goes with it.
        if handle is None or kind.delete is None or one.spec is None:
            self.unmanaged[kind.name] += 1
            return
        if any(step.kind == kind.owner and step.id == one.row.owner for step in self.deletes):
            return
        owner = None
        if kind.owner is not None and one.row.owner is not None:
            owner = str(self.names.get(kind.owner, {}).get(one.row.owner, one.row.owner))
        self.deletes.append(
            Step(
                action="delete",
                kind=kind.name,
                name=one.key,
                handle=handle,
                id=one.row.id,
                before=one.spec,
                seen=one.row,
                owner=owner,
            )
        )


@dataclass(frozen=True)
class _Seen:
    """A row, with names in place of ids in `spec`; None if it can't be said so."""

    row: Row
    spec: Any
    key: str


def _is_same(want: Want, one: _Seen) -> bool:
    return bool(want.spec == one.spec)


def _has_same_key(want: Want, one: _Seen) -> bool:
    return want.key == one.key


def _kind_of(handle: str) -> str:
    """The kind of what a handle is about."""
    part = handle.partition("#")[2]
    return (part or handle).partition("/")[0]


def _at(value: Any, path: RefPath) -> Iterator[Any]:
    """What stands at this path."""
    found: list[Any] = []

    def note(one: Any) -> Any:
        found.append(one)
        return one

    mapped(value, path, note)
    yield from found


def named(step: Step, ids: Mapping[str, Mapping[Name, int]], numbers: Mapping[str, int]) -> Any:
    """What is to be, with ids in place of names, as it is sent.

    Args:
        step: the step.
        ids: of the names of each kind.
        numbers: the ids of what files are about, by their handles.
    """
    spec, owner = step.after, KINDS[step.kind].owner
    for path, kind in KINDS[step.kind].refs.items():
        if KINDS[kind].owner == owner is not None:
            # Of the same policy, whose file has it.
            spec = mapped(spec, path, partial(_number_of_part, numbers, f"{step.owner_handle}#{kind}/"))
        else:
            spec = mapped(spec, path, partial(_number, ids.get(kind, {})))
    return spec


def _number_of_part(numbers: Mapping[str, int], of: str, name: str) -> int:
    return numbers[of + name]


def _number(ids: Mapping[Name, int], name: Name) -> int:
    shown = name.site if isinstance(name, SiteName) else name
    if name not in ids and (number := _NUMBER.fullmatch(shown)):
        return int(number[1])
    return ids[name]


# -- in words ------------------------------------------------------------------------------------------------


def in_words(plan: ConfigPlan) -> str:
    """A plan as people read it, with what differs; safe for a terminal."""
    lines: list[str] = []
    for step in plan.steps:
        lines += [step.title, *_differences(step)]
    lines += [f"{step.title}: would delete" for step in plan.would_delete]
    lines += [f"! {one_line(clean(finding))}" for finding in plan.findings]
    if plan.unmanaged:
        told = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in plan.unmanaged.items())
        lines.append(f"left alone: {told}")
    counts = Counter(step.action for step in plan.steps)
    total = ", ".join(f"{counts[action]} to {action}" for action in ("create", "change", "delete"))
    lines.append(total if plan.steps else "nothing to do: the server is as the folder says")
    return "\n".join(lines)


def _differences(step: Step) -> Iterable[str]:
    names = step.changes or (step.after.__struct_fields__ if step.action == "create" else ())
    for name in names:
        before = None if step.before is None else plain(getattr(step.before, name))
        after = plain(getattr(step.after, name))
        if step.action == "create" and after in (None, "", [], {}, False):
            continue
        if (
            isinstance(after, str)
            and (isinstance(before, str) or step.before is None)
            and "\n" in f"{before}{after}"
        ):
            yield f"    {name}:"
            old, new = (before or "").splitlines(), after.splitlines()
            for line in list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]:
                yield f"      {clean(line)}"
            if old == new:
                yield "      (line ends differ)"
        elif step.action == "create":
            yield f"    {name}: {_short(after)}"
        else:
            yield f"    {name}: {_short(before)} -> {_short(after)}"


def _short(value: Any) -> str:
    text = one_line(clean(repr(value)))
    return text if len(text) <= 200 else f"{text[:200]}…"
