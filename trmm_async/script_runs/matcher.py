"""Matches rows of the server's script history to the runs we sent, and decides how long to wait for each.

Pure: the caller passes the time. Over `tracked`, and the only one that writes a `TrackedRun`. A
stock server answers "it will be run" and writes a row, which has no id that we could know, and neither
arguments nor a mark of ours: only an agent, a script, a user and a number that grows. So a run is the row
above a watermark taken before it was sent, of its agent and script, and of our user as soon as that is known.
Of two runs of ours on one agent the second is held back until the first's row is known. Where two rows could
be a run, it is none of them: `Ambiguous`, never a guess.

The history can only be asked for by time, and rows' times can be wrong: the server's clock may have been
ahead when they were written, or be set back afterwards. So a row's time counts up to the server's own clock
only, as its answers show it, and a run's rows are looked for from when it was sent by that clock, if that is
earlier.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trmm_async import codec
from trmm_async.models import HistoryEntry
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


Index = Mapping[str, Sequence[HistoryEntry]]


@dataclass(frozen=True, slots=True)
class _StrayRow:
    """A late row of a run that nobody waits for: above a watermark, before a moment of the loop."""

    watermark: Watermark
    until: float
    sent_at: float


class RunMatcher:
    """All sendings under way, and what the history says of them.

    Attributes:
        username: our own user's name, once a run has shown it.
        newest: the watermark for what is sent from now on, as far as the history has been read.
    """

    def __init__(self, waits: HistoryWaits | None = None) -> None:
        self.waits: HistoryWaits = waits or HistoryWaits()
        self._runs: list[TrackedRun] = []
        self._held: dict[tuple[str, int | str], TrackedRun] = {}
        self._claimed: dict[int, tuple[str, int | str]] = {}
        self._strays: dict[tuple[str, int | str], list[_StrayRow]] = {}
        self._pruned_at = 0.0
        self._look_took = 0.0
        self._looked_at: float | None = None
        self._clock: tuple[datetime, float] | None = None
        self._silent: Span | None = None
        self._silent_works = True
        self._is_astir = False
        self.username: str | None = None
        self.newest: Watermark = BOTTOM

    def __repr__(self) -> str:
        known = f"{len(self._runs)} runs, {len(self._claimed)} claims"
        return f"<RunMatcher {known}, as {self.username or 'an unknown user'}>"

    # -- sendings --------------------------------------------------------------------------------------------

    def holder(self, agent_ids: Iterable[str], script: int | str) -> TrackedRun | None:
        """A sending of this script to one of these agents whose rows are not known yet, if there is one."""
        if not self._held:
            return None
        return next((held for one in agent_ids if (held := self._held.get((one, script))) is not None), None)

    def open(self, run: TrackedRun) -> None:
        """It is about to be sent; until its rows are known, no other may be that could be mistaken for it."""
        for other in self._runs:
            if other.rows_come_late and other.script == run.script:
                other.certain |= other.pending & run.pending
        run.watermark = self.newest
        self._runs.append(run)
        self._held.update(((agent_id, run.script), run) for agent_id in run.pending)

    def start(self, run: TrackedRun) -> None:
        """Nothing of it has been sent: its rows will stand above what has been read of the history by now."""
        run.watermark = self.newest

    def recover(self, run: TrackedRun, watermark: Watermark) -> None:
        """An earlier process has sent it, above that watermark; whether it was answered is not known."""
        run.watermark = watermark
        run.lost = run.recovered = True

    def may_have_left(self, run: TrackedRun, maybe: bool) -> None:
        """It may have reached the server, and run; or, if not `maybe`, certainly has not."""
        run.may_be_sent = maybe

    def lose(self, run: TrackedRun, *, absent_is_not_run: bool) -> None:
        """The answer to it was lost; `absent_is_not_run`: a missing row then means that it did not run."""
        run.lost, run.absent_is_not_run = True, absent_is_not_run

    def expect(self, run: TrackedRun, count: int) -> None:
        """The server sends it to so many of its agents."""
        run.expected = count

    def leave_out(self, run: TrackedRun, agent_ids: Iterable[str]) -> None:
        """On these it doesn't run, or nothing more will be known of them; of all others a row is expected."""
        run.pending.difference_update(agent_ids)
        run.expected = len(run.pending)

    def take(self, run: TrackedRun) -> dict[str, MatchResult]:
        """What has been found out since the last time."""
        taken, run.settled = run.settled, {}
        return taken

    def sent(self, run: TrackedRun, now: float) -> None:
        """It was answered, or its answer was lost."""
        run.is_sent = run.may_be_sent = True
        run.sent_at = run.progress_at = run.reported_at = now

    def forget(self, run: TrackedRun, *, late: bool) -> None:
        """It was answered, and nobody waits for its end; `late`: its row is yet to come."""
        run.may_be_sent = True
        run.identified = not late

    def close(self, run: TrackedRun, now: float) -> None:
        """Nobody waits for it any more.

        A row that was never seen may yet appear, and must not be taken for that of the next run there.
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
        """Forget what can't matter any more: strays whose time is over, and claims below every watermark."""
        if self._strays and now - self._pruned_at < _PRUNE_EVERY:
            return
        self._pruned_at = now
        for key in list(self._strays):
            self._strays_of(key, now)
        floor = min([self.newest.row, *(run.watermark.row for run in self._runs)])
        # A stray keeps the claims of its own agent and script only: with one always about, as there is where
        # answers get lost all the time, those of all others would never be given back.
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
        """Whether a row of an earlier sending may yet appear on one of these agents."""
        self._prune(now)
        return bool(self._strays) and any(self._strays_of((one, script), now) for one in agent_ids)

    def strays_since(self) -> datetime | None:
        """From which moment on the history has the rows of all strays; None for all of it."""
        strays = [stray for strays in self._strays.values() for stray in strays]
        return self._earliest((stray.watermark.time, stray.sent_at) for stray in strays)

    def claim_stray_rows(
        self, agent_ids: Iterable[str], script: int | str, rows: Sequence[HistoryEntry]
    ) -> None:
        """These rows are there, and nothing is under way on these agents: strays' rows don't come again."""
        by_agent = _by_agent(rows)
        for agent_id in agent_ids:
            for row in sorted(by_agent.get(agent_id, ()), key=lambda row: row.id):
                strays = self._strays.get((agent_id, script), [])
                stray = next((one for one in strays if self._is_it(one.watermark, script, row)), None)
                if stray is not None:
                    self._claim_row(agent_id, script, row)
                    strays.remove(stray)

    def _strays_of(self, key: tuple[str, int | str], now: float) -> list[_StrayRow]:
        left = [stray for stray in self._strays.get(key, ()) if stray.until > now]
        if left:
            self._strays[key] = left
        else:
            self._strays.pop(key, None)
        return left

    # -- looking ---------------------------------------------------------------------------------------------

    def due(self, now: float) -> float | None:
        """Seconds until the next look at the history; None while nothing that was sent is pending."""
        waits = [self._wait(run, now) for run in self._waiting()]
        if not waits:
            return None
        rest = 0.0 if self._looked_at is None else self._looked_at + _LOAD_MOST * self._look_took - now
        return max(0.0, 0.0 if self._is_astir else min(waits), rest)

    def time_left(self, now: float) -> float:
        """Seconds until the first of the runs under way is given up."""
        return min((self._deadline(run) - now for run in self._waiting()), default=0.0)

    def span(self, now: float) -> Span:
        """What of the history matters now.

        All of it once where the row of what was accepted is overdue: the times of the server's rows may be
        out of order, or their numbers have begun anew. Only the rows that are waited for where all that came
        besides is known by now: a look has brought nothing new.
        """
        waiting = tuple(self._waiting())
        overdue = [run for run in waiting if self._is_overdue(run, now)]
        for run in overdue:
            run.was_sought = True
        if overdue:
            return Span(None)
        # At the end all is looked at once more: a further row of an agent makes the first one doubtful.
        if self._silent is not None and all(
            run.identified and now < self._deadline(run) - self._look_took for run in waiting
        ):
            return self._silent
        return Span(self._earliest((_moment(run), run.sent_at) for run in waiting))

    def _is_overdue(self, run: TrackedRun, now: float) -> bool:
        if run.identified or run.lost or run.was_sought:
            return False
        return now - run.sent_at > self.waits.row / 2

    def read(
        self, rows: Sequence[HistoryEntry], now: float, took: float = 0.0, span: Span | None = None
    ) -> None:
        """Take in the rows of a look that has just come, `took` seconds after it was asked for.

        `span`: what was asked for; None: something else, such as the rows of some agents.
        """
        self._look_took, self._looked_at = took, now
        if span is not None and span.until is not None:
            self._read_silent(rows)
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
                self._doubt(run, {})
            self._expire(run, now)
        left = sum(len(run.pending) for run in self._waiting())
        self._is_astir = False
        self._silent = self._silence(rows) if span is not None and left == pending else None

    def _silence(self, rows: Sequence[HistoryEntry]) -> Span | None:
        """Where the rows stand that are waited for, if that leaves out most of these; None if it does not."""
        if not self._silent_works:
            return None
        waited_for = [row for run in self._waiting() for row in self._rows_of(run)]
        # The span holds at least these.
        if not 0 < len(waited_for) <= len(rows) / 2:
            return None
        times = [codec.utc(row.time) for row in waited_for if row.time is not None]
        if len(times) < len(waited_for):
            return None
        span = Span(min(times), max(times))
        return span if sum(map(span.holds, rows)) <= len(rows) / 2 else None

    @staticmethod
    def _rows_of(run: TrackedRun) -> list[HistoryEntry]:
        return [run.rows[agent_id] for agent_id in run.pending if agent_id in run.rows]

    def _read_silent(self, rows: Sequence[HistoryEntry]) -> None:
        """Nothing is settled by it: what is new is read once more with all that may speak against it."""
        found = {row.id: row for row in rows}
        waited_for = [row.id for run in self._waiting() for row in self._rows_of(run)]
        # They were there before: a server on which they are not reads the span in another way.
        self._silent_works = found.keys() >= {*waited_for}
        self._is_astir = not self._silent_works or any(found[row].result is not None for row in waited_for)
        if self._is_astir:
            self._silent = None

    def unread(self, now: float, took: float) -> None:
        """A look failed: only time has passed."""
        self._look_took, self._looked_at = took, now
        self._is_astir = False
        for run in self._waiting():
            self._expire(run, now)

    def note(self, rows: Iterable[HistoryEntry]) -> None:
        """Remember how far the history goes."""
        newest = max(rows, key=lambda row: row.id, default=None)
        if newest is not None and newest.id > self.newest.row:
            is_ahead = self._clock is not None and _is_later(newest.time, self._clock[0])
            self.newest = Watermark(newest.id, self._clock[0] if is_ahead and self._clock else newest.time)

    def tick(self, server_time: datetime | None, now: float) -> None:
        """How late it is on the server; None if that is not to be seen."""
        self._clock = None if server_time is None else (server_time, now)

    def are_ahead(self, rows: Sequence[HistoryEntry]) -> bool:
        """Whether all of the newest rows are dated ahead of the server's clock.

        Then there may be others behind them by time, written later: the highest number is not known by these.
        """
        clock = self._clock
        return (
            bool(rows) and clock is not None and all(_is_later(row.time, clock[0] + _SLACK) for row in rows)
        )

    def written_since(self, at: float | None) -> datetime | None:
        """From which moment on the history has what was written since `at`, our time; None for all of it."""
        return None if self._clock is None or at is None else self._earliest([(self._clock[0], at)])

    def _earliest(self, moments: Iterable[tuple[datetime | None, float]]) -> datetime | None:
        """The earliest of these moments, each a row's time and when something was sent by our clock."""
        found: list[datetime] = []
        for time, at in moments:
            if time is None:
                return None
            found.append(time)
            if self._clock is not None:
                found.append(codec.shifted(self._clock[0], timedelta(seconds=min(0.0, at - self._clock[1]))))
        return codec.shifted(min(found), -_SLACK) if found else None

    def _waiting(self) -> Iterator[TrackedRun]:
        return (run for run in self._runs if run.is_sent and run.pending)

    def _wait(self, run: TrackedRun, now: float) -> float:
        quiet = now - max(run.progress_at, run.reported_at)
        pause = min(_CALMEST, max(_FIRST_LOOK, _SHARE * quiet))
        looked_at = self._looked_at if self._looked_at is not None else -1.0
        last = max(looked_at, run.sent_at)
        return min(last + pause, self._deadline(run)) - now

    # -- which rows are ours ---------------------------------------------------------------------------------

    def _identify(self, run: TrackedRun, by_agent: Index, now: float) -> None:
        found = {
            agent_id: rows
            for agent_id in run.pending
            if (rows := [row for row in by_agent.get(agent_id, ()) if self._could_be(run, row)])
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

    def _could_be(self, run: TrackedRun, row: HistoryEntry) -> bool:
        return self._is_it(run.watermark, run.script, row)

    def _is_it(self, watermark: Watermark, script: int | str, row: HistoryEntry) -> bool:
        return (
            row.id > watermark.row
            and _run_of(row) == script
            and row.id not in self._claimed
            and (self.username is None or row.username == self.username)
        )

    def _identify_many(self, run: TrackedRun, found: Index, now: float) -> None:
        """Only when all rows are there: before, a foreign one might be taken for one that is yet to come."""
        if len(found) > run.seen:
            run.seen, run.progress_at = len(found), now
        users = _by_user(found)
        whole = [rows for rows in users.values() if len(rows) >= run.expected]
        if whole:
            self._claim(run, whole[0] if len(whole) == 1 else found, now)
        elif now >= self._deadline(run):
            # Some rows never came. Those that did are ours if they are of one user.
            self._doubt(run, found)
            self._claim(run, found if len(users) == 1 else {}, now)
            run.unseen = run.pending - run.rows.keys()
            for agent_id in run.unseen:
                _settle(run, agent_id, NoReport(started=False, waited=now - run.sent_at))

    def _look_for_doubles(self, run: TrackedRun, by_agent: Index) -> None:
        """A second row, no later sending of ours: the first may have been a stranger's, and this ours."""
        for agent_id in tuple(run.pending - run.certain):
            others = [row for row in by_agent.get(agent_id, ()) if self._could_be(run, row)]
            if others and agent_id in run.rows:
                _settle(run, agent_id, Ambiguous((run.rows[agent_id], *others)))
                for row in others:
                    self._claim_row(agent_id, run.script, row)

    def _claim(self, run: TrackedRun, found: Index, now: float) -> None:
        run.identified = True
        run.progress_at = now
        self._release(run)
        for agent_id, rows in found.items():
            # A single sending's row is there by now, whatever else is; one of many's may be yet to come.
            strays = self._strays_of((agent_id, run.script), now) if run.rows_come_late else []
            if len(rows) > 1 or strays:
                _settle(run, agent_id, Ambiguous(tuple(rows)))
                del strays[: len(rows) - 1]
            else:
                run.rows[agent_id] = rows[0]
            for row in rows:
                self._claim_row(agent_id, run.script, row)
        # Of a sending that was accepted, its own row is among those found: if it is the only one, it is ours.
        if self.username is None and not run.lost and run.rows and len(run.rows) == len(found):
            users = {row.username for row in run.rows.values()}
            self.username = users.pop() if len(users) == 1 else None

    # -- time ------------------------------------------------------------------------------------------------

    def _deadline(self, run: TrackedRun) -> float:
        if run.identified:
            reported = max(run.progress_at + run.timeout, run.reported_at)
            return reported + self.waits.report
        # A call for many that failed or was lost has most likely queued nothing, unless a row shows that it
        # has. Whether one of an earlier process was lost is not known: that it was not is the rule.
        is_queued = run.rows_come_late and (not run.lost or run.recovered or run.seen > 0)
        return run.progress_at + (self.waits.bulk_row if is_queued else self.waits.row)

    def _expire(self, run: TrackedRun, now: float) -> None:
        if now < self._deadline(run):
            return
        waited = now - run.sent_at
        for agent_id in tuple(run.pending):
            _settle(run, agent_id, NoReport(agent_id in run.rows, waited))

    def _doubt(self, run: TrackedRun, found: Index) -> None:
        """What was accepted has a row; if there is none under our name, we may have that wrong: forget it."""
        if not run.lost and not found:
            self.username = None


def _run_of(row: HistoryEntry) -> int | str | None:
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


def _is_later(time: datetime | None, than: datetime) -> bool:
    return time is not None and codec.utc(time) > than


def _moment(run: TrackedRun) -> datetime | None:
    """From when on this sending's rows can be."""
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
