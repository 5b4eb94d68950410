"""A journal's file, and the lock beside it. No asyncio: each of these is done at once.

Below `journal`.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Final
from urllib.parse import quote

from trmm_async.errors import JournalError

__all__ = ["as_uri", "existing", "locked", "make_file", "unlock", "uri_of"]

_HELD: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def make_file(path: Path) -> sqlite3.Connection:
    """A new, empty file with its lock, see `locked`. What fails leaves no file behind.

    For the eyes of this user only: what scripts print, and their variables, may be nobody else's. On Windows
    a mode says nothing; there it has the permissions that its folder hands down.
    """
    if os.path.lexists(path):  # asks of no link where it leads
        raise _there_already(path)
    lock = locked(path)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        unlock(lock)
        if isinstance(error, FileExistsError):
            raise _there_already(path) from None
        raise JournalError(f"{path} can't be made: {error}") from error
    return lock


def _there_already(path: Path) -> JournalError:
    return JournalError(f"{path} is there already: fleet.resume({str(path)!r}) goes on with it")


def uri_of(path: Path) -> str:
    """The path as SQLite wants it where a mode is to be told."""
    return as_uri(path.resolve())


def as_uri(path: PurePath) -> str:
    """An absolute path of any system.

    Not by the path's own method: that makes a host of a Windows share's server, and SQLite refuses hosts.
    """
    place = quote(os.fsencode(path.as_posix()), safe="/:")
    return f"file://{'' if place.startswith('/') else '/'}{place}"


def existing(path: str | os.PathLike[str]) -> Path:
    """The path of a file that is there. Raises `JournalError`."""
    place = Path(path)
    if not place.is_file():
        raise JournalError(f"there is no journal {place}")
    return place


def locked(path: Path) -> sqlite3.Connection:
    """A lock beside the file, held by an open transaction: SQLite does that on every system."""
    real = path.resolve()  # one file has one lock, also where a link leads to it
    beside = real.with_name(f"{real.name}.lock")
    try:
        with suppress(FileExistsError):
            os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        lock = sqlite3.connect(beside, timeout=0, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise JournalError(f"{beside} can't be made: {error}") from error
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        lock.close()
        if _is_held(error):
            raise JournalError(f"another process works on {path}; it can only be read now") from None
        raise JournalError(f"{beside} can't be locked: {error}") from error
    return lock


def _is_held(error: sqlite3.Error) -> bool:
    """Whether another connection has the lock; the low byte of SQLite's code says what kind it is."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _HELD


def unlock(lock: sqlite3.Connection | None) -> None:
    """Let others work on it; nothing to do without a lock."""
    if lock is not None:
        lock.close()
