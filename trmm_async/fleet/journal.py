"""A run's journal: what was to be done, what was begun, and what came of it, in one SQLite file.

The only user of aiosqlite (extra `[journal]`). A target's state is on disk before the call that could change
it leaves, and its outcome before it is told. So after a crash, of the process or of the machine, the file
says of each target whether it was surely never sent, may have been, or how it ended. `docs/journal.md` has
the format.

One process works on a journal at a time: it holds a lock that the system takes back when it dies. Any number
may read meanwhile.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from trmm_async import codec
from trmm_async.errors import InvalidRequestError, JournalError, RecordedError
from trmm_async.fleet.files import existing, locked, make_file, unlock, uri_of
from trmm_async.models import ScriptResult
from trmm_async.outcomes import Counts, Done, Failed, Outcome, Skipped, Unknown

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["InFlight", "Journal", "Order"]

FORMAT: Final = "trmm_async.journal"
VERSION: Final = 1

_PAGE: Final = 500
_KINDS: Final = {Done: "done", Failed: "failed", Unknown: "unknown", Skipped: "skipped"}
_RETRIES: Final = {
    "failed": "state = 'failed' OR (state = 'done' AND NOT ok)",
    "unknown": "state = 'unknown'",
    "skipped": "state = 'skipped'",
}
_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE targets (
    place INTEGER PRIMARY KEY,
    agent_id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL DEFAULT 'pending',
    attempts INTEGER NOT NULL DEFAULT 0,
    sent_at REAL, mark INTEGER, mark_time TEXT,
    settled_at REAL, ok INTEGER,
    retcode INTEGER, execution_time REAL, stdout TEXT, stderr TEXT, error TEXT, reason TEXT
);
CREATE INDEX by_state ON targets (state, place);
"""
_BEGIN: Final = (
    "UPDATE targets SET state = 'sending', attempts = attempts + 1, sent_at = ?, mark = ?, mark_time = ?, "
    "settled_at = NULL, ok = NULL, retcode = NULL, execution_time = NULL, stdout = NULL, stderr = NULL, "
    "error = NULL, reason = NULL WHERE agent_id = ?"
)
_WITHDRAW: Final = (
    "UPDATE targets SET state = 'pending', attempts = attempts - 1, sent_at = NULL "
    "WHERE agent_id = ? AND state = 'sending'"
)
_SETTLE: Final = (
    "UPDATE targets SET state = ?, settled_at = ?, ok = ?, retcode = ?, execution_time = ?, stdout = ?, "
    "stderr = ?, error = ?, reason = ? WHERE agent_id = ?"
)
_READ: Final = "SELECT agent_id, state, retcode, execution_time, stdout, stderr, error, reason FROM targets "

_Statement = tuple[str, Sequence[Sequence[Any]]]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a journal's run is: enough to go on with it."""

    server: str
    script: int
    args: tuple[str, ...] = ()
    timeout: int = 90
    env_vars: tuple[str, ...] = ()
    run_as_user: bool = False
    width: int | None = None
    canary: int | None = None
    batch: int | float | None = None
    max_failures: int | float | None = None
    splay: float = 0.0
    skip_offline: bool = False
    when_online: float | None = None


@dataclass(frozen=True, slots=True)
class InFlight:
    """A target that was begun and has no outcome: when, and what the history's last row was before."""

    agent_id: str
    sent_at: float
    mark: int
    mark_time: datetime | None


