"""A run's journal: its arguments, the state of each target and each outcome, in a file or in a database.

A target's state is on disk before its call is sent, and its outcome is on disk before the user gets it. So
after a crash of the process or of the machine, the journal says for each target that it certainly was not
sent, that it may have been sent, or how it ended. `docs/journal.md` describes the format.

This module stands above `storage` (what a store must be able to do) and the two stores: `sqlite`, a file that
detects damage and on which one process works at a time; and `postgres`, a database by which several hosts
share a run. Any number of processes may read a journal meanwhile. Every failure is a `JournalError`.
"""

import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from trmm_async import codec
from trmm_async.errors import JournalError, RecordedError
from trmm_async.fleet.postgres import PostgresJournal, StoredRun, postgres_journal
from trmm_async.fleet.sqlite import SQLiteJournalStore, existing
from trmm_async.fleet.storage import Judged
from trmm_async.models import CommandResult, ScriptResult
from trmm_async.outcomes import Counts, Done, Failed, Outcome, Skipped, Unknown

if TYPE_CHECKING:
    from trmm_async.fleet.storage import JournalStore, SharedJournalStore

__all__ = ["InFlight", "Journal", "Order", "Place"]

Place = str | PathLike[str] | PostgresJournal
"""The place of a journal: the path of a file, or a run in a database."""

_RUNS: Final = ("script", "command", "code", "patches")
"""The kinds of runs; see `Order.kind`."""

