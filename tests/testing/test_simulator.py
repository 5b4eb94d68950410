from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.clock import skip
from trmm_async.testing import Simulator

from .kit import Http, eventually, subscribe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SCRIPTS = "/api/v3/scripts/"


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


@pytest.fixture
async def clean() -> AsyncIterator[None]:
    """No task and no socket of the simulator's is left behind."""
    files = open_files()
    yield
    await eventually(lambda: not others() and open_files() <= files)


def others() -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


@pytest.mark.usefixtures("clean")
async def test_it_ends_with_everything_under_way() -> None:
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        async with Simulator(agents=3, latency=0.0) as server:
            http, (one, two, three) = Http(server, session), server.agent_ids
            server.script(1, seconds=30)
            server.slow("GET", SCRIPTS, 30)
            calls = [
                tasks.create_task(unanswered(http.run(one))),
                tasks.create_task(unanswered(http.get(SCRIPTS))),
                tasks.create_task(unanswered(http.run(three))),
            ]
            await http.run(two, output="forget")
            async with subscribe(server, one):
                await eventually(lambda: len(server.runs) == 3 and server.in_flight == 3)
            server.go_offline(three)
            started = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - started < 2
        assert [await call for call in calls] == [True] * 3


async def unanswered(call: object) -> bool:
    assert asyncio.iscoroutine(call)
    with pytest.raises(aiohttp.ClientConnectionError):
        await call
    return True


@pytest.mark.usefixtures("clean")
async def test_it_ends_when_its_block_raises_or_is_cancelled() -> None:
    with pytest.raises(ZeroDivisionError):
        async with Simulator(agents=1):
            raise ZeroDivisionError
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), Simulator(agents=1):
            await asyncio.Event().wait()


@pytest.mark.usefixtures("clean")
async def test_a_cancelled_end_leaves_nothing_behind() -> None:
    async with aiohttp.ClientSession() as session:
        server = await Simulator(agents=1).__aenter__()
        url = f"{server.url}/trmm/{server.agent_ids[0]}/"
        await session.ws_connect(url, headers={"X-API-KEY": server.api_key})
        await server.wait_for_subscribers(server.agent_ids[0])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await server.__aexit__(None, None, None)
        assert server.subscribers() == 0


@pytest.mark.usefixtures("clean")
async def test_a_port_that_is_taken_is_an_os_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="address"):
        async with Simulator(agents=1, port=taken.getsockname()[1]):
            pass


async def test_it_listens_on_the_port_that_is_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with Simulator(agents=0, port=port) as server:
        assert server.url == f"http://127.0.0.1:{port}"


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("0.0.0.0", "127.0.0.1"),
        ("localhost", "localhost"),
        pytest.param(
            "::1", "[::1]", marks=pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here")
        ),
    ],
)
async def test_its_address_can_be_reached(host: str, shown: str, session: aiohttp.ClientSession) -> None:
    async with Simulator(agents=0, host=host) as server:
        assert server.url.startswith(f"http://{shown}:")
        assert (await Http(server, session).get(SCRIPTS)).status == 200


async def test_it_is_started_once_and_has_no_address_before() -> None:
    server = Simulator(agents=1)
    with pytest.raises(RuntimeError, match="async with"):
        _ = server.url
    assert "not listening" in repr(server)
    assert server.drop_connections() == 0
    async with server:
        with pytest.raises(RuntimeError, match="once"):
            await server.__aenter__()
        assert f"{server.url} agents=1 requests=0 runs=0 throttled=0 subscribers=0" in repr(server)
    with pytest.raises(RuntimeError, match="once"):
        await server.__aenter__()
    assert "not listening" in repr(server)


@pytest.mark.parametrize("dialect", ["Stock", "soap"])
def test_another_dialect_is_a_clear_mistake(dialect: str) -> None:
    with pytest.raises(ValueError, match=f"dialect must be one of gateway, stock, not '{dialect}'"):
        Simulator(dialect=dialect)


async def test_what_is_set_before_the_start_holds(session: aiohttp.ClientSession) -> None:
    server = Simulator(agents=1, api_key="MINE")
    server.go_offline(server.agent_ids[0])
    server.raise_alert(server.agent_ids[0])
    server.fail("GET", SCRIPTS, status=503)
    async with server:
        http = Http(server, session)
        assert server.api_key == "MINE"
        assert (await http.get(SCRIPTS)).status == 503
        assert len((await http.get("/api/v3/alerts/")).items) == 1
        assert (await http.get("/api/v3/agents/")).items[0]["status"] == "offline"


def test_the_same_seed_is_the_same_server_and_another_is_not() -> None:
    first, same, other = Simulator(seed=1), Simulator(seed=1), Simulator(seed=2)
    assert (first.agent_ids, first.api_key) == (same.agent_ids, same.api_key)
    assert first.agent_ids != other.agent_ids
    assert first.api_key != other.api_key


async def test_an_added_agent_is_listed_at_once(server: Simulator, http: Http) -> None:
    added = server.add_agent(hostname="NEW-PC", site=45)
    (item,) = (await http.get("/api/v3/agents/?hostname=NEW-PC&site=45")).items
    assert item["agent_id"] == added.agent_id == server.agents[-1].agent_id


async def test_idle_connections_are_closed_after_the_keepalive_timeout(
    session: aiohttp.ClientSession,
) -> None:
    for timeout, connections in ((0.05, 2), (30.0, 1)):
        async with Simulator(agents=0, keepalive_timeout=timeout) as server:
            http = Http(server, session)
            await http.get(SCRIPTS)
            await asyncio.sleep(0.1)
            await http.get(SCRIPTS)
            assert server.connections == connections


async def test_dropped_connections_are_gone(server: Simulator, http: Http) -> None:
    who = server.agent_ids[0]
    server.script(1, seconds=0.05)
    async with subscribe(server, who), asyncio.TaskGroup() as tasks:
        call = tasks.create_task(unanswered(http.run(who)))
        await eventually(lambda: server.runs)
        assert server.drop_connections() == 2
        assert await call
        await eventually(lambda: server.subscribers(who) == 0)
    await eventually(lambda: server.runs[0].finished is not None)
    assert (await http.get(SCRIPTS)).status == 200


async def test_the_ledger_keeps_the_newest_if_it_is_limited(session: aiohttp.ClientSession) -> None:
    async with Simulator(agents=1, script_seconds=0, ledger_limit=2) as server:
        http = Http(server, session)
        for number in range(3):
            await http.run(server.agent_ids[0], cmd_id=str(number))
        assert [run.cmd_id for run in server.runs] == ["1", "2"]
        assert len(server.requests) == 2


async def test_a_hundred_scripts_run_at_once(session: aiohttp.ClientSession) -> None:
    async with Simulator(agents=100, rate_limit=None, script_seconds=60.0) as server:
        http = Http(server, session)
        calls = [asyncio.ensure_future(http.run(who, timeout=90)) for who in server.agent_ids]
        await eventually(lambda: len(server.runs) == 100, 60)
        assert not any(run.finished for run in server.runs)
        await asyncio.sleep(0)  # the last one begins to wait in this turn of the loop
        skip(60)
        answers = await asyncio.gather(*calls)
        assert {answer.status for answer in answers} == {200}
        assert len(server.runs) == 100
        assert sorted(run.agent_id for run in server.runs) == sorted(server.agent_ids)
