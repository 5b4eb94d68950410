"""Which finished script runs of a server's history are still to be told. Pure: no time but the server's.

Over `models` and `position`; `polling` feeds it with the rows of each look.

A row is written when a script is sent, and its result is put in when the agent reports. So rows have to be
looked at again: from the oldest that is still without one, or from a little before the newest, since workers
write rows in another order than that of their times.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from trmm_async.models import HistoryEntry
from trmm_async.stream.position import RunsPlace

__all__ = ["LAG", "PATIENCE", "Runs"]

LAG: Final = timedelta(minutes=1)
"""How much later than its own time a row may appear in the history."""

PATIENCE: Final = timedelta(hours=1)
"""How much older than the newest row one may be that is still waited for."""

_REMEMBERED: Final = 5000


class Runs:
    """How far the history was told.

    Args:
        place: where an earlier reader was; None: what is in the history at the first look was so before.
    """

    def __init__(self, place: RunsPlace | None = None) -> None:
        self._based = self._begun = place is not None
        self._after = place.after if place is not None else None
        self._told: dict[int, datetime] = dict(place.told) if place is not None else {}

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
        self._after = None if latest is None else latest - PATIENCE
        self._begun = True

    def finished(self, rows: Sequence[HistoryEntry]) -> list[HistoryEntry]:
        """The rows that are finished and were not told, the oldest first; they count as told from now on.

        None the first time where there was no place: what is finished then was so before.

        Args:
            rows: all from `after` on.
        """
        timed = {row.id: row.time for row in rows if row.time is not None}
        done = [row for row in rows if row.result is not None and row.id in timed]
        fresh = [row for row in done if row.id not in self._told]
        self._told.update((row.id, timed[row.id]) for row in fresh)
        self._move_on(
            [*timed.values()], [timed[row.id] for row in rows if row.result is None and row.id in timed]
        )
        news, self._based = fresh if self._based else [], True
        return sorted(news, key=lambda row: (timed[row.id], row.id))

    def place(self, unread: Iterable[int] = ()) -> RunsPlace | None:
        """All this, to be stored, less the rows that were not read; None before the first look."""
        if not self._based:
            return None
        times = {number: self._told[number] for number in unread if number in self._told}
        after = None if self._after is None else min([self._after, *times.values()])
        told = {
            number: time
            for number, time in self._told.items()
            if number not in times and (after is None or time >= after)
        }
        return RunsPlace(after=after, told=told)

    def _move_on(self, times: Sequence[datetime], waiting: Sequence[datetime]) -> None:
        if not times:
            return
        newest = max(times)
        after = min([newest - LAG, *(time for time in waiting if time >= newest - PATIENCE)])
        self._after = after if self._after is None else max(self._after, after)
        # Older ones can't come again, and are of use only for the place of a reader who is behind.
        gone = [number for number, time in self._told.items() if time < self._after]
        for number in gone[: max(0, len(self._told) - _REMEMBERED)]:
            del self._told[number]
