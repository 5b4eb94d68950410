"""One look for all who want to see how a server stands, by a server that is a few values."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest

from trmm_async import Agent, Alert, HistoryEntry, ServerError, StreamSettings, TRMMError
from trmm_async.stream import (
    PollClient,
    PolledState,
    PollRequest,
    PollResult,
    PollSource,
    SharedPoller,
    Subscription,
)

SETTINGS = StreamSettings(poll_interval=0.02, poll_share=1.0, backoff_first=0.01, poll_scripts=False)


class Server:
    """A `Watch` of so many agents; `failures` are raised before it answers, `release` is waited for."""

    clock: datetime | None = None

    def __init__(self, agents: int = 3, alerts: int = 0) -> None:
        self.agents = [f"agent{number}" for number in range(agents)]
        self.alerts = [Alert(id=number + 1, agent_id=f"agent{number % agents}") for number in range(alerts)]
        self.asked: list[tuple[frozenset[str] | None, bool, bool]] = []
        self.failures: list[TRMMError] = []
        self.release = asyncio.Event()
        self.release.set()

    async def poll(self, agent_ids: frozenset[str] | None, *, whole: bool, alerts: bool) -> PolledState:
        self.asked.append((agent_ids, whole, alerts))
        await self.release.wait()
        if self.failures:
            raise self.failures.pop()
        agents = {name: Agent(agent_id=name, status="online") for name in self.agents}
        return PolledState(dict.fromkeys(self.agents, "online"), self.alerts, {}, agents if whole else {})

    async def alert(self, alert_id: int) -> Alert | None:
        raise NotImplementedError

    async def newest_runs(self) -> list[HistoryEntry]:
        return []

    async def runs_since(self, moment: datetime | None) -> list[HistoryEntry]:
        return []


def looking(poller: SharedPoller, *names: str, whole: bool = False, alerts: bool = True) -> PollClient:
    wants = PollRequest(agent_ids=frozenset(names) or None, whole=whole, alerts=alerts)
    return PollClient(poller, lambda: wants, SETTINGS)


async def looks(*those: PollClient) -> Sequence[object]:
    async with asyncio.timeout(20):
        return await asyncio.gather(*(one.next() for one in those))


async def test_one_look_has_all_that_is_asked_for_at_once() -> None:
    server = Server()
    poller = SharedPoller(server)
    first, second = await looks(
        looking(poller, "agent0", alerts=False), looking(poller, "agent1", whole=True, alerts=False)
    )
    assert isinstance(first, PollResult)
    assert isinstance(second, PollResult)
    assert first.at == second.at
    assert first.seen is not None
    assert second.seen is not None
    assert first.seen.statuses == second.seen.statuses
    # Whoever did not ask for them does not have to let go of them, which takes long.
    assert not first.seen.agents
    assert second.seen.agents
    await looks(looking(poller, "agent0"), looking(poller))
    both = frozenset({"agent0", "agent1"})
    assert server.asked == [(both, True, False), (None, False, True)]
    assert repr(poller) == "<SharedPoller 2 polls, 0 waiting>"


async def test_who_comes_while_a_look_is_under_way_gets_the_next() -> None:
    server = Server()
    poller = SharedPoller(server)
    server.release.clear()
    first = asyncio.create_task(looking(poller).next())
    while not server.asked:
        await asyncio.sleep(0)
    second = asyncio.create_task(looking(poller).next())
    await asyncio.sleep(0)
    server.release.set()
    assert await first is not await second
    assert len(server.asked) == 2


async def test_a_failure_is_for_all_and_counts_until_it_works_again() -> None:
    server = Server()
    poller = SharedPoller(server)
    one, other = looking(poller), looking(poller)
    error = ServerError(503, "no")
    server.failures = [error, error]
    for attempt in (1, 2):
        first, second = await looks(one, other)
        assert first is second
        assert (getattr(first, "error", None), getattr(first, "attempts", 0)) == (error, attempt)
    (good,) = await looks(one)
    assert (getattr(good, "error", None), getattr(good, "attempts", 0)) == (None, 0)


async def test_when_the_last_who_asks_is_gone_the_look_is_given_up() -> None:
    server = Server()
    poller = SharedPoller(server)
    server.release.clear()
    tasks = [asyncio.create_task(looking(poller).next()) for _ in range(2)]
    while not server.asked:
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert asyncio.all_tasks() == {asyncio.current_task()}
    server.release.set()
    await looks(looking(poller))


async def test_a_mistake_of_ours_reaches_all_who_ask() -> None:
    server = Server()
    server.failures = [ZeroDivisionError()]  # type: ignore[list-item]
    poller = SharedPoller(server)
    with pytest.raises(ZeroDivisionError):
        await looks(looking(poller))
    await looks(looking(poller))


async def test_a_large_look_gives_the_event_loop_its_turn() -> None:
    server = Server(agents=300, alerts=3000)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    subscription = Subscription(PollSource(SharedPoller(server), SETTINGS), server.agents, SETTINGS)
    counting = asyncio.create_task(count_turns())
    async with asyncio.timeout(20), subscription:
        assert turns >= 300 / 10 + 3000 / 1000
    counting.cancel()
