"""Reads what a server has, and carries out a plan on it, step by step."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from trmm_async.client import TRMM
from trmm_async.config.folder import Folder, FolderState, kind_of
from trmm_async.config.names import NAME_READERS, Name
from trmm_async.config.objects import Kind, Row, every, fields_differing
from trmm_async.config.plan import ConfigPlan, Step
from trmm_async.config.planning import with_ids
from trmm_async.config.present import Present
from trmm_async.config.table import KINDS
from trmm_async.errors import (
    ApplyStoppedError,
    ClosedError,
    ConfigError,
    InvalidRequestError,
    TRMMError,
    UnsupportedError,
)

__all__ = ["Applied", "carry_out", "check_values", "read"]

_NAMED_APART: Final = ("scripts", "sites")
"""Kinds whose names are read apart: community scripts have no rows, and a site's row has no client's name."""
_FIELDS: Final = "custom_fields"


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What `apply` did: all the steps of its plan, in order."""

    done: tuple[Step, ...] = ()


async def read(trmm: TRMM, kinds: Sequence[str]) -> Present:
    """Read all objects of these kinds, and the names of the objects to which they refer.

    Raises:
        TRMMError: a call failed. On a gateway it is an UnsupportedError.
    """
    rows: dict[str, Sequence[Row]] = {}
    for name in kinds:
        kind = KINDS[name]
        rows[name] = await kind.read(trmm, rows.get(kind.owner or "", ()), every)
    wanted = {other for name in kinds for other in KINDS[name].refs.values()} | {*kinds}
    if _FIELDS in wanted and _FIELDS not in rows:  # for the fields' types, by which values are checked
        rows[_FIELDS] = await KINDS[_FIELDS].read(trmm, (), every)
    names: dict[str, Mapping[int, Name]] = {}
    for name in wanted:
        if name in NAME_READERS and (name not in rows or name in _NAMED_APART):
            names[name] = await NAME_READERS[name](trmm)
        elif name in rows:
            names[name] = {row.id: KINDS[name].key(row.spec) for row in rows[name] if row.spec is not None}
    return Present(rows=rows, names=names)


async def check_values(plan: ConfigPlan) -> None:
    """Check all values that a plan would send. Sends nothing.

    The values are given to the methods of a closed client. These check their arguments first, and only then
    raise ClosedError.

    Raises:
        ConfigError: a value is wrong. One error lists everything that is wrong.
    """
    trmm = TRMM("https://localhost", api_key="never-sent", dialect="stock")
    await trmm.aclose()
    ids = {kind: defaultdict(lambda: 1, plan.ids.get(kind, {})) for kind in KINDS}
    numbers: defaultdict[str, int] = defaultdict(lambda: 1)
    problems: list[str] = []
    for step in plan.steps:
        if step.action == "delete":
            continue
        try:
            await _send(trmm, step, with_ids(step, ids, numbers), step.seen, 1)
        except InvalidRequestError as error:
            problems.append(f"{step.handle}: {error}")
        except ClosedError:
            pass
    if problems:
        raise ConfigError("; ".join(dict.fromkeys(problems)))


async def _send(trmm: TRMM, step: Step, wanted: Any, now: Row | None, owner: int | None) -> int:
    """Create or change an object, and return its id."""
    kind = KINDS[step.kind]
    if now is not None and kind.update is not None:
        await kind.update(trmm, now, wanted, step.changes)
        return now.id
    if kind.create is not None:
        return await kind.create(trmm, wanted, owner)
    raise UnsupportedError(f"a {kind.word} can't be created")


@dataclass(kw_only=True)
class _Work:
    """A plan that is being carried out. Created objects are added to `ids`, `numbers` and `made`."""

    trmm: TRMM
    ids: dict[str, dict[Name, int]]
    numbers: dict[str, int]
    made: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    done: list[Step] = field(default_factory=list)


async def carry_out(
    trmm: TRMM, plan: ConfigPlan, folder: Folder, state: FolderState, tell: Callable[[Step], None] | None
) -> Applied:
    """Do exactly what the plan says. Each step is recorded in the folder when it is done.

    Raises:
        ApplyStoppedError: a step could not be done. The steps before it are done.
    """
    work = _Work(
        trmm=trmm,
        ids={kind: dict(names) for kind, names in plan.ids.items()},
        numbers={handle: match.id for handle, match in plan.matches.items()},
    )
    _note_matches(state, plan)
    folder.save(state)  # if the folder can't be written, nothing is begun
    for step in plan.steps:
        number = await _do(work, step)
        work.done.append(step)
        if step.action == "create":
            work.numbers[step.handle] = number
            work.made[step.kind].add(number)
            work.ids.setdefault(step.kind, {})[step.name] = number
        if step.action == "delete":
            state.forget(step.handle)
        else:
            place = plan.places.get(step.handle, 0)
            state.note(step.handle, number, step.name, place, made=step.action == "create")
        try:
            folder.save(state)
        except ConfigError as error:
            raise _stopped(work, step, f"{step.title} is done, and could not be noted: {error}") from error
        if tell is not None:
            tell(step)
    return Applied(done=tuple(work.done))


