"""Converts between the contents of files and the objects that are compared. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from trmm_async.config.folder import FileContent, FolderState, ObjectRecord, handle_for, kind_of, text_of
from trmm_async.config.matching import Want
from trmm_async.config.objects import FileKind, unique_labels
from trmm_async.config.planning import Wanted
from trmm_async.config.present import Thing
from trmm_async.config.specs import plain
from trmm_async.config.table import FILES, KINDS, with_parts

__all__ = ["FolderUpdate", "folder_update", "wanted_by"]


@dataclass
class FolderUpdate:
    """What `pull` would do with the files of a folder.

    Attributes:
        texts: the texts of new and changed files, by their handles.
        unchanged: the handles of files that say the same as the server.
        records: the objects of all these files and of their parts.
    """

    texts: dict[str, str] = field(default_factory=dict)
    unchanged: set[str] = field(default_factory=set)
    records: dict[str, ObjectRecord] = field(default_factory=dict)


def folder_update(things: Iterable[Thing], files: Sequence[FileContent], state: FolderState) -> FolderUpdate:
    """Decide what to write so that the files say what the server has. A file that says it already stays."""
    update = FolderUpdate()
    known = {(kind_of(handle), one.id): handle for handle, one in state.objects.items()}
    by_handle = {one.handle: one for one in files}
    taken = {one.handle.casefold() for one in files}
    by_name = {(one.kind, FILES[one.kind].key(one.spec)): one for one in files}
    for thing in things:
        kind = FILES[thing.kind]
        old = by_handle.get(known.get((thing.kind, thing.id), "")) or by_name.get((thing.kind, thing.name))
        content = kind.join(thing.spec, thing.parts_by_kind, old and old.spec)
        handle = old.handle if old else handle_for(kind, content, taken)
        taken.add(handle.casefold())
        if old is not None and _comparable(kind, old.spec) == _comparable(kind, content):
            update.unchanged.add(handle)
        else:
            update.texts[handle] = text_of(kind, content)
        update.records[handle] = ObjectRecord(id=thing.id, name=thing.name)
        for part, theirs in thing.parts.items():
            handles = _part_handles(handle, part, [one.spec for one in theirs])
            in_file = handles if old is None else _part_handles(handle, part, kind.split(old.spec)[1][part])
            places = {each: place for place, each in enumerate(in_file)}
            for each, one in zip(handles, theirs, strict=True):
                place = places.get(each, len(places))
                update.records[each] = ObjectRecord(id=one.id, name=one.name, place=place)
    return update


def wanted_by(files: Iterable[FileContent], state: FolderState, kinds: Sequence[str]) -> Wanted:
    """What the files of a folder say about the server of `state`."""
    objects: list[Want] = []
    for one in files:
        spec, parts = FILES[one.kind].split(one.spec)
        spec = KINDS[one.kind].prepare(spec, one.handle)
        objects.append(Want(kind=one.kind, handle=one.handle, spec=spec))
        for part, specs in parts.items():
            prepared = [KINDS[part].prepare(each, one.handle) for each in specs]
            objects += [
                Want(kind=part, handle=handle, spec=each, owner=one.handle)
                for handle, each in zip(_part_handles(one.handle, part, prepared), prepared, strict=True)
            ]
    return Wanted(
        server=state.server, kinds=with_parts(kinds), objects=tuple(objects), known=dict(state.objects)
    )


def _part_handles(file: str, part: str, specs: Sequence[Any]) -> list[str]:
    """The handles of the parts of one kind in a file."""
    return [f"{file}#{part}/{label}" for label in unique_labels([KINDS[part].key(spec) for spec in specs])]


def _comparable(kind: FileKind, content: Any) -> Any:
    """The content of a file in a form in which the order of its parts does not matter."""
    if kind.name == "key_store":
        return content
    spec, parts = kind.split(content)
    prepared = {part: [_prepared(part, one) for one in specs] for part, specs in parts.items()}
    return (
        _prepared(kind.name, spec),
        {part: sorted(specs, key=lambda one: repr(plain(one))) for part, specs in prepared.items()},
    )


def _prepared(kind: str, spec: Any) -> Any:
    return KINDS[kind].normal(KINDS[kind].prepare(spec, ""))
