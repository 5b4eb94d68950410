"""Clients and sites with policies, templates and custom fields; agents' own patch policies."""

from typing import Any

import pytest

from tests.servers import count, served
from trmm_async import InvalidRequestError, NotFoundError, UnsupportedError

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


async def test_all_that_is_set_of_a_client_and_of_a_site_is_read_back() -> None:
    async with served("stock", agents=1) as (_, trmm):
        policy = (await trmm.policies.list())[0]
        template = await trmm.alert_templates.create(name="Ops")
        number = await trmm.custom_fields.create(name="Seats", model="client", type="number")
        note = await trmm.custom_fields.create(name="Door", model="site")
        client = await trmm.clients.create(
            name="Omega", site="Berlin", server_policy=policy, alert_template=template,
            block_policy_inheritance=True, custom_fields={number: 42},
        )  # fmt: skip
        client = await trmm.clients.get(client)
        assert (client.server_policy, client.workstation_policy, client.alert_template) == (
            policy.id, None, template.id,
        )  # fmt: skip
        assert client.block_policy_inheritance
        assert [(one.field, one.value) for one in client.custom_fields] == [(number.id, 42)]
        site = await trmm.sites.create(
            client=client, name="Hamburg", workstation_policy=policy.id, custom_fields={note: "left"}
        )
        assert (site.workstation_policy, site.block_policy_inheritance) == (policy.id, False)
        assert [(one.field, one.value) for one in site.custom_fields] == [(note.id, "left")]
        await trmm.clients.update(client, server_policy=None, workstation_policy=policy)
        await trmm.sites.update(site, alert_template=template, block_policy_inheritance=True)
        client, site = await trmm.clients.get(client), await trmm.sites.get(site)
        assert (client.server_policy, client.workstation_policy) == (None, policy.id)
        assert (site.alert_template, site.block_policy_inheritance) == (template.id, True)
        listed = next(one for one in await trmm.clients.list() if one.id == client.id)
        assert {one.name: one.alert_template for one in listed.sites} == {
            "Berlin": None, "Hamburg": template.id,
        }  # fmt: skip


async def test_a_field_that_is_not_there_leaves_no_client_behind() -> None:
    async with served("stock", agents=1) as (server, trmm):
        before = await trmm.clients.list()
        with pytest.raises(InvalidRequestError, match="no custom field"):
            await trmm.clients.create(name="Half", custom_fields={999: "x"})
        with pytest.raises(InvalidRequestError, match="no custom field"):
            await trmm.sites.create(client=before[0], name="Half", custom_fields={999: "x"})
        assert await trmm.clients.list() == before
        assert count(server, "POST", "clients") == 0


async def test_a_gateway_has_names_alone() -> None:
    async with served("gateway", agents=1) as (_, trmm):
        with pytest.raises(UnsupportedError, match=r"clients\.create with settings"):
            await trmm.clients.create(name="x", block_policy_inheritance=True)


async def test_a_custom_field_alone() -> None:
    async with served("stock", agents=1) as (_, trmm):
        made = await trmm.custom_fields.create(
            name="Tier", model="client", type="single", options=["gold", "silver"]
        )
        assert await trmm.custom_fields.get(made) == made
        with pytest.raises(NotFoundError):
            await trmm.custom_fields.get(999)


async def test_an_agent_has_its_own_patch_policy() -> None:
    async with served("stock", agents=1) as (server, trmm):
        agent = server.agents[0]
        await trmm.agents.update(agent.agent_id, patch_policy={"critical": "approve", "run_time_hour": 22})
        extra = (await trmm.agents.get(agent.agent_id)).extra
        own = extra["winupdatepolicy"][0]
        assert (own["critical"], own["run_time_hour"]) == ("approve", 22)
        await trmm.policies.patches.update(own["id"], critical="ignore")
        assert agent.update_policy["critical"] == "ignore"
        wrong: list[Any] = [
            {},
            [{"critical": "approve"}],
            {"critical": "yes"},
            {"run_time_hour": 24},
            {"x": 1},
        ]
        for each in wrong:
            with pytest.raises(InvalidRequestError):
                await trmm.agents.update(agent.agent_id, patch_policy=each)
        assert count(server, "PUT", "agents") == 1
