"""The parts of transactions on the rows of a run: to claim targets, send, release, settle and take over.

`store` has the connections. What must hold over all hosts (how many targets may start, and when none may any
more) is decided here while the transaction holds the row of the run.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString, cast

import psycopg

from trmm_async.errors import JournalError
from trmm_async.fleet.postgres.database import Connection
from trmm_async.fleet.postgres.statements import (
    ADOPT,
    BEGIN,
    CLAIM,
    FIND,
    FORGET,
    GIVE_BACK,
    HAS_GONE,
    IDENTITY,
    LOCK,
    LOSE,
    RELEASE,
    RENEW,
    RESULT,
    RETRIES,
    SETTLE,
    STOPPED,
    UNLOCK,
    WITHDRAW,
)
from trmm_async.fleet.rollout import RolloutControl, RolloutPolicy, RolloutState
from trmm_async.fleet.storage import ClaimLostError, Judged, may_settle
from trmm_async.outcomes import Done, Failed, Outcome, Skipped, Unknown

__all__ = [
    "OF_ONE_ROW",
    "Begin",
    "RowChange",
    "Ours",
    "Release",
    "RunRow",
    "RunRows",
    "Settle",
    "Withdraw",
    "as_bytes",
    "as_plain_text",
    "as_text",
    "changed",
    "fetch_all",
    "fetch_one",
    "fetch_row",
]

_BEGIN_WITHIN: Final = 5.0
"""Seconds within which a call must have begun after its targets were recorded as sending."""
_KINDS: Final = {"done": Done, "failed": Failed, "unknown": Unknown, "skipped": Skipped}
OF_ONE_ROW: Final = (psycopg.DataError, psycopg.NotSupportedError, ValueError, OverflowError, TypeError)
"""Errors that mean that one value can't be written, and not that the database fails."""


@dataclass(slots=True)
class RunRow:
    """The row of the run, which the open transaction has locked."""

    total: int
    ended: int
    under_way: int
    serial: int
    rollout: RolloutState
    stopped: str
    stopped_by: str


@dataclass(frozen=True, slots=True)
class Ours:
    """A target that belongs to this host, to be sent to, or to be settled."""

    place: int
    fence: int
    is_settler: bool = False


class RowChange:
    """A change that is written in one transaction with others; `done` gets its result."""

    def __init__(self) -> None:
        self.done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class Begin(RowChange):
    """Make the targets of one call sending: all of them, or none."""

    def __init__(self, ours: Sequence[Ours], mark: int, mark_time: str | None) -> None:
        super().__init__()
        self.ours = ours
        self.mark = mark
        self.mark_time = mark_time


class Withdraw(RowChange):
    """Record that targets were not sent to after all. They still belong to this host."""

    def __init__(self, ours: Sequence[Ours]) -> None:
        super().__init__()
        self.ours = ours


class Release(Withdraw):
    """The same, but they no longer belong to this host."""


class Settle(RowChange):
    """Record the outcome of a target."""

    def __init__(
        self, agent_id: str, ours: Ours | None, values: Mapping[str, object], judged: Judged
    ) -> None:
        super().__init__()
        self.agent_id = agent_id
        self.ours = ours
        self.values = values
        self.judged = judged


