"""Reading the present state once for many who ask."""

import asyncio

import pytest

from tests.clock import now, run
from tests.stream.fake_gateway import Gateway, Rest, running, subscribe, take, until
from trmm_async.errors import ConnectionFailedError, TRMMError
from trmm_async.events import Gap
from trmm_async.stream.catchup import Snapshot
from trmm_async.stream.snapshots import SnapshotLoader

gateway = pytest.fixture(running)


class Source:
    def __init__(self) -> None:
        self.asked: list[frozenset[str]] = []
        self.open = asyncio.Event()
        self.called = asyncio.Event()
        self.error: TRMMError | None = None

    async def __call__(self, agent_ids: frozenset[str]) -> Snapshot:
        self.asked.append(agent_ids)
        self.called.set()
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return Snapshot({}, [])


async def test_who_asks_together_shares_a_fetch_and_who_asks_during_one_gets_the_next() -> None:
    source, tasks = Source(), list[asyncio.Task[None]]()
    loader = SnapshotLoader(source, 0.0, tasks.append)
    first = [loader.ask("a"), loader.ask("b")]
    async with asyncio.timeout(30):
        await source.called.wait()
        late, gone = loader.ask("a"), loader.ask("c")
        gone.cancel()
        source.open.set()
        answers = [await answer for answer in first]
        assert answers[0] is answers[1]
        assert await late is not answers[0]
    assert source.asked == [frozenset("ab"), frozenset("a")]
    await asyncio.wait(tasks)
    assert len(tasks) == 1


async def test_a_fetch_that_fails_answers_with_the_error_and_the_loader_serves_on() -> None:
    source, tasks = Source(), list[asyncio.Task[None]]()
    source.open.set()
    source.error = ConnectionFailedError("away")
    loader = SnapshotLoader(source, 0.0, tasks.append)
    async with asyncio.timeout(30):
        assert await loader.ask("a") is source.error
        source.error = None
        assert isinstance(await loader.ask("a"), Snapshot)
    await asyncio.wait(tasks)


async def test_fetches_that_follow_one_another_wait_longer_and_longer_for_company() -> None:
    source, tasks = Source(), list[asyncio.Task[None]]()
    source.open.set()
    loader = SnapshotLoader(source, 0.01, tasks.append)
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(30):
        for _ in range(3):
            await loader.ask("a")
    assert asyncio.get_running_loop().time() - began >= 0.01 + 0.02 + 0.04
    await asyncio.wait(tasks)


def test_where_connections_get_lost_while_they_wait_it_does_not_stay_long() -> None:
    """Else agents whose sockets drop every second would wait 5 s for their state, and never have it."""
    source, tasks = Source(), list[asyncio.Task[None]]()
    source.open.set()
    made = live = 0

    async def connect(loader: SnapshotLoader, first: float) -> None:
        nonlocal made, live
        await asyncio.sleep(first)
        while now() < 60:
            made += 1
            answer = loader.ask("a")
            lost = now() + 1
            await asyncio.wait((answer,), timeout=1)
            live += answer.done()
            answer.cancel()
            await asyncio.sleep(lost - now() + 0.02)

    async def main() -> None:
        loader = SnapshotLoader(source, 0.05, tasks.append)
        await asyncio.gather(*(connect(loader, number / 40) for number in range(40)))
        await asyncio.wait(tasks)

    run(main())
    assert live > made * 3 / 4


async def test_nothing_is_fetched_for_those_who_no_longer_wait() -> None:
    source, tasks = Source(), list[asyncio.Task[None]]()
    loader = SnapshotLoader(source, 0.0, tasks.append)
    loader.ask("a").cancel()
    await asyncio.wait(tasks)
    assert source.asked == []


async def test_agents_that_come_back_together_share_their_fetches(gateway: Gateway) -> None:
    agents = [f"agent-{number}" for number in range(25)]
    rest = Rest(dict.fromkeys(agents, "online"))
    async with subscribe(gateway, agents, rest, gather=0.05) as events:
        await until(lambda: rest.answered >= 1 and all(peer.pings for peer in gateway.peers))
        before = len(rest.calls)
        for peer in list(gateway.peers):
            peer.cut()
        heard = await take(events, len(agents))
    assert {event.agent_id for event in heard if isinstance(event, Gap)} == set(agents)
    assert len(rest.calls) - before <= 5
    assert set[str]().union(*rest.calls[before:]) == set(agents)
