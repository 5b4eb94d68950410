"""What Ansible is told of agents: hosts by unique names, with their variables."""

import json

import pytest

from tests.servers import DIALECTS, served, stock
from trmm_async.ansible import hosts


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_hosts_are_agents_by_unique_names(dialect: str) -> None:
    async with served(dialect, agents=8) as (_, trmm):
        agents = await trmm.agents.list()
        found = await hosts(trmm)
        assert len({host["name"] for host in found}) == 8
        assert {host["vars"]["trmm_agent_id"] for host in found} == {agent.agent_id for agent in agents}
        assert json.loads(json.dumps(found)) == found
        client = agents[0].client.name
        theirs = await hosts(trmm, client=client)
        assert {host["vars"]["trmm_client"] for host in theirs} == {client}


async def test_agents_of_one_name_have_their_ids_behind_it() -> None:
    async with stock(agents=3) as (server, trmm):
        twins = [server.add_agent(hostname=name) for name in ("TWIN", "twin")]
        server.add_agent(hostname="ODD\nname\x1b")
        names = [host["name"] for host in await hosts(trmm)]
        assert "ODD_name" in names
        assert {f"{twin.hostname}-{twin.agent_id}" for twin in twins} <= {*names}
