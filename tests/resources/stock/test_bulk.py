"""`trmm.bulk`: the server chooses the agents, by client, site, kind and system, and says how many."""

import asyncio
from typing import Any

import pytest

from tests.servers import count, stock
from trmm_async import (
    BadRequestError,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
)
from trmm_async.testing import Simulator

pytestmark = pytest.mark.usefixtures("nothing_is_odd")

PATH = "/agents/actions/bulk/"


def _sort(server: Simulator) -> tuple[list[str], str]:
    """Two servers and two workstations, one of each on Linux; the first two are at the first client."""
    agents = server.agents
    for agent, kind, plat in zip(
        agents,
        ("server", "workstation", "server", "workstation"),
        ("windows", "windows", "linux", "linux"),
        strict=True,
    ):
        agent.monitoring_type, agent.plat = kind, plat
    sites = list(server.world.sites.values())
    here, there = sites[0], next(site for site in sites if site.client is not sites[0].client)
    for agent in agents:
        agent.site = here if agent in agents[:2] else there
    return [agent.agent_id for agent in agents], here.client.name


async def _ran(server: Simulator, wanted: set[str]) -> None:
    async with asyncio.timeout(10):
        while {run.agent_id for run in server.runs} != wanted:
            await asyncio.sleep(0.01)


async def test_a_command_goes_to_those_of_a_client_that_are_meant() -> None:
    async with stock(agents=4) as (server, trmm):
        (server_id, *_), client = _sort(server)
        told = await trmm.bulk.run_command(
            "ipconfig /flushdns", shell="cmd", client=client, monitoring_type="server", plat="windows"
        )
        assert told == 1
        await _ran(server, {server_id})
        assert [run.command for run in server.runs] == ["ipconfig /flushdns"]


@pytest.mark.parametrize(
    ("which", "places"),
    [
        ({"everywhere": True}, (0, 1, 2, 3)),
        ({"everywhere": True, "plat": "linux"}, (2, 3)),
        ({"everywhere": True, "monitoring_type": "workstation"}, (1, 3)),
    ],
)
async def test_a_script_goes_to_all_that_are_meant(which: Any, places: tuple[int, ...]) -> None:
    async with stock(agents=4) as (server, trmm):
        ids, _ = _sort(server)
        assert await trmm.bulk.run_script(1, args=["C:"], **which) == len(places)
        await _ran(server, {ids[place] for place in places})
        assert {run.args for run in server.runs} == {("C:",)}


async def test_scripts_and_sites_go_by_their_names_too() -> None:
    async with stock(agents=4) as (server, trmm):
        ids, client = _sort(server)
        script = (await trmm.scripts.list())[0]
        site = server.agents[0].site.name
        assert await trmm.bulk.run_script(script.name, site=f"{client}/{site}") == 2
        await _ran(server, set(ids[:2]))


async def test_agents_may_be_named_and_those_that_are_off_are_counted() -> None:
    async with stock(agents=4) as (server, trmm):
        ids, _ = _sort(server)
        server.go_offline(ids[1])
        assert await trmm.bulk.run_command("x", shell="cmd", agents=ids[:2]) == 2
        await _ran(server, {ids[0]})
        with pytest.raises(InvalidRequestError, match="has no agent nobody; nothing was begun"):
            await trmm.bulk.run_command("x", shell="cmd", agents=[ids[0], "nobody"])
        assert count(server, "POST", PATH) == 1


async def test_patches_are_for_windows() -> None:
    async with stock(agents=4) as (server, trmm):
        _, client = _sort(server)
        assert await trmm.bulk.scan_patches(everywhere=True) == 2
        assert await trmm.bulk.install_patches(client=client, monitoring_type="workstation") == 1
        with pytest.raises(InvalidRequestError, match="Windows alone"):
            await trmm.bulk.scan_patches(everywhere=True, plat="linux")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "exactly one of agents="),
        ({"client": 1, "site": 1}, "exactly one of agents="),
        ({"client": 1, "everywhere": True}, "exactly one of agents="),
        ({"everywhere": False}, "must be True, or left out"),
        ({"agents": []}, "agents must not be empty"),
        ({"agents": "abc"}, "agents must be a sequence"),
        ({"everywhere": True, "monitoring_type": "servers"}, "did you mean 'server'"),
        ({"everywhere": True, "plat": "Window"}, "did you mean 'windows'"),
        ({"everywhere": True, "os": "windows"}, "unexpected keyword 'os'"),
    ],
)
async def test_who_is_meant_is_said_in_words_that_the_server_knows(wrong: Any, words: str) -> None:
    async with stock() as (server, trmm):
        with pytest.raises(InvalidRequestError, match=words):
            await trmm.bulk.run_command("x", shell="cmd", **wrong)
        assert server.requests == []


async def test_a_script_that_is_not_there_is_not_found() -> None:
    async with stock() as (server, trmm):
        with pytest.raises(NotFoundError):
            await trmm.bulk.run_script(999_999, everywhere=True)
        with pytest.raises(NotFoundError, match="/core/customfields/7/"):  # the server's worker fails over it
            await trmm.bulk.run_script(1, everywhere=True, collector=7)
        assert count(server, "POST", PATH) == 0


async def test_nobody_is_meant_or_the_answer_is_lost() -> None:
    async with stock(agents=4) as (server, trmm):
        _, client = _sort(server)
        with pytest.raises(BadRequestError, match="No agents were found"):
            await trmm.bulk.run_command("x", shell="/bin/sh", client=client, plat="darwin")
        server.cut("POST", PATH)
        with pytest.raises(OutcomeUnknownError):
            await trmm.bulk.run_command("x", shell="cmd", everywhere=True)
        assert count(server, "POST", PATH) == 2
