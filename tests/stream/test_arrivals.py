"""How long events wait for their readers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.logs import of
from tests.servers import served
from tests.stream.happenings import gap, live, up
from trmm_async import EventRead, Gap, StreamSettings
from trmm_async.events import AgentOffline, AgentOnline, AlertChange, AlertEvent, Event, ScriptOutput
from trmm_async.models import Alert
from trmm_async.observing import Observers
from trmm_async.stream.arrivals import Arrivals

NOW = datetime.now(UTC)


def alert(change: AlertChange) -> AlertEvent:
    created_at, resolved_on = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    alert = Alert(id=1, created_at=created_at, resolved_on=resolved_on)
    return AlertEvent(agent_id="a", alert=alert, change=change)


async def test_an_observer_is_told_how_long_an_event_has_waited_for_its_reader(dialect: str) -> None:
    seen: list[Any] = []
    settings = StreamSettings(poll_interval=0.05, poll_share=1.0)
    async with served(dialect, agents=1) as (server, trmm):
        trmm.observe(seen.append)
        async with trmm.events(server.agent_ids, settings=settings) as events:
            server.raise_alert(server.agent_ids[0], severity="error", message="full")
            event = await anext(events)
    (read,) = of(EventRead, seen)
    assert read.event is event
    assert 0 <= read.lag < 60
    assert read.age is not None
    assert read.time > 0


async def test_an_observer_is_told_of_each_consumer_what_it_reads_and_the_gaps_that_it_makes() -> None:
    seen: list[Any] = []
    async with served("gateway", agents=1) as (server, trmm):
        trmm.observe(seen.append)
        who = server.agent_ids[0]
        async with trmm.events(who) as events:
            slow, quick = events.consumer(queue=1), events.consumer()
            for number in range(3):
                server.raise_alert(who, severity="error", message=str(number))
            for _ in range(3):
                await anext(quick)
            await anext(slow)
            gap = await anext(slow)
    assert isinstance(gap, Gap)
    assert (gap.dropped, of(Gap, seen)) == (2, [gap])
    assert len(of(EventRead, seen)) == 4


def arrivals(*, watched: bool = True) -> tuple[Arrivals, list[Any]]:
    observers, seen = Observers(), list[Any]()
    if watched:
        observers.add(seen.append)
    return Arrivals(observers), seen


def test_the_first_time_stands_and_marks_are_not_measured() -> None:
    came, seen = arrivals()
    for event in (gap(), live(), up(), up()):
        came.has_come(event)
        came.has_come(event)
    assert repr(came) == "<Arrivals of 2 events>"  # equal ones are two
    came.was_read(live())
    came.was_read(up())  # never came
    assert seen == []


def test_several_readers_are_told_of_and_one_alone_once() -> None:
    came, seen = arrivals()
    event = up()
    came.has_come(event)
    came.was_read(event)
    came.was_read_alone(event)
    came.was_read_alone(event)
    assert [one.event for one in seen] == [event, event]
    assert repr(came) == "<Arrivals of 0 events>"


def test_without_observers_nothing_is_kept() -> None:
    came, _ = arrivals(watched=False)
    first, second = up(), up()
    came.has_come(first)
    came.has_come(second)
    came.was_read(first)
    assert repr(came) == "<Arrivals of 0 events>"


def test_of_what_nobody_takes_the_oldest_is_forgotten() -> None:
    came, seen = arrivals()
    events = [up() for _ in range(10_001)]
    for event in events:
        came.has_come(event)
    came.was_read(events[0])
    came.was_read(events[1])
    assert [one.event for one in seen] == [events[1]]


@pytest.mark.parametrize(
    ("event", "age"),
    [
        (AgentOnline(agent_id="a", time=NOW - timedelta(hours=1)), 3600),
        (AgentOffline(agent_id="a"), None),
        (alert("raised"), 7200),
        (alert("resolved"), 3600),
        (alert("changed"), None),
        (ScriptOutput(agent_id="a"), None),
    ],
)
def test_the_age_is_of_what_the_event_tells(event: Event, age: float | None) -> None:
    came, seen = arrivals()
    came.has_come(event)
    came.was_read(event)
    since = (datetime.now(UTC) - NOW).total_seconds()
    assert seen[0].age == (None if age is None else pytest.approx(age + since, abs=60))


def test_what_a_server_whose_clock_is_ahead_tells_is_of_no_age() -> None:
    came, seen = arrivals()
    event = AgentOffline(agent_id="a", time=datetime.now(UTC) + timedelta(hours=1))
    came.has_come(event)
    came.was_read(event)
    assert seen[0].age == 0
