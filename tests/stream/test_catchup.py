"""What a gap hid is told once, and leads to the server's present state."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.properties import many
from trmm_async.events import AgentOffline, AgentOnline, AlertEvent, Event, ScriptOutput
from trmm_async.models import Alert
from trmm_async.stream.catchup import CLOCK_SKEW, ReaderState, Snapshot

WHO = "agent-1"
THEN = datetime(2026, 4, 21, 8, 0, tzinfo=UTC)


def alert(number: int, message: str = "", *, at: datetime | None = THEN, who: str | None = WHO) -> Alert:
    return Alert(id=number, agent_id=who, severity="warning", message=message, created_at=at)


def told(*alerts: Alert) -> list[Event]:
    return [
        AlertEvent(agent_id=WHO, alert=one, change="resolved" if one.resolved else "raised") for one in alerts
    ]


def online(time: datetime | None = None) -> AgentOnline:
    return AgentOnline(agent_id=WHO, time=time)


def offline(time: datetime | None = None) -> AgentOffline:
    return AgentOffline(agent_id=WHO, time=time)


def based(snapshot: Snapshot) -> ReaderState:
    known = ReaderState(WHO)
    known.baseline(snapshot)
    return known


def test_a_snapshot_tells_the_status_first_and_alerts_by_id() -> None:
    snapshot = Snapshot({WHO: "overdue"}, [alert(9), alert(2), alert(5, who="other"), alert(1, who=None)])
    assert snapshot.about(WHO) == [offline(), *told(alert(2), alert(9))]


def test_a_status_that_says_nothing_of_up_or_down_is_not_told() -> None:
    assert Snapshot({WHO: "rebooting"}, []).about(WHO) == []
    assert Snapshot({}, []).about(WHO) == []


def test_nothing_is_missed_where_nothing_changed() -> None:
    snapshot = Snapshot({WHO: "online"}, [alert(1)])
    assert based(snapshot).missed(snapshot, THEN) == []


def test_a_changed_status_and_new_changed_and_resolved_alerts_are_missed() -> None:
    known = based(Snapshot({WHO: "online"}, [alert(1), alert(2), alert(3)]))
    resolved = Alert(id=2, agent_id=WHO, severity="warning", created_at=THEN, resolved=True)
    after = Snapshot({WHO: "offline"}, [alert(1), resolved, alert(3, "worse"), alert(4)])
    assert known.missed(after, THEN) == [
        offline(),
        AlertEvent(agent_id=WHO, alert=resolved, change="resolved"),
        AlertEvent(agent_id=WHO, alert=alert(3, "worse"), change="changed"),
        *told(alert(4)),
    ]


def test_what_was_told_live_is_not_missed() -> None:
    known = based(Snapshot({WHO: "online"}, []))
    assert all(known.admit(event) for event in [offline(THEN), *told(alert(1))])
    assert known.missed(Snapshot({WHO: "offline"}, [alert(1)]), THEN) == []


def test_an_alert_that_the_server_no_longer_has_is_neither_invented_nor_remembered() -> None:
    known = based(Snapshot({WHO: "online"}, [alert(1)]))
    assert known.missed(Snapshot({WHO: "online"}, []), THEN) == []
    assert known.missed(Snapshot({WHO: "online"}, [alert(1)]), THEN) == told(alert(1))


def test_the_same_alert_with_a_time_of_fewer_digits_is_the_same() -> None:
    precise, coarse = THEN.replace(microsecond=123456), THEN.replace(microsecond=123000)
    known = based(Snapshot({}, [alert(1, at=precise)]))
    assert known.missed(Snapshot({}, [alert(1, at=coarse)]), THEN) == []


def test_a_baseline_does_not_overrule_what_the_socket_told() -> None:
    known = ReaderState(WHO)
    known.admit(offline(THEN))
    known.baseline(Snapshot({WHO: "online"}, []))
    assert known.missed(Snapshot({WHO: "online"}, []), THEN) == [online()]


def test_without_a_baseline_the_status_is_told_and_alerts_that_are_new_by_their_time() -> None:
    known = ReaderState(WHO)
    known.admit(AlertEvent(agent_id=WHO, alert=alert(1, "was")))
    since = THEN + timedelta(hours=1)
    skewed = alert(3, at=since - CLOCK_SKEW + timedelta(seconds=1))
    undated = alert(4, at=None)
    after = Snapshot({WHO: "offline"}, [alert(1, "is"), alert(2), skewed, undated])
    changed = AlertEvent(agent_id=WHO, alert=alert(1, "is"), change="changed")
    assert known.missed(after, since) == [offline(), changed, *told(skewed, undated)]


def test_without_a_baseline_a_told_status_that_changed_is_missed() -> None:
    known = ReaderState(WHO)
    known.admit(online(THEN))
    assert known.missed(Snapshot({WHO: "offline"}, []), THEN) == [offline()]


def test_what_arrived_by_itself_is_left_to_tell_itself() -> None:
    known = based(Snapshot({WHO: "online"}, []))
    arrived: list[Event] = [offline(THEN), *told(alert(1, "first"), alert(1, "second"))]
    assert known.missed(Snapshot({WHO: "offline"}, [alert(1, "second")]), THEN, arrived) == []
    assert all(known.admit(event) for event in arrived)


def test_a_frame_that_repeats_the_catch_up_is_left_out_once() -> None:
    known = based(Snapshot({WHO: "online"}, []))
    known.missed(Snapshot({WHO: "offline"}, [alert(1)]), THEN)
    assert not known.admit(offline(THEN))
    assert not known.admit(told(alert(1))[0])
    assert known.admit(offline(THEN))
    assert known.admit(told(alert(1))[0])


def test_a_frame_that_differs_from_the_catch_up_is_told_and_so_is_the_next() -> None:
    known = based(Snapshot({WHO: "online"}, []))
    known.missed(Snapshot({WHO: "offline"}, []), THEN)
    assert [known.admit(event) for event in (online(THEN), offline(THEN))] == [True, True]


def test_script_output_is_never_a_repeat() -> None:
    known = ReaderState(WHO)
    output = ScriptOutput(agent_id=WHO, output="line\n")
    assert known.admit(output)
    assert known.admit(output)
    assert "0 facts" in repr(known)
    assert "0 alerts" in repr(Snapshot({}, []))


# A server whose agent goes up and down and whose alerts change, and a reader that is cut off for a while.

Change = int | None
"""An alert's number: it changes. None: the agent goes up or down."""