_PAGE: Final = 2000
"""How many targets are written in one transaction: each transaction waits for the disk."""
_KINDS: Final = {Done: "done", Failed: "failed", Unknown: "unknown", Skipped: "skipped"}


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a journal's run does: the arguments with which `resume` continues it.

    Attributes:
        server: the address of the server.
        kind: "script" (of the library), "command", "code" or "patches"; the other fields depend on it.
        patches: "scan" or "install".
        success: the return codes that are successes, or the text that a command's output must contain. None
            if the run was given neither; a function is not stored.
    """

    server: str
    kind: str = "script"
    script: int = 0
    command: str | None = None
    shell: str | None = None
    custom_shell: str | None = None
    code: str | None = None
    patches: str | None = None
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
    success: tuple[int, ...] | str | None = None


@dataclass(frozen=True, slots=True)
class InFlight:
    """A target that was sent, or may have been sent, and has no outcome yet.

    Attributes:
        agent_id: the target.
        sent_at: when it was sent, in epoch seconds of the machine that sent it.
        mark: the id of the last row of the server's history before it was sent; 0 on a gateway.
        mark_time: the time of that row.
    """

    agent_id: str
    sent_at: float
    mark: int
    mark_time: datetime | None


class Journal:
    """A run's journal. To read one, use `Journal.read`; runs make and continue their journals themselves.

        async with await Journal.read("run.db") as journal:
            print(journal.order.script, await journal.counts())

    Close a journal with `aclose()`, or use it as a context manager. Its methods raise `JournalError` if the
    journal can't be read.

    Attributes:
        name: the path of the file, or the address in the database without a password.
        order: what the run does.
        shared: the store, if several hosts may work on it at once; otherwise None.
    """

    def __init__(self, place: Place, *, is_there: bool = True) -> None:
        self.order: Order = Order(server="")
        self.shared: SharedJournalStore | None = None
        self._store: JournalStore
        address = postgres_journal(place)
        if address is not None:
            self._store = self.shared = _in_postgres(address)
        else:
            path = Path(place)  # type: ignore[arg-type]
            self._store = SQLiteJournalStore(existing(path) if is_there else path)
        self.name: str = self._store.name

    def __repr__(self) -> str:
        return f"<Journal {self.name}>"

    @property
    def username(self) -> str | None:
        """The user under which the server's history lists the runs, if it was recorded."""
        return self._store.meta.get("username")

    # -- opening ---------------------------------------------------------------------------------------------

    @classmethod
    async def create(cls, place: Place, order: Order, agents: AsyncIterable[str] | Iterable[str]) -> Self:
        """Make a journal in which all targets are pending. If cancelled, it removes what it made.

        Raises:
            JournalError: the run or the file exists already, or a file exists that SQLite would take for a
                part of it; or the journal can't be written.
            InvalidRequestError: a target is given twice, or `place` is not a valid place of a journal.
        """
        journal = cls(place, is_there=False)
        try:
            await journal._store.create(order.kind)
            await journal.fill(order, agents)
        except BaseException:
            await journal._store.discard()
            raise
        return journal

    @classmethod
    async def resume(cls, place: Place) -> Self:
        """Open a journal to continue its run. A file is read completely first, to detect damage.

        Raises:
            JournalError: there is no journal at this place, or it has a newer version; another process works
                on it; it is damaged, or the last commits are missing; or another user could have written it.
            InvalidRequestError: `place` is not a valid place of a journal.
        """
        journal = cls(place)
        return await journal._opened(journal._store.resume)

    @classmethod
    async def read(cls, place: Place) -> Self:
        """Open a journal for reading. It may be that of a run in progress; the run is not disturbed.

        Args:
            place: the path of a file, a `PostgresJournal`, or "postgresql://host/database?run=NAME".

        Raises:
            JournalError: there is no journal at this place, or it has a newer version, is damaged, or is
                incomplete.
            InvalidRequestError: `place` is not a valid place of a journal.
        """
        journal = cls(place)
        return await journal._opened(journal._store.read)

    @staticmethod
    async def runs(url: str) -> list[StoredRun]:
        """List the runs in a PostgreSQL database, the newest first.

        Args:
            url: the address of the database, as `PostgresJournal` takes it. The name of a run in it is
                ignored.

        Raises:
            JournalError: the database can't be reached or read.
            InvalidRequestError: `url` is not the URL of a PostgreSQL database.
        """
        with _needing_psycopg():
            from trmm_async.fleet.postgres.store import stored_runs  # noqa: PLC0415
        return await stored_runs(url)

    async def _opened(self, opening: Callable[[], Awaitable[None]]) -> Self:
        try:
            await opening()
            self.order = self._order()
        except BaseException:
            await self._store.close()
            raise
        return self

    async def fill(self, order: Order, agents: AsyncIterable[str] | Iterable[str]) -> None:
        """Write the targets and the order. Only `create` uses it."""
        async for page in _pages(agents):
            await self._store.add(page)
        # The order is written last: a journal that has an order has all its targets.
        try:
            text = codec.encode(order).decode()
        except (TypeError, ValueError) as error:
            raise JournalError(f"{self.name} can't be written: {error}") from error
        await self._store.note("order", text)
        await self._store.checkpoint()
        self.order = order

    def _order(self) -> Order:
        meta = self._store.meta
        kind = meta.get("kind", "script")
        if kind not in _RUNS:
            raise JournalError(
                f"{self.name} has an unknown kind of run, {kind!r}: a newer version of trmm-async may know it"
            )
        try:
            order = codec.exact(Order, meta["order"])
        except (msgspec.DecodeError, ValueError) as error:
            raise JournalError(f"{self.name} can't be read: its order: {error}") from error
        if order.kind != kind:
            raise JournalError(
                f"{self.name} can't be read: its kind is {kind!r}, but its order is of kind {order.kind!r}"
            )
        return order

    async def aclose(self) -> None:
        """Close the journal, so that other processes can work on it. May be called twice.

        If the caller is cancelled, the journal is closed all the same.
        """
        await self._store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # -- writing ---------------------------------------------------------------------------------------------

    async def begin(self, agent_ids: Iterable[str], mark: int, mark_time: datetime | None) -> float | None:
        """Record that these targets are about to be sent. Nothing may be sent before this returns.

        When it returns, the record is on disk.

        Returns:
            The latest time, by `time.monotonic()`, at which sending may begin; None: there is no limit.

        Raises:
            JournalError: the journal can't be written, or a target is not pending.
        """
        now, moment = time.time(), None if mark_time is None else mark_time.isoformat()
        return await self._store.begin(tuple(agent_ids), now, mark, moment)

    async def withdraw(self, agent_ids: Iterable[str]) -> None:
        """Record that these targets certainly were not sent after `begin`: they are pending again."""
        if ids := tuple(agent_ids):
            await self._store.withdraw(ids)

    async def release(self, agent_ids: Iterable[str]) -> None:
        """Record that this process won't send these targets: they are pending again, for other processes."""
        if ids := tuple(agent_ids):
            await self._store.release(ids)

    async def settle(self, outcome: Outcome[Any], *, ok: bool, judged: Judged | None = None) -> bool:
        """Record the outcome of a target. When this returns, it is on disk.

        Any text that a server sends can be stored.

        `judged` says how the outcome counts for the policy of the run, if that differs from `ok`.

        Returns:
            Whether the outcome was stored; False if another host has to decide it.
        """
        error = outcome.error if isinstance(outcome, Failed | Unknown) else None
        values: dict[str, object] = {"state": _KINDS[type(outcome)], "settled_at": time.time(), "ok": int(ok)}
        if isinstance(outcome, Done):
            values |= _columns(outcome.result)
        elif isinstance(outcome, Skipped):
            values |= {"reason": outcome.reason}
        elif error is not None:
            values |= {"error": _name(error), "reason": str(error)}
        return await self._store.settle(outcome.agent_id, values, judged or Judged(succeeded=ok))

    async def remember_user(self, username: str) -> None:
        """Record the user under which the server's history lists our runs: `resume` looks them up by it."""
        if username != self.username:
            await self._store.note("username", username)

    async def retry(self, kinds: Iterable[str], *, forgive: bool = False) -> None:
        """Make targets with these outcomes pending again; "failed" includes those that ran without success.

        With `forgive`, everything that has ended counts as a success for the policy, if the journal keeps its
        counts (in PostgreSQL).
        """
        await self._store.retry(tuple(kinds), forgive=forgive)

    # -- reading ---------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def still(self) -> AsyncIterator[Self]:
        """Read a consistent snapshot: in the block, all reads are of one moment, even if a run is writing.

        Raises:
            JournalError: the journal was not opened by `read`, or can't be read.
        """
        if self._store.writes:
            raise JournalError(f"{self.name} is open for writing: open it with Journal.read() to use still()")
        await self._store.hold_still()
        try:
            yield self
        finally:
            await self._store.move_on()

    async def counts(self) -> Counts:
        """How many targets have which state. Targets in progress count as pending."""
        rows = await self._store.counts()
        return Counts(
            done=rows.get("done", 0),
            failed=rows.get("failed", 0),
            unknown=rows.get("unknown", 0),
            skipped=rows.get("skipped", 0),
            pending=rows.get("pending", 0) + rows.get("sending", 0),
        )

    async def in_flight(self) -> list[InFlight]:
        """The targets that were sent, or may have been sent, and have no outcome yet."""
        return self.in_flight_of(await self._store.in_flight())

    async def pending(self, after: int) -> list[tuple[int, str]]:
        """A page of the pending targets behind the place `after`, each with its place."""
        return await self._store.pending(after)

    async def to_run(self, retry: Iterable[str] = ()) -> list[str]:
        """The targets that a resumption would send: those that are pending, and those that `retry` adds."""
        return await self._store.to_run(tuple(retry))

    async def successes(self) -> dict[int | None, int]:
        """How many targets succeeded by the rule of the run that wrote the journal, for each return code."""
        return dict(await self._store.successes())

    async def agent_ids(self) -> AsyncIterator[str]:
        """All targets, in their order, read page by page."""
        after = 0
        while page := await self._store.targets(after):
            after = page[-1][0]
            for _, agent_id in page:
                yield agent_id

    async def outcomes(self) -> AsyncIterator[Outcome[Any]]:
        """The outcomes that the journal has so far, in the order of the targets, read page by page."""
        async for outcome, _ in self.judged():
            yield outcome

    async def judged(self) -> AsyncIterator[tuple[Outcome[Any], bool]]:
        """The same outcomes, each with whether it counted as a success when it was recorded."""
        after = 0
        while page := await self._store.ended(after):
            after = page[-1][0]
            for _, ok, *row in page:
                yield self._as_it_was(_outcome(*row)), bool(ok)

    async def news(self, after: int) -> list[tuple[int, Outcome[Any], bool]]:
        """A page of the other hosts' outcomes with numbers above `after`: number, outcome, success."""
        rows = [] if self.shared is None else await self.shared.news(after)
        return [(number, self._as_it_was(_outcome(*row)), bool(ok)) for number, ok, *row in rows]

    def in_flight_of(self, rows: Iterable[tuple[str, float, int, str | None]]) -> list[InFlight]:
        """The rows of a store for targets in progress, as `InFlight`."""
        return [
            InFlight(agent_id, sent_at, mark, None if moment is None else _moment(moment))
            for agent_id, sent_at, mark, moment in rows
        ]

    def _as_it_was(self, outcome: Outcome) -> Outcome[Any]:
        if not isinstance(outcome, Done) or self.order.kind in {"script", "code"}:
            return outcome
        if self.order.kind == "patches":
            return Done(outcome.agent_id, None)
        result = CommandResult(
            exit_code=outcome.result.retcode, output=outcome.result.stdout, from_history=True
        )
        return Done(outcome.agent_id, result)


def _in_postgres(address: PostgresJournal) -> "SharedJournalStore":
    with _needing_psycopg():
        from trmm_async.fleet.postgres.store import PostgresJournalStore  # noqa: PLC0415
    return PostgresJournalStore(address)


@contextmanager
def _needing_psycopg() -> Iterator[None]:
    """Import psycopg only where a database is used, since it is an optional dependency."""
    try:
        yield
    except ImportError as error:
        raise JournalError(
            "a journal in PostgreSQL needs psycopg, which can't be loaded "
            f"({error}): pip install 'trmm-async[postgres]'"
        ) from error


def _columns(result: ScriptResult | CommandResult | None) -> dict[str, object]:
    if isinstance(result, CommandResult):
        return {"retcode": result.exit_code, "stdout": result.output}
    if result is None:
        return {}
    return {
        "retcode": result.retcode,
        "execution_time": result.execution_time,
        "stdout": result.stdout,
        "stderr": result.stderr,
    }


def _moment(text: str) -> datetime:
    """Parse a time. Without a zone it is UTC, as all times of a server are."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


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