class RunRows:
    """The rows of one run, for one host. Each method is a part of the open transaction.

    Attributes:
        run: the number of the run.
        policy: the limits of the run.
        has_mark: whether the run is known to have its first mark.
    """

    def __init__(self, name: str, owner: str, lease: float) -> None:
        self.run: int = 0
        self.policy: RolloutPolicy = RolloutPolicy()
        self.has_mark: bool = False
        self._name = name
        self._owner = owner
        self._lease = lease

    def __repr__(self) -> str:
        return f"<RunRows of {self._name}>"

    # -- continuing the run ----------------------------------------------------------------------------------

    async def govern(self, connection: Connection, _: bool) -> None:
        """Apply the policy. The first host to do so starts the rollout."""
        if not await self.is_same(connection):
            await self.lose(connection)
        row = await self.lock(connection)
        if not row.rollout.wave_end:
            row.rollout = RolloutControl(self.policy, row.total).state
            await self.unlock(connection, row)

    async def claim(
        self, connection: Connection, most: int, width: int | None, leave_out: Collection[str]
    ) -> list[tuple[int, str, int]]:
        """Claim targets for this host. Returns the place, agent_id and fence of each."""
        row = await self.lock(connection)
        room = self.control(row).allowance if not row.stopped else 0
        if width is not None:
            room = min(room, width - row.under_way)
        if room <= 0 or row.ended + row.under_way >= row.total:
            return []
        wanted = {"out": list(leave_out), "most": min(most, room), **self.of([])}
        found = cast("list[tuple[int, str, int]]", await fetch_all(connection, CLAIM, wanted))
        row.under_way += len(found)
        await self.unlock(connection, row)
        return sorted(found)

    async def forget(self, connection: Connection, ours: Sequence[Ours]) -> None:
        """End the leases of what this host has claimed or taken over, but for `ours`.

        Without this, what it got by an answer that was lost would wait for as long as a lease.
        """
        await self.lock(connection)
        await connection.execute(FORGET, self.of(ours))

    async def renew(self, connection: Connection, ours: Sequence[Ours]) -> None:
        """Renew the lease of targets of this host."""
        await connection.execute(RENEW, self.of(ours))

    async def let_go(self, connection: Connection, _: bool) -> None:
        """Release all targets that this host has claimed and not sent to, also by a cancelled `claim`."""
        row = await self.lock(connection)
        row.under_way -= await changed(
            connection,
            "UPDATE trmm_async.targets SET state = 'pending', owner = NULL, lease_until = NULL "
            "WHERE run = %s AND owner = %s AND state = 'claimed' RETURNING 1",
            (self.run, self._owner),
        )
        await self.unlock(connection, row)

    async def retry(self, connection: Connection, kinds: Sequence[str], *, forgive: bool) -> None:
        """Make ended targets of these kinds pending."""
        row = await self.lock(connection)
        if row.stopped_by == "host":
            row.stopped = row.stopped_by = ""
        if kinds:
            ended: LiteralString = " OR ".join(f"({RETRIES[kind]})" for kind in kinds)
            row.ended -= await changed(
                connection,
                "UPDATE trmm_async.targets SET state = 'pending', serial = NULL, owner = NULL "  # noqa: S608
                "WHERE run = %s AND (" + ended + ") RETURNING 1",
                (self.run,),
            )
            if row.stopped_by == "database" and "unknown" in kinds:
                row.stopped = row.stopped_by = ""
        if (kinds or forgive) and row.stopped_by != "database":
            await self._count_anew(connection, row, forgive=forgive)
        await self.unlock(connection, row)

    async def _count_anew(self, connection: Connection, row: RunRow, *, forgive: bool) -> None:
        """Start the rollout anew, with the targets that have ended so far."""
        control = RolloutControl(self.policy, row.total)
        found = await fetch_all(
            connection,
            "SELECT agent_id, state, ok FROM trmm_async.targets WHERE run = %s AND serial IS NOT NULL "
            "AND state <> 'skipped' ORDER BY place",
            (self.run,),
        )
        for agent_id, state, ok in found:
            control.start()
            crashed = state == "unknown"
            control.settle(outcome_of(state, agent_id), succeeded=bool(ok) or forgive, crashed=crashed)
        row.rollout = control.state
        row.stopped, row.stopped_by = control.stopped, "policy" if control.stopped else ""

    # -- changes that are written together -------------------------------------------------------------------

    async def write_all(
        self, changes: Sequence[RowChange], connection: Connection, again: bool, *, one_by_one: bool = False
    ) -> list[Any]:
        """Write all changes. Returns the result of each, in their order."""
        row: RunRow | None = None
        if any(isinstance(each, Release | Settle) for each in changes):
            row = await self.lock(connection)
        told: dict[RowChange, Any] = {}
        begun_at = time.monotonic()
        begins = [each for each in changes if isinstance(each, Begin)]
        if begins:
            told |= await self.begin_all(connection, begins, begun_at, again=again)
        for each in changes:
            if isinstance(each, Release):
                if row is not None:
                    row.under_way -= await changed(connection, RELEASE, self.of(each.ours))
            elif isinstance(each, Withdraw):
                await connection.execute(WITHDRAW, self.of(each.ours))
        settles = [each for each in changes if isinstance(each, Settle)]
        if settles and row is not None:
            told |= await self.settle_all(connection, row, settles, one_by_one=one_by_one)
        if row is not None:
            await self.unlock(connection, row)
        return [told.get(each) for each in changes]

    async def begin_all(
        self, connection: Connection, begins: Sequence[Begin], at: float, *, again: bool
    ) -> dict[RowChange, Any]:
        """Write each `Begin` as a whole, or not at all; the others are not affected."""
        begun = await self._begin_some(connection, begins, again=again)
        lost = [each for each in begins if not begun.issuperset(one.place for one in each.ours)]
        halves = [one for each in lost for one in each.ours if one.place in begun]
        if halves:
            await connection.execute(WITHDRAW, self.of(halves))
        until = at + min(_BEGIN_WITHIN, self._lease / 2)
        told: dict[RowChange, Any] = dict.fromkeys(begins, until)
        if lost:
            why = await self._why_not(connection)
            told |= {each: ClaimLostError(why) for each in lost}
        return told

    async def _begin_some(self, connection: Connection, begins: Sequence[Begin], *, again: bool) -> set[int]:
        flat = [(one, each) for each in begins for one in each.ours]
        numbers = {each: number for number, each in enumerate(begins)}
        marks = {
            "marks": [each.mark for _, each in flat],
            "times": [each.mark_time for _, each in flat],
            # All targets of one call get the same time, and no others, so that they are later found together.
            "calls": [numbers[each] for _, each in flat],
            "again": again,
        }
        found = await fetch_all(connection, BEGIN, {**self.of([one for one, _ in flat]), **marks})
        if not self.has_mark and begins[0].mark:
            await connection.execute(
                "UPDATE trmm_async.runs SET mark = %s, mark_time = %s WHERE id = %s AND mark IS NULL",
                (begins[0].mark, begins[0].mark_time, self.run),
            )
        return {place for (place,) in found}

    async def _why_not(self, connection: Connection) -> str:
        stopped, is_same = await fetch_row(connection, STOPPED, (self.run,))
        if not is_same:
            return f"{self._name} is on another database than it was begun on"
        return stopped or f"{self._name}: what was to be sent is another host's by now"

    async def settle_all(
        self, connection: Connection, row: RunRow, settles: Sequence[Settle], *, one_by_one: bool
    ) -> dict[RowChange, Any]:
        """Write the outcomes that this host may record, and apply them to the rollout of the run."""
        found = await fetch_all(connection, FIND, (self.run, [each.agent_id for each in settles]))
        stands = {
            agent_id: (place, state, fence, settler) for place, agent_id, state, fence, settler in found
        }
        control, told = self.control(row), dict[RowChange, Any]()
        for each in settles:
            if each.agent_id not in stands:
                told[each] = JournalError(f"{each.agent_id} isn't a target of {self._name}")
                continue
            place, state, fence, settler = stands[each.agent_id]
            to, ours = str(each.values["state"]), each.ours
            is_sender = ours is not None and not ours.is_settler and ours.fence == fence
            is_settler = ours is not None and ours.is_settler and ours.fence == settler
            if state == to and (is_sender or is_settler):
                told[each] = True  # an earlier attempt has written it, and its answer was lost
                continue
            told[each] = may_settle(state, to, is_sender=is_sender, is_settler=is_settler)
            if not told[each]:
                continue
            row.serial += 1
            values = self._values(row.serial, place, each)
            if one_by_one:
                await self._settle_one(connection, values)
            else:
                await connection.execute(SETTLE, values)
            if state == "unknown":
                continue  # it had ended before, and was counted then
            row.ended += 1
            if state != "pending":
                row.under_way -= 1
            if each.judged.begun and state != "pending":
                judged = each.judged
                outcome = outcome_of(to, each.agent_id)
                control.settle(outcome, succeeded=judged.succeeded, crashed=judged.crashed)
        row.rollout = control.state
        if control.stopped and not row.stopped:
            row.stopped, row.stopped_by = control.stopped, "policy"
        return told

    def _values(self, serial: int, place: int, settle: Settle) -> dict[str, Any]:
        values: dict[str, Any] = {**dict.fromkeys(RESULT), **settle.values}
        values |= {"run": self.run, "place": place, "serial": serial, "ok": bool(values["ok"])}
        return values | {name: as_bytes(values[name]) for name in ("stdout", "stderr", "reason")}

    async def _settle_one(self, connection: Connection, values: dict[str, Any]) -> None:
        try:
            async with connection.transaction():
                await (await connection.execute(SETTLE + " RETURNING place", values)).fetchone()
        except OF_ONE_ROW as error:
            said = f"it ended as {values['state']}, but that can't be written down: {error}"
            values |= dict.fromkeys(RESULT)
            values |= {"state": "unknown", "ok": False, "error": "JournalError", "reason": as_bytes(said)}
            await connection.execute(SETTLE, values)

    # -- hosts and databases that are gone -------------------------------------------------------------------

    async def adopt(self, connection: Connection, patience: float) -> list[tuple[Any, ...]]:
        """Release the targets that hosts without a lease had only claimed, and take over the others.

        Returns for each: its place, agent_id, fence, the time when it was sent, the mark and its time.
        """
        if not await self.is_same(connection):
            await self.lose(connection)
        if not await fetch_one(connection, HAS_GONE, (self.run,)):
            return []
        row = await self.lock(connection)
        row.under_way -= await changed(connection, GIVE_BACK, {"run": self.run})
        await self.unlock(connection, row)
        return await fetch_all(connection, ADOPT, {**self.of([]), "patience": patience})

    async def is_same(self, connection: Connection) -> bool:
        """Whether the database is the one on which the run was started."""
        _, is_same = await fetch_row(connection, STOPPED, (self.run,))
        return bool(is_same)

    async def lose(self, connection: Connection) -> None:
        """Stop the run, since this database may lack commits: pending targets may have been sent to."""
        row = await self.lock(connection)
        if await self.is_same(connection):
            return  # another host was here first
        why = (
            "the database was put in another's place, which may have known of more that was sent: "
            'nothing more is sent but by fleet.resume(…, retry="unknown")'
        )
        mark, mark_time, created = await fetch_row(
            connection, "SELECT mark, mark_time, created FROM trmm_async.runs WHERE id = %s", (self.run,)
        )
        pending = await fetch_one(
            connection,
            "SELECT count(*) FROM trmm_async.targets WHERE run = %s AND state = 'pending'",
            (self.run,),
        )
        values = {
            "run": self.run, "mark": mark or 0, "mark_time": mark_time, "since": created,
            "why": as_bytes(f"it may have been sent: {why}"), "serial": row.serial,
        }  # fmt: skip
        lost = await changed(connection, LOSE, values)
        if mark:
            # The history since the first mark of the run shows which of them were sent to.
            row.under_way += pending
        else:
            row.ended += lost
            row.under_way -= lost - pending
            row.serial += row.total
        row.stopped, row.stopped_by = why, "database"
        await self.unlock(connection, row)
        cluster, timeline = await fetch_row(connection, IDENTITY, ())
        await connection.execute(
            "UPDATE trmm_async.runs SET cluster = %s, timeline = %s WHERE id = %s",
            (cluster, timeline, self.run),
        )

    # -- the row of the run ----------------------------------------------------------------------------------

    async def lock(self, connection: Connection) -> RunRow:
        """Read the row of the run, and lock it until the end of the transaction."""
        found = await (await connection.execute(LOCK, (self.run,))).fetchone()
        if found is None:
            raise JournalError(f"{self._name} was removed")
        total, ended, under_way, serial, wave_end, settled, failures, is_canary, stopped, by = found
        rollout = RolloutState(wave_end, settled, failures, is_canary)
        return RunRow(total, ended, under_way, serial, rollout, stopped, by)

    async def unlock(self, connection: Connection, row: RunRow) -> None:
        """Write the row of the run."""
        values = (
            row.ended,
            row.under_way,
            row.serial,
            *row.rollout,
            as_plain_text(row.stopped),
            row.stopped_by,
        )
        await connection.execute(UNLOCK, (*values, self.run))

    def control(self, row: RunRow) -> RolloutControl:
        """The rollout of the run, as its row has it."""
        return RolloutControl.at(
            self.policy, row.total, row.rollout, under_way=row.under_way, stopped=row.stopped
        )

    def of(self, ours: Sequence[Ours]) -> dict[str, Any]:
        """The values that most statements take."""
        return {
            "run": self.run,
            "owner": self._owner,
            "lease": self._lease,
            "places": [each.place for each in ours],
            "fences": [each.fence for each in ours],
        }


