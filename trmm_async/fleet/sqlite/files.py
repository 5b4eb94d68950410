"""A journal's files: their owner, the lock, and the mark of what was committed. Every call here blocks.

While a journal is open, or after a crash, there are further files beside it: SQLite's `-wal`, `-shm` and
perhaps `-journal`, and our `.lock` and `.mark`. Anyone who can write one of them can have another script run,
and anyone who can remove one can have a script run twice. So a file that is not plainly ours is refused.
"""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path, PurePath
from typing import Final, Self
from urllib.parse import quote

from trmm_async.errors import JournalError

__all__ = ["Lock", "Mark", "as_uri", "check_owner", "existing", "make_file", "refuse_leftovers", "uri_of"]

_HELD: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_SQLITES: Final = ("-wal", "-shm", "-journal")
_BESIDE: Final = (*_SQLITES, ".mark", ".lock", ".lock-journal")
_NEW: Final = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_READ: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_HAS_OWNERS: Final = os.name == "posix"
"""On other systems a mode says nothing: a file has the permissions that its folder hands down."""


# -- paths ---------------------------------------------------------------------------------------------------


def uri_of(path: Path) -> str:
    """The path as a `file:` URI, which SQLite needs to be given a mode."""
    return as_uri(path.resolve())


def as_uri(path: PurePath) -> str:
    """An absolute path of any system as a `file:` URI.

    `Path.as_uri` won't do: it turns the server of a Windows share into a host, and SQLite refuses hosts.
    """
    place = quote(os.fsencode(path.as_posix()), safe="/:")
    return f"file://{'' if place.startswith('/') else '/'}{place}"


def existing(path: str | os.PathLike[str]) -> Path:
    """The path of an existing file, with all links resolved. Raises `JournalError`."""
    place = Path(path)
    with _as_journal_error(f"{place} can't be opened"):
        if not place.is_file():
            raise JournalError(f"there is no journal {place}")
        return place.resolve()


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")


