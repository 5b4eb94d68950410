from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.testing.kit import Http
    from trmm_async.testing import Simulator


async def test_changes_of_a_record_show(server: Simulator, http: Http) -> None:
    agent = server.agents[0]
    agent.version, agent.needs_reboot, agent.policy = "2.9.0", True, 7
    first, *rest = (await http.get("/agents/")).items
    assert (first["version"], first["needs_reboot"], first["policy"]) == ("2.9.0", True, 7)
    assert all("policy" not in item for item in rest)
    alone = (await http.get(f"/agents/{agent.agent_id}/")).fields
    assert (alone["version"], alone["policy"]) == ("2.9.0", 7)


async def test_client_and_site_are_names_but_for_the_site_of_one_alone(server: Simulator, http: Http) -> None:
    item = (await http.get("/agents/")).items[0]
    assert (item["client_name"], item["site_name"]) == ("Hermes Network Inc.", "Jakarta Office")
    assert not {"id", "pk", "client", "site"} & set(item)
    alone = (await http.get(f"/agents/{server.agent_ids[0]}/")).fields
    assert (alone["client"], alone["site"], alone["site_name"]) == (
        "Hermes Network Inc.",
        41,
        "Jakarta Office",
    )


async def test_a_windows_agent_alone_is_big(server: Simulator, http: Http) -> None:
    server.agents[1].plat = "linux"
    big = await http.get(f"/agents/{server.agent_ids[0]}/")
    small = await http.get(f"/agents/{server.agent_ids[1]}/")
    assert len(big.body) > len(small.body) + 20_000


@pytest.mark.parametrize(("site", "client", "wins"), [("42", "35", 42), ("43", None, 43)])
async def test_site_wins_over_client(site: str, client: str | None, wins: int, http: Http) -> None:
    query = f"?detail=false&site={site}" + (f"&client={client}" if client else "")
    names = {item["site"] for item in (await http.get(f"/agents/{query}")).items}
    assert names == {{42: "Surabaya Warehouse", 43: "Front Street"}[wins]}


async def test_nobody_logged_in_is_a_dash_only_offline(server: Simulator, http: Http) -> None:
    agent = server.agents[0]
    agent.logged_in_username = ""

    async def shown() -> tuple[object, object]:
        item = (await http.get("/agents/")).items[0]
        return item["logged_username"], item["italic"]

    assert await shown() == (None, True)
    server.go_offline(agent.agent_id)
    assert await shown() == ("-", False)
    agent.logged_in_username = "eve"
    assert await shown() == ("eve", False)


async def test_an_edit_takes_effect_and_moves_the_agent_to_the_end(server: Simulator, http: Http) -> None:
    first = server.agent_ids[0]
    changes = {
        "maintenance_mode": True, "description": "x", "site": 45, "offline_time": "9", "hostname": "no",
        "winupdatepolicy": [{"critical": "approve", "foo": 1}],
    }  # fmt: skip
    assert (await http("PUT", f"/agents/{first}/", changes)).json == "The agent was updated successfully"
    assert server.agent_ids[-1] == first
    alone = (await http.get(f"/agents/{first}/")).fields
    assert (alone["maintenance_mode"], alone["description"], alone["site"]) == (True, "x", 45)
    assert (alone["offline_time"], alone["hostname"]) == (9, "JADE-PC")
    assert isinstance(alone["winupdatepolicy"], list)
    assert alone["winupdatepolicy"][0]["critical"] == "approve"
    assert "foo" not in alone["winupdatepolicy"][0]


async def test_an_edit_is_not_all_or_nothing(server: Simulator, http: Http) -> None:
    body = {"description": "kept", "custom_fields": [{"field": 99, "string_value": "x"}]}
    answer = await http("PUT", f"/agents/{server.agent_ids[0]}/", body)
    assert answer.status == 400
    assert server.agents[0].description == "kept"


async def test_every_wrong_value_is_named_and_none_is_stored(server: Simulator, http: Http) -> None:
    wrong = {
        "maintenance_mode": "perhaps", "offline_time": "x", "overdue_time": -1, "description": [1],
        "monitoring_type": "tv", "site": 9, "policy": "p", "check_interval": None, "time_zone": "UTC",
    }  # fmt: skip
    answer = await http("PUT", f"/agents/{server.agent_ids[0]}/", wrong)
    assert answer.status == 400
    assert set(answer.fields) == set(wrong) - {"time_zone"}
    assert server.agents[0].time_zone is None


async def test_settings_are_read_as_a_serializer_reads_them(server: Simulator, http: Http) -> None:
    path = f"/agents/{server.agent_ids[0]}/"
    assert (await http("PUT", path, {"maintenance_mode": "true", "policy": 1})).status == 200
    alone = (await http.get(path)).fields
    assert (alone["maintenance_mode"], alone["policy"]) == (True, 1)
    answer = await http("PUT", path, {"policy": 99, "monitoring_type": None})
    assert answer.status == 400
    assert answer.fields == {
        "policy": ['Invalid pk "99" - object does not exist.'],
        "monitoring_type": ["This field may not be null."],
    }


async def test_custom_fields_are_written_by_type_and_read_as_value(server: Simulator, http: Http) -> None:
    text = server.add_custom_field("text")
    many = server.add_custom_field("many", type="multiple")
    flag = server.add_custom_field("flag", type="checkbox")
    path = f"/agents/{server.agent_ids[0]}/"
    rows = [
        {"field": text, "string_value": "a"},
        {"field": many, "multiple_value": ["b"]},
        {"field": flag, "bool_value": True},
    ]
    await http("PUT", path, {"custom_fields": rows})
    await http("PUT", path, {"custom_fields": [{"field": text, "value": "ignored"}]})
    shown = (await http.get(path)).fields["custom_fields"]
    assert shown == [
        {"id": 1, "field": text, "agent": 1, "value": "a"},
        {"id": 2, "field": many, "agent": 1, "value": ["b"]},
        {"id": 3, "field": flag, "agent": 1, "value": True},
    ]


async def test_a_deleted_agent_is_gone_with_its_history(server: Simulator, http: Http) -> None:
    who = server.agent_ids[0]
    server.add_history(who, 1)
    server.world.journal.add_note(who, username="admin", note="x")
    assert (await http("DELETE", f"/agents/{who}/")).json == "JADE-PC will now be uninstalled."
    assert (await http.get(f"/agents/{who}/")).status == 404
    assert (await http.get("/agents/history/")).items == []
    assert server.world.journal.notes == {}
