"""Compares what a folder wants with what a server has, and makes the plan. Pure.

It stands above `present`, which puts names in place of ids, and `matching`, which finds the objects of files.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from trmm_async.config.assignments import check_value
from trmm_async.config.folder import ObjectRecord, kind_of
from trmm_async.config.matching import SeenRow, Want, match_objects, match_parts
from trmm_async.config.names import Name
from trmm_async.config.objects import Kind, RefPath, StoredKey, mapped
from trmm_async.config.plan import ConfigPlan, Match, Step
from trmm_async.config.present import NamedRows, Present
from trmm_async.config.specs import SiteName
from trmm_async.config.table import KINDS
from trmm_async.errors import ConfigError, InvalidRequestError
from trmm_async.plaintext import alike, is_named

__all__ = ["Wanted", "compare", "with_ids"]

_NUMBER: Final = re.compile(r"#([0-9]{1,18})")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a folder says about a server: the objects of some kinds, and the records of these (`known`)."""

    server: str
    kinds: tuple[str, ...]
    objects: tuple[Want, ...] = ()
    known: Mapping[str, ObjectRecord] = field(default_factory=dict)


def compare(wanted: Wanted, present: Present, *, delete: bool = False) -> ConfigPlan:
    """Make the plan that turns what is present into what is wanted.

    Args:
        wanted: what the folder says.
        present: what the server has.
        delete: also delete objects that `apply` created and that have no file any more.

    Raises:
        ConfigError: it is impossible: two objects have the same name, a reference leads nowhere, or an object
            can't be created or changed. One error lists everything that is wrong.
    """
    comparison = _Comparison(wanted, present)
    comparison.compare_all()
    return comparison.plan(delete=delete)


