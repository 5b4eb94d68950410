"""The journal of a run in PostgreSQL. Any number of hosts share its targets; one host at a time has each.

The row of a target says which host has it (`owner`, `fence`) and until when (`lease_until`, by the database's
own clock). Before a byte is sent to a target, it is committed as `sending`, which succeeds only if the claim
still holds. So a target that was only claimed may go to another host, and a target that may have been sent to
never does. What concerns the whole run (how far the rollout may go, how many targets are in progress, why it
was stopped) is in the one row of the run.

The database may have been replaced by a standby that lacks the last commits. So each `sending` checks that
the cluster and the timeline are those on which the run was started. On any others, nothing more is sent.
"""

import asyncio
import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, LiteralString, TypeVar, cast

from psycopg import errors

from trmm_async.errors import InvalidRequestError, JournalError
from trmm_async.fleet.postgres.address import PostgresJournal, StoredRun, database_url, shown
from trmm_async.fleet.postgres.database import Connection, Database, Work
from trmm_async.fleet.postgres.reading import RunReader
from trmm_async.fleet.postgres.rows import (
    OF_ONE_ROW,
    Begin,
    Ours,
    Release,
    RowChange,
    Settle,
    Withdraw,
    as_bytes,
    as_plain_text,
    as_text,
    fetch_all,
    fetch_one,
)
from trmm_async.fleet.postgres.schema import installed, made
from trmm_async.fleet.postgres.statements import CREATE, RUN
from trmm_async.fleet.rollout import RolloutPolicy
from trmm_async.fleet.storage import ClaimLostError, Judged
from trmm_async.outcomes import Counts

__all__ = ["PostgresJournalStore", "stored_runs"]

T = TypeVar("T")
_AT_THE_END: Final = 2.0


