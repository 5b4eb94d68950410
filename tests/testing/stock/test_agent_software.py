"""Services, software and Windows updates of an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.testing.kit import Http
    from trmm_async.testing import Simulator


async def test_what_nobody_waits_for_is_promised_anyway(http: Http, server: Simulator) -> None:
    agent = server.agents[0]
    server.go_offline(agent.agent_id)
    assert (await http("POST", f"/winupdate/{agent.agent_id}/scan/")).status == 200
    assert (await http("POST", f"/winupdate/{agent.agent_id}/install/")).status == 200
    body = {"name": "x", "command": "x /S", "timeout": 5, "run_as_user": False}
    assert (await http("POST", f"/software/{agent.agent_id}/uninstall/", body)).status == 200
    assert server.world.journal.history_of(agent.agent_id)[0].command == "x /S"
    protected = body | {"command": r"C:\Program Files\TacticalAgent\unins000.exe"}
    assert (await http("POST", f"/software/{agent.agent_id}/uninstall/", protected)).status == 400


async def test_software_is_left_pending(http: Http, server: Simulator) -> None:
    await http("POST", f"/software/{server.agent_ids[0]}/", {"name": "vlc"})
    assert (await http.get("/logs/pendingactions/")).items[0]["description"] == "vlc software install"
    assert len((await http.get("/software/")).items) == sum(
        agent.plat == "windows" for agent in server.agents
    )


async def test_an_update_is_approved(http: Http, server: Simulator) -> None:
    path = f"/winupdate/{server.agent_ids[0]}/"
    first = (await http.get(path)).items[0]
    answer = await http("PUT", f"/winupdate/{first['id']}/", {"action": "approve"})
    assert answer.json == f"Windows update {first['kb']} was changed to approve"
    assert (await http.get(path)).items[0]["action"] == "approve"
    assert (await http("PUT", f"/winupdate/{first['id']}/", {"action": "x"})).json == {
        "action": ['"x" is not a valid choice.']
    }
    assert (await http("PUT", "/winupdate/99999/", {})).detail == "No WinUpdate matches the given query."