class _Comparison:
    def __init__(self, wanted: Wanted, present: Present) -> None:
        self.wanted = wanted
        self.present = present
        self.rows = NamedRows(present)
        self.problems: list[str] = []
        self.findings = self.rows.findings
        self.steps: list[Step] = []
        self.deletes: list[Step] = []
        self.unmanaged: Counter[str] = Counter()
        self.names = self.rows.names
        self.matched: dict[str, Match] = {}
        self.places: dict[str, int] = {}
        self.seen = self.rows.seen
        self.coming: defaultdict[str, set[Name]] = defaultdict(set)
        self._referred = {
            (other, name)
            for want in wanted.objects
            for path, other in KINDS[want.kind].refs.items()
            for name in _at(want.spec, path)
        }
        self._made_of = {
            (kind_of(handle), known.id): handle for handle, known in wanted.known.items() if known.made
        }

    def compare_all(self) -> None:
        """Compare all kinds, each after those to which it refers."""
        for name, kind in KINDS.items():
            if name in self.wanted.kinds:
                self.compare(kind)
        if self.problems:
            raise ConfigError("; ".join(dict.fromkeys(self.problems)))

    def plan(self, *, delete: bool) -> ConfigPlan:
        """The plan, after `compare_all`."""
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
            matches=self.matched,
            places=self.places,
        )

    def compare(self, kind: Kind) -> None:
        """Compare one kind."""
        wants = [
            replace(want, spec=kind.normal(want.spec))
            for want in self.wanted.objects
            if want.kind == kind.name
        ]
        found = self.rows.read(kind)
        known = self.wanted.known
        if kind.owner is None:
            matching = match_objects(kind, wants, found, known)
        else:
            owners = {handle: match.id for handle, match in self.matched.items()}
            matching = match_parts(kind, wants, found, known, owners)
        self.problems += matching.problems
        self.findings += matching.findings
        self.places |= {want.handle: place for place, want in enumerate(wants)}
        pairs = matching.pairs
        for want, one in pairs:
            if one is not None:
                self.matched[want.handle] = Match(id=one.row.id, name=one.key)
                self.names.setdefault(kind.name, {})[one.row.id] = self._name(kind, want)
            else:
                self.coming[kind.name].add(self._name(kind, want))
        done = len(self.steps)
        for want, one in pairs:
            self._step(kind, want, one)
        self.steps[done:] = self._names_freed_first(kind, self.steps[done:])
        matched = {one.row.id for _, one in pairs if one is not None}
        for one in found:
            if one.row.id not in matched:
                self._without_file(kind, one)

    def _names_freed_first(self, kind: Kind, steps: Sequence[Step]) -> list[Step]:
        """Order the steps such that no object gets a name that another one still has."""
        if kind.owner is not None:
            return list(steps)
        ordered: list[Step] = []
        waiting = list(steps)
        while waiting:
            held = {kind.key(step.before) for step in waiting if step.before is not None}
            free = [
                step for step in waiting if step.before is not None and kind.key(step.before) == step.name
            ]
            free += [step for step in waiting if step.name not in held]
            if not free:
                names = ", ".join(repr(step.name) for step in waiting)
                self.problems.append(
                    f"the {kind.word}s {names} are to have each other's names: give one of them another first"
                )
                return list(steps)
            ordered += [step for step in waiting if step in free]
            waiting = [step for step in waiting if step not in free]
        return ordered

    def _name(self, kind: Kind, want: Want) -> Name:
        if kind.name == "sites":
            return SiteName(client=self._owner_name(want) or "", site=want.key)
        return want.key if kind.owner is None else want.handle.partition(f"#{kind.name}/")[2]

    def _owner_name(self, want: Want) -> str | None:
        owner = next((one for one in self.wanted.objects if one.handle == want.owner), None)
        return None if owner is None else owner.key

    # -- steps and problems ----------------------------------------------------------------------------------

    def _step(self, kind: Kind, want: Want, one: SeenRow | None) -> None:
        spec = want.spec
        self._check_references(kind, want, one)
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
                self._check_name(kind, want)
                self.steps.append(Step(action="create", after=spec, alike=self._alike(kind, want), **about))
            return
        if one.spec is None:
            self.problems.append(f"{want.handle}: {kind.word} {one.row.id} is there, and can't be compared")
            return
        if type(spec) is not type(one.spec):
            self.problems.append(f"{want.handle}: {want.key!r} is of another type on the server")
            return
        changes = kind.differing(spec, one.spec)
        if fixed := [name for name in changes if name in kind.fixed]:
            self.problems.append(
                f"{want.handle}: {fixed[0]} of {kind.word} {one.row.id} is {getattr(one.spec, fixed[0])!r}, "
                f"and can't be changed to {getattr(spec, fixed[0])!r}"
            )
        elif changes:
            if want.key != one.key:
                self._check_name(kind, want)
            if "custom_fields" in changes:
                self._check_values(want, one)
            after, before = kind.narrow(spec, one.spec)
            self.steps.append(
                Step(
                    action="change",
                    id=one.row.id,
                    before=before,
                    after=after,
                    changes=changes,
                    seen=one.row,
                    **about,
                )
            )

    def _check_values(self, want: Want, one: SeenRow) -> None:
        """Check that new values of custom fields fit the fields' definitions."""
        fields = KINDS["custom_fields"]
        defined = {fields.key(row.spec): row.spec for row in self.present.rows.get(fields.name, ())}
        defined |= {each.key: each.spec for each in self.wanted.objects if each.kind == fields.name}
        for name, value in want.spec.custom_fields.items():
            if name in defined and value != one.spec.custom_fields.get(name):
                try:
                    check_value(defined[name], value)
                except InvalidRequestError as error:
                    self.problems.append(f"{want.handle}: {error}")

    def _alike(self, kind: Kind, want: Want) -> frozenset[int]:
        """The ids of other objects on the server that have the same name."""
        owner = self.matched.get(want.owner or "")
        return frozenset(
            one.row.id
            for one in self.seen[kind.name]
            if one.key == want.key and one.row.owner == (owner and owner.id)
        )

    def _check_name(self, kind: Kind, want: Want) -> None:
        """Check that the server keeps a new name as it is. Almost the name of another is a finding."""
        if want.key != want.key.strip():
            self.problems.append(
                f"{want.handle}: {want.key!r} has spaces around it, which the server takes away from a name"
            )
        near = [
            one.key
            for one in self.seen[kind.name]
            if kind.owner is None and one.key != want.key and is_named(one.key, want.key)
        ]
        if near:
            self.findings.append(
                f"{want.handle}: there is {kind.word} {near[0]!r}, which is {want.key!r} "
                "but for capitals or the way in which accents are composed"
            )

    def _check_references(self, kind: Kind, want: Want, one: SeenRow | None) -> None:
        """Check that each reference leads to an object that exists or is created before.

        A number in place of a name ("#17") may stay where the server has it already.
        """
        for path, other in kind.refs.items():
            there = set(_at(one.spec, path)) if one is not None and one.spec is not None else set()
            for name in _at(want.spec, path):
                if KINDS[other].owner == kind.owner is not None:
                    if not any(one.handle == f"{want.owner}#{other}/{name}" for one in self.wanted.objects):
                        self.problems.append(f"{want.handle}: its file has no {KINDS[other].word} {name!r}")
                    continue
                known = Counter(self.names.get(other, {}).values())
                shown = f"{name.client}/{name.site}" if isinstance(name, SiteName) else str(name)
                if known[name] > 1:
                    self.problems.append(f"{want.handle}: there are several of {KINDS[other].word} {shown!r}")
                elif not known[name] and name not in self.coming[other] | there:
                    texts = [one for one in (*known, *self.coming[other]) if isinstance(one, str)]
                    self.problems.append(
                        f"{want.handle}: there is no {KINDS[other].word} {shown!r}{alike(shown, texts)}"
                    )

    def _without_file(self, kind: Kind, one: SeenRow) -> None:
        """Decide about an object that no file describes: delete it if `apply` made it, or leave it alone."""
        handle = self._made_of.get((kind.name, one.row.id))
        if handle is None or kind.delete is None or one.spec is None:
            self.unmanaged[kind.name] += 1
            return
        if any(step.kind == kind.owner and step.id == one.row.owner for step in self.deletes):
            return  # the server deletes it with its owner
        if kind.owner is None and (kind.name, one.key) in self._referred:
            self.findings.append(
                f"{kind.word} {one.row.id}, {one.key!r}, has no file any more, and another file refers to "
                "it: it is left alone"
            )
            self.unmanaged[kind.name] += 1
            return
        if (named := self.wanted.known[handle].name) not in {"", one.key}:
            self.findings.append(
                f"{kind.word} {one.row.id}, {one.key!r}, was made by apply as {named!r}: it is left alone"
            )
            self.unmanaged[kind.name] += 1
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


