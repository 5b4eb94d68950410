"""Matches rows of the server's script history to the runs we sent, and decides how long to wait for each.

Pure: the caller passes the time. Over `tracked` and `server_clock`; nothing else writes a `TrackedRun`.

A stock server answers "it will be run", and writes a row into its history. The row has no id that we could
know, no arguments and no mark of ours: only an agent, a script, a user, and a number that grows. So our run
is the row of its agent and script above a watermark that was taken before sending, and of our user as soon as
that is known. If we run a script twice on one agent, the second run is held back until the first one's row is
known. If two rows could be the run, neither is taken: the run is `Ambiguous`, never a guess.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trmm_async import codec
from trmm_async.models import HistoryEntry
from trmm_async.script_runs.server_clock import ServerClock
from trmm_async.script_runs.tracked import (
    BOTTOM,
    Ambiguous,
    HistoryWaits,
    MatchResult,
    NoReport,
    NotRun,
    Reported,
    Span,
    TrackedRun,
    Watermark,
)

__all__ = ["RunMatcher"]

_FIRST_LOOK: Final = 0.15
"""Seconds until the first look, and between looks while rows or results come.

A result is then known at most 0.3 s after it came, if a look takes less than 75 ms (27 were measured).
"""

_SHARE: Final = 0.1
"""The pause between looks grows with the time since anything new came: to this share of it."""

_PAUSE_MOST: Final = 5.0
_LOAD_MOST: Final = 1.0
"""After a look, we pause for at least this multiple of the time that the server took for it."""

_PRUNE_EVERY: Final = 1.0

Index = Mapping[str, Sequence[HistoryEntry]]
Key = tuple[str, int | str]
"""An agent and a script (or a command): two runs with the same key have rows that look alike."""


@dataclass(frozen=True, slots=True)
class _StrayRow:
    """A row that a run which nobody waits for any more may still get, above its watermark."""

    watermark: Watermark
    until: float
    sent_at: float


class RunMatcher:
    """All runs under way on one server, and what its history says of them.

    Attributes:
        username: the name of our own user in the history; None until a run has shown it.
        newest: the watermark of runs that are sent from now on: the highest row that was read.
        clock: the server's clock; the caller shows it before each look.
    """

    def __init__(self, waits: HistoryWaits | None = None) -> None:
        self.waits: HistoryWaits = waits or HistoryWaits()
        self.username: str | None = None
        self.newest: Watermark = BOTTOM
        self.clock: ServerClock = ServerClock()
        self._runs: list[TrackedRun] = []
        self._held: dict[Key, TrackedRun] = {}
        self._claimed: dict[int, Key] = {}
        self._strays: dict[Key, list[_StrayRow]] = {}
        self._pruned_at = 0.0
        self._look_took = 0.0
        self._looked_at: float | None = None
        self._narrow: Span | None = None
        self._narrow_works = True
        self._has_news = False

    def __repr__(self) -> str:
        known = f"{len(self._runs)} runs, {len(self._claimed)} claims"
        return f"<RunMatcher {known}, as {self.username or 'an unknown user'}>"

    # -- a run, from before it is sent to its end ------------------------------------------------------------

    def holder(self, agent_ids: Iterable[str], script: int | str) -> TrackedRun | None:
        """A run of this script on one of these agents whose rows are not known yet; None if there is none."""
        if not self._held:
            return None
        return next((held for one in agent_ids if (held := self._held.get((one, script))) is not None), None)

    def open(self, run: TrackedRun) -> None:
        """Add a run that is about to be sent. Until its rows are known, no similar run may be sent."""
        for other in self._runs:
            if other.rows_come_late and other.script == run.script:
                other.certain |= other.pending & run.pending
        run.watermark = self.newest
        self._runs.append(run)
        self._held.update(((agent_id, run.script), run) for agent_id in run.pending)

    def start(self, run: TrackedRun) -> None:
        """Take the watermark of a run, now that the history was read and nothing of the run was sent."""
        run.watermark = self.newest

    def recover(self, run: TrackedRun, watermark: Watermark) -> None:
        """An earlier process sent the run above that watermark. Whether it was answered is not known."""
        run.watermark = watermark
        run.lost = run.recovered = True

    def may_have_left(self, run: TrackedRun, maybe: bool) -> None:
        """The run may have reached the server, and be carried out; or certainly has not (False)."""
        run.may_be_sent = maybe

    def lose(self, run: TrackedRun, *, absent_is_not_run: bool) -> None:
        """The answer to the run was lost. `absent_is_not_run`: without a row, it certainly did not run."""
        run.lost, run.absent_is_not_run = True, absent_is_not_run

    def expect(self, run: TrackedRun, count: int) -> None:
        """The server said to how many of the agents it sends the run."""
        run.expected = count

    def leave_out(self, run: TrackedRun, agent_ids: Iterable[str]) -> None:
        """Expect no rows of these agents any more, and a row of each of the others."""
        run.pending.difference_update(agent_ids)
        run.expected = len(run.pending)

    def take(self, run: TrackedRun) -> dict[str, MatchResult]:
        """What was found out since the last call, by agent."""
        taken, run.settled = run.settled, {}
        return taken

    def sent(self, run: TrackedRun, now: float) -> None:
        """The run was answered, or its answer was lost: its rows may come from now on."""
        run.is_sent = run.may_be_sent = True
        run.sent_at = run.progress_at = run.reported_at = now

    def forget(self, run: TrackedRun, *, late: bool) -> None:
        """The run was answered, and nobody waits for its result. `late`: its row is still to come."""
        run.may_be_sent = True
        run.identified = not late

    def close(self, run: TrackedRun, now: float) -> None:
        """Remove a run that nobody waits for any more.

        Rows of it that were never seen may still appear. They must not be taken for the next run's.
        """
        self._runs.remove(run)
        self._release(run)
        unseen = run.unseen if run.identified else run.agent_ids
        if run.may_be_sent and unseen:
            stray = _StrayRow(run.watermark, now + self.waits.bulk_row, run.sent_at or now)
            for agent_id in unseen:
                self._strays.setdefault((agent_id, run.script), []).append(stray)
        self._prune(now)

    def _prune(self, now: float) -> None:
        """Forget stray rows whose time is over, and claims of rows that are below every watermark."""
        if self._strays and now - self._pruned_at < _PRUNE_EVERY:
            return
        self._pruned_at = now
        for key in list(self._strays):
            self._strays_of(key, now)
        floor = min([self.newest.row, *(run.watermark.row for run in self._runs)])
        # A stray row keeps the claims of its own agent and script only. Where answers are lost all the time,
        # some stray row is always expected; if it kept all claims, none would ever be given back.
        self._claimed = {
            row: key
            for row, key in self._claimed.items()
            if row > floor or any(stray.watermark.row < row for stray in self._strays.get(key, ()))
        }

    def _claim_row(self, agent_id: str, script: int | str, row: HistoryEntry) -> None:
        self._claimed[row.id] = agent_id, script

    def _release(self, run: TrackedRun) -> None:
        for key in [key for key, held in self._held.items() if held is run]:
            del self._held[key]

    # -- stray rows ------------------------------------------------------------------------------------------

    def has_stray_rows(self, agent_ids: Iterable[str], script: int | str, now: float) -> bool:
        """Whether a row of an earlier run of this script may still appear on one of these agents."""
        self._prune(now)
        return bool(self._strays) and any(self._strays_of((one, script), now) for one in agent_ids)

    def strays_since(self) -> datetime | None:
        """From when on the history has all stray rows; None for the whole history."""
        strays = [stray for strays in self._strays.values() for stray in strays]
        return self.clock.earliest((stray.watermark.time, stray.sent_at) for stray in strays)

    def claim_stray_rows(
        self, agent_ids: Iterable[str], script: int | str, rows: Sequence[HistoryEntry]
    ) -> None:
        """Take these rows for the stray rows of agents where nothing is under way: they don't come again."""
        by_agent = _by_agent(rows)
        for agent_id in agent_ids:
            for row in sorted(by_agent.get(agent_id, ()), key=lambda row: row.id):
                strays = self._strays.get((agent_id, script), [])
                stray = next((one for one in strays if self._could_be(one.watermark, script, row)), None)
                if stray is not None:
                    self._claim_row(agent_id, script, row)
                    strays.remove(stray)

    def _strays_of(self, key: Key, now: float) -> list[_StrayRow]:
        left = [stray for stray in self._strays.get(key, ()) if stray.until > now]
        if left:
            self._strays[key] = left
        else:
            self._strays.pop(key, None)
        return left

    # -- when to look, and at what ---------------------------------------------------------------------------

    def due(self, now: float) -> float | None:
        """Seconds until the next look at the history; None while no run that was sent is pending."""
        waits = [self._wait(run, now) for run in self._waiting()]
        if not waits:
            return None
        rest = 0.0 if self._looked_at is None else self._looked_at + _LOAD_MOST * self._look_took - now
        return max(0.0, 0.0 if self._has_news else min(waits), rest)

    def time_left(self, now: float) -> float:
        """Seconds until we give up on the first of the pending runs."""
        return min((self._deadline(run) - now for run in self._waiting()), default=0.0)

    def span(self, now: float) -> Span:
        """What of the history to read now.

        All of it, once, if the row of a run that the server accepted is overdue: rows' times may be out of
        order, or their numbers may have begun anew. If the last look brought nothing new, only a narrow span
        that holds the rows we wait for. Otherwise everything from the first pending run on.
        """
        waiting = tuple(self._waiting())
        overdue = [run for run in waiting if self._is_overdue(run, now)]
        for run in overdue:
            run.was_sought = True
        if overdue:
            return Span(None)
        # The last look before a deadline is wide: a second row of an agent makes the first one doubtful.
        if self._narrow is not None and all(
            run.identified and now < self._deadline(run) - self._look_took for run in waiting
        ):
            return self._narrow
        return Span(self.clock.earliest((_rows_since(run), run.sent_at) for run in waiting))

    def _is_overdue(self, run: TrackedRun, now: float) -> bool:
        if run.identified or run.lost or run.was_sought:
            return False
        return now - run.sent_at > self.waits.row / 2

    def _waiting(self) -> Iterator[TrackedRun]:
        return (run for run in self._runs if run.is_sent and run.pending)

    def _wait(self, run: TrackedRun, now: float) -> float:
        quiet = now - max(run.progress_at, run.reported_at)
        pause = min(_PAUSE_MOST, max(_FIRST_LOOK, _SHARE * quiet))
        looked_at = self._looked_at if self._looked_at is not None else -1.0
        last = max(looked_at, run.sent_at)
        return min(last + pause, self._deadline(run)) - now

    # -- what a look brought ---------------------------------------------------------------------------------

    def read(
        self, rows: Sequence[HistoryEntry], now: float, took: float = 0.0, span: Span | None = None
    ) -> None:
        """Take in the rows of a look, `took` seconds after it was asked for.

        `span` is what `span()` said to read; None if something else was read, such as rows of some agents.
        """
        self._look_took, self._looked_at = took, now
        if span is not None and span.until is not None:
            self._read_narrow(rows)
            return
        if span is not None and span.since is None:
            self.newest = BOTTOM
        self.note(rows)
        by_agent = _by_agent(rows)
        by_id = {row.id: row for row in rows}
        pending = sum(len(run.pending) for run in self._waiting())
        for run in self._waiting():
            if not run.identified:
                self._identify(run, by_agent, now)
        for run in self._waiting():
            if run.rows_come_late and run.identified:
                self._look_for_doubles(run, by_agent)
            _collect(run, by_id, now)
            if not run.identified and now >= self._deadline(run):
                self._doubt_username(run, {})
            self._expire(run, now)
        left = sum(len(run.pending) for run in self._waiting())
        self._has_news = False
        self._narrow = self._narrow_span(rows) if span is not None and left == pending else None

    def _narrow_span(self, rows: Sequence[HistoryEntry]) -> Span | None:
        """A span that holds the rows we wait for, if it leaves out most of `rows`; None if it does not."""
        if not self._narrow_works:
            return None
        waited_for = self._rows_waited_for()
        # The span holds at least these.
        if not 0 < len(waited_for) <= len(rows) / 2:
            return None
        times = [codec.utc(row.time) for row in waited_for if row.time is not None]
        if len(times) < len(waited_for):
            return None
        span = Span(min(times), max(times))
        return span if sum(map(span.holds, rows)) <= len(rows) / 2 else None

    def _rows_waited_for(self) -> list[HistoryEntry]:
        return [row for run in self._waiting() for one, row in run.rows.items() if one in run.pending]

    def _read_narrow(self, rows: Sequence[HistoryEntry]) -> None:
        """Only find out whether a result has come: then the next look is wide, and reads it with all rows.

        Nothing is settled by a narrow look, since rows that make a result doubtful may be outside of it.
        """
        found = {row.id: row for row in rows}
        waited_for = [row.id for row in self._rows_waited_for()]
        # They were in the last look: a server that leaves them out here reads the span in another way.
        self._narrow_works = found.keys() >= {*waited_for}
        self._has_news = not self._narrow_works or any(found[row].result is not None for row in waited_for)
        if self._has_news:
            self._narrow = None

    def unread(self, now: float, took: float) -> None:
        """A look failed: only time has passed."""
        self._look_took, self._looked_at = took, now
        self._has_news = False
        for run in self._waiting():
            self._expire(run, now)

    def note(self, rows: Iterable[HistoryEntry]) -> None:
        """Remember how far the history goes."""
        newest = max(rows, key=lambda row: row.id, default=None)
        if newest is not None and newest.id > self.newest.row:
            self.newest = Watermark(newest.id, self.clock.not_ahead(newest.time))

    # -- which rows are ours ---------------------------------------------------------------------------------

    def _identify(self, run: TrackedRun, by_agent: Index, now: float) -> None:
        found = {
            agent_id: rows for agent_id in run.pending if (rows := self._candidates(run, agent_id, by_agent))
        }
        if run.rows_come_late:
            self._identify_many(run, found, now)
        elif found and run.lost and self.has_stray_rows(found, run.script, now):
            for agent_id, rows in found.items():
                _settle(run, agent_id, Ambiguous(tuple(rows)))
        elif found:
            self._claim(run, found, now)
        elif run.absent_is_not_run:
            for agent_id in tuple(run.pending):
                _settle(run, agent_id, NotRun())

    def _candidates(self, run: TrackedRun, agent_id: str, by_agent: Index) -> list[HistoryEntry]:
        rows = by_agent.get(agent_id, ())
        return [row for row in rows if self._could_be(run.watermark, run.script, row)]

    def _could_be(self, watermark: Watermark, script: int | str, row: HistoryEntry) -> bool:
        return (
            row.id > watermark.row
            and _script_of(row) == script
            and row.id not in self._claimed
            and (self.username is None or row.username == self.username)
        )

    def _identify_many(self, run: TrackedRun, found: Index, now: float) -> None:
        """Wait until all rows are there: before, a stranger's row might be taken for one of ours."""
        if len(found) > run.seen:
            run.seen, run.progress_at = len(found), now
        users = _by_user(found)
        whole = [rows for rows in users.values() if len(rows) >= run.expected]
        if whole:
            self._claim(run, whole[0] if len(whole) == 1 else found, now)
        elif now >= self._deadline(run):
            # Some rows never came. Those that did are ours if they all have the same user.
            self._doubt_username(run, found)
            self._claim(run, found if len(users) == 1 else {}, now)
            run.unseen = run.pending - run.rows.keys()
            for agent_id in run.unseen:
                _settle(run, agent_id, NoReport(started=False, waited=now - run.sent_at))

    def _look_for_doubles(self, run: TrackedRun, by_agent: Index) -> None:
        """A second row that is not of a later run of ours: either of the two may be a stranger's."""
        for agent_id in tuple(run.pending - run.certain):
            others = self._candidates(run, agent_id, by_agent)
            if others and agent_id in run.rows:
                _settle(run, agent_id, Ambiguous((run.rows[agent_id], *others)))
                for row in others:
                    self._claim_row(agent_id, run.script, row)

    def _claim(self, run: TrackedRun, found: Index, now: float) -> None:
        run.identified = True
        run.progress_at = now
        self._release(run)
        for agent_id, rows in found.items():
            # The row of a single run was written before its answer. One of a run on many may still come, so
            # that this one may be a stray row.
            strays = self._strays_of((agent_id, run.script), now) if run.rows_come_late else []
            if len(rows) > 1 or strays:
                _settle(run, agent_id, Ambiguous(tuple(rows)))
                del strays[: len(rows) - 1]
            else:
                run.rows[agent_id] = rows[0]
            for row in rows:
                self._claim_row(agent_id, run.script, row)
        # A run that was accepted has its row among those found: if that is the only one, it shows our name.
        if self.username is None and not run.lost and run.rows and len(run.rows) == len(found):
            users = {row.username for row in run.rows.values()}
            self.username = users.pop() if len(users) == 1 else None

    # -- time ------------------------------------------------------------------------------------------------

    def _deadline(self, run: TrackedRun) -> float:
        if run.identified:
            reported = max(run.progress_at + run.timeout, run.reported_at)
            return reported + self.waits.report
        # A call for many agents that failed or was lost has most likely queued nothing, unless a row shows
        # that it has. One of an earlier process was most likely answered.
        is_queued = run.rows_come_late and (not run.lost or run.recovered or run.seen > 0)
        return run.progress_at + (self.waits.bulk_row if is_queued else self.waits.row)

    def _expire(self, run: TrackedRun, now: float) -> None:
        if now < self._deadline(run):
            return
        waited = now - run.sent_at
        for agent_id in tuple(run.pending):
            _settle(run, agent_id, NoReport(agent_id in run.rows, waited))

    def _doubt_username(self, run: TrackedRun, found: Index) -> None:
        """Forget our name if a run that was accepted has no row under it: the name may be wrong."""
        if not run.lost and not found:
            self.username = None


def _script_of(row: HistoryEntry) -> int | str | None:
    return row.command if row.script is None else row.script


def _settle(run: TrackedRun, agent_id: str, how: MatchResult) -> None:
    if agent_id in run.pending:
        run.pending.discard(agent_id)
        run.settled[agent_id] = how


def _collect(run: TrackedRun, by_id: Mapping[int, HistoryEntry], now: float) -> None:
    for agent_id, claimed in tuple(run.rows.items()):
        row = by_id.get(claimed.id)
        if agent_id in run.pending and row is not None and row.result is not None:
            _settle(run, agent_id, Reported(row.result))
            run.reported_at = now


def _rows_since(run: TrackedRun) -> datetime | None:
    """The time of the first row that this run may have or is waiting for; None if that is not known."""
    if not run.identified:
        return run.watermark.time
    times = [run.rows[agent_id].time for agent_id in run.pending if agent_id in run.rows]
    return min((time for time in times if time is not None), default=run.watermark.time)


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
