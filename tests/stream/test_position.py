"""A stored place in a stream: what it holds, and that nothing is lost or told twice from there on."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from tests.properties import many
from tests.servers import served
from tests.stream.test_catchup import THEN, WHO, Change, Reader, Server, alert, changes, offline, run, told
from trmm_async.errors import InvalidRequestError
from trmm_async.events import AlertEvent
from trmm_async.models import Alert
from trmm_async.stream.catchup import ReaderState, Snapshot
from trmm_async.stream.position import Newest, Place, Position, RunsPlace, read_position


def resolved(number: int) -> Alert:
    return Alert(id=number, agent_id=WHO, severity="warning", created_at=THEN, resolved=True)


def stored(place: Place) -> Place:
    return read_position(Position(agents={WHO: place}).text()).agents[WHO]


def test_a_position_survives_being_stored() -> None:
    place = Place(since=THEN, based=True, up=False, mark=9, latest=THEN, alerts={3: 2**48, 4: None})
    told = frozenset({1, 2, 3, 7})
    runs = RunsPlace(after=THEN, floor=3, open=frozenset({5}), told=told, newest=Newest(9, THEN))
    agents = {WHO: place, '"\n': Place(since=THEN)}
    position = Position(agents=agents, source=runs, server='https://rmm.example/"')
    assert read_position(position.text()) == position


NO_POSITIONS: list[object] = [
    "",
    "nonsense",
    "{",
    "[]",
    '{"agents": 1}',
    '{"version": 1}',
    '{"version": 3, "agents": {"a": [0, 7, 0, null, null]}}',
    '{"version": 3, "agents": {"a": [99999999999999999999, 0, 0, null, null]}}',
    '{"version": 3, "agents": {"a": ["2026-01-01T00:00:00", 0, 0, null, null]}}',
    '{"version": 3, "runs": [null, 0, [[1, 9999999999]], [], null]}',
    None,
    b"{}",
    "\ud800",
]


@pytest.mark.parametrize("text", NO_POSITIONS)
def test_what_is_no_position_is_refused(text: object) -> None:
    with pytest.raises(InvalidRequestError, match="since"):
        read_position(text)


@pytest.mark.parametrize(
    ("made_at", "here", "fits"),
    [
        ("https://rmm.example", "https://rmm.example", True),
        ("HTTPS://RMM.example:443/api/v3/", "https://rmm.example", True),
        ("https://rmm.example", None, True),  # a feed that is no server
        (None, "https://rmm.example", True),
        ("https://rmm.example", "https://lab.example", False),
        ("https://rmm.example", "https://rmm.example/prefix", False),
        ("https://rmm.example", "http://rmm.example", False),
    ],
)
def test_one_of_another_server_is_refused(made_at: str | None, here: str | None, fits: bool) -> None:
    text = Position(agents={WHO: Place(since=THEN)}, server=made_at).text()
    if fits:
        assert read_position(text, here).agents
    else:
        with pytest.raises(
            InvalidRequestError, match=f"a position of events of {made_at}, and this is {here}"
        ):
            read_position(text, here)


async def test_a_stream_writes_its_server_and_refuses_one_of_another(dialect: str) -> None:
    async with served(dialect, agents=1) as (server, trmm), served(dialect, agents=1) as (other, elsewhere):
        async with trmm.events(server.agent_ids) as events:
            place = events.position
        assert f'"server":"{server.url}"' in place
        with pytest.raises(InvalidRequestError, match=f"events of {server.url}, and this is {other.url}"):
            elsewhere.events(server.agent_ids, since=place)
        async with trmm.events(server.agent_ids, since=place) as events:
            assert f'"server":"{server.url}"' in events.position


def test_from_a_place_on_only_what_changed_is_missed() -> None:
    known = ReaderState(WHO)
    known.baseline(Snapshot({WHO: "online"}, [alert(1), alert(2), resolved(3), alert(4)]))
    again = ReaderState(WHO, stored(known.place(THEN)))
    after = Snapshot({WHO: "offline"}, [alert(1), resolved(2), resolved(3), alert(4, "worse"), alert(5)])
    worse = AlertEvent(agent_id=WHO, alert=alert(4, "worse"), change="changed")
    assert again.missed(after, THEN) == [offline(), *told(resolved(2)), worse, *told(alert(5))]


def test_what_was_not_read_is_told_again() -> None:
    known = ReaderState(WHO)
    known.baseline(Snapshot({WHO: "online"}, []))
    unread = [offline(THEN), *told(alert(1), resolved(2))]
    assert all(known.admit(event) for event in unread)
    again = ReaderState(WHO, stored(known.place(THEN, unread)))
    assert again.missed(Snapshot({WHO: "offline"}, [alert(1), resolved(2)]), THEN) == [
        offline(),
        *told(alert(1), resolved(2)),
    ]


def test_old_alerts_that_are_resolved_take_no_room() -> None:
    known = ReaderState(WHO)
    known.baseline(Snapshot({}, [*(resolved(number) for number in range(1, 1000)), alert(1000)]))
    place = known.place(THEN)
    assert (place.mark, list(place.alerts)) == (1000, [1000])
    assert stored(ReaderState(WHO, place).place(THEN)) == place


def test_what_was_raised_in_a_gap_is_told_though_a_later_one_was_heard_of() -> None:
    known = ReaderState(WHO)
    known.baseline(Snapshot({WHO: "online"}, [resolved(1)]))
    assert known.learn(told(alert(3))[0])  # 2 was raised as well, and nobody told it
    again = ReaderState(WHO, stored(known.place(THEN)))
    after = Snapshot({WHO: "online"}, [resolved(1), resolved(2), resolved(3)])
    assert again.missed(after, THEN) == told(resolved(2), resolved(3))
    assert again.missed(after, THEN) == []


def test_what_was_told_as_resolved_is_not_told_again_from_a_place() -> None:
    known = ReaderState(WHO)
    known.baseline(Snapshot({WHO: "online"}, []))
    assert all(known.admit(event) for event in told(alert(5), resolved(5)))
    again = ReaderState(WHO, stored(known.place(THEN)))
    assert again.missed(Snapshot({WHO: "online"}, [resolved(4), resolved(5)]), THEN) == told(resolved(4))


def test_a_stream_that_stands_for_long_forgets_what_was_resolved_and_tells_it_to_nobody_again() -> None:
    known = ReaderState(WHO)
    known.baseline(Snapshot({WHO: "online"}, []))
    alerts = [resolved(number) for number in range(1, 1001)]
    for one in alerts:
        known.admit(told(alert(one.id))[0])
        known.admit(told(one)[0])
        known.tidy()
    assert len(known._told) <= 65
    place = stored(known.place(THEN))
    assert len(place.alerts) <= 65
    for each in (known, ReaderState(WHO, place)):
        assert each.missed(Snapshot({WHO: "online"}, [*alerts, resolved(1001)]), THEN) == told(resolved(1001))


def test_open_alerts_are_never_forgotten() -> None:
    known = ReaderState(WHO)
    alerts = [alert(number) for number in range(500)]
    for one in alerts:
        known.admit(told(one)[0])
        known.tidy()
    known.baseline(Snapshot({WHO: "online"}, alerts))
    assert known.missed(Snapshot({WHO: "online"}, alerts), THEN) == []


def test_an_alert_of_a_restored_database_is_told_though_its_number_is_an_old_one() -> None:
    known = ReaderState(WHO)
    known.baseline(Snapshot({WHO: "online"}, [resolved(9)]))
    later = structs.replace(resolved(4), created_at=THEN + timedelta(hours=1))
    for each in (known, ReaderState(WHO, stored(known.place(THEN)))):
        assert each.missed(Snapshot({WHO: "online"}, [later]), THEN) == told(later)
        assert each.missed(Snapshot({WHO: "online"}, [later]), THEN) == []


def test_a_position_takes_some_dozen_bytes_an_agent() -> None:
    known = ReaderState("x" * 40)
    known.baseline(Snapshot({"x" * 40: "online"}, [resolved(123_456)]))
    assert len(known.place(datetime.now(UTC)).text("x" * 40)) < 100


def test_the_digest_is_the_same_in_every_process() -> None:
    known = ReaderState(WHO)
    known.admit(told(Alert(id=1, severity="error", message="C: full"))[0])
    assert known.place(datetime(2026, 1, 1, tzinfo=UTC)).alerts == {1: 42173452396552}


@given(before=changes(5), live=changes(6), read=st.integers(0, 6), away=changes(6), after=changes(4))
@settings(max_examples=many(150))
def test_a_reader_that_comes_back_knows_what_the_server_does(
    before: list[Change], live: list[Change], read: int, away: list[Change], after: list[Change]
) -> None:
    server = Server()
    run(server, before)
    reader = Reader(server.up, {number: one.message for number, one in server.alerts.items()})
    known = ReaderState(WHO)
    known.baseline(server.snapshot())
    frames = [event for event in run(server, live) if known.admit(event)]
    reader.hear(frames[:read])
    place = stored(known.place(THEN, frames[read:]))

    run(server, away)  # the process is gone

    again = ReaderState(WHO, place)
    reader.hear(again.missed(server.snapshot(), THEN))
    reader.hear(event for event in run(server, after) if again.admit(event))
    assert reader.knows(server)


@given(before=changes(5), early=changes(5), late=changes(5), after=changes(5))
@settings(max_examples=many(150))
def test_a_reader_that_asked_for_everything_knows_what_the_server_does(
    before: list[Change], early: list[Change], late: list[Change], after: list[Change]
) -> None:
    server = Server()
    run(server, before)
    reader = Reader(not server.up, {})
    known = ReaderState(WHO)
    arrived = run(server, early)
    snapshot = server.snapshot()
    arrived += run(server, late)
    reader.hear(known.missed(snapshot, THEN, arrived, everything=True))
    reader.hear(event for event in arrived if known.admit(event))
    reader.hear(event for event in run(server, after) if known.admit(event))
    assert reader.knows(server)


def test_everything_is_without_what_is_resolved() -> None:
    known = ReaderState(WHO)
    state = Snapshot({WHO: "offline"}, [alert(1), resolved(2)])
    assert known.missed(state, THEN, everything=True) == [offline(), *told(alert(1))]
    assert known.missed(state, THEN) == []