def _at(value: Any, path: RefPath) -> Iterator[Any]:
    """The values at this path."""
    found: list[Any] = []

    def note(one: Any) -> Any:
        found.append(one)
        return one

    mapped(value, path, note)
    yield from found


def with_ids(step: Step, ids: Mapping[str, Mapping[Name, int]], numbers: Mapping[str, int]) -> Any:
    """The content that a step sends, with ids in place of names.

    Args:
        step: the step.
        ids: the ids by names, by kinds.
        numbers: the ids of the objects of files, by their handles.
    """
    spec, owner = step.after, KINDS[step.kind].owner
    for path, kind in KINDS[step.kind].refs.items():
        if KINDS[kind].owner == owner is not None:
            # A part of the same policy: labels are unique only within its file.
            spec = mapped(spec, path, partial(_number_of_part, numbers, f"{step.owner_handle}#{kind}/"))
        else:
            spec = mapped(spec, path, partial(_number, ids.get(kind, {})))
    return KINDS[step.kind].normal(spec)


def _number_of_part(numbers: Mapping[str, int], of: str, name: str) -> int:
    return numbers[of + name]


def _number(ids: Mapping[Name, int], name: Name) -> int:
    shown = name.site if isinstance(name, SiteName) else name
    if name not in ids and (number := _NUMBER.fullmatch(shown)):
        return int(number[1])
    return ids[name]
