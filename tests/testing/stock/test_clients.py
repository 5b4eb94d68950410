from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.testing.kit import Http
    from trmm_async.testing import Simulator


async def test_clients_come_by_name_with_counts(server: Simulator, http: Http) -> None:
    server.agents[0].maintenance_mode = True
    clients = (await http.get("/clients/")).items
    names = [str(client["name"]) for client in clients]
    assert names == sorted(names)
    hermes = next(client for client in clients if client["id"] == 34)
    assert (hermes["agent_count"], hermes["maintenance_mode"]) == (2, True)
    alone = (await http.get("/clients/34/")).fields
    assert "agent_count" not in alone
    assert isinstance(alone["sites"], list)
    assert [site["agent_count"] for site in alone["sites"]] == [1, 1]


async def test_a_client_is_made_with_its_site_and_fields(server: Simulator, http: Http) -> None:
    field = server.add_custom_field("code", model="client")
    body = {
        "client": {"name": "New"}, "site": {"name": "Here"},
        "custom_fields": [{"field": field, "string_value": "C"}],
    }  # fmt: skip
    assert (await http("POST", "/clients/", body)).json == "New was added"
    made = server.world.clients[39]
    assert [site.name for site in server.world.sites_of(39)] == ["Here"]
    assert [value.value for value in made.custom_fields] == ["C"]


async def test_without_a_site_it_fails_and_has_made_the_client(server: Simulator, http: Http) -> None:
    assert (await http("POST", "/clients/", {"client": {"name": "Half"}})).status == 500
    assert [client.name for client in server.world.clients.values()][-1] == "Half"
    assert server.world.sites_of(39) == []


async def test_with_a_wrong_site_it_is_refused_and_has_not(server: Simulator, http: Http) -> None:
    answer = await http("POST", "/clients/", {"client": {"name": "Half"}, "site": {"name": "a|b"}})
    assert (answer.status, answer.fields) == (
        400,
        {"non_field_errors": ["Site name cannot contain the | character"]},
    )
    assert 39 not in server.world.clients


async def test_a_client_is_renamed(server: Simulator, http: Http) -> None:
    body = {"client": {"name": "Hermes", "block_policy_inheritance": True}}
    assert (await http("PUT", "/clients/34/", body)).json == "{client} was updated"
    assert (server.world.client(34).name, server.world.client(34).block_policy_inheritance) == (
        "Hermes",
        True,
    )
    assert (await http("PUT", "/clients/34/", {"client": {"name": "Hermes"}})).status == 200
    assert (await http("PUT", "/clients/34/", {"client": {"name": "Northwind Traders"}})).status == 400
    assert (await http("PUT", "/clients/34/", {"client": {"name": None}})).status == 400


async def test_agents_move_before_their_client_is_deleted(server: Simulator, http: Http) -> None:
    assert (await http("DELETE", "/clients/34/")).status == 400
    assert (await http("DELETE", "/clients/34/?move_to_site=999")).status == 404
    assert (await http("DELETE", "/clients/34/?move_to_site=41")).status == 500
    answer = await http("DELETE", "/clients/34/?move_to_site=43")
    assert answer.json == "Hermes Network Inc. was deleted"
    assert {41, 42} & set(server.world.sites) == set()
    assert server.agents[0].site.id == 43


async def test_a_site_moves_its_agents_too_and_the_last_one_stays(server: Simulator, http: Http) -> None:
    assert (await http("DELETE", "/clients/sites/43/")).json == "A client must have at least 1 site."
    assert (await http("DELETE", "/clients/sites/41/?move_to_site=42")).json == "Jakarta Office was deleted"
    assert server.agents[0].site.id == 42


async def test_a_site_is_edited_and_changes_its_client(server: Simulator, http: Http) -> None:
    field = server.add_custom_field("address", model="site")
    body = {
        "site": {"name": "Moved", "client": 35},
        "custom_fields": [{"field": field, "string_value": "Elm St 1"}],
    }
    assert (await http("PUT", "/clients/sites/41/", body)).json == "Site was edited"
    site = (await http.get("/clients/sites/41/")).fields
    assert (site["name"], site["client"], site["client_name"]) == ("Moved", 35, "Blue Harbour Dental")
    assert site["custom_fields"] == [{"id": 1, "field": field, "site": 41, "value": "Elm St 1"}]
    answer = await http("PUT", "/clients/sites/42/", {"site": {"client": 36}})
    assert answer.json == "A client must have at least one site"
    assert (await http("PUT", "/clients/sites/42/", {"site": {"client": 34}})).status == 200


async def test_a_new_site_needs_a_name_of_its_own(http: Http) -> None:
    assert (await http("POST", "/clients/sites/", {"site": {"client": 34, "name": "B"}})).json == (
        "Site B was added!"
    )
    assert (await http("POST", "/clients/sites/", {"site": {"client": 34, "name": "B"}})).status == 400
    assert (await http("POST", "/clients/sites/", {"site": {"client": 34}})).fields == {
        "name": ["This field is required."]
    }
    assert (await http("POST", "/clients/sites/", {"site": {"client": "x", "name": "C"}})).status == 400
