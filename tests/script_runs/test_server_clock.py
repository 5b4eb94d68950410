"""From when on a history is read: no row is missed because a server's clock is wrong, or was set."""

from datetime import UTC, datetime, timedelta

import pytest

from trmm_async.models import HistoryEntry
from trmm_async.script_runs.server_clock import ServerClock

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
SLACK = timedelta(seconds=5)


def noon_at(now: float) -> ServerClock:
    """A clock that showed noon at this time of ours."""
    clock = ServerClock()
    clock.show(NOON, now)
    return clock


def rows(*seconds: float | None) -> list[HistoryEntry]:
    """Rows that are dated so many seconds after noon."""
    times = [None if one is None else NOON + timedelta(seconds=one) for one in seconds]
    return [HistoryEntry(id=number, time=time) for number, time in enumerate(times)]


def test_a_row_counts_up_to_the_servers_own_time() -> None:
    clock = noon_at(7)
    assert clock.not_ahead(NOON - SLACK) == NOON - SLACK
    assert clock.not_ahead(NOON + SLACK) == NOON
    assert clock.not_ahead(None) is None
    assert ServerClock().not_ahead(NOON + SLACK) == NOON + SLACK, "nothing is known to hold it against"


@pytest.mark.parametrize(
    ("seconds", "ahead"), [((6, 60), True), ((6, 5), False), ((6, None), False), ((), False), ((-9,), False)]
)
def test_rows_are_ahead_if_all_of_them_are(seconds: tuple[float | None, ...], ahead: bool) -> None:
    assert noon_at(7).are_ahead(rows(*seconds)) is ahead
    assert not ServerClock().are_ahead(rows(*seconds))


def test_what_was_written_since_is_read_by_the_clock_that_the_server_shows_now() -> None:
    assert noon_at(100).since(90) == NOON - timedelta(seconds=10) - SLACK
    assert noon_at(100).since(110) == NOON - SLACK, "no later than now"
    assert noon_at(100).since(None) is None
    assert ServerClock().since(90) is None


def test_the_earliest_of_all_is_read_and_the_whole_history_where_one_is_not_known() -> None:
    hour = timedelta(hours=1)
    # The second run was sent 20 s ago, when the server's clock was an hour ahead: it has been set back since.
    assert noon_at(100).earliest([(NOON, 100), (NOON + hour, 80)]) == NOON - timedelta(seconds=20) - SLACK
    assert noon_at(100).earliest([(NOON - hour, 100)]) == NOON - hour - SLACK
    assert ServerClock().earliest([(NOON + hour, 80)]) == NOON + hour - SLACK
    assert noon_at(100).earliest([(NOON, 100), (None, 80)]) is None
    assert noon_at(100).earliest([]) is None
