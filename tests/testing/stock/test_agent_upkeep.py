"""What is done to agents without asking them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.testing.kit import Http
    from trmm_async.testing import Simulator


async def test_maintenance_mode_of_a_whole_client(http: Http, server: Simulator) -> None:
    client = server.agents[0].site.client
    theirs = server.world.find_agents(client=client.id)
    body = {"type": "Client", "id": client.id, "action": True}
    answer = await http("POST", "/agents/maintenance/bulk/", body)
    assert answer.json == f"Maintenance mode has been enabled on {len(theirs)} agents"
    assert all(agent.maintenance_mode for agent in theirs)
    assert (await http("POST", "/agents/maintenance/bulk/", {})).status == 500


async def test_agents_are_updated_if_they_are_there(http: Http, server: Simulator) -> None:
    for agent in server.agents[:2]:
        agent.version = "2.4.0"
    server.go_offline(server.agent_ids[1])
    body = {"agent_ids": [*server.agent_ids[:2], "unknown"]}
    assert (await http("POST", "/agents/update/", body)).json == "ok"
    assert [agent.version for agent in server.agents[:2]] == ["2.11.0", "2.4.0"]
    assert (await http("POST", "/agents/update/", {"agent_ids": 5})).status == 500


async def test_notes(http: Http, server: Simulator) -> None:
    agent_id = server.agent_ids[0]
    assert (await http("POST", "/agents/notes/", {"agent_id": agent_id, "note": "n"})).json == "Note added!"
    note = (await http.get(f"/agents/{agent_id}/notes/")).items[0]
    assert (note["note"], note["username"], note["agent_id"]) == ("n", "admin", agent_id)
    server.world.journal.notes[int(str(note["pk"]))].username = ""
    assert "username" not in (await http.get(f"/agents/notes/{note['pk']}/")).fields
    assert (await http("PUT", f"/agents/notes/{note['pk']}/", {"note": "m"})).json == "Note edited!"
    assert (await http.get("/agents/notes/")).items[0]["note"] == "m"
    assert (await http("DELETE", f"/agents/notes/{note['pk']}/")).json == "Note was deleted!"
    assert (await http.get(f"/agents/notes/{note['pk']}/")).status == 404
