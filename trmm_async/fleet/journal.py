"""A run's journal: what was to be done, what was begun, and what came of it, in one file or in a database.

A target's state is on disk before the call that could change it leaves, and its outcome before it is told.
So after a crash, of the process or of the machine, the journal says of each target whether it was surely
never sent, may have been, or how it ended. `docs/journal.md` has the format.

Over `storage`, which says what a journal is kept in has to do, and the two that do it: `sqlite`, a file,
which finds out where it isn't whole, and on which one process works at a time; `postgres`, a database, by
which several hosts work one run off. Any number may read meanwhile. Every failure is a `JournalError`.
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
"""Where a journal is: the path of a file, or a run in a database."""

_RUNS: Final = ("script", "command", "code", "patches")
"""What a run can be one of; see `Order.kind`."""

_PAGE: Final = 2000
"""Targets that are written in one go: each costs a wait for the disk."""
_KINDS: Final = {Done: "done", Failed: "failed", Unknown: "unknown", Skipped: "skipped"}


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a journal's run is: enough to go on with it.

    Attributes:
        kind: "script" (of the library), "command", "code" or "patches": whose fields say what is done.
        patches: "scan" or "install".
        success: the return codes that are successes, or the text that a good command prints, if the run was
            told so; what was a function is not known.
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
    """A target that was begun and has no outcome: when, and what the history's last row was before."""

    agent_id: str
    sent_at: float
    mark: int
    mark_time: datetime | None


