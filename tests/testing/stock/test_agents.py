from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.testing.kit import Http
    from trmm_async.testing import Simulator


@pytest.mark.parametrize(("site", "client", "wins"), [("42", "35", 42), ("43", None, 43)])
async def test_site_wins_over_client(site: str, client: str | None, wins: int, http: Http) -> None:
    query = f"?detail=false&site={site}" + (f"&client={client}" if client else "")
    names = {item["site"] for item in (await http.get(f"/agents/{query}")).items}
    assert names == {{42: "Surabaya Warehouse", 43: "Front Street"}[wins]}


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


async def test_a_deleted_agent_is_gone_with_its_history(server: Simulator, http: Http) -> None:
    who = server.agent_ids[0]
    server.add_history(who, 1)
    server.world.journal.add_note(who, username="admin", note="x")
    assert (await http("DELETE", f"/agents/{who}/")).json == "JADE-PC will now be uninstalled."
    assert (await http.get(f"/agents/{who}/")).status == 404
    assert (await http.get("/agents/history/")).items == []
    assert server.world.journal.notes == {}