@dataclass
class Server:
    """Every change gives a frame; an alert's message counts its changes, so that no two states are alike."""

    up: bool = True
    alerts: dict[int, Alert] = field(default_factory=dict)
    frames: list[Event] = field(default_factory=list)

    def change(self, what: Change) -> None:
        if what is None:
            self.up = not self.up
            when = THEN + timedelta(seconds=len(self.frames))
            self.frames.append(online(when) if self.up else offline(when))
            return
        old = self.alerts.get(what)
        self.alerts[what] = alert(what, str(int(old.message) + 1) if old is not None else "0")
        self.frames.append(AlertEvent(agent_id=WHO, alert=self.alerts[what]))

    def snapshot(self) -> Snapshot:
        return Snapshot({WHO: "online" if self.up else "offline"}, list(self.alerts.values()))


@dataclass
class Reader:
    up: bool
    alerts: dict[int, str]
    heard: list[Event] = field(default_factory=list)

    def hear(self, events: Iterable[Event]) -> None:
        for event in events:
            self.heard.append(event)
            if isinstance(event, AlertEvent):
                self.alerts[event.alert.id] = event.alert.message
            else:
                self.up = isinstance(event, AgentOnline)

    def knows(self, server: Server) -> bool:
        present = {number: one.message for number, one in server.alerts.items()}
        return self.up == server.up and self.alerts == present


def changes(most: int) -> st.SearchStrategy[list[Change]]:
    return st.lists(st.none() | st.integers(1, 3), max_size=most)


def told_twice(heard: Sequence[Event]) -> bool:
    """Whether one change of the server was heard twice: by two frames, or by a frame and the catch-up."""
    states = [(event.alert.id, event.alert.message) for event in heard if isinstance(event, AlertEvent)]
    statuses = [event for event in heard if isinstance(event, AgentOnline | AgentOffline)]
    times = [event.time for event in statuses if event.time is not None]
    same = [(a, b) for a, b in pairwise(statuses) if type(a) is type(b)]
    caught_up_too = any(a.time is None or b.time is None for a, b in same)
    return len(set(states)) < len(states) or len(set(times)) < len(times) or caught_up_too


def run(server: Server, what: Iterable[Change]) -> list[Event]:
    before = len(server.frames)
    for change in what:
        server.change(change)
    return server.frames[before:]


@given(
    before=changes(5), live=changes(5), lost=changes(6), early=changes(5), late=changes(5), after=changes(5)
)
@settings(max_examples=many(120))
def test_the_reader_ends_where_the_server_is_and_hears_nothing_twice(
    *,
    before: list[Change],
    live: list[Change],
    lost: list[Change],
    early: list[Change],
    late: list[Change],
    after: list[Change],
) -> None:
    server = Server()
    run(server, before)
    reader = Reader(server.up, {number: one.message for number, one in server.alerts.items()})
    known = based(server.snapshot())
    reader.hear(event for event in run(server, live) if known.admit(event))

    run(server, lost)  # the connection is away

    arrived = run(server, early)
    snapshot = server.snapshot()
    arrived += run(server, late)  # here before the snapshot's answer was used
    reader.hear(known.missed(snapshot, THEN, arrived))
    reader.hear(event for event in arrived if known.admit(event))
    reader.hear(event for event in run(server, after) if known.admit(event))

    assert reader.knows(server)
    assert not told_twice(reader.heard)


