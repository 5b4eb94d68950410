"""Number fields are numbers, written and read, on all that has custom fields; others stay what they are."""

from typing import Any

import pytest

from tests.servers import stock
from trmm_async import TRMM, InvalidRequestError

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


async def _fields(trmm: TRMM, model: Any) -> tuple[Any, Any]:
    number = await trmm.custom_fields.create(name="Rack", model=model, type="number")
    text = await trmm.custom_fields.create(name="Door", model=model, type="text")
    return number, text


def _told(holder: Any, *fields: Any) -> list[Any]:
    values = {one.field: one.value for one in holder.custom_fields}
    return [values.get(field.id) for field in fields]


@pytest.mark.parametrize("value", [42, 4.5, -7, 0])
async def test_of_agents(value: float) -> None:
    async with stock() as (server, trmm):
        fields = number, text = await _fields(trmm, "agent")
        agent = server.agent_ids[0]
        await trmm.agents.update(agent, custom_fields={number: value, text: "007"})
        listed = {one.agent_id: one for one in await trmm.agents.list()}
        found = await trmm.agents.find(listed[agent].hostname)
        for holder in (await trmm.agents.get(agent), listed[agent], found):
            assert _told(holder, *fields) == [value, "007"]
        read = _told(await trmm.agents.get(agent), number)[0]
        assert type(read) is type(value)


async def test_of_clients_and_sites_in_them_and_alone() -> None:
    async with stock() as (_, trmm):
        of_clients = await _fields(trmm, "client")
        of_sites = await _fields(trmm, "site")
        number, text = of_clients
        client = await trmm.clients.create(name="Acme", custom_fields={number: 12, text: "12"})
        (site,) = client.sites
        await trmm.sites.update(site, custom_fields={of_sites[0]: 1.5, of_sites[1]: "1.5"})
        listed = {one.id: one for one in await trmm.clients.list()}
        for whole in (await trmm.clients.get(client), listed[client.id], await trmm.clients.find("Acme")):
            assert whole is not None
            assert _told(whole, *of_clients) == [12, "12"]
            assert _told(whole.sites[0], *of_sites) == [1.5, "1.5"]
        alone = [
            await trmm.sites.get(site),
            await trmm.sites.find(site.name, client=client),
            *(one for one in await trmm.sites.list() if one.id == site.id),
            *await trmm.sites.list(client=client),
            *await trmm.clients.sites(client),
        ]
        assert len(alone) == 5
        assert [_told(one, *of_sites) for one in alone] == [[1.5, "1.5"]] * 5


async def test_nothing_more_is_asked_where_nothing_reads_as_a_number() -> None:
    async with stock() as (server, trmm):
        await trmm.agents.list()
        await trmm.clients.list()
        assert [one.path for one in server.requests if "customfields" in one.path] == []


async def test_who_may_not_see_the_definitions_gets_texts() -> None:
    async with stock() as (server, trmm):
        number, _ = await _fields(trmm, "agent")
        await trmm.agents.update(agent := server.agent_ids[0], custom_fields={number: 3})
        server.fail("GET", "/core/customfields/", status=403)
        assert _told(await trmm.agents.get(agent), number) == ["3"]


@pytest.mark.parametrize("value", ["many", "nan", float("inf"), True, [1]])
async def test_what_is_no_number_is_refused_before(value: object) -> None:
    async with stock() as (server, trmm):
        number, _ = await _fields(trmm, "agent")
        with pytest.raises(InvalidRequestError, match="takes a number"):
            await trmm.agents.update(server.agent_ids[0], custom_fields={number: value})
