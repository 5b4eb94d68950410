"""The text of a position is written anew only where something has changed."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from tests.servers import served
from tests.stream.fake_gateway import all_of
from tests.stream.happenings import THEN, down, up
from trmm_async import StreamSettings
from trmm_async.events import Event
from trmm_async.stream.position import Place, RunsPlace, read_position
from trmm_async.stream.reader_position import ReaderPosition


async def test_a_position_is_written_anew_only_for_those_of_whom_something_has_changed() -> None:
    settings = StreamSettings(poll_interval=60.0, poll_share=1.0)
    async with (
        served("stock", agents=4) as (server, trmm),
        trmm.events(server.agent_ids, settings=settings) as events,
    ):
        who, *others = server.agent_ids
        changes: list[Callable[[], object]] = [
            lambda: server.raise_alert(who),
            lambda: server.go_offline(who),
            lambda: server.add_history(others[0], 1),
        ]
        for change in changes:
            change()
            events._source._be_quick()  # type: ignore[union-attr]
            await all_of(events, 1)
            position = events.position
            kept = {name: text for name, (_, text) in events._reader_position._agents.items()}
            assert events.position == position
            assert all(events._reader_position._agents[name][1] is text for name, text in kept.items())
            events._reader_position._agents.clear()
            assert events.position == position


class State:
    """Stands for an agent's stream: it counts how often its place was asked for."""

    def __init__(self) -> None:
        self.stamp: object = 1
        self.asked: list[list[Event]] = []

    def place(self, now: datetime, unread: Sequence[Event], since: datetime) -> Place:
        del now
        self.asked.append([*unread])
        return Place(since=since)


class Source:
    runs: RunsPlace | None = None

    def place(self, waiting: Sequence[Event]) -> RunsPlace | None:
        del waiting
        return self.runs


def test_only_who_has_changed_or_has_unread_events_is_asked_again() -> None:
    position, source = ReaderPosition("https://api.example.com"), Source()
    a, b, silent = State(), State(), State()
    silent.stamp = None  # it can't say whether it has changed
    states: Any = {"a": a, "b": b, "c": silent}

    def text(*waiting: Event) -> str:
        written: Any = source
        return position.text(states, written, waiting, THEN, THEN)

    first = text()
    assert read_position(first).agents.keys() == {"a", "b", "c"}
    assert text() == first
    assert (len(a.asked), len(b.asked), len(silent.asked)) == (1, 1, 2)
    event, other = up("a"), down("b")
    text(event, other)
    assert (a.asked[1:], b.asked[1:], silent.asked[1:]) == ([[event]], [[other]], [[], []])
    # What was unread is written anew, although nothing else has changed.
    assert text() == first
    assert (len(a.asked), len(b.asked)) == (3, 3)
    a.stamp = 2
    text()
    assert (len(a.asked), len(b.asked)) == (4, 3)


def test_whom_it_forgets_and_where_the_source_stands_are_in_it() -> None:
    position, source = ReaderPosition("https://api.example.com"), Source()
    states: Any = {"a": State(), "b": State()}
    written: Any = source
    assert read_position(position.text(states, written, (), THEN, THEN)).source is None
    source.runs = RunsPlace(after=THEN, told=frozenset({7}))
    del states["a"]
    position.forget("a")
    position.forget("nobody")
    found = read_position(position.text(states, written, (), THEN, THEN))
    assert found.agents.keys() == {"b"}
    assert found.source == source.runs
