"""Agents that are offline: skipped, or run when they come back."""

import asyncio
from datetime import timedelta

from tests.fleet.careful import fleet, posts
from tests.servers import count, until
from trmm_async import Done, Skipped


class TestOffline:
    async def test_those_are_skipped_if_that_is_wished(self, dialect: str) -> None:
        async with fleet(dialect, agents=5) as (server, trmm):
            gone = server.agent_ids[2]
            server.go_offline(gone)
            outcomes = await trmm.fleet.run_script(server.agent_ids, 1, skip_offline=True)
            assert [type(outcome) for outcome in outcomes] == [Done, Done, Skipped, Done, Done]
            assert outcomes[2] == Skipped(gone, "it is offline", hostname=server.agents[2].hostname)
            assert count(server, "GET", "/agents/") >= 1

    async def test_those_are_run_when_they_come_back(self, dialect: str) -> None:
        async with fleet(dialect, agents=5) as (server, trmm):
            gone, stays = server.agent_ids[1], server.agent_ids[2]
            server.go_offline(gone)
            server.go_offline(stays)
            trmm.fleet.poll = 0.1
            async with trmm.fleet.run_script(server.agent_ids, 1, when_online=timedelta(seconds=3)) as run:
                outcomes = [await anext(run) for _ in range(3)]
                assert run.counts.pending == 2
                server.come_online(gone)
                outcomes += [outcome async for outcome in run]
            assert {outcome.agent_id for outcome in outcomes[:3]} == set(server.agent_ids) - {gone, stays}
            assert isinstance(outcomes[3], Done)
            assert outcomes[3].agent_id == gone
            assert isinstance(outcomes[4], Skipped)
            assert outcomes[4].reason == "it is offline, and did not come back within 0:00:03"

    async def test_events_tell_who_is_back_where_there_are_any(self) -> None:
        async with fleet("gateway", agents=3) as (server, trmm):
            gone = server.agent_ids[1]
            server.go_offline(gone)
            trmm.fleet.poll = 1000.0
            async with trmm.fleet.run_script(server.agent_ids, 1, when_online=timedelta(seconds=20)) as run:
                await anext(run)
                await server.wait_for_subscribers(gone)
                await until(lambda: run.counts.pending == 1)
                # The subscription stands when it knows how things stood.
                await asyncio.sleep(0.2)
                server.come_online(gone)
                rest = [outcome async for outcome in run]
            assert [type(outcome) for outcome in rest] == [Done, Done]

    async def test_a_stop_does_not_wait_for_them(self, dialect: str) -> None:
        async with fleet(dialect, agents=3) as (server, trmm):
            server.go_offline(server.agent_ids[0])
            async with trmm.fleet.run_script(server.agent_ids, 1, when_online=timedelta(hours=1)) as run:
                outcomes = [await anext(run), await anext(run)]
                run.stop()
                outcomes += [outcome async for outcome in run]
            assert [type(outcome) for outcome in outcomes] == [Done, Done, Skipped]

    async def test_leaving_does_not_wait_either(self, dialect: str) -> None:
        async with fleet(dialect, agents=3) as (server, trmm):
            server.go_offline(server.agent_ids[0])
            async with trmm.fleet.run_script(server.agent_ids, 1, when_online=timedelta(hours=1)) as run:
                await anext(run)
            assert run.counts.total == 3
            assert run.counts.pending == 0

    async def test_a_server_that_does_not_say_who_is_offline_gets_nothing(self, dialect: str) -> None:
        async with fleet(dialect, agents=3) as (server, trmm):
            server.fail("GET", "/agents/", status=403, times=None)
            outcomes = await trmm.fleet.run_script(server.agent_ids, 1, skip_offline=True)
            assert {type(outcome).__name__ for outcome in outcomes} == {"Failed"}
            assert posts(server) == 0
