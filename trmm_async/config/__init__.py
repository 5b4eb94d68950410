"""A stock server's configuration as files: `pull` writes them, `plan` compares, `apply` carries a plan out.

    from trmm_async import TRMM, config

    async with TRMM.from_env() as trmm:
        await config.pull(trmm, "server/")
        plan = await config.plan(trmm, "server/")
        print(plan)
        await config.apply(trmm, plan, "server/")

Needs the extra `config`. Everything here raises `TRMMError`s only.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import msgspec

from trmm_async.client import TRMM
from trmm_async.config.contents import folder_update, wanted_by
from trmm_async.config.folder import Folder, ObjectRecord
from trmm_async.config.matching import Want
from trmm_async.config.objects import Row
from trmm_async.config.plan import ConfigPlan, Step, in_words
from trmm_async.config.planning import Wanted, compare
from trmm_async.config.present import Present, describe
from trmm_async.config.server import Applied, carry_out, check_values, read
from trmm_async.config.table import FILES, with_parts
from trmm_async.errors import ConfigError, InvalidRequestError
from trmm_async.plaintext import alike

__all__ = [
    "KIND_NAMES",
    "Applied",
    "ConfigPlan",
    "ObjectRecord",
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
"""The kinds of objects, which are also the names of the folders."""
_COMMUNITY = "community_scripts"


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What `pull` did with the files, by their names in the folder.

    Attributes:
        written: new files, and files that said something else.
        unchanged: files that said the same. They were left as they are, with their comments.
        gone: files whose object is not on the server. `plan` would create it.
        findings: oddities on the server, as `ConfigPlan.findings`.
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
    """Write a server's configuration to a folder, one file for each object. Changes nothing on the server.

    A file that says the same already stays as it is. Key store entries are written without their values.

    Args:
        trmm: the client of a stock server.
        folder: the folder. It is created if needed.
        kinds: only these of `KIND_NAMES`.
        community: also the marks (favorite, hidden) of the scripts that came with Tactical RMM.
        overwrite: replace files that say something else; otherwise they are an error, and none is written.

    Raises:
        ConfigError: a file in the folder can't be read or written; or one says something else.
        UnsupportedError: the server is a gateway.
    """
    chosen = _chosen(kinds, community=community)
    place = Folder(folder)
    files = place.load(chosen) if place.path.is_dir() else []
    state = place.state_of(trmm.url)
    names = with_parts(chosen)
    described = describe(await read(trmm, names), names)
    update = folder_update(described.things, files, state)
    handles = {one.handle for one in files}
    if (differing := sorted({*update.texts} & handles)) and not overwrite:
        raise ConfigError(
            f"{len(differing)} files say something else than the server: {', '.join(differing[:5])}"
            f"{', …' if differing[5:] else ''}. No file was written; "
            "overwrite=True (--overwrite) takes the server's"
        )
    for handle, text in update.texts.items():
        place.write(handle, text)
    place.write_schemas(schemas())
    for handle, one in update.records.items():
        state.note(handle, one.id, one.name, one.place)
    place.save(state)
    return Pulled(
        written=tuple(sorted(update.texts)),
        unchanged=tuple(sorted(update.unchanged)),
        gone=tuple(sorted(handles - {*update.texts} - update.unchanged)),
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
    """Find out what would make a server as a folder says. Changes nothing.

    This is `compare(load(…), await present(…))`, and a check of each value that `apply` would send.

    Args:
        trmm: the client of a stock server.
        folder: a folder that `pull` or somebody by hand has written.
        kinds: only these of `KIND_NAMES`.
        community: also the marks of the scripts that came with Tactical RMM.
        delete: also delete objects that `apply` created (which the folder records) and that have no file any
            more.

    Raises:
        ConfigError: a file is wrong, with its line and key; or a change is impossible.
        UnsupportedError: the server is a gateway.
    """
    wanted = load(trmm, folder, kinds=kinds, community=community)
    found = compare(wanted, await present(trmm, kinds=kinds, community=community), delete=delete)
    await check_values(found)
    return found


async def apply(
    trmm: TRMM,
    plan: ConfigPlan,
    folder: str | PathLike[str],
    *,
    tell: Callable[[Step], None] | None = None,
) -> Applied:
    """Do exactly what a plan says, step by step, and record it in the folder.

    Each object is read just before it is written, and compared with what the plan saw. It is read again
    afterwards. If this is cancelled, the last step may have been done; make a new plan.

    Args:
        trmm: the client that the plan was made with, or one of the same server.
        plan: what `plan` returned.
        folder: the folder of the plan.
        tell: called with each step when it is done.

    Raises:
        ApplyStoppedError: a step failed, or something is not as the plan saw it. Its `done` has the steps
            before, and its `__cause__` is the error, if there was one.
        ConfigError: the plan is of another server, or another `apply` of this folder is under way.
    """
    if plan.server != trmm.url:
        raise ConfigError(f"this plan is of another server, {plan.server}")
    place = Folder(folder)
    with place.locked(trmm.url):
        return await carry_out(trmm, plan, place, place.state_of(trmm.url), tell)


def load(
    trmm: TRMM,
    folder: str | PathLike[str],
    *,
    kinds: Iterable[str] | None = None,
    community: bool = False,
) -> Wanted:
    """Read what a folder says about the server of this client. Sends nothing.

    Values of key store entries are looked up in the environment or the keyring, where a file says so.

    Raises:
        ConfigError: a file is wrong, with its line and key.
        KeySourceError: the keyring can't be read.
    """
    chosen = _chosen(kinds, community=community)
    place = Folder(folder)
    return wanted_by(place.load(chosen), place.state_of(trmm.url), chosen)


async def present(trmm: TRMM, *, kinds: Iterable[str] | None = None, community: bool = False) -> Present:
    """Read what a server has, in the form that `compare` takes.

    Raises:
        UnsupportedError: the server is a gateway.
    """
    return await read(trmm, with_parts(_chosen(kinds, community=community)))


def schemas() -> Mapping[str, Any]:
    """JSON schemas of the files of each folder, for editors; for files of code, of their front matter."""
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
