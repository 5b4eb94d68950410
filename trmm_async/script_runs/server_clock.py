"""The server's clock, and from when on rows of its history have to be read. Pure: the caller passes times.

The history can only be asked for by time, and rows' times can be wrong: the server's clock may have been
ahead when they were written, or be set back afterwards. So a row's time counts up to the server's own clock
only, as its answers show it, and rows are read from when a run was sent by that clock, if that is earlier.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from trmm_async import codec
from trmm_async.models import HistoryEntry

__all__ = ["ServerClock"]

_SLACK: Final = timedelta(seconds=5)
"""By how much the order of rows' times may differ from that of their numbers."""


class ServerClock:
    """What the server's clock showed last, and when that was by the clock of our event loop."""

    def __init__(self) -> None:
        self._shown: tuple[datetime, float] | None = None

    def show(self, server_time: datetime | None, now: float) -> None:
        """Take in what the server's answers show; None if they show nothing."""
        self._shown = None if server_time is None else (server_time, now)

    def not_ahead(self, time: datetime | None) -> datetime | None:
        """A row's time; the server's own time if the row is dated later than that."""
        return self._shown[0] if self._shown is not None and _is_later(time, self._shown[0]) else time

    def are_ahead(self, rows: Sequence[HistoryEntry]) -> bool:
        """Whether all of the newest rows are dated ahead of the server's clock.

        Then rows that were written later may be behind them by time: these don't tell the highest number.
        """
        if self._shown is None or not rows:
            return False
        limit = codec.shifted(self._shown[0], _SLACK)
        return all(_is_later(row.time, limit) for row in rows)

    def since(self, at: float | None) -> datetime | None:
        """From when on to read for what was written since `at`, by our clock; None for the whole history."""
        return None if self._shown is None or at is None else self.earliest([(self._shown[0], at)])

    def earliest(self, moments: Iterable[tuple[datetime | None, float]]) -> datetime | None:
        """From when on to read for all of these: a row's time, and when a run was sent by our clock.

        None for the whole history: the time of a row is not known, or nothing was given.
        """
        found: list[datetime] = []
        for time, at in moments:
            if time is None:
                return None
            found.append(time)
            if self._shown is not None:
                shown, shown_at = self._shown
                found.append(codec.shifted(shown, timedelta(seconds=min(0.0, at - shown_at))))
        return codec.shifted(min(found), -_SLACK) if found else None


def _is_later(time: datetime | None, than: datetime) -> bool:
    return time is not None and codec.utc(time) > than
