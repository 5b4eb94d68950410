"""The audit log, the debug log and pending actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .orders import BODY

if TYPE_CHECKING:
    from tests.testing.kit import Http
    from trmm_async.testing import Simulator


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
