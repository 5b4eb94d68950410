"""`trmm.clients` and `trmm.sites` on a stock server, over real HTTP."""

import json

import pytest

from tests.exchanges import (
    AGAIN,
    ByHand,
    Case,
    answer_of,
    assert_is_recorded,
)
from tests.servers import count, served, stock
from trmm_async import (
    BadRequestError,
    InvalidRequestError,
    NotFoundError,
    UnsupportedError,
)
from trmm_async.calls import Replay
from trmm_async.models import (
    Client,
)

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


class TestClientsAndSites:
    async def test_are_read_changed_and_removed(self) -> None:
        async with stock() as (server, trmm):
            field = await trmm.custom_fields.create(name="Contract", model="client")
            client = await trmm.clients.create(name="New", site="First")
            with pytest.raises(InvalidRequestError, match="takes a text, not 9"):
                await trmm.clients.update(client, custom_fields={field: 9})
            await trmm.clients.update(client, name=" Renamed ", custom_fields={field: "9"})
            sent = json.loads(server.requests[-1].body or b"{}")
            assert sent["custom_fields"] == [{"field": field.id, "string_value": "9"}]
            read = await trmm.clients.get(client)
            assert (read.name, [site.name for site in read.sites]) == ("Renamed", ["First"])
            site = await trmm.sites.create(client=client, name=" Second ")
            assert (site.name, site.client and site.client.id) == ("Second", client.id)
            await trmm.sites.update(site, name="Third")
            assert (await trmm.sites.get(site)).name == "Third"
            assert {one.name for one in await trmm.sites.list(client=client)} == {"First", "Third"}
            assert site.id in {one.id for one in await trmm.sites.list()}
            await trmm.sites.delete(site)
            with pytest.raises(NotFoundError):
                await trmm.sites.get(site)
            with pytest.raises(BadRequestError, match="at least 1 site"):
                await trmm.sites.delete(read.sites[0])
            await trmm.clients.delete(client)
            with pytest.raises(NotFoundError):
                await trmm.clients.get(client)

    async def test_one_with_several_sites_goes_only_if_that_is_said(self) -> None:
        async with stock() as (server, trmm):
            client = await trmm.clients.create(name="New", site="First")
            await trmm.sites.create(client=client, name="Second")
            with pytest.raises(InvalidRequestError, match=r"has 2 sites: .*say with_sites=True"):
                await trmm.clients.delete("New")
            assert "DELETE" not in {request.method for request in server.requests}
            await trmm.clients.delete("New", with_sites=True)
            assert await trmm.clients.find("New") is None

    async def test_agents_are_moved_before_what_they_belong_to_goes(self) -> None:
        async with stock() as (server, trmm):
            agent = await trmm.agents.get(server.agent_ids[0])
            refuge = (await trmm.clients.create(name="Refuge", site="Camp")).sites[0]
            assert agent.client.id is not None
            with pytest.raises(BadRequestError, match="site specified"):
                await trmm.clients.delete(agent.client, with_sites=True)
            await trmm.clients.delete(agent.client, with_sites=True, move_to_site=refuge)
            assert (await trmm.agents.get(agent)).site.name == "Camp"
            other = await trmm.sites.create(client=(await trmm.agents.get(agent)).client, name="Other")
            await trmm.sites.delete(refuge, move_to_site=other)
            assert (await trmm.agents.get(agent)).site.name == "Other"

    async def test_agents_are_not_moved_to_what_goes(self) -> None:
        async with stock() as (server, trmm):
            client = (await trmm.clients.list())[0]
            server.reset_ledger()
            with pytest.raises(InvalidRequestError, match="one of the client"):
                await trmm.clients.delete(client, move_to_site=client.sites[0])
            with pytest.raises(InvalidRequestError, match="is the one that is to go"):
                await trmm.sites.delete(client.sites[0], move_to_site=client.sites[0].id)
            assert server.requests == []


# -- against recordings, without a server --------------------------------------------------------------------

CALLS = [
    Case("client_get", lambda it: it.clients.get(1), Client),
    Case("client_without_sites_get", lambda it: it.clients.get(7), Client),
    Case("client_delete", lambda it: it.clients.delete(6, with_sites=True), replay=AGAIN),
    Case(
        "client_delete_move_to_site",
        lambda it: it.clients.delete(8, with_sites=True, move_to_site=1),
        replay=AGAIN,
    ),
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_a_call_is_as_recorded_and_its_answer_is_ours(case: Case) -> None:
    case.holds()


def test_a_client_is_changed_as_recorded() -> None:
    script = ByHand(b'[{"id": 7, "model": "client", "type": "text"}]', answer_of("client_update"))
    script.of(lambda it: it.clients.update(6, name="Renamed Client", custom_fields={7: "C-9"}))
    assert_is_recorded(script.calls[1], "client_update")
    assert script.calls[1].replay is Replay.IDEMPOTENT


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


class TestBothKinds:
    async def test_clients_and_sites(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (_, trmm):
            clients = await trmm.clients.list()
            assert await trmm.clients.sites(clients[0]) == list(clients[0].sites)
            made = await trmm.clients.create(name="New tenant")
            assert made in await trmm.clients.list()
            assert (await trmm.clients.create(name=" Another ")).name == "Another"
            with pytest.raises(InvalidRequestError, match="name"):
                await trmm.clients.create(name="  ")
