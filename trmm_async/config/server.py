"""What a server has, and a plan carried out on it, step by step."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from trmm_async.client import TRMM
from trmm_async.config.folder import Folder, State, kind_of
from trmm_async.config.names import NAMES, Name
from trmm_async.config.objects import Kind, Row, anything
from trmm_async.config.plan import ConfigPlan, Step
from trmm_async.config.planning import Present, named
from trmm_async.config.table import KINDS
from trmm_async.errors import (
    ApplyStoppedError,
    ClosedError,
    ConfigError,
    InvalidRequestError,
    TRMMError,
    UnsupportedError,
)

__all__ = ["Applied", "carry_out", "hold_values", "read", "readings"]

_NOT_BY_ROWS: Final = ("scripts", "sites")
"""Whose rows are not all that can be referred to, or don't say the name."""
_FIELDS: Final = "custom_fields"


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What `apply` did: all the steps of its plan, in order."""

    done: tuple[Step, ...] = ()


def readings(kinds: Sequence[str]) -> tuple[str, ...]:
    """These kinds with those that belong to them, in the order of the table."""
    return tuple(kind.name for kind in KINDS.values() if {kind.name, kind.owner} & {*kinds})


async def read(trmm: TRMM, kinds: Sequence[str]) -> Present:
    """All objects of these kinds, and the names of what they refer to.

    Raises:
        TRMMError: see `errors`; UnsupportedError on a gateway.
    """
    rows: dict[str, Sequence[Row]] = {}
    for name in kinds:
        kind = KINDS[name]
        rows[name] = await kind.read(trmm, rows.get(kind.owner or "", ()), anything)
    wanted = {other for name in kinds for other in KINDS[name].refs.values()} | {*kinds}
    if _FIELDS in wanted and _FIELDS not in rows:  # what fits into one its type says, beside its name
        rows[_FIELDS] = await KINDS[_FIELDS].read(trmm, (), anything)
    names: dict[str, Mapping[int, Name]] = {}
    for name in wanted:
        if name in NAMES and (name not in rows or name in _NOT_BY_ROWS):
            names[name] = await NAMES[name](trmm)
        elif name in rows:
            names[name] = {row.id: KINDS[name].key(row.spec) for row in rows[name] if row.spec is not None}
    return Present(rows=rows, names=names)


async def hold_values(plan: ConfigPlan) -> None:
    """Have each value of a plan looked at as it will be when it is sent; nothing is sent.

    The SDK's own methods look, on a client that is closed: they refuse what is wrong before they say that.

    Raises:
        ConfigError: a value is wrong. All that is wrong is in the one error.
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
            await _send(trmm, step, named(step, ids, numbers), step.seen, 1)
        except InvalidRequestError as error:
            problems.append(f"{step.handle}: {error}")
        except ClosedError:
            pass
    if problems:
        raise ConfigError("; ".join(dict.fromkeys(problems)))


async def _send(trmm: TRMM, step: Step, wanted: Any, now: Row | None, owner: int | None) -> int:
    """Create or change an object; its number."""
    kind = KINDS[step.kind]
    if now is not None and kind.update is not None:
        await kind.update(trmm, now, wanted, step.changes)
        return now.id
    if kind.create is not None:
        return await kind.create(trmm, wanted, owner)
    raise UnsupportedError(f"a {kind.word} can't be created")


@dataclass(kw_only=True)
class _Work:
    """One plan being carried out. `ids` and `numbers` grow by what is created."""

    trmm: TRMM
    ids: dict[str, dict[Name, int]]
    numbers: dict[str, int]
    made: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    done: list[Step] = field(default_factory=list)


async def carry_out(
    trmm: TRMM, plan: ConfigPlan, folder: Folder, state: State, tell: Callable[[Step], None] | None
) -> Applied:
    """Do exactly this plan. What is done is written down step by step.

    Raises:
        ApplyStoppedError: a step could not be done; what stands before it is.
    """
    work = _Work(
        trmm=trmm,
        ids={kind: dict(names) for kind, names in plan.ids.items()},
        numbers={handle: match.id for handle, match in plan.matches.items()},
    )
    _note_matches(state, plan)
    folder.keep(state)  # what can't be noted is not begun
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
            folder.keep(state)
        except ConfigError as error:
            raise _stopped(work, step, f"{step.title} is done, and could not be noted: {error}") from error
        if tell is not None:
            tell(step)
    return Applied(done=tuple(work.done))


def _note_matches(state: State, plan: ConfigPlan) -> None:
    """Note what the files are about that was there before; what has another file now, under that alone."""
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
    """One step: look again, write, and look what came of it; the server's number for the object."""
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
        wanted = named(step, work.ids, work.numbers)
        number = await _send(work.trmm, step, wanted, now, owner)
    except TRMMError as error:
        found = await _aftermath(work, step, owner)
        raise _stopped(work, step, f"{step.title} failed: {error}. Now: {found}") from error
    await _hold_result(work, step, wanted, number, owner)
    return number


def _outdated(work: _Work, kind: Kind, step: Step, rows: Sequence[Row], now: Row | None) -> str:
    """Why a step is not to be done any more; empty if it is."""
    if step.action == "create":
        name = kind.key(named(step, work.ids, work.numbers))
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


async def _aftermath(work: _Work, step: Step, owner: int | None) -> str:
    """What there is of a step that failed: the server does some things by halves."""
    try:
        rows = await _rows(work.trmm, step, owner, step.id)
    except TRMMError:
        return "that could not be looked at"
    kind = KINDS[step.kind]
    if step.action == "create":
        wanted = kind.key(named(step, work.ids, work.numbers))
        made = [row.id for row in rows if row.spec is not None and kind.key(row.spec) == wanted]
        return f"it exists all the same, as {max(made)}, done by halves" if made else "it does not exist"
    now = next((row for row in rows if row.id == step.id), None)
    if now is None:
        return "it is not there any more"
    if _is_as_seen(kind, step, now):
        return "it is as it was"
    if step.action == "change" and not kind.differing(
        named(step, work.ids, work.numbers), kind.normal(now.spec)
    ):
        return "it is as it was to be"
    return f"it was done by halves ({_differing(now, step)})"


async def _hold_result(work: _Work, step: Step, wanted: Any, number: int, owner: int | None) -> None:
    """The server takes some things without a word, and keeps others."""
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
    """This object as it is now; of one that is to be created, those of its name, or of its owner."""
    kind = KINDS[step.kind]
    if kind.owner is None:
        return await kind.read(
            trmm, (), lambda one: one.id == number if number else one.name == step.after.name
        )
    whose = owner if owner is not None else step.seen.owner if step.seen is not None else None
    owners = await KINDS[kind.owner].read(trmm, (), lambda one: one.id == whose)
    return await kind.read(trmm, owners, lambda one: number is None or one.id == number)


def _differing(now: Row, step: Step) -> str:
    """The names of what is another than the plan saw."""
    if step.seen is None or type(now.spec) is not type(step.seen.spec):
        return "it is of another type"
    names = [
        name
        for name in now.spec.__struct_fields__
        if getattr(now.spec, name) != getattr(step.seen.spec, name)
    ]
    return f"changed: {', '.join(names)}"


def _stopped(work: _Work, step: Step, why: str) -> ApplyStoppedError:
    return ApplyStoppedError(why, work.done, step)