class Journal:
    """One open journal: `create` and `resume` work on it, `read` only looks. Close it with `aclose()`.

    Attributes:
        name: its path, or its address without a password.
        order: what the run is.
        shared: the same store where several hosts may work on it at once; else None.
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
        """By which name the server's history has the runs, if that was noted."""
        return self._store.meta.get("username")

    # -- opening ---------------------------------------------------------------------------------------------

    @classmethod
    async def create(cls, place: Place, order: Order, agents: AsyncIterable[str] | Iterable[str]) -> Self:
        """Begin a journal of these targets, all of them pending, and nothing sent. Safe to cancel.

        Raises:
            JournalError: there is such a run or file already, or one that SQLite would take for a part of it;
                or it can't be written.
            InvalidRequestError: a target stands there twice, or the place is no journal's.
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
        """Open a journal to go on with its run. A file is read in whole before, to see that it is whole.

        Raises:
            JournalError: there is none, it is none, or of a newer version; another process works on it; it is
                damaged, or what was last written is missing; another user could have written it.
            InvalidRequestError: the place is no journal's.
        """
        journal = cls(place)
        return await journal._opened(journal._store.resume)

    @classmethod
    async def read(cls, place: Place) -> Self:
        """Open a journal to look at it, also while its run is under way.

        Args:
            place: the path of a file, a `PostgresJournal`, or "postgresql://host/database?run=NAME".

        Raises:
            JournalError: there is none, it is none, or of a newer version, or it isn't whole.
            InvalidRequestError: the place is no journal's.
        """
        journal = cls(place)
        return await journal._opened(journal._store.read)

    @staticmethod
    async def runs(url: str) -> list[StoredRun]:
        """The runs that a PostgreSQL database has, the newest first.

        Args:
            url: the database, as `PostgresJournal` takes it; the name of a run in it is of no account.

        Raises:
            JournalError: it can't be reached, or read.
            InvalidRequestError: it is no such URL.
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
        """Write down what is to be done. For `create`."""
        async for page in _pages(agents):
            await self._store.add(page)
        # Last: a journal with an order has all its targets.
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
            raise JournalError(f"{self.name} is of a run of the kind {kind!r}; this program knows none")
        try:
            order = codec.exact(Order, meta["order"])
        except (msgspec.DecodeError, ValueError) as error:
            raise JournalError(f"{self.name} can't be read: its order: {error}") from error
        if order.kind != kind:
            raise JournalError(f"{self.name} can't be read: it is of the kind {kind!r}, its order is not")
        return order

    async def aclose(self) -> None:
        """Close it, and let others work on it. Twice is the same as once. Cancelled, it goes on."""
        await self._store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # -- writing ---------------------------------------------------------------------------------------------

    async def begin(self, agent_ids: Iterable[str], mark: int, mark_time: datetime | None) -> float | None:
        """These are about to be sent. On disk when this returns; nothing may be sent before.

        Returns:
            Until when that must have begun, by `time.monotonic()`; None: whenever.

        Raises:
            JournalError: it can't be written, or one of them isn't pending.
        """
        now, moment = time.time(), None if mark_time is None else mark_time.isoformat()
        return await self._store.begin(tuple(agent_ids), now, mark, moment)

    async def withdraw(self, agent_ids: Iterable[str]) -> None:
        """These were begun, and then certainly not sent: they are to be sent again."""
        if ids := tuple(agent_ids):
            await self._store.withdraw(ids)

    async def release(self, agent_ids: Iterable[str]) -> None:
        """These are not sent to by this process: they are pending again, for whoever goes on."""
        if ids := tuple(agent_ids):
            await self._store.release(ids)

    async def settle(self, outcome: Outcome[Any], *, ok: bool, judged: Judged | None = None) -> bool:
        """This is what became of a target. On disk when this returns. Whatever a server sends can be kept.

        Whether that is its outcome now: False where it was another host's to say. `judged` says what it means
        for the policy of the run, where it is not just whether it is `ok`.
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
        """By this name the server's history has our runs: what is in flight may have to be found by it."""
        if username != self.username:
            await self._store.note("username", username)

    async def retry(self, kinds: Iterable[str], *, forgive: bool = False) -> None:
        """Make those pending again that ended so; "failed" are also those that ran without success.

        `forgive`: what has ended counts as a success for the policy, where the journal keeps count of that.
        """
        await self._store.retry(tuple(kinds), forgive=forgive)

    # -- reading ---------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def still(self) -> AsyncIterator[Self]:
        """What is read inside is of one moment, and adds up, though a run is writing. For `read` only."""
        if self._store.writes:
            raise JournalError(f"{self.name} is open to be written: it doesn't stand still")
        await self._store.hold_still()
        try:
            yield self
        finally:
            await self._store.move_on()

    async def counts(self) -> Counts:
        """Where the targets stand; those in flight are pending."""
        rows = await self._store.counts()
        return Counts(
            done=rows.get("done", 0),
            failed=rows.get("failed", 0),
            unknown=rows.get("unknown", 0),
            skipped=rows.get("skipped", 0),
            pending=rows.get("pending", 0) + rows.get("sending", 0),
        )

    async def in_flight(self) -> list[InFlight]:
        """Those that were begun and have no outcome."""
        return self.in_flight_of(await self._store.in_flight())

    async def pending(self, after: int) -> list[tuple[int, str]]:
        """A page of those that were never sent, with their places, from behind that place on."""
        return await self._store.pending(after)

    async def to_run(self, retry: Iterable[str] = ()) -> list[str]:
        """Who a resumption would send to: those that are pending, and those that `retry` makes pending."""
        return await self._store.to_run(tuple(retry))

    async def successes(self) -> dict[int | None, int]:
        """How many succeeded by the rule of the run that wrote it, by their return codes."""
        return dict(await self._store.successes())

    async def agent_ids(self) -> AsyncIterator[str]:
        """All targets, in their order, read page by page."""
        after = 0
        while page := await self._store.targets(after):
            after = page[-1][0]
            for _, agent_id in page:
                yield agent_id

    async def outcomes(self) -> AsyncIterator[Outcome[Any]]:
        """The outcomes there are, in the order of the targets, read page by page."""
        async for outcome, _ in self.judged():
            yield outcome

    async def judged(self) -> AsyncIterator[tuple[Outcome[Any], bool]]:
        """The same, each with whether it was a success when it was written."""
        after = 0
        while page := await self._store.ended(after):
            after = page[-1][0]
            for _, ok, *row in page:
                yield self._as_it_was(_outcome(*row)), bool(ok)

    async def news(self, after: int) -> list[tuple[int, Outcome[Any], bool]]:
        """A page of what other hosts brought to an end behind that number: its number, and as of `judged`."""
        rows = [] if self.shared is None else await self.shared.news(after)
        return [(number, self._as_it_was(_outcome(*row)), bool(ok)) for number, ok, *row in rows]

    def in_flight_of(self, rows: Iterable[tuple[str, float, int, str | None]]) -> list[InFlight]:
        """What a store has of targets that are in flight."""
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
    """Whoever doesn't ask for a database needs no library for it."""
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
    """A time that names no zone is UTC, as all times of a server are."""
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
