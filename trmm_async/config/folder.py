"""The folder: one file for each object, and for each server one file that records the objects' ids.

Neither names from a server nor a folder from elsewhere are trusted: no file name leads out of the folder, and
no link is followed.
"""

import json
import os
import re
import sys
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from trmm_async.atomic_files import replace_file
from trmm_async.config.documents import ENDINGS, SourceText, code_file, parsed, parsed_code, yaml_text
from trmm_async.config.objects import FileKind
from trmm_async.config.specs import without_defaults
from trmm_async.config.table import FILES
from trmm_async.errors import ConfigError

__all__ = ["FileContent", "Folder", "FolderState", "ObjectRecord", "handle_for", "kind_of", "text_of"]

_OWN_FOLDER: Final = ".trmm"
_NAME_MOST: Final = 80
_BYTES_MOST: Final = 16 * 2**20
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


class ObjectRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the folder records about the object of a file or of a part of one.

    Attributes:
        id: the object's id on the server.
        made: `apply` created it.
        name: its name when it was recorded.
        place: its position among the parts of its kind in the file.
    """

    id: int
    made: bool = False
    name: str = ""
    place: int = 0


class FolderState(msgspec.Struct, kw_only=True):
    """What the folder records about one server: `objects` by the handles of their files and parts."""

    server: str
    objects: dict[str, ObjectRecord] = {}

    def note(self, handle: str, number: int, name: str, place: int = 0, *, made: bool = False) -> None:
        """Record the object of a file. If it was recorded as made by `apply`, it stays so."""
        before = self.objects.get(handle)
        made = made or (before is not None and before.id == number and before.made)
        self.objects[handle] = ObjectRecord(id=number, made=made, name=name, place=place)

    def forget(self, handle: str) -> None:
        """Remove the object of a file and its parts, because they were deleted."""
        for each in [*self.objects]:
            if each == handle or each.startswith(f"{handle}#"):
                del self.objects[each]


def kind_of(handle: str) -> str:
    """The name of the kind of a handle's object."""
    return (handle.partition("#")[2] or handle).partition("/")[0]


@dataclass(frozen=True, kw_only=True)
class FileContent:
    """The content of a file. `handle` is the file's name in the folder."""

    kind: str
    handle: str
    spec: Any = field(repr=False)


