"""Checks of many agents, with their results, as they arrive; who could not be asked is named."""

import asyncio
import pickle
from typing import Any

import pytest

from tests.peer import Peer, Request, answer, peer
from tests.servers import count, served, until
from trmm_async import (
    TRMM,
    Check,
    IncompleteError,
)
from trmm_async.errors import (
    AuthenticationError,
    ClosedError,
    ConnectionFailedError,
    InvalidRequestError,
    PermissionDeniedError,
    ServerError,
    TimeoutError,
)
from trmm_async.testing import Simulator

AT_ONCE = 5
KEY = "sesame-sesame"
IN_A_ROW = 20


def told(checks: list[Check]) -> set[tuple[str | None, int, str]]:
    return {(check.agent_id, check.id, check.status) for check in checks}


def true(server: Simulator, agent_ids: list[str] | None = None) -> set[tuple[str | None, int, str]]:
    checks = server.world.checks_of()
    return {
        (one.agent_id, one.id, one.status) for one in checks if agent_ids is None or one.agent_id in agent_ids
    }


async def read(stream: Any) -> list[Check]:
    async with stream:
        return [check async for check in stream]


@pytest.mark.parametrize("way", ["list", "iter"])
class TestOfMany:
    async def ask(self, trmm: TRMM, way: str, **which: Any) -> list[Check]:
        return await trmm.checks.list(**which) if way == "list" else await read(trmm.checks.iter(**which))

    async def test_each_has_its_agent_and_its_result(self, way: str, dialect: str) -> None:
        async with served(dialect, agents=12) as (server, trmm):
            found = await self.ask(trmm, way)
            assert told(found) == true(server)
            assert all(check.last_run is not None for check in found)
            assert server.max_in_flight <= AT_ONCE
            assert count(server, "GET", "checks") == 12

    async def test_are_of_the_agents_that_were_meant(self, way: str, dialect: str) -> None:
        async with served(dialect, agents=20) as (server, trmm):
            first = server.agents[0]
            for which, meant in (
                ({"hostname": first.hostname}, lambda one: one.hostname == first.hostname),
                ({"client": first.site.client.id}, lambda one: one.site.client is first.site.client),
                ({"site": first.site.id}, lambda one: one.site is first.site),
                ({"monitoring_type": "server"}, lambda one: one.monitoring_type == "server"),
            ):
                ids = [one.agent_id for one in server.agents if meant(one)]
                assert 0 < len(ids) < 20
                assert told(await self.ask(trmm, way, **which)) == true(server, ids)

    async def test_those_that_fail(self, way: str, dialect: str) -> None:
        async with served(dialect, agents=40) as (server, trmm):
            failing = {one for one in true(server) if one[2] == "failing"}
            assert failing
            assert told(await self.ask(trmm, way, status="failing")) == failing
            asked = {agent_id for agent_id, _, _ in failing} if dialect == "stock" else set(server.agent_ids)
            assert count(server, "GET", "checks") == len(asked)

    async def test_name_the_agents_that_could_not_be_asked(self, way: str) -> None:
        async with served("stock", agents=8) as (server, trmm):
            lost = server.agent_ids[2:4]
            for agent_id in lost:
                server.fail("GET", f"/agents/{agent_id}/checks/", status=500, times=None)
            found: list[Check] = []
            with pytest.raises(IncompleteError, match=r"^2 agents could not be asked: ") as caught:
                if way == "list":
                    await trmm.checks.list()
                async with trmm.checks.iter() as stream:
                    async for check in stream:
                        found.append(check)  # noqa: PERF401 - what came before the error counts
            assert set(caught.value.failed) == set(lost)
            assert all(isinstance(error, ServerError) for error in caught.value.failed.values())
            assert all(agent_id in str(caught.value) for agent_id in lost)
            held = found or list(caught.value.found)
            assert told(held) == true(server, [one for one in server.agent_ids if one not in lost])
            again = pickle.loads(pickle.dumps(caught.value))
            assert (str(again), again.found) == (str(caught.value), caught.value.found)

    async def test_one_that_is_gone_by_now_has_none(self, way: str) -> None:
        async with served("stock", agents=3) as (server, trmm):
            server.fail("GET", f"/agents/{server.agent_ids[0]}/checks/", status=404, times=None)
            assert told(await self.ask(trmm, way)) == true(server, server.agent_ids[1:])

    async def test_a_page_in_place_of_an_answer_is_no_agent_that_is_gone(self, way: str) -> None:
        async with served("stock", agents=3) as (server, trmm):
            server.fail("GET", f"/agents/{server.agent_ids[0]}/checks/", status=404, html=True, times=None)
            with pytest.raises(IncompleteError, match=server.agent_ids[0]):
                await self.ask(trmm, way)

    async def test_a_server_that_is_down_is_not_asked_for_each(self, way: str) -> None:
        async with served("stock", agents=60) as (server, trmm):
            server.fail("GET", "/checks/", status=502, times=None)
            with pytest.raises(IncompleteError, match=r"^60 agents could not be asked: ") as caught:
                await self.ask(trmm, way)
            assert set(caught.value.failed) == set(server.agent_ids)
            assert count(server, "GET", "/checks/") <= IN_A_ROW + AT_ONCE
            assert "20 agents before it failed" in str(caught.value.failed[server.agent_ids[-1]])

    @pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (403, PermissionDeniedError)])
    async def test_what_is_the_same_for_all_ends_it(self, way: str, status: int, kind: Any) -> None:
        async with served("stock", agents=30) as (server, trmm):
            server.fail("GET", "/checks/", status=status, times=None)
            with pytest.raises(kind):
                await self.ask(trmm, way)
            assert count(server, "GET", "/checks/") <= AT_ONCE

    @pytest.mark.parametrize(
        "which",
        [
            {"status": "failed"},
            {"status": 1},
            {"hostname": ""},
            {"client": 1.5},
            {"monitoring_type": "servers"},
        ],
    )
    async def test_what_can_not_be_is_said_and_nothing_sent(self, way: str, which: Any) -> None:
        async with served("stock", agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match=next(iter(which))):
                await self.ask(trmm, way, **which)
            assert server.requests == []