class PostgresJournalStore(RunReader):
    """A `storage.SharedJournalStore` in PostgreSQL."""

    def __init__(self, address: PostgresJournal) -> None:
        super().__init__(address, secrets.token_hex(8))
        self.poll: float = address.poll
        self.meta: dict[str, str] = {}
        self.writes: bool = False
        self._address = address
        self._database = Database(address, self.name)
        self._ours: dict[str, Ours] = {}
        self._making: Connection | None = None
        self._places = 0
        self._queue: list[RowChange] = []
        self._writing = asyncio.Lock()
        self._heart: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<PostgresJournalStore {self.name}, {len(self._ours)} targets are ours>"

    # -- opening and closing ---------------------------------------------------------------------------------

    async def create(self, kind: str) -> None:
        """Begin the one transaction that makes the journal; `checkpoint` commits it.

        Until then other processes see nothing of it, and a failure leaves nothing.
        """
        self._will_write()
        await self._do(self._database, _make_schema)
        self._reader.was_reached = True
        connection = self._making = await self._shielded(self._database.held())

        async def begin() -> int:
            await connection.execute("BEGIN")
            # The targets may come from a slow stream.
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            await connection.execute("SET LOCAL lock_timeout = '5s'")
            try:
                return int(await fetch_one(connection, CREATE, (self._address.run, kind)))
            except errors.UniqueViolation:
                raise JournalError(
                    f"{self.name} is there already: fleet.resume({self.name!r}) goes on with it"
                ) from None
            except errors.LockNotAvailable:
                raise JournalError(f"{self.name} is being made by another process") from None

        self._rows.run = await self._made(begin())
        self.meta = {"kind": kind}

    async def resume(self) -> None:
        self._will_write()
        await self._open(self._database)
        self._reader.was_reached = True
        self._beat()

    async def read(self) -> None:
        await self._open(self._reader)

    def _will_write(self) -> None:
        self.writes = self._database.writes = self._reader.writes = True

    async def _open(self, database: Database) -> None:
        async def look(connection: Connection, _: bool) -> tuple[Any, ...] | None:
            if not await installed(connection):
                return None
            return await (await connection.execute(RUN, (self._address.run,))).fetchone()

        row = await self._do(database, look)
        if row is None:
            raise JournalError(f"there is no run {self.name}: `trmm runs` lists those of a database")
        self._rows.run = row[0]
        self.meta = {"kind": row[1], "order": row[2]}
        if row[3] is not None:
            self.meta["username"] = as_text(row[3]) or ""

    async def checkpoint(self) -> None:
        """Commit the transaction that made the journal."""
        connection = self._making
        if connection is None:
            return

        async def commit() -> None:
            await connection.execute(
                "UPDATE trmm_async.runs SET total = %s WHERE id = %s", (self._places, self._rows.run)
            )
            await connection.execute("COMMIT")

        await self._made(commit())
        self._making = None
        self._beat()

    async def discard(self) -> None:
        # Closing the connection rolls its transaction back.
        await self.close()

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="trmm_async: closing a journal")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.gather(self._heart, return_exceptions=True)
        self._database.give_up()
        self._reader.give_up()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self.writes and self._rows.run and self._making is None:
            # Targets that are sending stay so, and `resume` or another host looks up what became of them.
            with suppress(JournalError):
                await self._database.do(self._rows.let_go, patience=0.0, silent=_AT_THE_END)
        self._making = None
        await self._database.close()
        await self._reader.close()

    def _beat(self) -> None:
        self._heart = asyncio.create_task(self._renew(), name="trmm_async: leases")

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._address.lease / 3)
            if not self._ours:
                continue

            # If the lease can't be renewed, it ends, and `begin` notices that before anything is sent.
            with suppress(JournalError):
                await self._do(
                    self._database,
                    lambda connection, _: self._rows.renew(connection, list(self._ours.values())),
                )

    # -- writing ---------------------------------------------------------------------------------------------

    async def note(self, name: str, value: str) -> None:
        if name == "order":
            await self._set('"order" = %s', (value,))
        elif name == "username":
            await self._set("username = %s", (as_bytes(value),))
        else:
            raise JournalError(f"{self.name} has no place for {name}")
        self.meta[name] = value

    async def _set(self, what: LiteralString, values: Sequence[object]) -> None:
        sql: LiteralString = "UPDATE trmm_async.runs SET " + what + " WHERE id = %s"  # noqa: S608
        connection = self._making
        if connection is not None:
            await self._made(connection.execute(sql, (*values, self._rows.run)))
            return

        async def write(connection: Connection, _: bool) -> None:
            await connection.execute(sql, (*values, self._rows.run))

        await self._do(self._database, write)

    async def add(self, agent_ids: Sequence[str]) -> None:
        connection = self._making
        if connection is None:
            raise JournalError(f"{self.name} was begun: it gets no more targets")
        first, count = self._places + 1, len(agent_ids)

        async def copy() -> None:
            try:
                await connection.execute(
                    "INSERT INTO trmm_async.targets (run, place, agent_id) SELECT %s, place, agent_id "
                    "FROM unnest(%s::integer[], %s::text[]) AS new (place, agent_id)",
                    (self._rows.run, list(range(first, first + count)), list(agent_ids)),
                )
            except errors.UniqueViolation:
                said = "agents: one is given more than once; a script runs once on each agent"
                raise InvalidRequestError(said) from None

        await self._made(copy())
        self._places += count

    async def govern(self, policy: RolloutPolicy, username: str | None) -> None:
        self._rows.policy = policy
        if username is not None:
            self.meta["username"] = username
        await self._do(self._database, self._rows.govern)

    async def claim(self, most: int, width: int | None, leave_out: Collection[str]) -> list[str]:
        is_wanted = True
        ours: list[str] = []

        async def claim() -> list[str]:
            claimed = await self._database.do(
                self._anew(lambda connection, _: self._rows.claim(connection, most, width, leave_out))
            )
            if is_wanted:
                self._ours.update((agent_id, Ours(place, fence)) for place, agent_id, fence in claimed)
                ours.extend(agent_id for _, agent_id, _ in claimed)
            elif claimed:
                await self._write(Release([Ours(place, fence) for place, _, fence in claimed]))
            return [agent_id for _, agent_id, _ in claimed]

        try:
            return await self._shielded(claim())
        except asyncio.CancelledError:
            is_wanted = False
            if ours:
                # The claim succeeded just before the cancellation, and the caller does not get these targets.
                await self._shielded(self.release(ours))
            raise

    async def adopt(self, patience: float) -> list[tuple[str, float, int, str | None]]:
        async def adopt() -> list[tuple[Any, ...]]:
            found = await self._database.do(
                self._anew(lambda connection, _: self._rows.adopt(connection, patience))
            )
            self._ours.update(
                (agent_id, Ours(place, settler, is_settler=True)) for place, agent_id, settler, *_ in found
            )
            return found

        return [
            (agent_id, sent_at, mark or 0, moment)
            for _, agent_id, _, sent_at, mark, moment in sorted(await self._shielded(adopt()))
        ]

    def _anew(self, work: Work[T]) -> Work[T]:
        """What gives targets to this host, if it is tried again: those of the earlier attempt count as gone.

        All others are in `_ours`, which is set before the next transaction begins.
        """

        async def anew(connection: Connection, maybe_done: bool) -> T:
            if maybe_done:
                await self._rows.forget(connection, [*self._ours.values()])
            return await work(connection, maybe_done)

        return anew

    async def begin(
        self, agent_ids: Sequence[str], at: float, mark: int, mark_time: str | None
    ) -> float | None:
        del at  # all times are by the database's clock
        ours = [self._ours[each] for each in agent_ids if each in self._ours]
        if len(ours) < len(agent_ids):
            raise ClaimLostError(f"{self.name}: what was to be sent is another host's by now")
        return cast("float", await self._write(Begin(ours, mark, mark_time)))

    async def withdraw(self, agent_ids: Sequence[str]) -> None:
        await self._write(Withdraw(self._sendings(agent_ids)))

    async def release(self, agent_ids: Sequence[str]) -> None:
        await self._write(Release(self._sendings(agent_ids)))
        for each in agent_ids:
            self._ours.pop(each, None)

    def _sendings(self, agent_ids: Sequence[str]) -> list[Ours]:
        found = (self._ours.get(each) for each in agent_ids)
        return [each for each in found if each is not None and not each.is_settler]

    async def settle(self, agent_id: str, values: Mapping[str, object], judged: Judged) -> bool:
        written = await self._write(Settle(agent_id, self._ours.get(agent_id), values, judged))
        self._ours.pop(agent_id, None)
        return bool(written)

    async def stop(self, why: str) -> None:
        async def stop(connection: Connection, _: bool) -> None:
            await connection.execute(
                "UPDATE trmm_async.runs SET stopped = %s, stopped_by = 'host' WHERE id = %s AND stopped = ''",
                (as_plain_text(why), self._rows.run),
            )

        await self._do(self._database, stop)

    async def retry(self, kinds: Sequence[str], *, forgive: bool) -> None:
        await self._do(
            self._database, lambda connection, _: self._rows.retry(connection, kinds, forgive=forgive)
        )

    # -- changes of several tasks in one transaction ---------------------------------------------------------

    async def _write(self, change: RowChange) -> Any:
        self._queue.append(change)
        await self._shielded(self._flush(change.done))
        return change.done.result()

    async def _flush(self, mine: asyncio.Future[Any]) -> None:
        async with self._writing:
            if mine.done():
                return
            queue, self._queue = self._queue, []
            try:
                told = await self._write_queue(queue)
                self._rows.has_mark = self._rows.has_mark or any(
                    isinstance(each, Begin) and each.mark for each in queue
                )
            except JournalError as error:
                told = [error] * len(queue)
            for change, what in zip(queue, told, strict=True):
                if isinstance(what, Exception):
                    change.done.set_exception(what)
                    change.done.exception()  # a cancelled caller never retrieves it
                else:
                    change.done.set_result(what)

    async def _write_queue(self, queue: Sequence[RowChange]) -> list[Any]:
        """Write all changes. A value that can't be written affects only its own target."""
        rows = self._rows
        with suppress(*OF_ONE_ROW):
            return await self._database.do(lambda *how: rows.write_all(queue, *how))
        return await self._database.do(lambda *how: rows.write_all(queue, *how, one_by_one=True))


