"""The audit log, the debug log and pending actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.testing.kit import Clock
from trmm_async.testing import Simulator
from trmm_async.testing.replies import iso
from trmm_async.testing.stock.activity_log import ActivityLog

from .orders import BODY

if TYPE_CHECKING:
    from tests.testing.kit import Http


async def test_what_was_run_is_in_the_audit_log(server: Simulator, http: Http) -> None:
    who = server.agent_ids[0]
    await http("POST", f"/agents/{who}/runscript/", BODY)
    command = {"cmd": "hostname", "shell": "cmd", "timeout": 30, "run_as_user": False}
    await http("POST", f"/agents/{who}/cmd/", command)
    every = {"target": "all", "monType": "all", "osType": "all", "mode": "patch", "patchMode": "scan"}
    await http("POST", "/agents/actions/bulk/", every)
    actions = [row["action"] for row in server._activity.audit.values()]
    assert actions == ["execute_script", "execute_command", "bulk_action"]


async def test_pending_actions_are_counted(server: Simulator, http: Http) -> None:
    server._activity.plan(server.agents[0], "schedreboot", {})
    server._activity.plan(server.agents[0], "schedreboot", {}, status="completed")
    counts = [agent["pending_actions_count"] for agent in (await http.get("/agents/")).items]
    assert counts == [1, 0, 0, 0, 0, 0]


def test_each_log_has_numbers_of_its_own_and_the_time() -> None:
    clock = Clock()
    activity, agent = ActivityLog(clock), Simulator(agents=1).agents[0]
    activity.log("eve", "add", "script", "made")
    clock.now += 1
    activity.log("eve", "modify", "script", "changed", agent=agent, before={"a": 1}, after={"a": 2})
    activity.complain("broken", agent=agent.agent_id)
    activity.plan(agent, "chocoinstall", {"name": "vlc"})
    assert [list(rows) for rows in (activity.audit, activity.debug, activity.actions)] == [[1, 2], [1], [1]]
    first, second = activity.audit.values()
    assert (first["agent"], first["agent_id"], first["entry_time"]) == (None, None, iso(clock.now - 1))
    assert (second["agent"], second["agent_id"]) == (agent.hostname, agent.agent_id)
    assert (second["before_value"], second["after_value"]) == ({"a": 1}, {"a": 2})
    assert (activity.debug[1]["log_level"], activity.debug[1]["log_type"]) == ("error", "system_issues")
    assert (activity.actions[1]["agent"], activity.actions[1]["status"]) == (agent.agent_id, "pending")


def test_sentences_of_the_audit_log() -> None:
    activity, agent = ActivityLog(Clock()), Simulator(agents=1).agents[0]
    activity.login("eve")
    activity.failed_login("eve")
    activity.failed_login("eve", second_factor=True)
    activity.command(agent, "cmd", "dir", "eve")
    activity.script(agent, "Tidy up", "eve")
    assert [(row["action"], row["message"]) for row in activity.audit.values()] == [
        ("login", "eve logged in successfully"),
        ("failed_login", "eve failed to login: wrong credentials"),
        ("failed_login", "eve failed to login: wrong two factor token"),
        ("execute_command", f"eve issued cmd command on {agent.hostname}."),
        ("execute_script", f"eve ran script: Tidy up on {agent.hostname}"),
    ]
    assert activity.audit[4]["after_value"] == "dir"
