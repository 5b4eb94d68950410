"""Which row of a server's history is which run, and how long to wait for it. Pure: told the time.

Floor 3: over `dialects`' values and the nouns. A stock server answers "it will be run" and writes a row,
which has no id that we could know, and neither arguments nor a mark of ours: only an agent, a script, a user
and a number that grows. So a run is the row above a mark taken before it was sent, of its agent and script,
and of our user as soon as that is known. Of two runs of ours on one agent the second is held back until the
first's row is known. Where two rows could be a run, it is none of them: `Mixed`, never a guess.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from trmm_async.models import HistoryEntry, ScriptResult

__all__ = ["Batch", "Mixed", "NotRun", "Patience", "RunBook", "Settled", "Silent", "Told"]

_FIRST_LOOK: Final = 0.15
"""While the server writes rows or takes in results: the last one is known within 0.3 s of its coming, if a
look takes less than 75 ms (27 were measured)."""

_SHARE: Final = 0.1
"""How much later, as a share of the time since there was anything new, the next look comes."""

_CALMEST: Final = 5.0
_LOAD_MOST: Final = 1.0
"""The pause after a look, at least, as a multiple of the time that the server took for it."""

_PRUNE_EVERY: Final = 1.0

_SLACK: Final = timedelta(seconds=5)
"""By how much a row's time may be out of the order of the numbers."""


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long to wait, in seconds.

    Attributes:
        report: for the report, beyond the script's own timeout, and since the last report of the same
            sending: results of many take the server time.
        row: for the row of a single run, which is written before the answer.
        bulk_row: for the rows of many, which a queue writes after it, one after the other: since the sending,
            or the last row that was new.
    """

    report: float = 10.0
    row: float = 15.0
    bulk_row: float = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """The agent has reported."""

    result: ScriptResult


@dataclass(frozen=True, slots=True)
class Silent:
    """No report in time; `started`: whether the server has at least a row of it."""

    started: bool
    waited: float


@dataclass(frozen=True, slots=True)
class Mixed:
    """It ran, and these rows could each be it."""

    rows: tuple[HistoryEntry, ...]


@dataclass(frozen=True, slots=True)
class NotRun:
    """The server failed before it had written a row: it certainly did not run."""


Settled = Told | Silent | Mixed | NotRun


@dataclass(slots=True, eq=False)
class Batch:
    """One sending, to one agent or many.

    Attributes:
        agent_ids: all of the targets; `pending` are those of whom nothing is known yet.
        may_be_sent: it may have reached the server, and run.
        lost: the answer to the sending was lost.
        recovered: it was sent by an earlier process, so whether it was answered is not known.
        absent_is_not_run: a missing row means that it did not run.
        expected: to how many of the agents the server sends it.
        seen: on how many agents there were rows that can be ours, as long as it is not known which are.
        rows: the rows that are ours, by agent.
        unseen: the agents whose rows did not come in time, though others' did.
        certain: the agents on which a further row can only be that of a later sending of ours.
        was_sought: the whole history was looked through for its row.
        settled: what has been found out and not yet been fetched, by agent.
        progress_at: when it was sent, or a row of it last came, or all had; from then on it is waited for.
        reported_at: when a result last came.
    """

    script: int
    timeout: float
    agent_ids: tuple[str, ...]
    bulk: bool = False
    pending: set[str] = field(init=False)
    mark: int = 0
    moment: datetime | None = None
    sent_at: float = 0.0
    may_be_sent: bool = False
    is_sent: bool = False
    lost: bool = False
    recovered: bool = False
    absent_is_not_run: bool = False
    expected: int = field(init=False)
    seen: int = 0
    rows: dict[str, HistoryEntry] = field(default_factory=dict)
    settled: dict[str, Settled] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    certain: set[str] = field(default_factory=set)
    was_sought: bool = False
    identified: bool = False
    progress_at: float = 0.0
    reported_at: float = 0.0

    def __post_init__(self) -> None:
        self.pending = set(self.agent_ids)
        self.expected = len(self.agent_ids)

    def __repr__(self) -> str:
        return f"<Batch script {self.script}: {len(self.pending)} pending, {len(self.rows)} rows>"

    def settle(self, agent_id: str, how: Settled) -> None:
        """It is known of this agent now."""
        if agent_id in self.pending:
            self.pending.discard(agent_id)
            self.settled[agent_id] = how

    def take(self) -> dict[str, Settled]:
        """What has been found out since the last time."""
        taken, self.settled = self.settled, {}
        return taken


Index = Mapping[str, Sequence[HistoryEntry]]


@dataclass(frozen=True, slots=True)
class _Ghost:
    """A row that nobody waits for. It may yet appear: above a mark, and before a moment of the loop."""

    mark: int
    moment: datetime | None
    until: float


class RunBook:
    """All sendings under way, and what the history says of them.

    Attributes:
        username: our own user's name, once a run has shown it.
        newest: the highest row number seen, and that row's time: the mark for what is sent from now on.
    """

    def __init__(self, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._batches: list[Batch] = []
        self._held: dict[tuple[str, int], Batch] = {}
        self._claimed: dict[int, tuple[str, int]] = {}
        self._ghosts: dict[tuple[str, int], list[_Ghost]] = {}
        self._pruned_at = 0.0
        self._look_took = 0.0
        self._looked_at: float | None = None
        self.username: str | None = None
        self.newest: tuple[int, datetime | None] = (0, None)

    def __repr__(self) -> str:
        known = f"{len(self._batches)} batches, {len(self._claimed)} claims"
        return f"<RunBook {known}, as {self.username or 'an unknown user'}>"

    # -- sendings --------------------------------------------------------------------------------------------

    def holder(self, agent_ids: Iterable[str], script: int) -> Batch | None:
        """A sending of this script to one of these agents whose rows are not known yet, if there is one."""
        if not self._held:
            return None
        return next((held for one in agent_ids if (held := self._held.get((one, script))) is not None), None)

    def open(self, batch: Batch) -> None:
        """It is about to be sent; until its rows are known, no other may be that could be mistaken for it."""
        for other in self._batches:
            if other.bulk and other.script == batch.script:
                other.certain |= other.pending & batch.pending
        self._batches.append(batch)
        self._held.update(((agent_id, batch.script), batch) for agent_id in batch.pending)

    def sent(self, batch: Batch, now: float) -> None:
        """It was answered, or its answer was lost."""
        batch.is_sent = batch.may_be_sent = True
        batch.sent_at = batch.progress_at = batch.reported_at = now

    def forget(self, batch: Batch, *, late: bool) -> None:
        """It was answered, and nobody waits for its end; `late`: its row is yet to come."""
        batch.may_be_sent = True
        batch.identified = not late

    def close(self, batch: Batch, now: float) -> None:
        """Nobody waits for it any more.

        A row that was never seen may yet appear, and must not be taken for that of the next run there.
        """
        self._batches.remove(batch)
        self._release(batch)
        unseen = batch.unseen if batch.identified else batch.agent_ids
        if batch.may_be_sent and unseen:
            ghost = _Ghost(batch.mark, batch.moment, now + self._patience.bulk_row)
            for agent_id in unseen:
                self._ghosts.setdefault((agent_id, batch.script), []).append(ghost)
        self._prune(now)

    def _prune(self, now: float) -> None:
        """Forget what can't matter any more: ghosts whose time is over, and claims below every mark."""
        if self._ghosts and now - self._pruned_at < _PRUNE_EVERY:
            return
        self._pruned_at = now
        for key in list(self._ghosts):
            self._ghosts_of(key, now)
        floor = min([self.newest[0], *(open_.mark for open_ in self._batches)])
        # A ghost keeps the claims of its own agent and script only: with one always about, as there is where
        # answers get lost all the time, those of all others would never be given back.
        self._claimed = {
            row: key
            for row, key in self._claimed.items()
            if row > floor or any(ghost.mark < row for ghost in self._ghosts.get(key, ()))
        }

    def _claim_row(self, agent_id: str, script: int, row: HistoryEntry) -> None:
        self._claimed[row.id] = agent_id, script

    def _release(self, batch: Batch) -> None:
        for key in [key for key, held in self._held.items() if held is batch]:
            del self._held[key]

    # -- ghosts ----------------------------------------------------------------------------------------------

    def haunted(self, agent_ids: Iterable[str], script: int, now: float) -> bool:
        """Whether a row of an earlier sending may yet appear on one of these agents."""
        self._prune(now)
        return bool(self._ghosts) and any(self._ghosts_of((one, script), now) for one in agent_ids)

    def ghosts_since(self) -> datetime | None:
        """From which moment on the history has the rows of all ghosts; None for all of it."""
        moments = [ghost.moment for ghosts in self._ghosts.values() for ghost in ghosts]
        known = [moment for moment in moments if moment is not None]
        return min(known) - _SLACK if known and len(known) == len(moments) else None

    def lay(self, agent_ids: Iterable[str], script: int, rows: Sequence[HistoryEntry]) -> None:
        """These rows are there, and nothing is under way on these agents: ghosts' rows don't come again."""
        by_agent = _by_agent(rows)
        for agent_id in agent_ids:
            for row in sorted(by_agent.get(agent_id, ()), key=lambda row: row.id):
                ghosts = self._ghosts.get((agent_id, script), [])
                ghost = next((one for one in ghosts if self._is_it(one.mark, script, row)), None)
                if ghost is not None:
                    self._claim_row(agent_id, script, row)
                    ghosts.remove(ghost)

    def _ghosts_of(self, key: tuple[str, int], now: float) -> list[_Ghost]:
        left = [ghost for ghost in self._ghosts.get(key, ()) if ghost.until > now]
        if left:
            self._ghosts[key] = left
        else:
            self._ghosts.pop(key, None)
        return left

    # -- looking ---------------------------------------------------------------------------------------------

    def due(self, now: float) -> float | None:
        """Seconds until the next look at the history; None while nothing that was sent is pending."""
        waits = [self._wait(batch, now) for batch in self._waiting()]
        if not waits:
            return None
        rest = 0.0 if self._looked_at is None else self._looked_at + _LOAD_MOST * self._look_took - now
        return max(0.0, min(waits), rest)

    def since(self, now: float) -> datetime | None:
        """From which moment on the history matters now; None for all of it.

        All of it also once where the row of what was accepted is overdue: the times of the server's rows may
        be out of order, or their numbers have begun anew.
        """
        overdue = [batch for batch in self._waiting() if self._is_overdue(batch, now)]
        for batch in overdue:
            batch.was_sought = True
        if overdue:
            return None
        moments = [_moment(batch) for batch in self._waiting()]
        known = [moment for moment in moments if moment is not None]
        return min(known) - _SLACK if known and len(known) == len(moments) else None

    def _is_overdue(self, batch: Batch, now: float) -> bool:
        if batch.identified or batch.lost or batch.was_sought:
            return False
        return now - batch.sent_at > self._patience.row / 2

    def read(
        self, rows: Sequence[HistoryEntry], now: float, took: float = 0.0, *, whole: bool = False
    ) -> None:
        """Take in the rows of a look that has just come, `took` seconds after it was asked for.

        `whole`: they are all that there are.
        """
        self._look_took, self._looked_at = took, now
        if whole:
            self.newest = (0, None)
        self.note(rows)
        by_agent = _by_agent(rows)
        by_id = {row.id: row for row in rows}
        for batch in self._waiting():
            if not batch.identified:
                self._identify(batch, by_agent, now)
        for batch in self._waiting():
            if batch.bulk and batch.identified:
                self._look_for_doubles(batch, by_agent)
            _collect(batch, by_id, now)
            if not batch.identified and now >= self._deadline(batch):
                self._doubt(batch, {})
            self._expire(batch, now)

    def unread(self, now: float, took: float) -> None:
        """A look failed: only time has passed."""
        self._look_took, self._looked_at = took, now
        for batch in self._waiting():
            self._expire(batch, now)

    def note(self, rows: Iterable[HistoryEntry]) -> None:
        """Remember how far the history goes."""
        newest = max(rows, key=lambda row: row.id, default=None)
        if newest is not None and newest.id > self.newest[0]:
            self.newest = newest.id, newest.time

    def _waiting(self) -> Iterator[Batch]:
        return (batch for batch in self._batches if batch.is_sent and batch.pending)

    def _wait(self, batch: Batch, now: float) -> float:
        quiet = now - max(batch.progress_at, batch.reported_at)
        pause = min(_CALMEST, max(_FIRST_LOOK, _SHARE * quiet))
        looked_at = self._looked_at if self._looked_at is not None else -1.0
        last = max(looked_at, batch.sent_at)
        return min(last + pause, self._deadline(batch)) - now

    # -- which rows are ours ---------------------------------------------------------------------------------

    def _identify(self, batch: Batch, by_agent: Index, now: float) -> None:
        found = {
            agent_id: rows
            for agent_id in batch.pending
            if (rows := [row for row in by_agent.get(agent_id, ()) if self._could_be(batch, row)])
        }
        if batch.bulk:
            self._identify_many(batch, found, now)
        elif found and batch.lost and self.haunted(found, batch.script, now):
            for agent_id, rows in found.items():
                batch.settle(agent_id, Mixed(tuple(rows)))
        elif found:
            self._claim(batch, found, now)
        elif batch.absent_is_not_run:
            for agent_id in tuple(batch.pending):
                batch.settle(agent_id, NotRun())

    def _could_be(self, batch: Batch, row: HistoryEntry) -> bool:
        return self._is_it(batch.mark, batch.script, row)

    def _is_it(self, mark: int, script: int, row: HistoryEntry) -> bool:
        return (
            row.id > mark
            and row.script == script
            and row.id not in self._claimed
            and (self.username is None or row.username == self.username)
        )

    def _identify_many(self, batch: Batch, found: Index, now: float) -> None:
        """Only when all rows are there: before, a foreign one might be taken for one that is yet to come."""
        if len(found) > batch.seen:
            batch.seen, batch.progress_at = len(found), now
        users = _by_user(found)
        whole = [rows for rows in users.values() if len(rows) >= batch.expected]
        if whole:
            self._claim(batch, whole[0] if len(whole) == 1 else found, now)
        elif now >= self._deadline(batch):
            # Some rows never came. Those that did are ours if they are of one user.
            self._doubt(batch, found)
            self._claim(batch, found if len(users) == 1 else {}, now)
            batch.unseen = batch.pending - batch.rows.keys()
            for agent_id in batch.unseen:
                batch.settle(agent_id, Silent(started=False, waited=now - batch.sent_at))

    def _look_for_doubles(self, batch: Batch, by_agent: Index) -> None:
        """A second row, no later sending of ours: the first may have been a stranger's, and this ours."""
        for agent_id in tuple(batch.pending - batch.certain):
            others = [row for row in by_agent.get(agent_id, ()) if self._could_be(batch, row)]
            if others and agent_id in batch.rows:
                batch.settle(agent_id, Mixed((batch.rows[agent_id], *others)))
                for row in others:
                    self._claim_row(agent_id, batch.script, row)

    def _claim(self, batch: Batch, found: Index, now: float) -> None:
        batch.identified = True
        batch.progress_at = now
        self._release(batch)
        for agent_id, rows in found.items():
            # A single sending's row is there by now, whatever else is; one of many's may be yet to come.
            ghosts = self._ghosts_of((agent_id, batch.script), now) if batch.bulk else []
            if len(rows) > 1 or ghosts:
                batch.settle(agent_id, Mixed(tuple(rows)))
                del ghosts[: len(rows) - 1]
            else:
                batch.rows[agent_id] = rows[0]
            for row in rows:
                self._claim_row(agent_id, batch.script, row)
        # Of a sending that was accepted, its own row is among those found: if it is the only one, it is ours.
        if self.username is None and not batch.lost and batch.rows and len(batch.rows) == len(found):
            users = {row.username for row in batch.rows.values()}
            self.username = users.pop() if len(users) == 1 else None

    # -- time ------------------------------------------------------------------------------------------------

    def _deadline(self, batch: Batch) -> float:
        if batch.identified:
            reported = max(batch.progress_at + batch.timeout, batch.reported_at)
            return reported + self._patience.report
        # A call for many that failed or was lost has most likely queued nothing, unless a row shows that it
        # has. Whether one of an earlier process was lost is not known: that it was not is the rule.
        is_queued = batch.bulk and (not batch.lost or batch.recovered or batch.seen > 0)
        return batch.progress_at + (self._patience.bulk_row if is_queued else self._patience.row)

    def _expire(self, batch: Batch, now: float) -> None:
        if now < self._deadline(batch):
            return
        waited = now - batch.sent_at
        for agent_id in tuple(batch.pending):
            batch.settle(agent_id, Silent(agent_id in batch.rows, waited))

    def _doubt(self, batch: Batch, found: Index) -> None:
        """What was accepted has a row; if there is none under our name, we may have that wrong: forget it."""
        if not batch.lost and not found:
            self.username = None


def _collect(batch: Batch, by_id: Mapping[int, HistoryEntry], now: float) -> None:
    for agent_id, claimed in tuple(batch.rows.items()):
        row = by_id.get(claimed.id)
        if agent_id in batch.pending and row is not None and row.result is not None:
            batch.settle(agent_id, Told(row.result))
            batch.reported_at = now


def _moment(batch: Batch) -> datetime | None:
    """From when on this sending's rows can be."""
    if not batch.identified:
        return batch.moment
    times = [batch.rows[agent_id].time for agent_id in batch.pending if agent_id in batch.rows]
    return min((time for time in times if time is not None), default=batch.moment)


def _by_agent(rows: Iterable[HistoryEntry]) -> dict[str, list[HistoryEntry]]:
    found: dict[str, list[HistoryEntry]] = defaultdict(list)
    for row in rows:
        if row.agent_id is not None:
            found[row.agent_id].append(row)
    return found


def _by_user(found: Index) -> dict[str | None, dict[str, list[HistoryEntry]]]:
    users: dict[str | None, dict[str, list[HistoryEntry]]] = defaultdict(dict)
    for agent_id, rows in found.items():
        for row in rows:
            users[row.username].setdefault(agent_id, []).append(row)
    return users
