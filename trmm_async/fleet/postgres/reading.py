"""Reads a journal in PostgreSQL: pages of its targets, and the state of the run.

A query is never interrupted: if its caller is cancelled, it goes on, so the connection stays usable.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, LiteralString, TypeVar

import psycopg

from trmm_async.errors import JournalError
from trmm_async.fleet.postgres.address import PostgresJournal
from trmm_async.fleet.postgres.database import Connection, Database, Work
from trmm_async.fleet.postgres.rows import RunRows, as_text, fetch_all
from trmm_async.fleet.postgres.statements import OUTCOME, RETRIES
from trmm_async.fleet.storage import RunStanding

__all__ = ["RunReader"]

T = TypeVar("T")

_PAGE_ROWS: Final = 500
_PAGE_BYTES: Final = 1 << 20


class RunReader:
    """The reading half of a `storage.SharedJournalStore`."""

    def __init__(self, address: PostgresJournal, owner: str) -> None:
        self.name: str = str(address)
        self._rows = RunRows(self.name, owner, address.lease)
        self._owner = owner
        self._reader = Database(address, self.name)
        self._still: Connection | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def standing(self) -> RunStanding:
        async def look(connection: Connection, _: bool) -> tuple[Any, ...] | None:
            found = await connection.execute(
                "SELECT total, ended, under_way, serial, stopped FROM trmm_async.runs WHERE id = %s",
                (self._rows.run,),
            )
            return await found.fetchone()

        row = await self._do(self._reader, look)
        if row is None:
            raise JournalError(f"{self.name} was removed")
        return RunStanding(*row)

    async def news(self, after: int) -> list[tuple[Any, ...]]:
        return await self._page("serial", after, "AND owner IS DISTINCT FROM %s", (self._owner,))

    async def ended(self, after: int) -> list[tuple[Any, ...]]:
        return await self._page("place", after)

    async def _page(
        self, number: LiteralString, after: int, which: LiteralString = "", whose: tuple[str, ...] = ()
    ) -> list[tuple[Any, ...]]:
        # A page is limited by size, since one output may be a megabyte.
        sql: LiteralString = (
            "SELECT " + number + ", " + OUTCOME + " FROM (SELECT *, sum(coalesce(length(stdout), 0) + "  # noqa: S608
            "coalesce(length(stderr), 0)) OVER (ORDER BY "
            + number
            + ") AS size, row_number() OVER (ORDER BY "
            + number
            + ") AS nth FROM (SELECT "
            + number
            + ", "
            + OUTCOME
            + " FROM trmm_async.targets "
            "WHERE run = %s AND serial IS NOT NULL AND "
            + number
            + " > %s "
            + which
            + " ORDER BY "
            + number
            + " LIMIT %s) AS few) AS page WHERE size <= %s OR nth = 1 ORDER BY "
            + number
        )
        found = await self._read(sql, (self._rows.run, after, *whose, _PAGE_ROWS, _PAGE_BYTES))
        return [
            (at, int(bool(ok)), agent_id, state, None if code is None else int(code), seconds,
             as_text(stdout), as_text(stderr), error, as_text(reason))
            for at, ok, agent_id, state, code, seconds, stdout, stderr, error, reason in found
        ]  # fmt: skip

    async def unended(self, after: int) -> list[tuple[int, str, str]]:
        return await self._read(
            "SELECT place, agent_id, state FROM trmm_async.targets WHERE run = %s AND serial IS NULL "
            "AND place > %s ORDER BY place LIMIT %s",
            (self._rows.run, after, _PAGE_ROWS),
        )

    async def counts(self) -> Mapping[str, int]:
        found = dict(
            await self._read(
                "SELECT state, count(*) FROM trmm_async.targets WHERE run = %s GROUP BY state",
                (self._rows.run,),
            )
        )
        found["pending"] = found.get("pending", 0) + found.pop("claimed", 0)
        found["sending"] = found.get("sending", 0) + found.pop("settling", 0)
        return found

    async def in_flight(self) -> list[tuple[str, float, int, str | None]]:
        return await self._read(
            "SELECT agent_id, extract(epoch FROM sent_at)::float8, coalesce(mark, 0), mark_time "
            "FROM trmm_async.targets WHERE run = %s AND state IN ('sending', 'settling') ORDER BY place",
            (self._rows.run,),
        )

    async def pending(self, after: int) -> list[tuple[int, str]]:
        return await self._read(
            "SELECT place, agent_id FROM trmm_async.targets WHERE run = %s "
            "AND state IN ('pending', 'claimed') AND place > %s ORDER BY place LIMIT %s",
            (self._rows.run, after, _PAGE_ROWS),
        )

    async def targets(self, after: int) -> list[tuple[int, str]]:
        return await self._read(
            "SELECT place, agent_id FROM trmm_async.targets WHERE run = %s AND place > %s "
            "ORDER BY place LIMIT %s",
            (self._rows.run, after, _PAGE_ROWS),
        )

    async def to_run(self, kinds: Iterable[str]) -> list[str]:
        either = ("state IN ('pending', 'claimed')", *(RETRIES[kind] for kind in kinds))
        # All parts are literals, but type checkers do not see that of a join.
        which: Any = " OR ".join(f"({each})" for each in either)
        found = await self._read(
            "SELECT agent_id FROM trmm_async.targets WHERE run = %s AND (" + which + ") ORDER BY place",  # noqa: S608
            (self._rows.run,),
        )
        return [agent_id for (agent_id,) in found]

    async def successes(self) -> Mapping[int | None, int]:
        found = await self._read(
            "SELECT retcode, count(*) FROM trmm_async.targets WHERE run = %s AND state = 'done' AND ok "
            "GROUP BY retcode",
            (self._rows.run,),
        )
        return {None if code is None else int(code): count for code, count in found}

    async def hold_still(self) -> None:
        connection = await self._shielded(self._reader.held())

        async def begin() -> None:
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            await connection.execute("SELECT 1 FROM trmm_async.version")

        await self._made(begin())
        self._still = connection

    async def move_on(self) -> None:
        connection, self._still = self._still, None
        if connection is not None:
            with suppress(JournalError):
                await self._made(connection.execute("ROLLBACK"))

    async def _read(self, sql: LiteralString, values: Sequence[object]) -> list[Any]:
        connection = self._still
        if connection is not None:
            return await self._made(fetch_all(connection, sql, values))
        return await self._do(self._reader, lambda connection, _: fetch_all(connection, sql, values))

    # -- inside ----------------------------------------------------------------------------------------------

    async def _do(self, database: Database, work: Work[T]) -> T:
        return await self._shielded(database.do(work))

    async def _shielded(self, doing: Awaitable[T]) -> T:
        """Await something that goes on if this is cancelled, so that no connection is left half read."""
        task: asyncio.Future[T] = asyncio.ensure_future(doing)
        if isinstance(task, asyncio.Task):
            self._tasks.add(task)
            task.add_done_callback(self._over)
        return await asyncio.shield(task)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def _made(self, doing: Awaitable[T]) -> T:
        """The same in a transaction that stays open. If the connection is lost, nothing is tried again."""
        try:
            return await self._shielded(doing)
        except (psycopg.Error, OSError) as error:
            said = " ".join(str(error).split())
            raise JournalError(f"{self.name} can't be used: {said}") from None