async def stored_runs(url: str) -> list[StoredRun]:
    """List all runs in a database, the newest first. Raises `JournalError`."""
    address = PostgresJournal(database_url(url), run="*")
    database = Database(address, shown(address.url))

    async def look(connection: Connection, _: bool) -> list[StoredRun]:
        if not await installed(connection):
            return []
        found = await fetch_all(
            connection,
            'SELECT r.name, r.kind, r."order", r.created, r.under_way, r.stopped, '
            "count(*) FILTER (WHERE t.state = 'done'), count(*) FILTER (WHERE t.state = 'failed'), "
            "count(*) FILTER (WHERE t.state = 'unknown'), count(*) FILTER (WHERE t.state = 'skipped'), "
            "count(*) FILTER (WHERE t.state IN ('pending', 'claimed', 'sending', 'settling')) "
            "FROM trmm_async.runs r LEFT JOIN trmm_async.targets t ON t.run = r.id "
            "GROUP BY r.id ORDER BY r.created DESC, r.id DESC",
            (),
        )
        return [
            StoredRun(
                name, kind, json.loads(order).get("server", ""), created, Counts(*counts), under_way, stopped
            )
            for name, kind, order, created, under_way, stopped, *counts in found
        ]

    doing = asyncio.ensure_future(database.do(look))
    try:
        return await asyncio.shield(doing)
    finally:
        if not doing.done():
            await asyncio.gather(doing, return_exceptions=True)
        await database.close()


async def _make_schema(connection: Connection, _: bool) -> None:
    await made(connection)
