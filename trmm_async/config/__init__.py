"""A stock server's configuration as files: `pull` writes them, `plan` compares, `apply` carries a plan out.

    from trmm_async import TRMM, config

    async with TRMM.from_env() as trmm:
        await config.pull(trmm, "server/")
        plan = await config.plan(trmm, "server/")
        print(plan)
        await config.apply(trmm, plan, "server/")

Needs the extra `config`. Everything here raises `TRMMError`s only.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import msgspec

from trmm_async.client import TRMM
from trmm_async.config.folder import Folder, Known, State, Written, kind_of
from trmm_async.config.matching import Want
from trmm_async.config.objects import FileKind, Row, told_apart
from trmm_async.config.plan import ConfigPlan, Step, in_words
from trmm_async.config.planning import Present, Wanted, compare, describe
from trmm_async.config.server import Applied, carry_out, hold_values, read, readings
from trmm_async.config.specs import plain as plainly
from trmm_async.config.table import FILES, KINDS
from trmm_async.errors import ConfigError, InvalidRequestError
from trmm_async.plaintext import alike

__all__ = [
    "KIND_NAMES",
    "Applied",
    "Known",
    "ConfigPlan",
    "Present",
    "Pulled",
    "Row",
    "Step",
    "Want",
    "Wanted",
    "apply",
    "compare",
    "in_words",
    "load",
    "plan",
    "present",
    "pull",
    "schemas",
]

KIND_NAMES: tuple[str, ...] = tuple(FILES)
"""The kinds of objects, which are the names of their folders."""
_COMMUNITY = "community_scripts"


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What `pull` did with the files, by their names in the folder.

    Attributes:
        written: new ones, and those that said something else.
        unchanged: those that said the same; they were left as they are, with their comments.
        gone: those about which the server has nothing; `plan` would create that.
        findings: what is odd on the server, as `ConfigPlan.findings`; what no file can say is among it.
    """

    written: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


async def pull(
    trmm: TRMM,
    folder: str | PathLike[str],
    *,
    kinds: Iterable[str] | None = None,
    community: bool = False,
    overwrite: bool = False,
) -> Pulled:
    """Write what a server has into a folder, one file for each object. Nothing is changed on the server.

    A file that says the same already stays as it is. Key store entries are written without their values.

    Args:
        trmm: the client, of a stock server.
        folder: where to; it is made if it is not there.
        kinds: these of `KIND_NAMES` alone; all without it.
        community: also the marks (favorite, hidden) of the scripts that came with Tactical RMM.
        overwrite: files that say something else are replaced. Otherwise they are an error, and none is
            written.

    Raises:
        ConfigError: a file in the folder can't be read or written; or one says something else.
        UnsupportedError: the server is a gateway.
    """
    chosen = _chosen(kinds, community=community)
    place = Folder(folder)
    existing = place.load(chosen) if place.path.is_dir() else []
    state = place.state_of(_server(trmm))
    described = describe(await read(trmm, readings(chosen)), readings(chosen))
    known = {(kind_of(handle), one.id): handle for handle, one in state.objects.items()}
    by_handle = {one.handle: one for one in existing}
    by_name = {(one.kind, FILES[one.kind].key(one.spec)): one for one in existing}
    written: dict[str, str] = {}
    unchanged: set[str] = set()
    numbers: dict[str, tuple[int, str, int]] = {}
    for thing in described.things:
        kind = FILES[thing.kind]
        old = by_handle.get(known.get((thing.kind, thing.id), "")) or by_name.get((thing.kind, thing.name))
        whole = kind.whole(thing.spec, thing.parts_by_kind, old and old.spec)
        handle = old.handle if old else place.handle_for(kind, whole, {*by_handle, *written})
        if old is not None and _normal(kind, old.spec) == _normal(kind, whole):
            unchanged.add(handle)
        else:
            written[handle] = place.text_of(kind, whole)
        numbers[handle] = (thing.id, thing.name, 0)
        for part, theirs in thing.parts.items():
            handles = _part_handles(handle, part, [one.spec for one in theirs])
            said = handles if old is None else _part_handles(handle, part, kind.parts(old.spec)[1][part])
            places = {each: at for at, each in enumerate(said)}
            for each, one in zip(handles, theirs, strict=True):
                numbers[each] = (one.id, one.name, places.get(each, len(places)))
    if (differing := sorted(set(written) & set(by_handle))) and not overwrite:
        raise ConfigError(
            f"{len(differing)} files say something else than the server: {', '.join(differing[:5])}"
            f"{', …' if differing[5:] else ''}. No file was written; "
            "overwrite=True (--overwrite) takes the server's"
        )
    for handle, text in written.items():
        place.write(handle, text)
    place.write_schemas(schemas())
    gone = tuple(sorted(set(by_handle) - set(written) - unchanged))
    for handle, (number, name, at) in numbers.items():
        state.note(handle, number, name, at)
    place.keep(state)
    return Pulled(
        written=tuple(sorted(written)),
        unchanged=tuple(sorted(unchanged)),
        gone=gone,
        findings=described.findings,
    )