def _note_matches(state: FolderState, plan: ConfigPlan) -> None:
    """Record the objects that the plan matched. After a file's rename, only its new handle is kept."""
    former: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for handle, known in state.objects.items():
        if handle not in plan.matches:
            former[kind_of(handle), known.id].append(handle)
    for handle, match in plan.matches.items():
        old = former.get((kind_of(handle), match.id), ())
        made = any(state.objects[each].made for each in old)
        for each in old:
            del state.objects[each]
        state.note(handle, match.id, match.name, plan.places.get(handle, 0), made=made)


async def _do(work: _Work, step: Step) -> int:
    """Do one step: read the object again, write it, read the result. Returns the object's id."""
    kind = KINDS[step.kind]
    owner = None if step.owner_handle is None else work.numbers[step.owner_handle]
    try:
        rows = await _rows(work.trmm, step, owner, step.id)
    except TRMMError as error:
        raise _stopped(work, step, f"{step.title} could not be looked at again: {error}") from error
    now = next((row for row in rows if row.id == step.id), None)
    if outdated := _outdated(work, kind, step, rows, now):
        raise _stopped(work, step, f"{step.title} {outdated}: the plan is out of date")
    try:
        if now is not None and step.action == "delete" and kind.delete is not None:
            await kind.delete(work.trmm, now)
            return now.id
        wanted = with_ids(step, work.ids, work.numbers)
        number = await _send(work.trmm, step, wanted, now, owner)
    except TRMMError as error:
        found = await _state_after_failure(work, step, owner)
        raise _stopped(work, step, f"{step.title} failed: {error}. Now: {found}") from error
    await _check_result(work, step, wanted, number, owner)
    return number


def _outdated(work: _Work, kind: Kind, step: Step, rows: Sequence[Row], now: Row | None) -> str:
    """Why a step must not be done any more, or "" if it may be done."""
    if step.action == "create":
        name = kind.key(with_ids(step, work.ids, work.numbers))
        known = step.alike | work.made[step.kind]
        there = [row.id for row in rows if row.spec is not None and kind.key(row.spec) == name]
        new = [number for number in there if number not in known]
        return f"is there by now, as {new[0]}" if new else ""
    if now is None:
        return "is not there any more"
    if step.seen is None or not _is_as_seen(kind, step, now):
        return f"is not as the plan saw it ({_differing(now, step)})"
    return ""


def _is_as_seen(kind: Kind, step: Step, now: Row) -> bool:
    if step.seen is None or now.spec is None or step.seen.spec is None:
        return False
    return bool(kind.normal(now.spec) == kind.normal(step.seen.spec))


async def _state_after_failure(work: _Work, step: Step, owner: int | None) -> str:
    """Say what a failed step has left behind: the server does some things by halves."""
    try:
        rows = await _rows(work.trmm, step, owner, step.id)
    except TRMMError:
        return "that could not be looked at"
    kind = KINDS[step.kind]
    if step.action == "create":
        wanted = kind.key(with_ids(step, work.ids, work.numbers))
        made = [row.id for row in rows if row.spec is not None and kind.key(row.spec) == wanted]
        return f"it exists all the same, as {max(made)}, done by halves" if made else "it does not exist"
    now = next((row for row in rows if row.id == step.id), None)
    if now is None:
        return "it is not there any more"
    if _is_as_seen(kind, step, now):
        return "it is as it was"
    if step.action == "change" and not kind.differing(
        with_ids(step, work.ids, work.numbers), kind.normal(now.spec)
    ):
        return "it is as it was to be"
    return f"it was done by halves ({_differing(now, step)})"


async def _check_result(work: _Work, step: Step, wanted: Any, number: int, owner: int | None) -> None:
    """Check that the server stored what was sent: it accepts some values without error and stores others."""
    try:
        rows = await _rows(work.trmm, step, owner, number)
    except TRMMError as error:
        raise _stopped(work, step, f"{step.title} is done, and could not be looked at: {error}") from error
    now = next((row for row in rows if row.id == number), None)
    if now is None or now.spec is None:
        raise _stopped(work, step, f"{step.title}: the server said yes, and has nothing of it")
    kind = KINDS[step.kind]
    differing = kind.differing(wanted, kind.normal(now.spec))
    if other := [name for name in differing if not step.changes or name in step.changes]:
        raise _stopped(
            work, step, f"{step.title} was done by halves: the server has another {', '.join(other)}"
        )


async def _rows(trmm: TRMM, step: Step, owner: int | None, number: int | None) -> Sequence[Row]:
    """Read the step's object. For one to be created: the objects with its name, or all parts of its owner."""
    kind = KINDS[step.kind]
    if kind.owner is None:
        return await kind.read(
            trmm, (), lambda one: one.id == number if number else one.name == step.after.name
        )
    whose = owner if owner is not None else step.seen.owner if step.seen is not None else None
    owners = await KINDS[kind.owner].read(trmm, (), lambda one: one.id == whose)
    return await kind.read(trmm, owners, lambda one: number is None or one.id == number)


def _differing(now: Row, step: Step) -> str:
    """Name the fields that differ from what the plan saw."""
    if step.seen is None or type(now.spec) is not type(step.seen.spec):
        return "it is of another type"
    return f"changed: {', '.join(fields_differing(now.spec, step.seen.spec))}"


def _stopped(work: _Work, step: Step, why: str) -> ApplyStoppedError:
    return ApplyStoppedError(why, work.done, step)
