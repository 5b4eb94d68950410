"""What looks at a server tell: for any course of a server the events lead to its state, none twice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from tests.properties import many
from tests.stream.histories import THEN, row, runs_of
from trmm_async.errors import ConnectionFailedError
from trmm_async.events import AgentOffline, AgentOnline, AlertEvent, Event, Gap, Live, ScriptOutput
from trmm_async.models import Alert, HistoryEntry, ScriptResult
from trmm_async.stream.agent_diff import AgentDiff, run_event
from trmm_async.stream.catchup import Snapshot
from trmm_async.stream.poll_source import AlertOrdering
from trmm_async.stream.position import Place, Position, read_position
from trmm_async.stream.runs import Runs
from trmm_async.stream.source import Start

DOWN = ConnectionFailedError("down")
WHO = ("a", "b")

Step = tuple[str, str, int]
"""What happens: to which agent, to which of its alerts or runs."""

steps = st.lists(
    st.tuples(
        st.sampled_from(["flip", "raise", "resolve", "start", "finish", "look", "look", "fail", "restart"]),
        st.sampled_from(WHO),
        st.integers(1, 3),
    ),
    max_size=40,
)


@dataclass
class Server:
    up: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(WHO, True))
    alerts: dict[int, Alert] = field(default_factory=dict)
    rows: dict[int, HistoryEntry] = field(default_factory=dict)
    now: datetime = THEN

    def do(self, what: str, who: str, number: int) -> None:
        self.now += timedelta(seconds=20)
        match what:
            case "flip":
                self.up[who] = not self.up[who]
            case "raise":
                key = len(self.alerts) + 1
                self.alerts[key] = Alert(id=key, agent_id=who, severity="error", created_at=self.now)
            case "resolve" if number in self.alerts:
                self.alerts[number] = structs.replace(self.alerts[number], resolved=True)
            case "start":
                key = len(self.rows) + 1
                self.rows[key] = HistoryEntry(id=key, agent_id=who, time=self.now, script=number)
            case "finish" if number in self.rows:
                result = ScriptResult(retcode=0, stdout=f"{number}")
                self.rows[number] = structs.replace(self.rows[number], result=result)

    def snapshot(self) -> Snapshot:
        statuses = {who: "online" if up else "overdue" for who, up in self.up.items()}
        return Snapshot(statuses, [*self.alerts.values()])

    def history(self, after: datetime | None) -> list[HistoryEntry]:
        rows = [row for row in self.rows.values() if after is None or (row.time or THEN) >= after]
        return rows[::-1]


@dataclass
class Reader:
    """Looks as `polling` does, takes some of what is found, and restarts from a stored position."""

    server: Server
    snapshot: bool
    heard: list[Event] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    runs: Runs = field(default_factory=Runs)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.diffs = {
            who: AgentDiff(who, Start(self.places.get(who), self.snapshot), self.server.now) for who in WHO
        }

    def look(self) -> None:
        if not self.runs.begun:
            self.runs.begin(self.server.history(None)[:5])
        rows = self.runs.finished(self.server.history(self.runs.after), self.unread())
        for diff in self.diffs.values():
            own = [row for row in rows if row.agent_id == diff.agent_id]
            diff.update(self.server.snapshot(), own, self.server.now)

    def unread(self) -> list[int]:
        unread = [event for diff in self.diffs.values() for event in diff.pending]
        return [int(event.cmd_id) for event in unread if isinstance(event, ScriptOutput)]

    def read(self, some: int = 1000) -> None:
        for diff in self.diffs.values():
            while diff.pending and some > 0:
                some -= 1
                self.heard.append(diff.pending.popleft())

    def restart(self) -> None:
        numbers = self.unread()
        places = {who: each.place(self.server.now, (), self.server.now) for who, each in self.diffs.items()}
        position = read_position(Position(agents=places, source=self.runs.place(numbers)).text())
        self.places, self.runs = dict(position.agents), runs_of(position)
        self.begin()

    def replayed(self) -> tuple[dict[str, bool], dict[int, bool]]:
        up: dict[str, bool] = {}
        alerts: dict[int, bool] = {}
        for event in self.heard:
            if isinstance(event, AgentOnline | AgentOffline):
                up[event.agent_id] = isinstance(event, AgentOnline)
            elif isinstance(event, AlertEvent):
                alerts[event.alert.id] = event.alert.resolved
        return up, alerts


@given(before=steps, after=steps)
@settings(max_examples=many(100))
def test_the_events_replayed_give_the_servers_state_and_none_comes_twice(
    before: list[Step], after: list[Step]
) -> None:
    server = Server()
    for step in before:
        server.do(*step)
    finished = {number for number, row in server.rows.items() if row.result is not None}
    quiet = {number for number, each in server.alerts.items() if each.resolved}
    reader = Reader(server, snapshot=True)
    reader.look()
    reader.read()
    for what, who, number in after:
        server.do(what, who, number)
        if what == "fail":
            for diff in reader.diffs.values():
                diff.fail(DOWN, enough=False)
        elif what == "restart":
            reader.restart()
        elif what == "look":
            reader.look()
            reader.read()
    reader.look()
    reader.read()

    up, alerts = reader.replayed()
    assert up == server.up
    assert alerts == {number: one.resolved for number, one in server.alerts.items() if number not in quiet}
    told = [(event.alert.id, event.alert.resolved) for event in reader.heard if isinstance(event, AlertEvent)]
    assert len(told) == len(set(told))
    for agent in WHO:
        flips = [
            type(e) for e in reader.heard if e.agent_id == agent and type(e) in {AgentOnline, AgentOffline}
        ]
        assert all(one is not other for one, other in pairwise(flips))
    runs = [int(event.cmd_id) for event in reader.heard if isinstance(event, ScriptOutput)]
    assert sorted(runs) == sorted(
        number for number, row in server.rows.items() if row.result is not None and number not in finished
    )


@given(after=steps, some=st.integers(0, 3))
@settings(max_examples=many(80))
def test_a_slow_reader_that_restarts_loses_nothing(after: list[Step], some: int) -> None:
    server = Server()
    reader = Reader(server, snapshot=True)
    reader.look()
    for what, who, number in after:
        server.do(what, who, number)
        if what == "restart":
            reader.restart()
        elif what == "look":
            reader.look()
            reader.read(some)
    reader.restart()
    reader.look()
    reader.read()
    up, alerts = reader.replayed()
    assert up == server.up
    unresolved = {number for number, one in server.alerts.items() if not one.resolved}
    assert unresolved <= {number for number, resolved in alerts.items() if not resolved}
    assert all(server.alerts[number].resolved == resolved for number, resolved in alerts.items())
    runs = {int(event.cmd_id) for event in reader.heard if isinstance(event, ScriptOutput)}
    assert runs == {number for number, row in server.rows.items() if row.result is not None}


def kinds(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_without_a_snapshot_only_changes_are_told() -> None:
    server = Server()
    server.do("raise", "a", 1)
    reader = Reader(server, snapshot=False)
    reader.look()
    server.do("flip", "a", 1)
    reader.look()
    reader.read()
    assert reader.heard == [AgentOffline(agent_id="a")]


def test_a_look_that_failed_is_told_as_a_gap_from_the_last_good_one() -> None:
    server = Server()
    reader = Reader(server, snapshot=False)
    reader.look()
    since = server.now
    server.do("flip", "a", 1)
    for diff in reader.diffs.values():
        diff.fail(DOWN, enough=False)
        diff.fail(ConnectionFailedError("still"), enough=False)
    server.do("wait", "a", 1)
    reader.look()
    reader.read()
    until = server.now
    assert [event for event in reader.heard if event.agent_id == "a"] == [
        Gap(agent_id="a", since=since, until=until, reason="down"),
        AgentOffline(agent_id="a"),
        Live(agent_id="a", time=until),
    ]
    assert reader.diffs["a"].reconnects == 1


def test_an_agent_that_was_given_up_is_told_as_a_gap_from_its_beginning() -> None:
    diff = AgentDiff("a", Start(), THEN)
    diff.fail(DOWN, enough=True)
    assert diff.problem is DOWN
    diff.update(Snapshot({"a": "online"}, []), [], THEN + timedelta(minutes=1))
    assert kinds([*diff.pending]) == ["Gap", "AgentOnline", "Live"]
    assert diff.place(THEN, (), THEN).since == THEN
    assert repr(diff) == "<AgentDiff of a: catching up, 1 changes>"


def test_a_clock_that_is_set_back_makes_no_gap_that_ends_before_it_began() -> None:
    diff = AgentDiff("a", Start(Place(since=THEN)), THEN)
    diff.update(Snapshot({}, []), [], THEN - timedelta(hours=1))
    gap = diff.pending[0]
    assert isinstance(gap, Gap)
    assert gap.since == gap.until == THEN


def test_a_run_is_told_with_all_of_its_output() -> None:
    assert run_event(row(5)) == ScriptOutput(
        agent_id="a", cmd_id="5", script=7, output="out\nerr\n", done=True, exit_code=3
    )


# Alerts that are read one by one besides, as webhooks have it.

Turn = str
"""What happens next: an alert changes, or one of the two who read asks, is answered, or hears the answer."""

turns = st.lists(
    st.sampled_from(["change", "ask look", "read look", "hear look", "ask one", "read one", "hear one"]),
    min_size=20,
    max_size=80,
)


@dataclass
class Readers:
    """A look and a question about one alert, each under way or not, in any order of their steps."""

    diff: AgentDiff = field(default_factory=lambda: AgentDiff("a", Start(snapshot=True), THEN))
    ordering: AlertOrdering = field(default_factory=AlertOrdering)
    version: int = 0
    look: tuple[bool, int] | None = None
    one: tuple[int, int | None] | None = None

    def alert(self, version: int) -> Alert:
        return Alert(id=1, agent_id="a", message=str(version))

    def take(self, turn: Turn) -> None:
        match turn:
            case "change":
                self.version += 1
            case "ask look" if self.look is None:
                self.ordering.begin_poll()
                self.look = (False, 0)
            case "read look" if self.look == (False, 0):
                self.look = (True, self.version)
            case "hear look" if self.look is not None and self.look[0]:
                alerts = self.ordering.end_poll([self.alert(self.look[1])])
                self.diff.update(Snapshot({"a": "online"}, alerts), [], THEN)
                self.look = None
            case "ask one" if self.one is None:
                self.one = (self.ordering.ask(), None)
            case "read one" if self.one is not None and self.one[1] is None:
                self.one = (self.one[0], self.version)
            case "hear one" if self.one is not None and self.one[1] is not None:
                asked, version = self.one
                if self.ordering.hear(asked, self.alert(version or 0)):
                    self.diff.hear(self.alert(version or 0))
                self.one = None


LOOK = ["ask look", "read look", "hear look"]


@given(what=turns)
@example([*LOOK, "ask one", "read one", "change", *LOOK, "hear one"])
@example([*LOOK, "ask look", "read look", "change", "ask one", "read one", "hear one", "hear look"])
@settings(max_examples=many(150))
def test_however_the_two_overlap_each_state_comes_once_and_in_order(
    what: list[Turn],
) -> None:
    readers = Readers()
    for turn in [*what, *LOOK, *LOOK]:
        readers.take(turn)
    told = [int(event.alert.message) for event in readers.diff.pending if isinstance(event, AlertEvent)]
    assert told == sorted(set(told))
    assert told[-1] == readers.version


def test_what_is_heard_while_nothing_can_be_vouched_for_is_left_to_the_next_look() -> None:
    diff = AgentDiff("a", Start(), THEN)
    diff.hear(Alert(id=1, agent_id="a"))
    diff.update(Snapshot({"a": "online"}, []), [], THEN)
    diff.fail(DOWN, enough=False)
    diff.hear(Alert(id=1, agent_id="a"))
    assert not diff.pending
    diff.update(Snapshot({"a": "online"}, [Alert(id=1, agent_id="a")]), [], THEN)
    assert kinds([*diff.pending]) == ["Gap", "AlertEvent", "Live"]
    assert repr(AlertOrdering()) == "<AlertOrdering of 0 polls with 0 alerts>"
