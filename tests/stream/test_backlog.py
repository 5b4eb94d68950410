"""What waits for a slow consumer: bounded, told as a gap, true in the end. And which events are wanted."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.stream.happenings import THEN, down, gap, live, raised, up
from trmm_async.errors import NotFoundError
from trmm_async.events import (
    AgentOffline,
    AgentOnline,
    AlertEvent,
    DashboardCounts,
    Ended,
    Event,
    Gap,
    Live,
    ScriptOutput,
)
from trmm_async.stream.backlog import TOO_SLOW, Backlog


def out(text: str, who: str = "a") -> ScriptOutput:
    return ScriptOutput(agent_id=who, output=text)


def too_slow(dropped: int, who: str = "a", since: datetime = THEN) -> Gap:
    return Gap(agent_id=who, since=since, until=THEN, reason=TOO_SLOW, dropped=dropped)


def full(*events: Event, size: int = 1) -> Backlog:
    backlog = Backlog(size, lambda: THEN)
    for event in events:
        backlog.push(event)
    return backlog


def popped(backlog: Backlog) -> list[Event]:
    found: list[Event] = []
    while (event := backlog.pop()) is not None:
        found.append(event)
    return found


def test_with_room_everything_comes_in_order() -> None:
    backlog = full(up(), out("1"), up("b"), size=3)
    assert popped(backlog) == [up(), out("1"), up("b")]
    assert backlog.pop() is None
    assert repr(backlog) == "<Backlog 0/3, 0 dropped>"


def test_what_has_no_room_is_told_as_a_gap_and_then_as_it_stands() -> None:
    backlog = full(out("kept"), down(), raised(1, "x"), out("lost"), raised(2), up(), raised(1, "y"))
    assert (len(backlog), backlog.dropped) == (2, 6)
    assert popped(backlog) == [out("kept"), too_slow(6), raised(2), up(), raised(1, "y"), live()]
    backlog.push(out("again"))
    assert popped(backlog) == [out("again")]


def test_a_gap_that_is_dropped_is_part_of_the_other_and_live_waits_for_the_streams_own() -> None:
    backlog = full(up(), gap(dropped=3), down())
    assert popped(backlog) == [up(), too_slow(4, since=THEN - timedelta(hours=1)), down()]
    backlog.push(live())
    assert popped(backlog) == [live()]
    assert popped(full(up(), gap(), down(), live()))[-1] == live()


def test_an_agent_that_has_ended_is_told_so_and_is_not_live() -> None:
    ended = Ended(agent_id="a", error=NotFoundError(404, ""))
    assert popped(full(up(), down(), ended)) == [up(), too_slow(2), down(), ended]


def test_each_agent_has_a_gap_of_its_own_and_what_is_forgotten_is_gone() -> None:
    counts = DashboardCounts(servers=1, servers_offline=0, workstations=0, workstations_offline=0)
    backlog = full(up("b"), down("a"), down("b"), counts, counts)
    assert backlog.unread() == [up("b"), down("a"), down("b"), counts]
    backlog.forget("b")
    assert popped(backlog) == [too_slow(1), down("a"), live(), *popped(full(up(), counts, counts))[1:]]
    backlog = full(up(), down())
    backlog.clear()
    assert popped(backlog) == []


def test_the_states_of_what_was_dropped_are_bounded_and_what_is_not_whole_is_not_live() -> None:
    backlog = full(up(), up("b"), *(raised(number) for number in range(1000)), down(), raised(5, who="b"))
    assert len(backlog.unread()) <= 103
    first, gap_of_b, *of_b = popped(backlog)[:4]
    assert (first, of_b) == (up(), [up("b"), raised(5, who="b")])
    assert isinstance(gap_of_b, Gap)
    assert gap_of_b.reason == TOO_SLOW
    backlog = full(up(), *(raised(number) for number in range(1000)), down(), size=200)
    assert len(backlog.unread()) == 401
    kept = popped(backlog)
    gap_of_a, *state_of_a = kept[200:]
    assert isinstance(gap_of_a, Gap)
    assert gap_of_a.dropped == backlog.dropped == 802
    assert gap_of_a.reason == f"{TOO_SLOW}; how some of its alerts stand is lost as well"
    assert state_of_a == [*(raised(number) for number in range(800, 1000)), down()]
    backlog.push(live())
    assert popped(backlog) == [live()]
    heard: list[Event] = []
    for number in range(1000):  # what was let go makes room
        backlog.push(raised(number))
        if number % 150 == 0:
            heard += popped(backlog)
    assert all(event.reason == TOO_SLOW for event in heard if isinstance(event, Gap))
    assert len(backlog._alerts) <= 200


happenings = st.lists(
    st.one_of(
        st.sampled_from([up(), down(), up("b"), down("b"), out("x")]),
        st.builds(raised, st.integers(1, 3), st.sampled_from("xyz"), st.sampled_from("ab")),
        st.none(),
    ),
    max_size=40,
)


@given(what=happenings, size=st.integers(1, 3))
def test_however_it_is_read_the_end_is_the_true_state(what: list[Event | None], size: int) -> None:
    backlog, heard, sent = Backlog(size, lambda: THEN), list[Event](), list[Event]()
    for event in what:
        if event is None:
            heard += [one for one in [backlog.pop()] if one is not None]
        else:
            sent.append(event)
            backlog.push(event)
        assert len(backlog) <= size + 7
    heard += popped(backlog)
    assert state(heard) == state(sent)
    dropped = sum(event.dropped for event in heard if isinstance(event, Gap))
    assert dropped == backlog.dropped
    told_again = [event for event in heard if not isinstance(event, Gap | Live)]
    assert len(sent) - dropped <= len(told_again) <= len(sent)


def state(events: Sequence[Event]) -> dict[object, Event]:
    known: dict[object, Event] = {}
    for event in events:
        if isinstance(event, AlertEvent):
            known[event.agent_id, event.alert.id] = event
        elif isinstance(event, AgentOnline | AgentOffline):
            known[event.agent_id] = event
    return known


# Filters.
