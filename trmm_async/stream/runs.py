"""Finds the script runs of a server's history that have finished and are not reported yet. Pure.

It stands above `codec`, `models` and `position`; `poll_source` passes the rows of each poll, and the times.

The server writes a row when it sends a script, and fills in the result when the agent reports. So rows must
be read again: from the oldest one without a result on, or from a little before the newest one, because the
server's workers don't write rows in the order of their times.

The history can only be read by time, and times can be wrong. A server whose clock is ahead for a while writes
rows of tomorrow, and one whose clock was set back writes new rows with times before old ones. So the time of
a row never moves the position beyond the server's own clock (which its answers tell), and rows that were
reported are remembered by their ids.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from trmm_async.codec import shifted, utc
from trmm_async.models import HistoryEntry
from trmm_async.stream.position import Newest, RunsPlace

__all__ = ["LAG", "PATIENCE", "Runs"]

LAG: Final = timedelta(minutes=1)
"""How much later than its own time a row may appear in the history."""

PATIENCE: Final = timedelta(hours=1)
"""A row without a result is waited for until it is this much older than the newest row."""

_AHEAD: Final = timedelta(seconds=5)
"""How much later than the server's clock a row may be: a `Date` header has whole seconds, and is cached."""


class Runs:
    """How far the history was reported.

    Only the rows of the last minute (by the server's clock) and older unreported rows are remembered
    individually, since a history can be very long.

    Args:
        place: the position of an earlier reader. None: what is in the history at the first poll is not
            reported.
    """

    def __init__(self, place: RunsPlace | None = None) -> None:
        self._based = self._begun = place is not None
        place = place or RunsPlace()
        self._after = place.after
        self._floor = place.floor
        self._open = place.open
        self._told: dict[int, datetime | None] = dict.fromkeys(place.told)
        self._newest = place.newest
        self._place: RunsPlace | None = None
        self._now: datetime | None = None
        self._asked_at = 0.0

    def __repr__(self) -> str:
        return f"<Runs from {self._after}, {len(self._told)} told>"

    @property
    def begun(self) -> bool:
        """Whether `after` is known. If not, call `begin` first."""
        return self._begun

    @property
    def after(self) -> datetime | None:
        """The moment of the server's clock from which rows are needed; None: all."""
        return self._after

    def tick(self, now: datetime | None, at: float) -> None:
        """Record the server's time before a poll. `after` is then no later than that.

        Args:
            now: the server's clock; None if it is not known.
            at: a monotonic clock of ours. If the server's clock has lost time against it since the last poll,
                it was set back, and new rows may have times that are so much older.
        """
        if now is None:
            return
        now = utc(now)
        if self._after is not None:
            self._after = min(utc(self._after), shifted(now, -LAG))
            if self._now is not None:
                fallen = shifted(self._now, timedelta(seconds=at - self._asked_at)) - now
                self._after = shifted(self._after, -max(fallen, timedelta(0)))
        self._now, self._asked_at = now, at

    def begin(self, newest: Iterable[HistoryEntry]) -> None:
        """Take a few of the newest rows, whose times tell from when on rows are needed."""
        times = [row.time for row in newest if row.time is not None]
        if times:
            latest = max((time for time in times if not self._is_ahead(time)), default=self._now)
            self._after = shifted(latest or max(times), -PATIENCE)
        self._begun = True

    def begins_anew(self, rows: Iterable[HistoryEntry]) -> bool:
        """Whether the ids have started again, as after the restore of a database. Call it before `finished`.

        Then all rows whose id and time are not both known count as new. A lower id with a later time proves
        nothing if the times differ by less than `LAG`.
        """
        if (newest := self._newest) is None:
            return False
        timed = [(row, row.time) for row in rows if row.time is not None]
        if not any(
            row.id <= newest.id and self._is_another(row.id, time, newest.time) for row, time in timed
        ):
            return False
        # Rows no later than the newest known one count as reported. Later ones are new.
        self._told = {row.id: time for row, time in timed if time <= newest.time and row.result is not None}
        self._open, self._newest, self._floor = frozenset(), None, max(self._told, default=0)
        return True

    def _is_another(self, number: int, time: datetime, latest: datetime) -> bool:
        """Whether this row is later than all known ones, although its id is not new."""
        if utc(time) <= shifted(utc(latest), LAG) or number in self._open:
            return False
        known = self._told.get(number, latest)
        # For a row that an earlier reader got, only the id is known.
        return not self._is_ahead(time) if known is None else known != time

    def finished(self, rows: Sequence[HistoryEntry], unread: Iterable[int] = ()) -> list[HistoryEntry]:
        """The finished rows that were not reported, the oldest first. From now on they count as reported.

        The first time, if there was no place, the result is empty: these rows finished before.

        Args:
            rows: all rows from `after` on.
            unread: ids of reported rows that the reader has not got yet. A `place` may have to go back to
                them.
        """
        self._place = None
        timed = {row.id: row.time for row in rows if row.time is not None}
        done = [row for row in rows if row.result is not None and row.id in timed]
        fresh = [row for row in done if not self._is_told(row.id, timed[row.id])]
        self._told.update((row.id, timed[row.id]) for row in done)
        waiting = {row.id: timed[row.id] for row in rows if row.result is None and row.id in timed}
        self._move_on(timed, waiting, frozenset(unread).union(row.id for row in fresh))
        news, self._based = fresh if self._based else [], True
        return sorted(news, key=lambda row: (timed[row.id], row.id))

    def place(self, unread: Iterable[int] = ()) -> RunsPlace | None:
        """The position to store, without the unread rows. None before the first poll."""
        if not self._based:
            return None
        missing = {number: self._told[number] for number in unread if number in self._told}
        if not missing and self._place is not None:
            return self._place
        times = [time for time in missing.values() if time is not None]
        place = RunsPlace(
            after=None if self._after is None else min([self._after, *times]),
            floor=self._floor,
            open=self._open.union(missing),
            told=frozenset(
                number
                for number, time in self._told.items()
                if number not in missing and not self._is_settled(number, time)
            ),
            newest=self._newest,
        )
        if not missing:
            self._place = place
        return place

    def _is_ahead(self, time: datetime) -> bool:
        """Whether the time is in the future of the server's own clock."""
        return self._now is not None and utc(time) > shifted(self._now, _AHEAD)

    def _is_told(self, number: int, time: datetime) -> bool:
        if number in self._told:
            return self._told[number] in {None, time}
        return number not in self._open and self._is_settled(number, time)

    def _is_settled(self, number: int, time: datetime | None) -> bool:
        """Whether both the id and the time of a row are well before those of the newest one."""
        if time is None or self._newest is None or number > self._floor:
            return False
        return utc(time) < shifted(utc(self._newest.time), -LAG)

    def _move_on(
        self, times: Mapping[int, datetime], waiting: Mapping[int, datetime], unread: Collection[int]
    ) -> None:
        if not times:
            return
        latest = max((time for time in times.values() if not self._is_ahead(time)), default=None)
        if latest is not None:
            was = self._newest or Newest(0, latest)
            self._newest = Newest(max(was.id, *times), max(was.time, latest))
        newest = latest or self._now or max(times.values())
        settled, oldest = shifted(newest, -LAG), shifted(newest, -PATIENCE)
        known = (*times.items(), *self._told.items())
        old = (number for number, time in known if time is not None and time < settled)
        self._floor = max([self._floor, *old])
        held = {number: time for number, time in waiting.items() if oldest <= time}
        self._open = frozenset(held)
        after = min([settled, *held.values()])
        # If the server's clock is not known, it may have been set back: then don't go back with it.
        self._after = max(self._after, after) if self._after is not None and self._now is None else after
        # Older rows are needed only for the place of a reader who is behind.
        for number, time in list(self._told.items()):
            # No time: the id is from a stored place, and the server does not have the row any more.
            if time is None or (number not in unread and self._is_settled(number, time)):
                del self._told[number]
