"""What a server has, and a plan carried out on it, step by step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from trmm_async.client import TRMM
from trmm_async.config.folder import Folder, Known, State
from trmm_async.config.planning import ConfigPlan, Name, Present, Step, named
from trmm_async.config.specs import SiteName
from trmm_async.config.table import KINDS, Kind, Row
from trmm_async.errors import ApplyStoppedError, TRMMError, UnsupportedError

__all__ = ["Applied", "carry_out", "read", "readings"]


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
        rows[name] = await kind.read(trmm, rows.get(kind.owner or "", ()), _all)
    wanted = {other for name in kinds for other in KINDS[name].refs.values()} | {*kinds}
    names: dict[str, Mapping[int, Name]] = {}
    for name in wanted:
        if name in _NAMES:
            names[name] = await _NAMES[name](trmm)
        elif name in rows:
            names[name] = {row.id: KINDS[name].key(row.spec) for row in rows[name] if row.spec is not None}
    return Present(rows=rows, names=names)


def _all(_: Any) -> bool:
    return True


async def _script_names(trmm: TRMM) -> Mapping[int, Name]:
    """With the community's, which anything may refer to; one with the name of your own is told apart."""
    listed = await trmm.scripts.list(hidden=True)
    own = {one.name for one in listed if one.script_type != "builtin"}
    return {
        one.id: f"{one.name} (community)" if one.script_type == "builtin" and one.name in own else one.name
        for one in listed
    }


async def _site_names(trmm: TRMM) -> Mapping[int, Name]:
    return {
        site.id: SiteName(client=client.name, site=site.name)
        for client in await trmm.clients.list()
        for site in client.sites
    }


def _listed(path: str) -> Callable[[TRMM], Any]:
    async def names(trmm: TRMM) -> Mapping[int, Name]:
        found: Any = trmm
        for word in path.split("."):
            found = getattr(found, word)
        return {one.id: one.name for one in await found.list()}

    return names


_NAMES: Final[Mapping[str, Callable[[TRMM], Any]]] = {
    "scripts": _script_names,
    "sites": _site_names,
    **{name: _listed(name) for name in ("url_actions", "alert_templates", "policies", "clients")},
}
"""How the names of what can be referred to are read, without all that belongs to it."""


@dataclass(kw_only=True)
class _Work:
    """One plan being carried out. `ids` and `numbers` grow by what is created."""

    trmm: TRMM
    ids: dict[str, dict[Name, int]]
    numbers: dict[str, int]
    done: list[Step] = field(default_factory=list)


async def carry_out(
    trmm: TRMM, plan: ConfigPlan, folder: Folder, state: State, tell: Callable[[Step], None] | None
) -> Applied:
    """Do exactly this plan. What is done is written down step by step.

    Raises:
        ApplyStoppedError: a step could not be done; what stands before it is.
    """
    work = _Work(
        trmm=trmm, ids={kind: dict(names) for kind, names in plan.ids.items()}, numbers=dict(plan.matches)
    )
    for handle, number in plan.matches.items():
        known = state.objects.get(handle)
        if known is None or known.id != number:
            state.objects[handle] = Known(id=number)
    for step in plan.steps:
        number = await _do(work, step)
        work.done.append(step)
        if step.action == "create":
            work.numbers[step.handle] = number
            work.ids.setdefault(step.kind, {})[step.name] = number
            state.objects[step.handle] = Known(id=number, made=True)
        elif step.action == "delete":
            gone = [one for one in state.objects if one == step.handle or one.startswith(f"{step.handle}#")]
            for handle in gone:
                del state.objects[handle]
        folder.keep(state)
        if tell is not None:
            tell(step)
    folder.keep(state)
    return Applied(done=tuple(work.done))


async def _do(work: _Work, step: Step) -> int:
    """One step: look again, write, and look what came of it; the server's number for the object."""
    kind = KINDS[step.kind]
    owner = None if step.owner_handle is None else work.numbers[step.owner_handle]
    try:
        rows = await _rows(work.trmm, step, owner, step.id)
    except TRMMError as error:
        raise _stopped(work, step, f"{step.title} could not be looked at again: {error}") from error
    now = next((row for row in rows if row.id == step.id), None)
    if outdated := _outdated(kind, step, rows, now):
        raise _stopped(work, step, f"{step.title} {outdated}: the plan is out of date")
    try:
        if now is not None and step.action == "delete" and kind.delete is not None:
            await kind.delete(work.trmm, now)
            return now.id
        wanted = named(step, work.ids, work.numbers)
        if now is not None and kind.update is not None:
            number = now.id
            await kind.update(work.trmm, now, wanted, step.changes)
        elif kind.create is not None:
            number = await kind.create(work.trmm, wanted, owner)
        else:
            raise UnsupportedError(f"a {kind.word} can't be created")
    except TRMMError as error:
        found = await _aftermath(work, step, owner)
        raise _stopped(work, step, f"{step.title} failed: {error}. Now: {found}") from error
    await _hold_result(work, step, wanted, number, owner)
    return number


def _outdated(kind: Kind, step: Step, rows: Sequence[Row], now: Row | None) -> str:
    """Why a step is not to be done any more; empty if it is."""
    if step.action == "create":
        there = [row.id for row in rows if row.spec is not None and kind.key(row.spec) == step.name]
        return f"is there by now, as {there[0]}" if there and kind.owner is None else ""
    if now is None:
        return "is not there any more"
    if step.seen is None or now.spec != step.seen.spec:
        return f"is not as the plan saw it ({_differing(now, step)})"
    return ""


async def _aftermath(work: _Work, step: Step, owner: int | None) -> str:
    """What there is of a step that failed: the server does some things by halves."""
    try:
        rows = await _rows(work.trmm, step, owner, step.id)
    except TRMMError:
        return "that could not be looked at"
    if step.action == "create":
        kind = KINDS[step.kind]
        wanted = kind.key(named(step, work.ids, work.numbers))
        made = [row.id for row in rows if row.spec is not None and kind.key(row.spec) == wanted]
        return f"it exists all the same, as {max(made)}, done by halves" if made else "it does not exist"
    now = next((row for row in rows if row.id == step.id), None)
    if now is None:
        return "it is not there any more"
    if step.seen is not None and now.spec == step.seen.spec:
        return "it is as it was"
    if step.action == "change" and now.spec == named(step, work.ids, work.numbers):
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
    names = step.changes or wanted.__struct_fields__
    if other := [name for name in names if getattr(now.spec, name) != getattr(wanted, name)]:
        raise _stopped(
            work, step, f"{step.title} was done by halves: the server has another {', '.join(other)}"
        )


async def _rows(trmm: TRMM, step: Step, owner: int | None, number: int | None) -> Sequence[Row]:
    """This object as it is now; of one that is to be created, those of its name, or of its owner."""
    kind = KINDS[step.kind]
    if kind.owner is None:
        name = None if step.after is None else step.after.name
        return await kind.read(trmm, (), lambda one: one.id == number if number else one.name == name)
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
