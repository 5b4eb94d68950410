"""A role that sees some clients or sites alone: what the lists show of the rest, and what is refused."""

from typing import Any

import pytest

from tests.servers import stock
from trmm_async import TRMM, PermissionDeniedError

LISTS = ("can_list_agents", "can_list_clients", "can_list_sites")


async def _seen(server: Any, trmm: TRMM, **shown: Any) -> tuple[set[str], set[str], set[str]]:
    key = await trmm.api_keys.create_limited(name="part", permissions=LISTS, **shown)
    async with TRMM(server.url, api_key=key.key, dialect="stock") as limited:
        clients, sites = await limited.clients.list(), await limited.sites.list()
        within = {site.name for client in clients for site in client.sites}
        assert within == {site.name for site in sites}
        agents = {agent.agent_id for agent in await limited.agents.list()}
        for agent in await trmm.agents.list():
            if agent.agent_id not in agents:
                with pytest.raises(PermissionDeniedError):
                    await limited.agents.get(agent)
        return {client.name for client in clients}, within, agents


async def test_some_clients_are_shown_with_all_of_their_sites() -> None:
    async with stock(agents=6) as (server, trmm):
        client = server.agents[0].site.client
        clients, sites, agents = await _seen(server, trmm, clients=[client.id])
        assert clients == {client.name}
        assert sites == {one.name for one in server.world.sites_of(client.id)}
        assert agents == {one.agent_id for one in server.agents if one.site.client is client}


async def test_a_site_is_shown_with_its_client_and_not_those_beside_it() -> None:
    async with stock(agents=6) as (server, trmm):
        site = server.agents[0].site
        clients, sites, agents = await _seen(server, trmm, clients=(), sites=[site.id])
        assert (clients, sites) == ({site.client.name}, {site.name})
        assert agents == {one.agent_id for one in server.agents if one.site is site}


async def test_all_are_shown_where_it_is_said() -> None:
    async with stock(agents=6) as (server, trmm):
        clients, _, agents = await _seen(server, trmm, clients="all")
        assert len(agents) == 6
        assert clients == {one.name for one in server.world.clients.values()}
