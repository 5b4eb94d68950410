from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.testing.kit import Clock, Http, eventually
from trmm_async.testing import Simulator

from .orders import BODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def test_there_is_no_rate_limit_unless_one_is_given(clock: Clock) -> None:
    async with Simulator(dialect="stock", clock=clock) as server:
        assert server.limits.requests is server.limits.deployments is None
    async with (
        Simulator(dialect="stock", rate_limit=(1, 60.0), clock=clock) as server,
        aiohttp.ClientSession() as session,
    ):
        http = Http(server, session)
        assert (await http.get("/core/version/")).status == 200
        answer = await http.get("/core/version/")
        assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
        assert answer.detail == "Request was throttled. Expected available in 60 seconds."
    assert Simulator().limits.requests == (100, 60.0)
    assert Simulator().limits.deployments == (20, 60.0)


@pytest.fixture
async def small(clock: Clock, session: aiohttp.ClientSession) -> AsyncIterator[Http]:
    async with Simulator(dialect="stock", agents=3, clock=clock, script_seconds=0.0, workers=2) as server:
        yield Http(server, session)


async def test_waiting_calls_hold_the_workers_and_the_rest_queues(small: Http) -> None:
    server = small.server
    server.script(1, seconds=60.0)
    first, second, _ = server.agent_ids
    calls = [
        asyncio.ensure_future(small("POST", f"/agents/{who}/runscript/", BODY)) for who in (first, second)
    ]
    await eventually(lambda: len(server.runs) == 2)
    trivial = asyncio.ensure_future(small.get("/core/version/"))
    await eventually(lambda: server.in_flight == 3)
    done, _ = await asyncio.wait([trivial], timeout=0.05)
    assert not done
    calls[0].cancel()
    server.world.agent(first).status = "offline"
    server._runner._hold = 0.0
    server._runner.lose(first)
    assert (await trivial).status == 200
    server._runner.lose(second)
    await calls[1]
    assert server.max_in_flight == 3


async def test_404_names_the_model_and_an_unknown_path_is_a_page(http: Http) -> None:
    assert (await http.get("/clients/999/")).detail == "No Client matches the given query."
    assert (await http.get("/clients/sites/999/")).detail == "No Site matches the given query."
    assert (await http.get("/alerts/999/")).detail == "No Alert matches the given query."
    page = await http.get("/api/v3/agents/")
    assert page.status == 404
    assert page.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("permission", "method", "path"),
    [
        ("can_edit_agent", "PUT", "/agents/{agent}/"),
        ("can_run_scripts", "POST", "/agents/{agent}/runscript/"),
        ("can_send_cmd", "POST", "/agents/{agent}/cmd/"),
        ("can_run_bulk", "POST", "/agents/actions/bulk/"),
        ("can_list_agent_history", "GET", "/agents/scripthistory/"),
        ("can_list_alerts", "PATCH", "/alerts/"),
        ("can_manage_sites", "POST", "/clients/sites/"),
        ("can_list_deployments", "GET", "/clients/deployments/"),
    ],
)
async def test_a_missing_permission_is_403(
    permission: str, method: str, path: str, server: Simulator, http: Http
) -> None:
    path = path.format(agent=server.agent_ids[0])
    with server.restrict(permission):
        answer = await http(method, path, {})
        assert (answer.status, answer.detail) == (
            403,
            "You do not have permission to perform this action.",
        )
    assert (await http(method, path, {})).status != 403


async def test_a_500_of_a_fault_is_a_page_and_a_502_the_proxys(server: Simulator, http: Http) -> None:
    server.fail("GET", "/core/", status=500)
    server.fail("GET", "/core/", status=502)
    answers = [await http.get("/core/version/") for _ in range(3)]
    assert [answer.status for answer in answers] == [500, 502, 200]
    assert b"Server Error (500)" in answers[0].body
    assert b"nginx" in answers[1].body
