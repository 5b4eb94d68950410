"""The logs, and what agents are still to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.testing.kit import Row, rows

if TYPE_CHECKING:
    from tests.testing.kit import Http
    from trmm_async.testing import Simulator


PAGES = {"sortBy": "id", "descending": True, "page": 1, "rowsPerPage": 25}


async def audit(http: Http, **changes: object) -> Row:
    body = {"pagination": PAGES | {key: changes.pop(key) for key in PAGES if key in changes}} | changes
    answer = await http("PATCH", "/logs/audit/", body)
    assert answer.status == 200, answer.body
    return answer.fields


async def test_pages_of_the_audit_log(http: Http, server: Simulator) -> None:
    for number in range(7):
        server._activity.log(f"user{number}", "add", "script", f"{number}")
    first, third, far = [await audit(http, page=page, rowsPerPage=3) for page in (1, 3, 99)]
    assert first["total"] == 7
    assert [row["message"] for row in first["audit_logs"]] == ["6", "5", "4"]  # type: ignore[attr-defined]
    assert [row["message"] for row in third["audit_logs"]] == ["0"]  # type: ignore[attr-defined]
    assert far == third
    found = await audit(http, userFilter=["user2", "user3"], sortBy="username", descending=False)
    assert [row["username"] for row in found["audit_logs"]] == ["user2", "user3"]  # type: ignore[attr-defined]
    assert (await audit(http, objectFilter=["agent"]))["total"] == 0
    assert (await audit(http, actionFilter=["add"], timeFilter=1))["total"] == 7
    assert (await http("PATCH", "/logs/audit/", {"pagination": {"page": 1}})).status == 500


async def test_the_audit_log_by_agent_or_client(http: Http, server: Simulator) -> None:
    for agent in server.agents[:2]:
        server._activity.command(agent, "cmd", "dir", "admin")
    first = server.agents[0]
    assert (await audit(http, agentFilter=[first.agent_id], clientFilter=[999]))["total"] == 1
    found = await audit(http, clientFilter=[first.site.client.id], descending=False)
    assert found["audit_logs"][0]["site"]["name"] == first.site.name  # type: ignore[index]


async def test_pending_actions(http: Http, server: Simulator) -> None:
    agent = server.agents[0]
    name = server.add_pending_action(agent.agent_id, "chocoinstall", name="vlc")
    server.add_pending_action(agent.agent_id, "agentupdate", version="2.11.0")
    shown = await rows(http, f"/agents/{agent.agent_id}/pendingactions/")
    assert [(row["due"], row["description"]) for row in shown] == [
        ("ASAP", "vlc software install"),
        ("Next update cycle", "Agent update to 2.11.0"),
    ]
    answer = await http("DELETE", f"/logs/pendingactions/{name}/")
    assert answer.json == f"{agent.hostname}: vlc software install was cancelled"
    assert len(await rows(http, "/logs/pendingactions/")) == 1


async def test_the_debug_log(http: Http, server: Simulator) -> None:
    server.add_debug_log("first", level="info")
    server.add_debug_log("second", agent_id=server.agent_ids[0])
    shown = (await http("PATCH", "/logs/debug/", {})).items
    assert [row["message"] for row in shown] == ["second", "first"]
    assert shown[0]["agent"] == server.agents[0].hostname
    assert "agent" not in shown[1]
    assert len((await http("PATCH", "/logs/debug/", {"logLevelFilter": "info"})).items) == 1