class TestOfOne:
    async def test_by_how_they_stand(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            one: Any = server.agents[0].agent_id
            assert told(await trmm.checks.list(agent=one)) == true(server)
            passing = await trmm.checks.list(agent=one, status="passing")
            assert told(passing) == {check for check in true(server) if check[2] == "passing"}
            assert await trmm.checks.list(agent=one, status="pending") == []

    async def test_is_not_asked_for_with_a_filter_of_many(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match="either"):
                await trmm.checks.list(agent=server.agent_ids[0], client=1)
            assert server.requests == []


class TestStream:
    async def test_is_entered_first_and_once(self, dialect: str) -> None:
        async with served(dialect, agents=2) as (server, trmm):
            stream = trmm.checks.iter()
            with pytest.raises(ClosedError, match="enter"):
                await anext(stream)
            assert (server.requests, stream.failed) == ([], {})
            async with stream:
                pass
            with pytest.raises(ClosedError, match="used already"):
                await stream.__aenter__()

    async def test_that_nobody_reads_asks_no_more(self) -> None:
        async with served("stock", agents=60) as (server, trmm):
            async with trmm.checks.iter() as stream:
                await anext(stream)
                await until(lambda: count(server, "GET", "/checks/") == AT_ONCE and not server.in_flight)
                await trmm.scripts.list()
                assert count(server, "GET", "/checks/") == AT_ONCE
            assert count(server, "GET", "/checks/") == AT_ONCE

    async def test_is_left_and_what_is_under_way_dropped(self) -> None:
        async with served("stock", agents=20) as (server, trmm):
            server.slow("GET", "/checks/", 20.0, times=None)
            server.slow("GET", "/checks/", 0.0, times=1)
            async with asyncio.timeout(10), trmm.checks.iter() as stream:
                reading = asyncio.create_task(anext(stream))
                await until(lambda: count(server, "GET", "/checks/") == AT_ONCE)
                reading.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await reading


class TestTheListOfAgents:
    """A stock server takes 2.5 ms over each, and says nothing before it has them all."""

    ROWS = b'[{"agent_id": "a"}, {"agent_id": "b"}]'

    async def slow(self, state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.target == "/agents/":
            await asyncio.sleep(0.6)
        writer.write(answer(self.ROWS if request.target == "/agents/" else b"[]"))
        await writer.drain()
        return True

    async def test_may_take_longer_than_other_calls(self) -> None:
        async with (
            peer(self.slow) as server,
            TRMM(server.url, api_key=KEY, dialect="stock", timeout=0.3, retries=0) as trmm,
        ):
            assert [one.agent_id for one in await trmm.agents.list()] == ["a", "b"]
            async with trmm.agents.iter() as stream:
                assert [one.agent_id async for one in stream] == ["a", "b"]

    async def test_does_not_pause_longer_than_others_once_it_has_begun(self) -> None:
        release = asyncio.Event()

        async def stall(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            if request.target != "/agents/":
                writer.write(answer(b"[]"))
                return True
            writer.write(answer(self.ROWS)[:-10])
            await writer.drain()
            await release.wait()
            return False

        async with (
            asyncio.timeout(20),
            peer(stall) as server,
            TRMM(server.url, api_key=KEY, dialect="stock", timeout=0.3, retries=0) as trmm,
        ):
            with pytest.raises(ConnectionFailedError, match="broke off"):
                await read(trmm.agents.iter())
            release.set()

    @pytest.mark.parametrize("way", ["list", "iter"])
    async def test_that_is_late_all_the_same_says_what_allows_more(self, way: str) -> None:
        release = asyncio.Event()

        async def silent(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            await release.wait()
            return False

        async with (
            peer(silent) as server,
            TRMM(server.url, api_key=KEY, dialect="gateway", timeout=0.2, retries=0) as trmm,
        ):
            with pytest.raises(TimeoutError, match=r"TRMM\(timeout=…\) allows more"):
                await (trmm.agents.list() if way == "list" else read(trmm.agents.iter()))
            release.set()
