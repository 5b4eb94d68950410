"""Values about one run: which rows a part of the history has, and what a new run waits for."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from trmm_async import HistoryEntry
from trmm_async.script_runs.tracked import BOTTOM, Span, TrackedRun

NOON = datetime(2026, 4, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("time", "held"),
    [
        (NOON - HOUR, False),
        (NOON, True),
        (NOON + HOUR, True),
        (NOON + 2 * HOUR, False),
        ((NOON + HOUR).astimezone(timezone(5 * HOUR)), True),
        (NOON.replace(tzinfo=None), True),  # as an old server writes it: in UTC
        (None, False),
    ],
)
def test_both_ends_are_in_it_and_a_row_without_a_time_is_not(time: datetime | None, held: bool) -> None:
    row = HistoryEntry(id=1, time=time)
    assert Span(NOON, NOON + HOUR).holds(row) is held
    assert Span(None).holds(row) is (time is not None)
    assert Span(NOON).holds(row) is (held or time == NOON + 2 * HOUR)


def test_a_new_run_waits_for_all_and_shares_nothing() -> None:
    one, other = TrackedRun(1, 90.0, ("a", "b")), TrackedRun(1, 90.0, ("a", "b"))
    assert (one.pending, one.expected, one.watermark) == ({"a", "b"}, 2, BOTTOM)
    one.pending.discard("a")
    one.rows["a"] = HistoryEntry(id=1)
    assert (other.pending, other.rows) == ({"a", "b"}, {})
    assert one != other
    assert repr(one) == "<TrackedRun script 1: 1 pending, 1 rows>"
