"""Lists of all take as long as they were measured live, by settings that a test can set to 0."""

from __future__ import annotations

from asyncio import get_running_loop
from typing import TYPE_CHECKING

from tests.testing.kit import Http
from trmm_async.testing import Simulator

if TYPE_CHECKING:
    from aiohttp import ClientSession


async def seconds(http: Http, path: str) -> float:
    before = get_running_loop().time()
    await http.get(path)
    return get_running_loop().time() - before


async def test_agents_and_checks_take_their_time_each(session: ClientSession) -> None:
    async with Simulator(dialect="stock", agents=5, agent_seconds=0.1, check_seconds=0.03) as server:
        http = Http(server, session)
        assert await seconds(http, "/agents/") >= 0.5
        assert 0.06 <= await seconds(http, "/agents/?detail=false") < 0.5
        checks = len((await http.get("/checks/")).items)
        assert await seconds(http, "/checks/") >= 0.03 * checks
        assert await seconds(http, f"/agents/{server.agent_ids[0]}/checks/") < 0.5


async def test_by_default_they_take_as_long_as_live(session: ClientSession) -> None:
    async with Simulator(dialect="stock", agents=30) as server:
        http = Http(server, session)
        assert await seconds(http, "/agents/") >= 30 * 12.8 / 5018 * 0.95
        checks = len(server.world.checks_of())
        assert await seconds(http, "/checks/") >= checks * 29.7 / 1835 * 0.95