@contextmanager
def _as_journal_error(said: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:  # also for a null in a name, and a ring of links
        raise JournalError(f"{said}: {error}") from error


# -- owners --------------------------------------------------------------------------------------------------


def make_file(path: Path) -> None:
    """Make an empty file that only this user can read, since it will hold scripts' output and variables."""
    try:
        os.close(os.open(path, _NEW, 0o600))
    except FileExistsError:
        raise _there_already(path) from None
    except (OSError, ValueError) as error:
        raise JournalError(f"{path} can't be made: {error}") from error


def refuse_leftovers(path: Path) -> None:
    """Refuse to make a journal if it exists, or if a file is there that would be taken for a part of it."""
    with _as_journal_error(f"{path} can't be made"):
        if os.path.lexists(path):  # also true for a link that leads nowhere
            raise _there_already(path)
        for suffix in (*_SQLITES, ".mark"):
            if os.path.lexists(beside := _beside(path, suffix)):
                raise _left_over(path, beside)


def _there_already(path: Path) -> JournalError:
    return JournalError(f"{path} is there already: fleet.resume({str(path)!r}) goes on with it")


def _left_over(path: Path, beside: Path) -> JournalError:
    return JournalError(
        f"{beside} is there already, and would be taken for a part of {path}: remove it if it is left of "
        "another journal, or give another name"
    )


def check_owner(path: Path, *, to_write: bool) -> None:
    """Refuse a journal if another user could have written it, or could have put a file beside it.

    A journal that is only read may belong to another user; then the files beside it must be that user's, too.
    """
    if not _HAS_OWNERS:
        return
    with _as_journal_error(f"{path} can't be opened"):
        found = path.stat()
        if to_write:
            _check_folder(path)
    owner = os.geteuid() if to_write else found.st_uid
    _check(path, found, owner, 0o022 if to_write else 0)
    for suffix in _BESIDE:
        beside = _beside(path, suffix)
        with _as_journal_error(f"{beside} can't be looked at"), suppress(FileNotFoundError):
            # SQLite gives its files the mode of the journal, so they must not be more open than that.
            closed = 0 if suffix == ".lock" else 0o077 & ~found.st_mode
            _check(beside, beside.lstat(), owner, 0o022 | closed)


def _check_folder(path: Path) -> None:
    # Anyone who may rename files there could swap them between two checks. Groups are not refused, since a
    # user's group is often that user's alone.
    mode = stat.S_IMODE(path.parent.stat().st_mode)
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise JournalError(
            f"{path.parent} is a folder in which anybody may rename files (mode {mode:04o}), and so change "
            f"what would be run: say chmod o-w {path.parent}, or put the journal elsewhere"
        )


def _check(path: Path, found: os.stat_result, owner: int, closed: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise JournalError(f"{path} is a link, or no plain file: a journal's files are plain files")
    if found.st_uid != owner:
        raise JournalError(
            f"{path} belongs to another user (uid {found.st_uid}, not {owner}), who could have written what "
            "would be run: go on as that user, or remove it if it isn't part of your journal"
        )
    if found.st_mode & closed:
        mode = stat.S_IMODE(found.st_mode)
        raise JournalError(
            f"{path} is open to other users (mode {mode:04o}), who could have written what would be run: if "
            f"you know that nobody did, say chmod 600 {path}"
        )


# -- the lock ------------------------------------------------------------------------------------------------


class Lock:
    """A lock file beside a journal, held by an open SQLite transaction, which works on every system.

    The system releases it when the process dies. `release` removes the file, so a finished journal is one
    file.
    """

    def __init__(self, path: Path, *, new: bool = False) -> None:
        """Take the lock.

        Args:
            path: the journal.
            new: whether the journal is being made, so that there must be no lock file yet.

        Raises:
            JournalError: another process has the lock, or its file can't be made, or is not plainly ours.
        """
        self._path = _beside(path, ".lock")
        while True:
            was_there = self._make()
            before = self._number()
            self._holder = self._hold(path, made=not was_there)
            if before is not None and before == self._number():
                break
            # The process that held the lock has removed this file meanwhile: the lock is another file now.
            self._holder.close()
        if was_there and new:
            self._holder.close()
            raise _left_over(path, self._path)

    def _make(self) -> bool:
        """Make the file. Returns whether it existed already."""
        try:
            os.close(os.open(self._path, _NEW, 0o600))
        except FileExistsError:
            return True
        except (OSError, ValueError) as error:
            raise JournalError(f"{self._path} can't be made: {error}") from error
        return False

    def _number(self) -> tuple[int, int] | None:
        """The device and number of the file that is there now. A link is refused: SQLite would follow it."""
        with _as_journal_error(f"{self._path} can't be locked"):
            try:
                found = self._path.lstat()
            except FileNotFoundError:
                return None
        if _HAS_OWNERS:
            _check(self._path, found, os.geteuid(), 0o022)
        return found.st_dev, found.st_ino

    def _hold(self, path: Path, *, made: bool) -> sqlite3.Connection:
        try:
            # With "rw", SQLite does not make the file again if it has just been removed.
            uri = f"{as_uri(self._path)}?mode=rw"
            holder = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            if not self._path.exists():
                return sqlite3.connect(":memory:", check_same_thread=False)
            raise JournalError(f"{self._path} can't be locked: {error}") from error
        try:
            holder.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            holder.close()
            if _is_held(error):
                raise JournalError(f"another process works on {path}; it can only be read now") from None
            if made:
                with suppress(OSError):
                    self._path.unlink(missing_ok=True)
            raise JournalError(f"{self._path} can't be locked: {error}") from error
        return holder

    def release(self) -> None:
        """Release the lock; it can be called again."""
        holder, self._holder = self._holder, None
        if holder is None:
            return
        try:
            # Removed while the lock is held, so that a process that waits for it notices.
            if _HAS_OWNERS:
                self._path.unlink(missing_ok=True)
        except OSError:
            pass  # it may stay: it is empty, and nobody holds it
        finally:
            holder.close()
        if not _HAS_OWNERS:
            with suppress(OSError):  # Windows removes no open file: then another process has it
                self._path.unlink(missing_ok=True)

    _holder: sqlite3.Connection | None


def _is_held(error: sqlite3.Error) -> bool:
    """Whether another connection has the lock. The low byte of SQLite's error code is the kind of error."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _HELD


# -- the mark ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a run has written its journal: the run's id, and the number of its last commit.

    If SQLite's log is cut or damaged, SQLite silently takes it to end there. The mark shows how far it went.
    It is a file of fixed size, overwritten in place after each commit, and before the commit is acted upon.
    It is not synchronised with the disk: an older mark, after a power cut, only demands less than there is,
    and the commits themselves are on the disk.
    """

    run: str
    commits: int

    def encoded(self) -> bytes:
        """The content of its file, which always has the same length."""
        text = f"trmm_async.mark {self.run:>32} {self.commits:020}".encode()
        return text + b" " + blake2b(text, digest_size=12).hexdigest().encode() + b"\n"

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read the mark of a journal; None if there is none. Raises `JournalError` if it is damaged."""
        beside = _beside(path, ".mark")
        try:
            file = os.open(beside, _READ)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise JournalError(f"{beside} can't be read: {error}") from error
        try:
            text = os.read(file, 1000)
        except OSError as error:
            raise JournalError(f"{beside} can't be read: {error}") from error
        finally:
            os.close(file)
        with suppress(ValueError, UnicodeDecodeError):
            _, run, commits, _ = text.decode("ascii").split()
            mark = cls(run, int(commits))
            if mark.encoded() == text:
                return mark
        raise JournalError(f"{beside} is damaged: how much of {path} was written isn't known. {GO_ON}")


GO_ON: Final = (
    "Nothing is sent, since a script might run twice. Put the files back as they lay beside each other, or "
    "start a new run on those of which you know that they lack it"
)


class MarkFile:
    """The open mark of a journal that is being written."""

    def __init__(self, path: Path, mark: Mark) -> None:
        """Make the file, or overwrite it. It is on the disk when this returns."""
        self._path = _beside(path, ".mark")
        self.mark: Mark = mark
        flags = (_NEW & ~os.O_EXCL) if self._path.exists() else _NEW
        with _as_journal_error(f"{self._path} can't be written"):
            self._file = os.open(self._path, flags, 0o600)
            try:
                self._write(mark)
                os.ftruncate(self._file, len(mark.encoded()))
                os.fsync(self._file)
                _sync_folder(path)
            except BaseException:
                self.close()
                raise

    def advance(self, commits: int) -> None:
        """Write the number of the last commit. Raises `JournalError`."""
        self.mark = Mark(self.mark.run, commits)
        with _as_journal_error(f"{self._path} can't be written"):
            self._write(self.mark)

    def _write(self, mark: Mark) -> None:
        os.lseek(self._file, 0, os.SEEK_SET)
        if os.write(self._file, mark.encoded()) != len(mark.encoded()):
            raise OSError("not all of it was written")

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def remove(self) -> None:
        """Remove the file, once all commits are in the journal's own file."""
        self.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    """Synchronise the folder, so that a new name in it outlives a power cut. Not every system can do that."""
    with suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_all(path: Path) -> None:
    """Remove all files of a journal whose making has failed."""
    for suffix in ("", *_SQLITES, ".mark"):
        with suppress(OSError):
            _beside(path, suffix).unlink(missing_ok=True)
