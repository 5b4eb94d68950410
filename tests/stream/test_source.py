"""A subscription over a source that is no server: a log of events in memory, and how the agents stand."""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.stream.fake_gateway import Gateway
from tests.stream.fake_gateway import subscribe as at_gateway
from trmm_async import (
    AgentOffline,
    AgentOnline,
    ClosedError,
    Ended,
    Event,
    Gap,
    InvalidRequestError,
    Live,
    NotFoundError,
    StreamSettings,
    TRMMError,
)
from trmm_async.stream import AgentStreamState, Outlet, Place, Source, SourcePlace, Start, Subscription
from trmm_async.stream.settings import StreamState

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Log:
    """Numbered events, of which the oldest may be forgotten, and the last of each agent."""

    def __init__(self, generation: str = "first") -> None:
        self.generation = generation
        self.begins = 1
        self.entries: list[Event] = []
        self.forgotten: dict[str, Event] = {}
        self.grown = asyncio.Event()

    @property
    def last(self) -> int:
        return self.begins + len(self.entries) - 1

    def write(self, *events: Event) -> None:
        self.entries += events
        self.grown.set()

    def state(self, number: int) -> dict[str, Event]:
        """How the agents stood when that entry had been written."""
        known = self.entries[: number - self.begins + 1]
        return self.forgotten | {event.agent_id: event for event in known}

    def forget(self, count: int) -> None:
        self.forgotten = self.state(self.begins + count - 1)
        del self.entries[:count]
        self.begins += count


class Followed:
    """One agent's part of it."""

    def __init__(self, agent_id: str, start: Start) -> None:
        self.agent_id = agent_id
        self.start = start
        self.state = StreamState.CONNECTING
        self.received = 0
        self.dropped = 0
        self.reconnects = 0
        self.settled = asyncio.Event()
        self.problem: TRMMError | None = None

    @property
    def stamp(self) -> object:
        return self.state is StreamState.LIVE

    def place(self, now: datetime, unread: Sequence[Event], unread_since: datetime) -> Place:
        return Place(since=unread_since if unread else now)


