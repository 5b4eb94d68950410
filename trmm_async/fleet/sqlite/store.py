"""A journal in one SQLite file; every call here blocks.

Between `threaded`, which calls this in a thread of its own, and `inspection`, `rows` and `files`. These alone
know SQLite: a store of another kind has the same methods.

While a run is under way, the file is in WAL mode: a commit waits for the disk once, and readers hinder
nobody. But then what was last committed lies in `-wal`, beside the file, and SQLite says nothing where that
is lost, cut, or flipped: it goes on from what the file last had, and what had been sent since would be sent
again. Three things find it out, each of them before anything is sent:

* The file itself says that it is open, from before the first call until all of it is in the one file. An
  open file without its `.mark` is not believed.
* The mark (see `files`) says how many commits there were. A database that has fewer is not believed.
* Each row has a sum, and the row `seal` of `meta` one over all rows and all of `meta`, and the number of the
  commit. What does not add up is not believed.

A rollback journal instead of WAL needs no mark, since it leaves in the one file what is committed. Measured
beside WAL, in turns, it wrote 0.4 of the targets per second with 50 at once and 0.1 with one (0.14 to 0.5,
and 0.04 to 0.2): it waits for the disk several times for each commit. It makes readers and the run wait for
each other, and finds no flipped byte. The mark and the sums cost 1.1 (0.2 to 1.7) and 0.9 (0.5 to 1.4) of
what was written per second before them, on a machine that was busy; one call of SQLite's thread for each
transaction, where there were several, gives back what they take.
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
"""Milliseconds for which a reader is waited for."""

# No column but the keys has a type: what is written is read as it was, and sums stay what they are.
_META: Final = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
_TARGETS: Final = (
    "CREATE TABLE targets (place INTEGER PRIMARY KEY, agent_id TEXT NOT NULL UNIQUE, state, attempts, "
    "sent_at, mark, mark_time, settled_at, ok, retcode, execution_time, stdout, stderr, error, reason, "
    "owner, fence, lease_until, sum)"
)
_BY_STATE: Final = "CREATE INDEX by_state ON targets (state, place)"
_READ: Final = "agent_id, state, retcode, execution_time, stdout, stderr, error, reason"
TROUBLES: Final = (sqlite3.Error, sqlite3.Warning, OSError, ValueError, OverflowError, MemoryError)
"""What may come of a file that is full, damaged, or not ours, apart from `JournalError`."""


class SQLiteStore:
    """One journal's file.

    Attributes:
        meta: what stands there about the run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.meta: dict[str, str] = {}
        self._place = path
        self._is_ours = False
        """Whether all that lies there was made by this object."""
        self._lock: Lock | None = None
        self._mark: MarkFile | None = None
        self._database: sqlite3.Connection | None = None

    @property
    def writes(self) -> bool:
        """Whether it was opened to be written."""
        return self._mark is not None

    @property
    def database(self) -> sqlite3.Connection:
        """The connection. Raises `JournalError` where there is none any more."""
        if self._database is None:
            raise JournalError(f"{self.path} is closed")
        return self._database

    # -- opening ---------------------------------------------------------------------------------------------

    def create(self, kind: str) -> None:
        """Make it, and open it to be written. What fails leaves nothing behind."""
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
        # Only ours can lie there: nothing did before, and what does now is looked at again.
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
        """What was being made is not wanted: nothing of it stays, and nothing else is touched."""
        with suppress(sqlite3.Error):
            self._disconnect()
        if self._is_ours:
            self._is_ours = False
            remove_all(self._place)
        self._let_go()

    def resume(self) -> None:
        """Open it to be written, and see that it is whole, and ours."""
        place = self._place
        try:
            self._lock = Lock(place)
            check_owner(place, to_write=True)
            self._roll_back()
            # Looked at without a right to write: what is refused stays as it was found.
            self._look()
            self._disconnect()
            self._begin()
        except BaseException:
            with suppress(sqlite3.Error):
                self._disconnect()
            self._let_go()
            raise

    def _roll_back(self) -> None:
        """Let SQLite take back what a process that was killed had half written, outside of WAL mode."""
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
        """Open it to look at it; another process may be writing it."""
        check_owner(self._place, to_write=False)
        try:
            self._look()
        except BaseException:
            with suppress(sqlite3.Error):
                self._disconnect()
            raise

    def _look(self) -> None:
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
            # It may have been taken up between the two looks.
            self._disconnect()
            if attempt == 2:
                raise JournalError(
                    f"{self.path} isn't whole: it was open when it was last written, and its "
                    f".mark is missing. {GO_ON}"
                )

    def _connect(self, mode: str) -> None:
        if mode == "ro" and not self._is_readable():
            # In a place that can't be written, SQLite reads no file that was in WAL mode, but for this.
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
        # A target that is said to be pending must never have been sent, not even after a power cut.
        self.database.execute("PRAGMA synchronous = FULL")
        self.database.execute("PRAGMA journal_mode = WAL")

    def _modernise(self) -> None:
        """Make version 2 of version 1, in one transaction."""
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
        """Write them in one transaction, on disk when this returns; what became of each.

        A change that can't be written costs itself alone; a disk that fails costs all of them.
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
        # After the commit, and before anybody acts on it.
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
        """Take all that is committed into the one file. Raises `JournalError` if a reader is in the way."""
        busy, *_ = self.database.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        if busy:
            raise JournalError(f"{self.path} is being read by another process: try again when it has ended")

    def close(self) -> None:
        """Make it one file again, and let others work on it. Twice is the same as once.

        While somebody reads it, it stays as it is, with what lies beside it; it is whole all the same.
        """
        is_one_file = False
        try:
            if self._mark is not None and self._database is not None:
                is_one_file = self._make_one_file()
        except (sqlite3.Error, JournalError):
            pass  # what was committed is, and the mark says so
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
            return False  # it isn't ours, and SQLite would take it over
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
        """What is read from here on is of one moment."""
        self._query("BEGIN")
        self._query("SELECT count(*) FROM meta")  # the moment is that of the first look, not of BEGIN

    def move_on(self) -> None:
        """The end of that."""
        self._query("ROLLBACK")

    def counts(self) -> dict[str, int]:
        """How many targets are in each state."""
        return dict(self._query("SELECT state, count(*) FROM targets GROUP BY state"))

    def in_flight(self) -> list[tuple[str, float, int, str | None]]:
        """Agent, when it was sent, the server's mark and its time, of those that have no end."""
        return self._query(
            "SELECT agent_id, sent_at, mark, mark_time FROM targets WHERE state = 'sending' ORDER BY place"
        )

    def pending(self, after: int) -> list[tuple[int, str]]:
        """A page of those that are pending, behind that place."""
        return self._query(
            "SELECT place, agent_id FROM targets WHERE state = 'pending' AND place > ? "
            "ORDER BY place LIMIT ?",
            (after, _PAGE_ROWS),
        )

    def targets(self, after: int) -> list[tuple[int, str]]:
        """A page of all of them."""
        return self._query(
            "SELECT place, agent_id FROM targets WHERE place > ? ORDER BY place LIMIT ?", (after, _PAGE_ROWS)
        )

    def to_run(self, kinds: Iterable[str]) -> list[str]:
        """Who is pending, or would be made so."""
        sql = f"SELECT agent_id FROM targets WHERE {to_run(kinds)} ORDER BY place"  # noqa: S608
        return [agent_id for (agent_id,) in self._query(sql)]

    def successes(self) -> dict[int | None, int]:
        """How many were successes, by return code."""
        found = self._query(
            "SELECT retcode, count(*) FROM targets WHERE state = 'done' AND ok GROUP BY retcode"
        )
        return {as_number(code): count for code, count in found}

    def ended(self, after: int) -> list[tuple[Any, ...]]:
        """A page of those that have ended: by size, since an output may be a megabyte."""
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
