"""What an administrator sets up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testing.kit import one, rows

if TYPE_CHECKING:
    from tests.testing.kit import Http
    from trmm_async.testing import Simulator


async def test_custom_fields_are_those_of_the_world(http: Http, server: Simulator) -> None:
    number = server.add_custom_field("Asset", model="agent", type="text")
    path = "/core/customfields/"
    body = {"name": "VIP", "model": "client", "type": "checkbox", "default_value_bool": True}
    assert (await http("POST", path, body)).json == "ok"
    assert [row["name"] for row in await rows(http, path)] == ["Asset", "VIP"]
    answer = await http("POST", path, body)
    assert answer.json == {"non_field_errors": ["The fields model, name must make a unique set."]}
    await http("PUT", f"{path}{number}/", {"name": "Tag", "required": True})
    assert (server.world.custom_fields[number].name, server.world.custom_fields[number].required) == (
        "Tag",
        True,
    )
    assert [row["name"] for row in (await http("PATCH", path, {"model": "client"})).items] == ["VIP"]
    assert (await http("PATCH", path, {})).json == "The request was invalid"
    assert (await http("DELETE", f"{path}{number}/")).json == "ok"
    assert (await http.get(f"{path}{number}/")).status == 404


@pytest.mark.parametrize("path", ["/core/keystore/", "/core/urlaction/"])
async def test_keys_and_url_actions(http: Http, path: str) -> None:
    body = {"name": "n", "value": "v", "pattern": "https://x.example/{{agent.hostname}}/{{client.name}}"}
    assert (await http("POST", path, body)).json == "ok"
    made = await one(http, path, name="n")
    assert (await http("PUT", f"{path}{made['id']}/", {"name": "m"})).json == "ok"
    assert await one(http, path, name="m")
    assert (await http("DELETE", f"{path}{made['id']}/")).json == "ok"
    assert (await http("DELETE", f"{path}{made['id']}/")).status == 404


async def test_an_url_action_is_filled_in_for_an_agent(http: Http, server: Simulator) -> None:
    agent = server.agents[0]
    answer = await http("PATCH", "/core/urlaction/run/", {"agent_id": agent.agent_id, "action": 1})
    assert answer.json == f"https://ipinfo.example/{agent.public_ip}"
    assert (await http("PATCH", "/core/urlaction/run/", {"action": 1})).status == 400


async def test_settings_can_be_changed(http: Http) -> None:
    assert (await http("PUT", "/core/settings/", {"smtp_port": 25, "nonsense": 1})).json == "ok"
    found = (await http.get("/core/settings/")).fields
    assert found["smtp_port"] == 25
    assert "nonsense" not in found
