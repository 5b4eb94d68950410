"""A journal in one SQLite file. Every call here blocks; `threaded` makes the calls in a thread of its own.

During a run, the file is in WAL mode: a commit waits for the disk once, and readers hinder nobody. But the
last commits are then in `-wal`, beside the file. If that is lost, cut or damaged, SQLite silently continues
from what the file last had, and what was sent since would be sent again. Three checks notice that before
anything is sent:

* The file says that it is open, from before the first call until everything is in the one file. An open file
  without its `.mark` is refused.
* The mark (see `files`) has the number of commits. A database with fewer commits is refused.
* Each row has a checksum. The row `seal` of `meta` has the sum of all of them, a checksum of `meta`, and the
  number of the commit. A database that does not add up is refused.

A rollback journal instead of WAL would need no mark, since what is committed is in the one file. But it waits
for the disk several times for each commit: measured in turns with WAL, it wrote 0.4 of the targets per second
with 50 at once, and 0.1 with one (0.14 to 0.5, and 0.04 to 0.2). It also makes readers and the run wait for
each other, and does not notice a flipped byte. The mark and the checksums cost little: with them it wrote 1.1
of the targets per second with 50 at once, and 0.9 with one (0.2 to 1.7, and 0.5 to 1.4, on a busy machine),
since each transaction is now one call of SQLite's thread instead of several.
"""

import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from trmm_async.errors import InvalidRequestError, JournalError, TRMMError
from trmm_async.fleet.sqlite.files import (
    GO_ON,
    Lock,
    Mark,
    MarkFile,
    check_owner,
    make_file,
    refuse_leftovers,
    remove_all,
    uri_of,
)
from trmm_async.fleet.sqlite.inspection import FORMAT, OLD, VERSION, Inspection
from trmm_async.fleet.sqlite.rows import (
    OF_ONE_ROW,
    OLD_COLUMNS,
    Change,
    Page,
    Seal,
    as_number,
    as_text,
    row_of,
    to_run,
    told,
)

__all__ = ["TROUBLES", "SQLiteStore"]

_PAGE_ROWS: Final = 500
_PAGE_LETTERS: Final = 1 << 20
_WAIT: Final = 10_000
_WAIT_AT_THE_END: Final = 1_000
"""Milliseconds to wait for a reader."""

# Only the keys have a type. Other columns return exactly what was written, so that the checksums hold.
_META: Final = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
_TARGETS: Final = (
    "CREATE TABLE targets (place INTEGER PRIMARY KEY, agent_id TEXT NOT NULL UNIQUE, state, attempts, "
    "sent_at, mark, mark_time, settled_at, ok, retcode, execution_time, stdout, stderr, error, reason, "
    "owner, fence, lease_until, sum)"
)
_BY_STATE: Final = "CREATE INDEX by_state ON targets (state, place)"
_READ: Final = "agent_id, state, retcode, execution_time, stdout, stderr, error, reason"
TROUBLES: Final = (sqlite3.Error, sqlite3.Warning, OSError, ValueError, OverflowError, MemoryError)
"""The errors of a file that is full, damaged, or not ours, apart from `JournalError`."""