class Folder:
    """Reads and writes the files of a folder."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path)

    # -- reading ---------------------------------------------------------------------------------------------

    def load(self, kinds: Iterable[str]) -> list[FileContent]:
        """Read all files of these kinds.

        Raises:
            ConfigError: a file can't be read, or its content is wrong.
        """
        if not self.path.is_dir():
            raise ConfigError(f"there is no folder {str(self.path)!r}: `pull` makes one")
        found: list[FileContent] = []
        for name in kinds:
            found += [self._read(FILES[name], path) for path in self._files(name)]
        _check_unique_names(found)
        return found

    def _files(self, name: str) -> list[Path]:
        folder = self.path / name
        if not os.path.lexists(folder):
            return []
        self._refuse_links(folder)
        if not folder.is_dir():
            raise ConfigError("this is to be a folder", file=name)
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        for path in found:
            if not path.name.isprintable():
                shown = path.name.encode("unicode_escape").decode()
                raise ConfigError(
                    "this file's name can't be written down: give it another", file=f"{name}/{shown}"
                )
        return found

    def _read(self, kind: FileKind, path: Path) -> FileContent:
        handle = f"{kind.name}/{path.name}"
        source = SourceText(handle)
        self._refuse_links(path)
        if not path.is_file():
            raise source.error(
                "this is no file; files of this kind stand side by side, in no folder of their own"
            )
        try:
            if path.stat().st_size > _BYTES_MOST:
                raise source.error(f"this has more than {_BYTES_MOST // 2**20} MiB")
            data = path.read_bytes()
            text = data.decode()
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise source.error("this is not written in UTF-8", line) from None
        except OSError as error:
            raise source.error(f"this can't be read: {error.strerror or error}") from None
        if kind.is_code:
            return FileContent(
                kind=kind.name, handle=handle, spec=parsed_code(text, path.suffix, kind.spec, source)
            )
        if path.suffix not in {".yaml", ".yml"}:
            raise source.error("a file of this kind ends in .yaml")
        return FileContent(kind=kind.name, handle=handle, spec=parsed(text, kind.spec, source))

    def _refuse_links(self, path: Path) -> None:
        """Refuse a link: it could lead to a private file, which `apply` would send to the server."""
        for one in (path, *path.parents):
            if one == self.path:
                return
            if one.is_symlink():
                name = path.relative_to(self.path).as_posix()
                raise ConfigError("this is a symbolic link, which is not followed", file=name)

    # -- writing ---------------------------------------------------------------------------------------------

    def write(self, handle: str, text: str) -> None:
        """Write a file completely or not at all.

        Raises:
            ConfigError: it can't be written, or there is a link in its path.
        """
        path = self.path / handle
        try:
            for folder in reversed(path.relative_to(self.path).parents):
                self._refuse_links(self.path / folder)
                (self.path / folder).mkdir(parents=folder == Path(), exist_ok=True)
            self._refuse_links(path)
            replace_file(path, text.encode(), 0o644)
        except (OSError, UnicodeEncodeError) as error:
            raise ConfigError(f"this can't be written: {error}", file=handle) from error

    def write_schemas(self, schemas: Mapping[str, Any]) -> None:
        """Write the JSON schemas by which editors check the files."""
        for name, schema in schemas.items():
            self.write(f"{_OWN_FOLDER}/schemas/{name}.json", json.dumps(schema, indent=1) + "\n")

    @contextmanager
    def locked(self, server: str) -> Iterator[None]:
        """Lock out other processes that apply this folder to this server. The lock ends with the process.

        Raises:
            ConfigError: another process holds the lock, or the lock file can't be created.
        """
        name = f"{_state_name(server)}.lock"
        try:
            self._refuse_links(self.path / name)
            (self.path / _OWN_FOLDER).mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path / name, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ConfigError(f"this can't be written: {error}", file=name) from error
        try:
            try:
                _lock(handle)
            except OSError:
                raise ConfigError("another apply of this folder to this server is under way") from None
            yield
        finally:
            os.close(handle)

    # -- the records of a server's objects -------------------------------------------------------------------

    def state_of(self, server: str) -> FolderState:
        """Read the records for this server. They are empty the first time.

        Raises:
            ConfigError: the file can't be read.
        """
        path = self.path / _state_name(server)
        self._refuse_links(path)
        try:
            state = msgspec.json.decode(path.read_bytes(), type=FolderState)
        except FileNotFoundError:
            return FolderState(server=server)
        except (OSError, msgspec.MsgspecError) as error:
            raise ConfigError(f"this can't be read: {error}", file=_state_name(server)) from error
        if state.server != server:
            raise ConfigError(f"this is of another server, {state.server}", file=_state_name(server))
        return state

    def save(self, state: FolderState) -> None:
        """Write the records for a server."""
        ordered = FolderState(server=state.server, objects=dict(sorted(state.objects.items())))
        text = msgspec.json.format(msgspec.json.encode(ordered)).decode() + "\n"
        self.write(_state_name(state.server), text)


def text_of(kind: FileKind, spec: Any) -> str:
    """The text of a file with this content."""
    data = without_defaults(spec)
    if kind.is_code:
        front = {name: value for name, value in data.items() if name not in {"code", "shell"}}
        return code_file(spec.shell, front, spec.code)
    return f"# yaml-language-server: $schema=../{_OWN_FOLDER}/schemas/{kind.name}.json\n{yaml_text(data)}"


def handle_for(kind: FileKind, spec: Any, taken: Collection[str]) -> str:
    """A name for a new file, made from the object's name. Its `casefold()` is none of the `taken` ones."""
    ending = ENDINGS[spec.shell] if kind.is_code else ".yaml"
    stem = _portable_name(kind.key(spec))
    number = 1
    while True:
        handle = f"{kind.name}/{stem}{f'-{number}' if number > 1 else ''}{ending}"
        if handle.casefold() not in taken:
            return handle
        number += 1


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _state_name(server: str) -> str:
    return f"{_OWN_FOLDER}/state-{_portable_name(server.partition('://')[2].rstrip('/'))}.json"


def _portable_name(name: str) -> str:
    """A name that every file system accepts: letters, digits and a few other characters."""
    text = unicodedata.normalize("NFC", name)
    text = "".join(one if one.isalnum() or one in " ._-+" else "_" for one in text)[:_NAME_MOST]
    text = text.strip(" .") or "unnamed"
    while len(text.encode()) > 2 * _NAME_MOST:
        text = text[:-1]
    return f"_{text}" if _RESERVED.fullmatch(text) else text


def _check_unique_names(found: Iterable[FileContent]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for one in found:
        key = (one.kind, FILES[one.kind].key(one.spec))
        if key in seen:
            raise ConfigError(
                f"{seen[key]} is about {FILES[one.kind].word} {key[1]!r}, too: a name stands once",
                file=one.handle,
            )
        seen[key] = one.handle
