"""Which finished script runs of a server's history are still to be told. Pure: no time but the server's.

Over `codec`, `models` and `position`; `polling` feeds it with the rows of each look.

A row is written when a script is sent, and its result is put in when the agent reports. So rows have to be
looked at again: from the oldest that is still without one, or from a little before the newest, since workers
write rows in another order than that of their times.
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
        self._settled = place.settled
        self._open = place.open
        self._told: dict[int, datetime | None] = dict.fromkeys(place.told)
        self._newest = place.newest
        self._place: RunsPlace | None = None

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

    def begin(self, newest: Iterable[HistoryEntry]) -> None:
        """The newest rows, a few: by them it is known how late it is on the server."""
        latest = max((row.time for row in newest if row.time is not None), default=None)
        self._after = None if latest is None else shifted(latest, -PATIENCE)
        self._begun = True

    def begins_anew(self, rows: Iterable[HistoryEntry]) -> bool:
        """Whether the rows are numbered anew, as those of a restored database are. Ask it before `finished`.

        All of them that are not known by their own time count as news then. A lower number with a later time
        is no sign of it within `LAG`.
        """
        if (known := self._newest) is None:
            return False
        if not any(
            row.time is not None and row.id <= known.id and utc(row.time) > shifted(utc(known.time), LAG)
            for row in rows
        ):
            return False
        # Of the numbers there were nothing is left but their times: what is later than all of them is new.
        self._told, self._open, self._newest = {}, frozenset(), None
        self._settled = known.time
        return True

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
            settled=self._settled,
            open=self._open.union(missing),
            told=frozenset(
                number for number in self._told if number not in missing and self._is_late(number)
            ),
            newest=self._newest,
        )
        if not missing:
            self._place = place
        return place

    def _is_told(self, number: int, time: datetime) -> bool:
        if number in self._told:
            return True
        return self._settled is not None and time < self._settled and number not in self._open

    def _is_late(self, number: int) -> bool:
        time = self._told[number]
        return time is None or self._settled is None or time >= self._settled

    def _move_on(
        self, times: Mapping[int, datetime], waiting: Mapping[int, datetime], unread: Collection[int]
    ) -> None:
        if not times:
            return
        top, newest = max(times), max(times.values())
        if self._newest is None or top > self._newest.id:
            self._newest = Newest(top, newest)
        settled = shifted(newest, -LAG)
        self._settled = settled = settled if self._settled is None else max(self._settled, settled)
        oldest = shifted(newest, -PATIENCE)
        late = {number: time for number, time in waiting.items() if oldest <= time < settled}
        self._open = frozenset(late)
        after = min([settled, *late.values()])
        self._after = after if self._after is None else max(self._after, after)
        # Older ones are of use only for the place of a reader who is behind.
        for number, time in list(self._told.items()):
            # Without a time: from a stored place, and the server has it no more.
            if time is None or (time < settled and number not in unread):
                del self._told[number]