class LogSource:
    """Tells a log from a number on: the whole contract of a `Source`, and no server anywhere."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.agents: dict[str, Followed] = {}
        self.next = log.last + 1
        self.lost = False
        self.told: deque[tuple[int, Event]] = deque()
        self.new: deque[Followed] = deque()
        self.stir = asyncio.Event()

    def open(self, outlet: Outlet, begun: SourcePlace | None) -> None:
        if isinstance(begun, str):
            generation, _, number = begun.partition("/")
            if not number.isdigit():
                raise InvalidRequestError(f"since is no position of this log: {begun!r}")
            known = (
                generation == self.log.generation and self.log.begins <= int(number) + 1 <= self.log.last + 1
            )
            self.lost = not known
            if known:
                self.next = int(number) + 1
        else:
            self.lost = True
        self.outlet = outlet
        outlet.watch(asyncio.create_task(self._tell()))

    def follow(self, agent_id: str, start: Start) -> AgentStreamState:
        followed = self.agents[agent_id] = Followed(agent_id, start)
        if agent_id not in self.log.state(self.log.last):
            followed.state, followed.problem = StreamState.ENDED, NotFoundError(404, "not in the log")
        # Before anything of it is told: nobody reads before entering is over.
        followed.settled.set()
        self.new.append(followed)
        self.log.grown.set()
        return followed

    def leave(self, agent_id: str) -> None:
        self.agents.pop(agent_id, None)

    def place(self, unread: Sequence[Event]) -> SourcePlace:
        waiting = {id(event) for event in unread}
        while self.told and id(self.told[0][1]) not in waiting:
            self.told.popleft()
        number = self.told[0][0] - 1 if self.told else self.next - 1
        return f"{self.log.generation}/{number}"

    def close(self) -> None: ...

    def remaining(self) -> list[asyncio.Future[None]]:
        return []

    def cut(self) -> None: ...

    async def _tell(self) -> None:
        while True:
            while self.new:
                await self._begin(self.new.popleft())
            while self.next <= self.log.last and not self.new:
                number, event = self.next, self.log.entries[self.next - self.log.begins]
                self.next += 1
                if (followed := self.agents.get(event.agent_id)) is not None:
                    followed.received += 1
                    self.told.append((number, event))
                    await self.outlet.mailbox.put(event)
            if not self.new:
                self.log.grown.clear()
                await self.log.grown.wait()

    async def _begin(self, followed: Followed) -> None:
        who, start = followed.agent_id, followed.start
        if followed.problem is not None:
            await self.outlet.ended(who, followed.problem)
            return
        caught_up = start.place is not None and self.lost
        if caught_up:
            await self.outlet.mailbox.put(
                Gap(agent_id=who, since=EPOCH, until=EPOCH, reason="the log has begun anew")
            )
        if caught_up or (start.snapshot and start.place is None):
            await self.outlet.mailbox.put(self.log.state(self.next - 1)[who])
            await self.outlet.mailbox.put(Live(agent_id=who, time=EPOCH))
        followed.state = StreamState.LIVE


def subscribe(log: Log, *agents: str, **how: Any) -> Subscription:
    source: Source = LogSource(log)
    return Subscription(source, agents or ("a",), how.pop("settings", StreamSettings()), **how)


async def read(events: Subscription, count: int) -> list[Event]:
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(count)]


def up(agent_id: str) -> Event:
    return AgentOnline(agent_id=agent_id)


def down(agent_id: str) -> Event:
    return AgentOffline(agent_id=agent_id)


@pytest.fixture
def log() -> Log:
    made = Log()
    made.write(up("a"), down("b"))
    return made


@pytest.mark.parametrize("queue", [1, 1000])
async def test_events_come_in_their_order_and_only_of_those_who_are_followed(log: Log, queue: int) -> None:
    async with subscribe(log, "a", settings=StreamSettings(queue=queue)) as events:
        log.write(down("a"), up("b"), up("a"), down("a"))
        assert await read(events, 3) == [down("a"), up("a"), down("a")]
        assert events.state == {"a": "live"}
        assert (events.received, events.dropped, events.reconnects) == (3, 0, 0)


@pytest.mark.parametrize("queue", [1, 1000])
async def test_the_present_state_comes_first_where_it_is_asked_for(log: Log, queue: int) -> None:
    settings = StreamSettings(queue=queue)
    async with subscribe(log, "a", "b", snapshot=True, settings=settings) as events:
        log.write(down("a"))
        assert await read(events, 5) == [
            *(up("a"), Live(agent_id="a", time=EPOCH)),
            *(down("b"), Live(agent_id="b", time=EPOCH)),
            down("a"),
        ]


@pytest.mark.parametrize("count", range(5))
async def test_a_position_is_where_the_reader_stands_and_not_where_the_source_does(
    log: Log, count: int
) -> None:
    said = [down("a"), up("b"), up("a"), down("b")]
    async with subscribe(log, "a", "b") as events:
        log.write(*said)
        got = await read(events, count)
    position = events.position
    log.write(down("a"))
    async with subscribe(log, "a", "b", since=position) as events:
        assert [*got, *await read(events, 5 - count)] == [*said, down("a")]


@pytest.mark.parametrize("how", ["another generation", "forgotten", "not reached yet"])
async def test_a_position_that_the_log_no_longer_has_is_a_gap_and_the_present_state(
    log: Log, how: str
) -> None:
    async with subscribe(log) as events:
        log.write(down("a"))
        await read(events, 1)
        position = events.position
    if how == "forgotten":
        log.write(up("a"), down("a"))
        log.forget(4)
    elif how == "another generation":
        log.generation = "second"
    else:
        log = Log()
        log.write(down("a"))
    async with subscribe(log, since=position) as events:
        gap, *rest = await read(events, 3)
    assert isinstance(gap, Gap)
    assert rest == [down("a"), Live(agent_id="a", time=EPOCH)]


async def test_text_that_is_no_position_of_the_source_fails_entering(log: Log) -> None:
    events = subscribe(log, since='{"version":3,"feed":"nonsense","agents":{}}')
    with pytest.raises(InvalidRequestError, match="no position of this log: 'nonsense'"):
        async with events:
            pass
    with pytest.raises(ClosedError):
        await anext(events)


async def test_a_position_goes_from_one_kind_of_source_to_another_by_a_gap(log: Log) -> None:
    async with subscribe(log) as events:
        of_the_log = events.position
    async with Gateway() as gateway, at_gateway(gateway, since=of_the_log) as events:
        assert isinstance((await read(events, 1))[0], Gap)
        of_the_server = events.position
    async with subscribe(log, since=of_the_server) as events:
        gap, state, live = await read(events, 3)
    assert isinstance(gap, Gap)
    assert (state, live) == (up("a"), Live(agent_id="a", time=EPOCH))


async def test_one_that_the_source_does_not_know_is_told_and_the_only_one_is_the_error(log: Log) -> None:
    async with subscribe(log, "a", "nobody") as events:
        (ended,) = await read(events, 1)
        assert isinstance(ended, Ended)
        assert ended.agent_id == "nobody"
    with pytest.raises(NotFoundError):
        async with subscribe(log, "nobody"):
            pass


async def test_handlers_consumers_and_filters_work_over_it(log: Log) -> None:
    called: list[Event] = []
    async with subscribe(log, "a", "b") as events:
        events.on(AgentOffline, called.append, agent="b")
        with events.consumer(AgentOnline) as online:
            log.write(down("a"), down("b"), up("b"))
            async with asyncio.timeout(10):
                assert await anext(online) == up("b")
                while not called:
                    await asyncio.sleep(0)
    assert called == [down("b")]


async def test_agents_are_added_and_removed(log: Log) -> None:
    async with subscribe(log) as events:
        await events.add("b")
        log.write(up("b"))
        assert await read(events, 1) == [up("b")]
        events.remove("b")
        log.write(down("b"), down("a"))
        assert await read(events, 1) == [down("a")]