@given(live=changes(5), lost=changes(6), early=changes(5), after=changes(5), lag=st.integers(0, 5))
@settings(max_examples=many(120))
def test_frames_that_lag_behind_the_snapshot_still_lead_to_the_servers_state(
    live: list[Change], lost: list[Change], early: list[Change], after: list[Change], lag: int
) -> None:
    server = Server()
    reader = Reader(server.up, {})
    known = based(server.snapshot())
    reader.hear(event for event in run(server, live) if known.admit(event))
    run(server, lost)
    frames = run(server, early)
    here = frames[: max(0, len(frames) - lag)]
    reader.hear(known.missed(server.snapshot(), THEN, here))
    reader.hear(event for event in frames + run(server, after) if known.admit(event))
    assert reader.knows(server)


@given(gaps=st.lists(st.tuples(changes(4), changes(4)), max_size=4))
@settings(max_examples=many(70))
def test_gap_after_gap_the_reader_keeps_up(gaps: list[tuple[list[Change], list[Change]]]) -> None:
    server = Server()
    reader = Reader(server.up, {})
    known = based(server.snapshot())
    for live, lost in gaps:
        reader.hear(event for event in run(server, live) if known.admit(event))
        run(server, lost)
        reader.hear(known.missed(server.snapshot(), THEN))
        assert reader.knows(server)


def told_changes(known: ReaderState, *alerts: Alert) -> list[str]:
    events = [AlertEvent(agent_id=WHO, alert=one) for one in alerts]
    assert all(known.admit(event) for event in events)
    return [event.change for event in events]


class TestWhatIsNewOfAnAlert:
    def test_it_is_raised_once_however_often_it_changes(self) -> None:
        known = based(Snapshot({}, [alert(1)]))
        snoozed = replace(alert(2), snoozed=True)
        closed = replace(alert(2, "worse"), resolved=True)
        steps = [alert(2), snoozed, alert(2), alert(2, "worse"), closed, alert(2, "again")]
        told = told_changes(known, *steps)
        assert told == ["raised", "snoozed", "changed", "changed", "resolved", "raised"]
        assert told_changes(known, alert(1, "other")) == ["changed"]  # it was there when the stream began

    def test_it_is_raised_by_what_arrives_while_the_state_is_read(self) -> None:
        known = based(Snapshot({}, []))
        arrived: list[Event] = [*told(alert(1, "first")), *told(alert(1, "second"))]
        assert known.missed(Snapshot({}, [alert(1, "second")]), THEN, arrived) == []
        assert told_changes(known, alert(1, "first"), alert(1, "second")) == ["raised", "changed"]

    def test_what_the_reader_was_told_as_resolved_is_raised_anew(self) -> None:
        known = based(Snapshot({}, []))
        assert told_changes(known, replace(alert(1), resolved=True), alert(1)) == ["resolved", "raised"]


def test_an_alert_of_a_gap_is_told_by_the_servers_clock() -> None:
    """Where nothing but its time can tell: the server's is a day behind ours."""
    theirs = THEN - timedelta(days=1)
    raised = Alert(id=7, agent_id=WHO, severity="error", created_at=theirs + timedelta(seconds=5))
    for clock, is_told in ((theirs, True), (None, False)):
        snapshot = Snapshot({WHO: "online"}, [raised], clock=clock, now=THEN)
        events = ReaderState(WHO).missed(snapshot, THEN)
        assert any(isinstance(event, AlertEvent) for event in events) is is_told


def test_an_alert_dated_ahead_hides_none_of_a_restored_database() -> None:
    known = ReaderState(WHO)
    first = Alert(id=9, agent_id=WHO, severity="error", created_at=THEN)
    ahead = Alert(id=8, agent_id=WHO, severity="error", created_at=THEN + timedelta(days=1), resolved=True)
    known.missed(Snapshot({WHO: "online"}, [first, ahead], clock=THEN), THEN)
    later = THEN + timedelta(minutes=5)
    anew = Alert(id=2, agent_id=WHO, severity="error", created_at=later, resolved=True)
    for told in ([anew], []):
        events = known.missed(Snapshot({WHO: "online"}, [first, ahead, anew], clock=later), later)
        assert [event.alert for event in events if isinstance(event, AlertEvent)] == told