class SQLiteStore:
    """One journal's file. Its methods are those of `storage.JournalStore`.

    Attributes:
        meta: the texts about the run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.meta: dict[str, str] = {}
        self._place = path
        self._is_ours = False
        """Whether this object has made all files of the journal."""
        self._lock: Lock | None = None
        self._mark: MarkFile | None = None
        self._database: sqlite3.Connection | None = None

    @property
    def writes(self) -> bool:
        """Whether it was opened for writing."""
        return self._mark is not None

    @property
    def database(self) -> sqlite3.Connection:
        """The connection. Raises `JournalError` if it is closed."""
        if self._database is None:
            raise JournalError(f"{self.path} is closed")
        return self._database

    # -- opening ---------------------------------------------------------------------------------------------

    def create(self, kind: str) -> None:
        """Make it, and open it for writing. A failure leaves nothing behind."""
        try:
            place = self._place = self.path.parent.resolve() / self.path.name
        except (OSError, ValueError, RuntimeError) as error:
            raise JournalError(f"{self.path} can't be made: {error}") from error
        refuse_leftovers(place)
        self._lock = Lock(place, new=True)
        try:
            make_file(place)
            self._is_ours = True
            self._make(kind)
        except BaseException:
            self.discard()
            raise

    def _make(self, kind: str) -> None:
        run = secrets.token_hex(16)
        self._mark = MarkFile(self._place, Mark(run, 0))
        self._connect("rw")
        self._set_up()
        # `refuse_leftovers` found no file there before, and the files that are there now are checked again.
        check_owner(self._place, to_write=True)
        self.meta = {"format": FORMAT, "version": str(VERSION), "kind": kind, "run": run, "state": "open"}
        self.meta["created"] = datetime.now(UTC).isoformat()
        self.database.execute("BEGIN IMMEDIATE")
        self._lay_out()
        self._finish_layout(Seal(0, 0, 0))

    def _lay_out(self) -> None:
        for sql in (_META, _TARGETS, _BY_STATE):
            self.database.execute(sql)

    def _finish_layout(self, seal: Seal) -> None:
        rows = {**self.meta, "seal": seal.encoded(self.meta)}
        self.database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows.items())
        self.database.execute("COMMIT")

    def discard(self) -> None:
        """Close and delete what was being made, and nothing else."""
        with suppress(sqlite3.Error):
            self._disconnect()
        if self._is_ours:
            self._is_ours = False
            remove_all(self._place)
        self._let_go()

    def resume(self) -> None:
        """Open it for writing, after a check that it is complete, and ours."""
        place = self._place
        try:
            self._lock = Lock(place)
            check_owner(place, to_write=True)
            self._roll_back()
            # It is inspected read-only, so that a journal that is refused stays as it was found.
            self._inspect()
            self._disconnect()
            self._begin()
        except BaseException:
            with suppress(sqlite3.Error):
                self._disconnect()
            self._let_go()
            raise

    def _roll_back(self) -> None:
        """Let SQLite undo what a killed process had half written outside of WAL mode."""
        if self._place.with_name(f"{self._place.name}-journal").exists():
            self._connect("rw")
            self.database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            self._disconnect()

    def _begin(self) -> None:
        self._connect("rw")
        self._set_up()
        check_owner(self._place, to_write=True)
        if self.meta["version"] == str(OLD):
            self._modernise()
        self._mark = MarkFile(self._place, Mark(self.meta["run"], Seal.decoded(self.meta["seal"]).commits))
        self.transact([_note_open])
        self.checkpoint()

    def read(self) -> None:
        """Open it for reading; another process may be writing it."""
        check_owner(self._place, to_write=False)
        try:
            self._inspect()
        except BaseException:
            with suppress(sqlite3.Error):
                self._disconnect()
            raise

    def _inspect(self) -> None:
        for attempt in range(3):
            mark = Mark.read(self._place)
            self._connect("ro")
            self._query("BEGIN")
            inspection = Inspection(self.path, self.database)
            is_whole = inspection.is_whole(mark)
            self.meta = inspection.meta
            self._query("COMMIT")
            if is_whole:
                return
            # Another process may have opened it after the mark was read. Then there is a mark now.
            self._disconnect()
            if attempt == 2:
                raise JournalError(
                    f"{self.path} isn't whole: it was open when it was last written, and its "
                    f".mark is missing. {GO_ON}"
                )

    def _connect(self, mode: str) -> None:
        if mode == "ro" and not self._is_readable():
            # In a folder that can't be written, SQLite reads a file that was in WAL mode only like this.
            mode = "ro&immutable=1"
        self._open(mode)

    def _open(self, mode: str) -> None:
        uri = f"{uri_of(self._place)}?mode={mode}"
        self._database = sqlite3.connect(
            uri, uri=True, timeout=_WAIT / 1000, isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA trusted_schema = OFF")
        self._database.execute("PRAGMA cell_size_check = ON")

    def _is_readable(self) -> bool:
        if self._place.with_name(f"{self._place.name}-wal").exists():
            return True
        try:
            self._open("ro")
            self.database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            return code not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
        except sqlite3.Error:
            return True
        finally:
            self._disconnect()
        return True

    def _set_up(self) -> None:
        # A target that the journal says is pending must not have been sent to, not even after a power cut.
        self.database.execute("PRAGMA synchronous = FULL")
        self.database.execute("PRAGMA journal_mode = WAL")

    def _modernise(self) -> None:
        """Convert version 1 to version 2, in one transaction."""
        database = self.database
        rows = self._query(f"SELECT {', '.join(OLD_COLUMNS)} FROM targets ORDER BY place")  # noqa: S608
        database.execute("BEGIN IMMEDIATE")
        for sql in ("DROP INDEX by_state", "DROP TABLE targets", _TARGETS, _BY_STATE):
            database.execute(sql)
        self.meta |= {
            "version": str(VERSION),
            "kind": "script",
            "run": secrets.token_hex(16),
            "state": "open",
        }
        page = Page(database, self.meta, Seal(0, 0, 0))
        for values in rows:
            page.rows += 1
            page.insert(row_of(**dict(zip(OLD_COLUMNS, values, strict=True))))
        seal = Seal(0, page.rows, page.total)
        self._finish_layout(seal)
        self.meta["seal"] = seal.encoded(self.meta)

    # -- writing ---------------------------------------------------------------------------------------------

    def transact(self, changes: Iterable[Change]) -> list[TRMMError | None]:
        """Write changes in one transaction, which is on disk when this returns. Returns the error of each.

        A change that can't be written does not affect the others. If the disk fails, none is written.
        """
        changes = list(changes)
        try:
            return self._transact(changes)
        except (JournalError, *TROUBLES) as cause:
            with suppress(sqlite3.Error, JournalError):
                self.database.execute("ROLLBACK")
            return [self._unwritten(cause) for _ in changes]

    def _transact(self, changes: list[Change]) -> list[TRMMError | None]:
        database, mark = self.database, self._mark
        if mark is None:
            raise JournalError("it was opened to be read")
        database.execute("BEGIN IMMEDIATE")
        found = database.execute("SELECT value FROM meta WHERE name = 'seal'").fetchone()
        if found is None:
            raise JournalError("its seal is gone")
        seal = Seal.decoded(found[0])
        page = Page(database, self.meta, seal)
        told = [self._change(page, change) for change in changes]
        seal = Seal(seal.commits + 1, page.rows, page.total)
        database.execute("UPDATE meta SET value = ? WHERE name = 'seal'", (seal.encoded(page.meta),))
        database.execute("COMMIT")
        self.meta = page.meta
        # After the commit, and before the run acts on it.
        mark.advance(seal.commits)
        return told

    def _change(self, page: Page, change: Change) -> TRMMError | None:
        before = page.rows, page.total, dict(page.meta)
        self.database.execute("SAVEPOINT one")
        try:
            change(page)
        except (InvalidRequestError, *OF_ONE_ROW) as error:
            self.database.execute("ROLLBACK TO one")
            page.rows, page.total, page.meta = before
            return error if isinstance(error, InvalidRequestError) else self._unwritten(error)
        finally:
            self.database.execute("RELEASE one")
        return None

    def _unwritten(self, cause: Exception) -> JournalError:
        error = JournalError(f"{self.path} can't be written: {told(cause)}")
        error.__cause__ = cause
        return error

    def checkpoint(self) -> None:
        """Move all commits to the one file. Raises `JournalError` if a reader prevents it."""
        busy, *_ = self.database.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        if busy:
            raise JournalError(f"{self.path} is being read by another process: try again when it has ended")

    def close(self) -> None:
        """Make it one file again, and let others open it; it can be called again.

        While another process reads it, it keeps the files beside it; it is complete all the same.
        """
        is_one_file = False
        try:
            if self._mark is not None and self._database is not None:
                is_one_file = self._make_one_file()
        except (sqlite3.Error, JournalError):
            pass  # the commits stay, and the mark has their number
        finally:
            with suppress(sqlite3.Error):
                self._disconnect()
            if is_one_file and self._mark is not None:
                self._mark.remove()
            self._let_go()

    def _make_one_file(self) -> bool:
        self.database.execute(f"PRAGMA busy_timeout = {_WAIT_AT_THE_END}")
        if any(self.transact([_note_closed])):
            return False
        if self._place.with_name(f"{self._place.name}-journal").exists():
            return False  # it is not ours, and SQLite would apply it
        return bool(self.database.execute("PRAGMA journal_mode = DELETE").fetchone()[0] == "delete")

    def _disconnect(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def _let_go(self) -> None:
        mark, self._mark = self._mark, None
        if mark is not None:
            mark.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    # -- reading ---------------------------------------------------------------------------------------------

    def hold_still(self) -> None:
        """Begin to read one consistent state."""
        self._query("BEGIN")
        self._query("SELECT count(*) FROM meta")  # the state is that of the first read, not of BEGIN

    def move_on(self) -> None:
        """End what `hold_still` began."""
        self._query("ROLLBACK")

    def counts(self) -> dict[str, int]:
        """How many targets are in each state."""
        return dict(self._query("SELECT state, count(*) FROM targets GROUP BY state"))

    def in_flight(self) -> list[tuple[str, float, int, str | None]]:
        """The targets that are sending: each with the agent_id and what `begin` was given."""
        return self._query(
            "SELECT agent_id, sent_at, mark, mark_time FROM targets WHERE state = 'sending' ORDER BY place"
        )

    def pending(self, after: int) -> list[tuple[int, str]]:
        """A page of the pending targets after the place `after`, each with its place."""
        return self._query(
            "SELECT place, agent_id FROM targets WHERE state = 'pending' AND place > ? "
            "ORDER BY place LIMIT ?",
            (after, _PAGE_ROWS),
        )

    def targets(self, after: int) -> list[tuple[int, str]]:
        """A page of all targets after the place `after`, each with its place."""
        return self._query(
            "SELECT place, agent_id FROM targets WHERE place > ? ORDER BY place LIMIT ?", (after, _PAGE_ROWS)
        )

    def to_run(self, kinds: Iterable[str]) -> list[str]:
        """The targets that are pending, or would be after `retry` of these kinds."""
        sql = f"SELECT agent_id FROM targets WHERE {to_run(kinds)} ORDER BY place"  # noqa: S608
        return [agent_id for (agent_id,) in self._query(sql)]

    def successes(self) -> dict[int | None, int]:
        """How many targets were successes, by return code."""
        found = self._query(
            "SELECT retcode, count(*) FROM targets WHERE state = 'done' AND ok GROUP BY retcode"
        )
        return {as_number(code): count for code, count in found}

    def ended(self, after: int) -> list[tuple[Any, ...]]:
        """A page of the targets that have ended. Its size is limited, since one output may be a megabyte."""
        sql = (
            f"SELECT place, ok, {_READ} FROM targets NOT INDEXED "  # noqa: S608
            "WHERE state NOT IN ('pending', 'sending') AND place > ? ORDER BY place"
        )
        rows: list[tuple[Any, ...]] = []
        letters = 0
        for place, ok, agent_id, state, code, seconds, *texts in self.database.execute(sql, (after,)):
            told = [as_text(each) for each in texts]
            rows.append((place, ok, agent_id, state, as_number(code), seconds, *told))
            letters += sum(len(each) for each in told if each)
            if len(rows) >= _PAGE_ROWS or letters >= _PAGE_LETTERS:
                break
        return rows

    def _query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return self.database.execute(sql, values).fetchall()


def _note(name: str, value: str, page: Page) -> None:
    page.note(name, value)


_note_open: Final = partial(_note, "state", "open")
_note_closed: Final = partial(_note, "state", "closed")
