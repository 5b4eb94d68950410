"""Which finished script runs of a server's history are still to be told. Pure: the caller passes the times.

Over `codec`, `models` and `position`; `polling` feeds it with the rows of each look.

A row is written when a script is sent, and its result is put in when the agent reports. So rows have to be
looked at again: from the oldest that is still without one, or from a little before the newest, since workers
write rows in another order than that of their times.

The history can only be asked for by time, and times can be wrong: a server's clock that is ahead for a while
writes rows of tomorrow, and one that is set back writes new rows behind old ones. So no row's time moves the
place beyond the server's own clock, as its answers show it, and what was told is known by its number.
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
"""How much older than the newest row one may be that is still waited for."""

_AHEAD: Final = timedelta(seconds=5)
"""How much later than the server's clock a row's time may be: `Date` has whole seconds, and may be kept."""


class Runs:
    """How far the history was told.

    Known one by one are only the rows of the last minute, by the server's clock, and those from before it
    that are not told yet: a history is long, and so would be what is kept of it.

    Args:
        place: where an earlier reader was; None: what is in the history at the first look was so before.
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
        """Whether it is known from when on rows are needed; else see `begin`."""
        return self._begun

    @property
    def after(self) -> datetime | None:
        """From which moment of the server's clock on rows are needed; None for all there are."""
        return self._after

    def tick(self, now: datetime | None, at: float) -> None:
        """How late it is on the server, before a look: rows are needed from no later than that on.

        Args:
            now: the server's clock; None if it shows none.
            at: a clock of ours that is never set. By how much the server's fell behind it since the last
                look, it was set back: what was written since may be that much older.
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
        """The newest rows, a few: by them it is known how late it is on the server."""
        times = [row.time for row in newest if row.time is not None]
        if times:
            latest = max((time for time in times if not self._is_ahead(time)), default=self._now)
            self._after = shifted(latest or max(times), -PATIENCE)
        self._begun = True

    def begins_anew(self, rows: Iterable[HistoryEntry]) -> bool:
        """Whether the rows are numbered anew, as those of a restored database are. Ask it before `finished`.

        All of them that are not known by their own time count as news then. A lower number with a later time
        is no sign of it within `LAG`.
        """
        if (newest := self._newest) is None:
            return False
        timed = [(row, row.time) for row in rows if row.time is not None]
        if not any(
            row.id <= newest.id and self._is_another(row.id, time, newest.time) for row, time in timed
        ):
            return False
        # Of the numbers there were nothing is left but their times: what is later than all of them is new.
        self._told = {row.id: time for row, time in timed if time <= newest.time and row.result is not None}
        self._open, self._newest, self._floor = frozenset(), None, max(self._told, default=0)
        return True

    def _is_another(self, number: int, time: datetime, latest: datetime) -> bool:
        """Whether this number is known as that of another row, or as none, and the row is later than all."""
        if utc(time) <= shifted(utc(latest), LAG) or number in self._open:
            return False
        known = self._told.get(number, latest)
        # Of a row that an earlier reader was told the number alone is known.
        return not self._is_ahead(time) if known is None else known != time

    def finished(self, rows: Sequence[HistoryEntry], unread: Iterable[int] = ()) -> list[HistoryEntry]:
        """The rows that are finished and were not told, the oldest first; they count as told from now on.

        None the first time where there was no place: what is finished then was so before.

        Args:
            rows: all from `after` on.
            unread: numbers of rows that were told, and not read: a `place` may have to go back to them.
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
        """All this, to be stored, less the rows that were not read; None before the first look."""
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
        """Whether it is yet to come, by the server's own clock."""
        return self._now is not None and utc(time) > shifted(self._now, _AHEAD)

    def _is_told(self, number: int, time: datetime) -> bool:
        if number in self._told:
            return self._told[number] in {None, time}
        return number not in self._open and self._is_settled(number, time)

    def _is_settled(self, number: int, time: datetime | None) -> bool:
        """Whether a row was there long before the newest one, by its number and by its time."""
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
        # Without the server's clock there is no telling whether it was set back.
        self._after = max(self._after, after) if self._after is not None and self._now is None else after
        # Older ones are of use only for the place of a reader who is behind.
        for number, time in list(self._told.items()):
            # Without a time: from a stored place, and the server has it no more.
            if time is None or (number not in unread and self._is_settled(number, time)):
                del self._told[number]
