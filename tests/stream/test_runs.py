"""Which finished runs of a history are told: each once, however the clocks stand and whoever writes late."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from tests.stream.histories import THEN, row, runs_of
from trmm_async.models import Alert, HistoryEntry
from trmm_async.stream.catchup import ReaderState, Snapshot
from trmm_async.stream.position import Position, RunsPlace, read_position
from trmm_async.stream.runs import LAG, PATIENCE, Runs


def test_rows_that_turn_up_late_or_finish_late_are_told() -> None:
    runs = Runs()
    runs.begin([row(1)])
    assert runs.after == THEN - PATIENCE
    assert runs.finished([row(1), row(2, done=False)]) == []
    second = timedelta(seconds=1)
    assert runs.after == THEN - LAG
    assert runs.finished([row(4, at=30 * second)]) == [row(4, at=30 * second)]
    late = [row(2), row(3, at=second), row(4, at=30 * second)]
    assert runs.finished(late) == [row(2), row(3, at=second)]
    assert runs.finished(late) == []
    assert runs.finished(late) == []
    assert "4 told" in repr(runs)


def test_a_row_without_an_end_is_not_waited_for_for_ever() -> None:
    runs = Runs()
    runs.begin([])
    assert runs.after is None
    assert runs.finished([]) == []
    runs.finished([row(1, done=False), row(2, at=PATIENCE)])
    assert runs.after == THEN
    runs.finished([row(1, done=False), row(3, at=2 * PATIENCE)])
    assert runs.after == THEN + 2 * PATIENCE - LAG


def test_of_a_long_history_the_last_minute_is_known_and_what_was_not_read() -> None:
    runs = Runs(RunsPlace())
    second = timedelta(seconds=1)
    rows: list[HistoryEntry] = []
    for start in range(0, 12_000, 1000):
        rows = [row(number, at=number * second) for number in range(start, start + 1000)]
        assert len(runs.finished(rows, [500])) == 1000
    assert runs.finished(rows, [500]) == []
    assert len(runs._told) == 62
    place = runs.place([500, 11_990])
    assert place is not None
    assert place.after == THEN + 500 * second
    assert place.open == {500, 11_990}
    assert place.told == {*range(11_939, 12_000)} - {11_990}
    again = runs_of(read_position(Position(source=place).text()))
    assert again.finished([row(500, at=500 * second), row(501, at=501 * second), *rows]) == [
        row(500, at=500 * second),
        row(11_990, at=11_990 * second),
    ]


def test_a_run_that_is_waited_for_keeps_no_others_in_the_place() -> None:
    runs = Runs(RunsPlace())
    second = timedelta(seconds=1)
    waiting = [row(number, done=False) for number in range(100)]
    for minute in range(50):
        rows = [row(1000 + minute * 60 + number, at=(minute * 60 + number) * second) for number in range(60)]
        runs.finished([*waiting, *rows])
    place = runs.place()
    assert place is not None
    assert (place.after, place.open) == (THEN, frozenset(range(100)))
    assert len(place.told) == 61
    assert len(Position(source=place).text()) < 150


moves = st.lists(
    st.tuples(
        st.sampled_from(["start", "finish", "run", "run", "look", "look", "restart", "jump", "wait"]),
        st.integers(-5000, 5000),
    ),
    max_size=40,
)


@given(moves=moves)
@example([("run", 0), ("look", 0), ("jump", 5000), ("run", 0), ("jump", -5000), ("run", 0), ("look", 0)])
@example([("run", 0), ("look", 0), ("jump", -5000), ("run", 0), ("wait", 5000), ("run", 0)])
@example([("run", 0), ("look", 0), ("jump", -64), ("run", 0), ("jump", 64)])
@settings(max_examples=150)
def test_however_a_servers_clock_is_set_each_run_is_told_once(  # noqa: C901
    moves: list[tuple[str, int]],
) -> None:
    """A clock that is set back is seen before it is set ahead again: else nothing shows that it was."""
    rows: dict[int, HistoryEntry] = {}
    finished_late: set[int] = set()  # too late to be waited for, maybe
    ahead, passed, runs, told = timedelta(0), 0.0, Runs(), list[int]()
    set_back = False  # since the last look

    def look() -> None:
        nonlocal set_back
        set_back = False
        now = THEN + ahead + timedelta(seconds=passed)
        runs.tick(now, passed)
        if not runs.begun:
            runs.begin(sorted(rows.values(), key=lambda row: row.time or THEN)[-5:])
        after = runs.after
        window = [row for row in rows.values() if after is None or (row.time or THEN) >= after]
        assert not runs.begins_anew(window)
        told.extend(row.id for row in runs.finished(window))

    look()
    for what, number in [*moves, ("look", 0)]:
        passed += 1
        match what:
            case "start" | "run":
                at = ahead + timedelta(seconds=passed)
                rows[len(rows) + 1] = row(len(rows) + 1, at=at, done=what == "run")
            case "finish" if (one := rows.get(number % 7)) is not None:
                finished_late.update({one.id} if one.result is None else ())
                rows[one.id] = structs.replace(one, result=row(1).result)
            case "jump":
                if set_back and number > 0:
                    look()
                ahead += timedelta(seconds=number)
                set_back |= number < 0
            case "wait":
                passed += abs(number) % 1800
            case "look":
                look()
            case "restart":
                look()
                runs = runs_of(read_position(Position(source=runs.place()).text()))
                look()
    late = {one.id for one in rows.values() if one.result is not None}
    assert len(told) == len(set(told))
    assert late >= set(told)
    run_at_once = {
        number for number, one in rows.items() if one.result is not None and number not in finished_late
    }
    assert set(told) >= run_at_once


def test_numbers_that_begin_anew_are_noticed_and_their_runs_told() -> None:
    runs = Runs()
    assert not runs.begins_anew([row(50)])
    runs.finished([row(50), row(51)])
    later = [row(40, at=LAG), row(52, at=2 * LAG)]
    assert not runs.begins_anew(later)  # workers write in another order, within a minute
    runs.finished(later)
    again = runs_of(read_position(Position(source=runs.place()).text()))
    restored = [row(52, at=4 * LAG), row(41, at=3 * LAG)]
    for each in (runs, again):
        assert each.begins_anew(restored)
        assert each.finished(restored) == restored[::-1]
        assert not each.begins_anew(restored)
        assert each.finished(restored) == []


def test_before_the_first_look_there_is_no_place() -> None:
    assert Runs().place() is None


ENDS = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    datetime.max.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
]


@pytest.mark.parametrize("time", ENDS)
def test_times_at_an_end_of_the_calendar_end_no_stream(time: datetime) -> None:
    """Many write "never" so."""
    runs, rows = Runs(), [structs.replace(row(5), time=time)]
    runs.begin(rows)
    known = ReaderState("a")
    alert = Alert(id=7, agent_id="a", severity="error", created_at=time)
    for resolved in (False, True, True):
        assert not runs.begins_anew(rows)
        runs.finished(rows)
        alert = structs.replace(alert, resolved=resolved)
        known.missed(Snapshot({"a": "online"}, [alert]), THEN)
    text = Position(agents={"a": known.place(time)}, source=runs.place()).text()
    again = read_position(text)
    ReaderState("a", again.agents["a"]).missed(Snapshot({}, [alert]), again.agents["a"].since)
    assert not runs_of(again).begins_anew(rows)