async def fetch_all(connection: Connection, sql: LiteralString, values: Any) -> list[Any]:
    """The rows that a statement returns."""
    return await (await connection.execute(sql, values)).fetchall()


async def changed(connection: Connection, sql: LiteralString, values: Any) -> int:
    """How many rows a statement returns. In a pipeline, its row count is not known before that."""
    return len(await fetch_all(connection, sql, values))


async def fetch_row(connection: Connection, sql: LiteralString, values: Any) -> Any:
    """The one row that a statement returns."""
    found = await (await connection.execute(sql, values)).fetchone()
    if found is None:
        raise JournalError("the run was removed")
    return found


async def fetch_one(connection: Connection, sql: LiteralString, values: Any) -> Any:
    """The one value that a statement returns."""
    return (await fetch_row(connection, sql, values))[0]


def outcome_of(state: str, agent_id: str) -> Outcome[Any]:
    """An outcome with the parts that the rollout needs."""
    return cast("Outcome[Any]", _KINDS[state](agent_id, cast("Any", None)))


def as_bytes(value: object) -> bytes | None:
    """Store a text that a server or a script wrote as bytes, since PostgreSQL's texts can't contain NUL."""
    return None if value is None else str(value).encode("utf-8", "surrogatepass")


def as_text(value: bytes | None) -> str | None:
    """The text that `as_bytes` stored."""
    return None if value is None else bytes(value).decode("utf-8", "surrogatepass")


def as_plain_text(text: str) -> str:
    """Make a text of ours, which may quote a server, fit for PostgreSQL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
