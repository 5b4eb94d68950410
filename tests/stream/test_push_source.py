"""The counts of a stock server's dashboard, in the same stream."""

from collections.abc import AsyncIterator

import pytest

from tests.stream.fake_gateway import all_of, until
from tests.stream.test_poll_source import client, kinds, quick
from trmm_async import TRMM
from trmm_async.errors import UnsupportedError
from trmm_async.events import DASHBOARD, AgentOffline, DashboardCounts, Event
from trmm_async.resources.live import MergedSource
from trmm_async.testing import Simulator


@pytest.fixture
async def server() -> AsyncIterator[Simulator]:
    async with Simulator(agents=10, dialect="stock") as running:
        yield running


def offline(event: Event) -> int:
    assert isinstance(event, DashboardCounts)
    return event.servers_offline + event.workstations_offline


async def test_counts_come_at_once_and_then_again_and_again(server: Simulator) -> None:
    async with client(server, access_token=server.new_token) as trmm:
        async with trmm.events(dashboard=True, settings=quick()) as events:
            assert events.state == {DASHBOARD: "live"}
            (first,) = await all_of(events, 1)
            server.go_offline(server.agent_ids[0])
            server.dashinfo_seconds = 0.01
            assert offline((await all_of(events, 2))[1]) == 1
    assert isinstance(first, DashboardCounts)
    assert (first.servers + first.workstations, offline(first), first.agent_id) == (10, 0, DASHBOARD)


async def test_they_stand_among_the_events_of_agents(server: Simulator) -> None:
    who = server.agent_ids[0]
    async with client(server, access_token=server.new_token) as trmm:
        async with trmm.events(who, dashboard=True, snapshot=True, settings=quick()) as events:
            assert isinstance(events._source, MergedSource)
            assert repr(events._source).startswith(
                "<MergedSource <PollSource of 1 agents, 1 polls>, <PushSource"
            )
            heard = await all_of(events, 4)
            assert kinds([event for event in heard if event.agent_id == DASHBOARD]) == [
                "DashboardCounts",
                "Live",
            ]
            server.go_offline(who)
            assert await all_of(events, 1) == [AgentOffline(agent_id=who)]
            position = events.position
            events.remove(DASHBOARD)
            assert events.state == {who: "live"}
        async with trmm.events(who, dashboard=True, since=position, settings=quick()) as events:
            heard = await all_of(events, 5)
            assert kinds([event for event in heard if event.agent_id == DASHBOARD]) == [
                "Gap",
                "DashboardCounts",
                "Live",
            ]


async def test_a_lost_connection_is_a_gap_and_then_the_counts_as_they_are(server: Simulator) -> None:
    async with client(server, access_token=server.new_token) as trmm:
        async with trmm.events(dashboard=True, settings=quick()) as events:
            await all_of(events, 1)
            server.drop_connections()
            assert kinds(await all_of(events, 3)) == ["Gap", "DashboardCounts", "Live"]
            assert events.reconnects == 1


async def test_a_gateway_has_no_dashboard() -> None:
    async with (
        Simulator(agents=1) as server,
        TRMM(server.url, api_key=server.api_key, dialect="gateway") as trmm,
    ):
        with pytest.raises(UnsupportedError, match="dashboard"):
            async with trmm.events(server.agent_ids, dashboard=True):
                pass


async def test_leaving_while_it_connects_leaves_nothing(server: Simulator) -> None:
    async with client(server, access_token=server.new_token) as trmm:
        async with trmm.events(server.agent_ids, dashboard=True, settings=quick()) as events:
            await until(lambda: events.received > 0)