class Journal:
    """One open journal: `create` and `resume` work on it, `read` only looks. Close it with `aclose()`."""

    def __init__(self, path: Path, lock: sqlite3.Connection | None, database: "aiosqlite.Connection") -> None:
        self.path = path
        self._lock = lock
        self._database = database
        self._writing = asyncio.Lock()
        self._queue: list[tuple[_Statement, asyncio.Future[None]]] = []
        self._flushes: set[asyncio.Task[None]] = set()
        self.order = Order(server="", script=0)
        self.username: str | None = None

    def __repr__(self) -> str:
        return f"<Journal {self.path}>"

    # -- opening ---------------------------------------------------------------------------------------------

    @classmethod
    async def create(
        cls, path: str | os.PathLike[str], order: Order, agents: AsyncIterable[str] | Iterable[str]
    ) -> Self:
        """Begin a journal of these targets, all of them pending, and nothing sent. Safe to cancel.

        Raises:
            JournalError: there is such a file already, or it can't be written.
            InvalidRequestError: a target stands there twice.
        """
        place = Path(path)
        lock = make_file(place)
        journal = None
        try:
            journal = await cls._open(place, lock)
            await journal.fill(order, agents)
        except BaseException:
            if journal is not None:
                await journal.aclose()
            with suppress(OSError):
                os.unlink(place)  # noqa: PTH108 - also where the task is being cancelled
            raise
        return journal

    @classmethod
    async def resume(cls, path: str | os.PathLike[str]) -> Self:
        """Open a journal to go on with its run.

        Raises:
            JournalError: there is none, it is none, it is of a newer version, or another process works on it.
        """
        place = existing(path)
        journal = await cls._open(place, locked(place))
        return await journal.check()

    @classmethod
    async def read(cls, path: str | os.PathLike[str]) -> Self:
        """Open a journal to look at it, also while its run is under way. Raises `JournalError`."""
        journal = await cls._open(existing(path), None)
        return await journal.check()

    @classmethod
    async def _open(cls, path: Path, lock: sqlite3.Connection | None) -> Self:
        try:
            import aiosqlite  # noqa: PLC0415 - an extra
        except ImportError as error:
            unlock(lock)
            raise JournalError('a journal needs aiosqlite: pip install "trmm-async[journal]"') from error
        mode = "ro" if lock is None else "rw"
        try:
            database = await aiosqlite.connect(f"{uri_of(path)}?mode={mode}", uri=True, isolation_level=None)
        except BaseException as error:
            unlock(lock)
            if not isinstance(error, sqlite3.Error):
                raise
            raise JournalError(f"{path} can't be opened: {error}") from error
        journal = cls(path, lock, database)
        try:
            await journal._settings()
        except BaseException:
            await journal.aclose()
            raise
        return journal

    async def _settings(self) -> None:
        try:
            await self._database.execute("PRAGMA busy_timeout = 10000")
            if self._lock is not None:
                await self._database.execute("PRAGMA journal_mode = WAL")
                # A target that is said to be pending must never have been sent, not even after a power cut.
                await self._database.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            raise JournalError(f"{self.path} is no journal: {error}") from error

    async def fill(self, order: Order, agents: AsyncIterable[str] | Iterable[str]) -> None:
        """Write down what is to be done. For `create`."""
        meta = {"format": FORMAT, "version": str(VERSION), "created": datetime.now(UTC).isoformat()}
        await self._database.executescript(_SCHEMA)
        await self._write("INSERT INTO meta VALUES (?, ?)", list(meta.items()))
        async for page in _pages(agents):
            try:
                await self._write("INSERT INTO targets (agent_id) VALUES (?)", [(one,) for one in page])
            except JournalError as error:
                if isinstance(error.__cause__, sqlite3.IntegrityError):
                    said = "agents: one is there more than once; a script runs once on each"
                    raise InvalidRequestError(said) from error
                raise
        # Last: a journal with an order has all its targets.
        await self._write("INSERT INTO meta VALUES (?, ?)", [("order", codec.encode(order).decode())])
        self.order = order

    async def check(self) -> Self:
        """Read what run it is of. For `resume` and `read`."""
        try:
            rows = await self._rows("SELECT name, value FROM meta")
            meta = dict(rows)
            self.order = self._order_of(meta)
            self.username = meta.get("username")
        except BaseException:
            await self.aclose()
            raise
        return self

    def _order_of(self, meta: Mapping[str, str]) -> Order:
        if meta.get("format") != FORMAT:
            raise JournalError(f"{self.path} is no journal of a run")
        if meta.get("version") != str(VERSION):
            raise JournalError(
                f"{self.path} is a journal of version {meta.get('version')}; this program reads {VERSION}"
            )
        if "order" not in meta:
            raise JournalError(f"{self.path} was not begun: its targets were never written")
        try:
            return codec.decoder(Order)(meta["order"].encode())
        except msgspec.DecodeError as error:
            raise JournalError(f"{self.path} can't be read: {error}") from error

    async def aclose(self) -> None:
        """Close it, and let others work on it. Twice is the same as once."""
        try:
            if self._flushes:
                await asyncio.wait(self._flushes)
            await self._database.close()
        finally:
            unlock(self._lock)
            self._lock = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # -- writing ---------------------------------------------------------------------------------------------

    async def begin(self, agent_ids: Iterable[str], mark: int, mark_time: datetime | None) -> None:
        """These are about to be sent. On disk when this returns; nothing may be sent before."""
        now, moment = time.time(), None if mark_time is None else mark_time.isoformat()
        await self._write(_BEGIN, [(now, mark, moment, agent_id) for agent_id in agent_ids])

    async def withdraw(self, agent_ids: Iterable[str]) -> None:
        """These were begun, and then certainly not sent: they are pending again."""
        rows = [(agent_id,) for agent_id in agent_ids]
        if rows:
            await self._write(_WITHDRAW, rows)

    async def settle(self, outcome: Outcome, *, ok: bool) -> None:
        """This is what became of a target. On disk when this returns."""
        result = outcome.result if isinstance(outcome, Done) else ScriptResult()
        error = outcome.error if isinstance(outcome, Failed | Unknown) else None
        reason = outcome.reason if isinstance(outcome, Skipped) else None if error is None else str(error)
        ran = isinstance(outcome, Done)
        row = (
            *(_KINDS[type(outcome)], time.time(), int(ok), result.retcode, result.execution_time),
            *(result.stdout if ran else None, result.stderr if ran else None),
            *(None if error is None else _name(error), reason, outcome.agent_id),
        )
        await self._write(_SETTLE, [row])

    async def remember_user(self, username: str) -> None:
        """By this name the server's history has our runs: what is in flight may have to be found by it."""
        if username != self.username:
            await self._write("INSERT OR REPLACE INTO meta VALUES ('username', ?)", [(username,)])
            self.username = username

    async def retry(self, kinds: Iterable[str]) -> None:
        """Make those pending again that ended so; "failed" are also those that ran without success."""
        if kinds := tuple(kinds):
            await self._write(f"UPDATE targets SET state = 'pending' WHERE {_to_run(kinds)}", [()])  # noqa: S608

    async def _write(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Write in one transaction with what others want to write at this moment: one wait for the disk."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(((sql, rows), done))
        flush = asyncio.create_task(self._flush(done), name="trmm_async: journal")
        self._flushes.add(flush)
        flush.add_done_callback(self._flushes.discard)
        # Not broken off in the middle by whoever is cancelled: others' rows are in the same transaction.
        await asyncio.shield(flush)
        done.result()

    async def _flush(self, mine: asyncio.Future[None]) -> None:
        async with self._writing:
            if mine.done():
                return
            queue, self._queue = self._queue, []
            error = await self._transact([statement for statement, _ in queue])
            for _, done in queue:
                done.set_result(None) if error is None else done.set_exception(error)

    async def _transact(self, statements: Iterable[_Statement]) -> JournalError | None:
        try:
            await self._database.execute("BEGIN IMMEDIATE")
            for sql, rows in statements:
                await self._database.executemany(sql, rows)
            await self._database.execute("COMMIT")
        except (sqlite3.Error, ValueError) as cause:
            with suppress(sqlite3.Error, ValueError):
                await self._database.execute("ROLLBACK")
            error = JournalError(f"{self.path} can't be written: {cause}")
            error.__cause__ = cause
            return error
        return None

    # -- reading ---------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def still(self) -> AsyncIterator[Self]:
        """What is read inside is of one moment, and adds up, though a run is writing. For `read` only."""
        if self._lock is not None:
            raise JournalError(f"{self.path} is open to be written: it doesn't stand still")
        await self._rows("BEGIN")
        try:
            yield self
        finally:
            await self._rows("ROLLBACK")

    async def counts(self) -> Counts:
        """Where the targets stand; those in flight are pending."""
        rows = dict(await self._rows("SELECT state, count(*) FROM targets GROUP BY state"))
        return Counts(
            done=rows.get("done", 0),
            failed=rows.get("failed", 0),
            unknown=rows.get("unknown", 0),
            skipped=rows.get("skipped", 0),
            pending=rows.get("pending", 0) + rows.get("sending", 0),
        )

    async def in_flight(self) -> list[InFlight]:
        """Those that were begun and have no outcome."""
        sql = "SELECT agent_id, sent_at, mark, mark_time FROM targets WHERE state = 'sending' ORDER BY place"
        return [
            InFlight(agent_id, sent_at, mark, None if moment is None else datetime.fromisoformat(moment))
            for agent_id, sent_at, mark, moment in await self._rows(sql)
        ]

    async def pending(self, after: int) -> list[tuple[int, str]]:
        """A page of those that were never sent, with their places, from behind that place on."""
        sql = (
            "SELECT place, agent_id FROM targets WHERE state = 'pending' AND place > ? ORDER BY place LIMIT ?"
        )
        return [(place, agent_id) for place, agent_id in await self._rows(sql, (after, _PAGE))]

    async def to_run(self, retry: Iterable[str] = ()) -> list[str]:
        """Who a resumption would send to: those that are pending, and those that `retry` makes pending."""
        sql = f"SELECT agent_id FROM targets WHERE {_to_run(retry)} ORDER BY place"  # noqa: S608
        return [agent_id for (agent_id,) in await self._rows(sql)]

    async def successes(self) -> dict[int | None, int]:
        """How many succeeded by the rule of the run that wrote it, by their return codes."""
        sql = "SELECT retcode, count(*) FROM targets WHERE state = 'done' AND ok GROUP BY retcode"
        return dict(await self._rows(sql))

    async def agent_ids(self) -> AsyncIterator[str]:
        """All targets, in their order, read page by page."""
        after = 0
        sql = "SELECT place, agent_id FROM targets WHERE place > ? ORDER BY place LIMIT ?"
        while page := await self._rows(sql, (after, _PAGE)):
            after = page[-1][0]
            for _, agent_id in page:
                yield agent_id

    async def outcomes(self) -> AsyncIterator[Outcome]:
        """The outcomes there are, in the order of the targets, read page by page."""
        async for outcome, _ in self.judged():
            yield outcome

    async def judged(self) -> AsyncIterator[tuple[Outcome, bool]]:
        """The same, each with whether it was a success when it was written."""
        after = 0
        sql = f"SELECT place, ok, {_READ[7:]} WHERE state NOT IN ('pending', 'sending') AND place > ? "
        while page := await self._rows(f"{sql} ORDER BY place LIMIT ?", (after, _PAGE)):
            after = page[-1][0]
            for _, ok, *row in page:
                yield _outcome(*row), bool(ok)

    async def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return list(await self._database.execute_fetchall(sql, values))
        except (sqlite3.Error, ValueError) as error:
            raise JournalError(f"{self.path} can't be read: {error}") from error


def _to_run(retry: Iterable[str]) -> str:
    """The condition for those that are pending once these were made so; the same for asking and for doing."""
    return " OR ".join(f"({each})" for each in ("state = 'pending'", *(_RETRIES[kind] for kind in retry)))


def _outcome(  # noqa: PLR0917 - a row of the table
    agent_id: str,
    state: str,
    retcode: int | None,
    execution_time: float | None,
    stdout: str | None,
    stderr: str | None,
    error: str | None,
    reason: str | None,
) -> Outcome:
    match state:
        case "done":
            result = ScriptResult(
                retcode=retcode, stdout=stdout or "", stderr=stderr or "", execution_time=execution_time
            )
            return Done(agent_id, result)
        case "failed":
            return Failed(agent_id, RecordedError(error or "", reason or ""))
        case "unknown":
            return Unknown(agent_id, RecordedError(error or "", reason or ""))
    return Skipped(agent_id, reason or "")


def _name(error: Exception) -> str:
    return error.kind if isinstance(error, RecordedError) else type(error).__name__


async def _pages(agents: AsyncIterable[str] | Iterable[str]) -> AsyncIterator[list[str]]:
    page: list[str] = []
    async for agent_id in _each(agents):
        page.append(agent_id)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


async def _each(agents: AsyncIterable[str] | Iterable[str]) -> AsyncIterator[str]:
    if isinstance(agents, AsyncIterable):
        async for agent_id in agents:
            yield agent_id
    else:
        for agent_id in agents:
            yield agent_id