async def plan(
    trmm: TRMM,
    folder: str | PathLike[str],
    *,
    kinds: Iterable[str] | None = None,
    community: bool = False,
    delete: bool = False,
) -> ConfigPlan:
    """What has to be done so that a server is as a folder says. Nothing is changed.

    It is `compare(load(…), await present(…))`; and each value is looked at as it will be when it is sent.

    Args:
        trmm: the client, of a stock server.
        folder: what `pull` wrote, or somebody by hand.
        kinds: these of `KIND_NAMES` alone.
        community: also the marks of the scripts that came with Tactical RMM.
        delete: also delete what `apply` made, by its own record in the folder, and no file is about any more.

    Raises:
        ConfigError: a file is wrong, with its line and key; or it can't be done, and why.
        UnsupportedError: the server is a gateway.
    """
    wanted = load(trmm, folder, kinds=kinds, community=community)
    found = compare(wanted, await present(trmm, kinds=kinds, community=community), delete=delete)
    await hold_values(found)
    return found


async def apply(
    trmm: TRMM,
    plan: ConfigPlan,
    folder: str | PathLike[str],
    *,
    tell: Callable[[Step], None] | None = None,
) -> Applied:
    """Do exactly what a plan says, step by step, and note it in the folder.

    Each object is read again just before it is written, and compared with what the plan saw; and again behind
    it. Cancelled, it stops where it is: what was sent may have been done, and the next plan goes by what is.

    Args:
        trmm: the client that the plan was made with, or one of the same server.
        plan: what `plan` returned.
        folder: the folder that it is of.
        tell: called with each step when it is done.

    Raises:
        ApplyStoppedError: a step failed, or something is not as the plan saw it. `done` has what was
            done before; its `__cause__` is the error, if there was one.
        ConfigError: the plan is of another server, or another `apply` of this folder is under way.
    """
    server = _server(trmm)
    if plan.server != server:
        raise ConfigError(f"this plan is of another server, {plan.server}")
    place = Folder(folder)
    with place.held(server):
        return await carry_out(trmm, plan, place, place.state_of(server), tell)


def load(
    trmm: TRMM,
    folder: str | PathLike[str],
    *,
    kinds: Iterable[str] | None = None,
    community: bool = False,
) -> Wanted:
    """What a folder says about the server of this client. Nothing is sent.

    Values of key store entries are looked up, in the environment or the keyring, where a file says so.

    Raises:
        ConfigError: a file is wrong, with its line and key.
        KeySourceError: the keyring can't be read.
    """
    chosen = _chosen(kinds, community=community)
    place = Folder(folder)
    return _wanted(place.state_of(_server(trmm)), chosen, place.load(chosen))


async def present(trmm: TRMM, *, kinds: Iterable[str] | None = None, community: bool = False) -> Present:
    """What a server has, as `compare` takes it.

    Raises:
        UnsupportedError: the server is a gateway.
    """
    return await read(trmm, readings(_chosen(kinds, community=community)))


def schemas() -> Mapping[str, Any]:
    """JSON schemas for editors, of what the files of each folder hold; of code, of its front matter."""
    found: dict[str, Any] = {}
    for kind in FILES.values():
        schema = msgspec.json.schema(kind.spec)
        if kind.is_code:
            (name,) = (each for each in schema["$defs"] if each == kind.spec.__name__)
            definition = schema["$defs"][name]
            for inner in ("code", "shell"):
                definition["properties"].pop(inner)
                definition["required"].remove(inner)
        found[kind.name] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return found


# -- between files and objects -------------------------------------------------------------------------------


def _chosen(kinds: Iterable[str] | None, *, community: bool) -> tuple[str, ...]:
    names = [kinds] if isinstance(kinds, str) else list(KIND_NAMES if kinds is None else kinds)
    if not names:
        raise InvalidRequestError("kinds: give at least one, or leave it out for all")
    if unknown := [name for name in names if name not in FILES]:
        raise InvalidRequestError(
            f"kinds: there is no kind {unknown[0]!r}{alike(str(unknown[0]), KIND_NAMES)}; "
            f"there are {', '.join(KIND_NAMES)}"
        )
    wanted = {*names} - ({_COMMUNITY} if kinds is None else set()) | ({_COMMUNITY} if community else set())
    return tuple(name for name in KIND_NAMES if name in wanted)


def _server(trmm: TRMM) -> str:
    return trmm.url


def _wanted(state: State, kinds: Sequence[str], files: Iterable[Written]) -> Wanted:
    objects: list[Want] = []
    for one in files:
        spec, parts = FILES[one.kind].parts(one.spec)
        spec = KINDS[one.kind].prepare(spec, one.handle)
        objects.append(Want(kind=one.kind, handle=one.handle, spec=spec))
        for part, specs in parts.items():
            prepared = [KINDS[part].prepare(each, one.handle) for each in specs]
            objects += [
                Want(kind=part, handle=handle, spec=each, owner=one.handle)
                for handle, each in zip(_part_handles(one.handle, part, prepared), prepared, strict=True)
            ]
    return Wanted(
        server=state.server, kinds=readings(kinds), objects=tuple(objects), known=dict(state.objects)
    )


def _part_handles(file: str, part: str, specs: Sequence[Any]) -> list[str]:
    """The handles of what belongs to a file's object."""
    return [f"{file}#{part}/{label}" for label in told_apart([KINDS[part].key(spec) for spec in specs])]


def _normal(kind: FileKind, spec: Any) -> Any:
    """What a file says, in one form: of parts the order says nothing."""
    if kind.name == "key_store":
        return spec
    whole, parts = kind.parts(spec)
    told = {part: [_prepared(part, one) for one in specs] for part, specs in parts.items()}
    return (
        _prepared(kind.name, whole),
        {part: sorted(specs, key=lambda one: repr(plainly(one))) for part, specs in told.items()},
    )


def _prepared(kind: str, spec: Any) -> Any:
    return KINDS[kind].normal(KINDS[kind].prepare(spec, ""))
