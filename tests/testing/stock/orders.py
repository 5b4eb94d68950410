"""A script or a command for an agent, as the dashboard sends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.testing.kit import Answer, Http


BODY = {"output": "wait", "script": 1, "args": [], "timeout": 30, "run_as_user": False, "env_vars": []}
COMMAND = {"cmd": "hostname", "shell": "cmd", "timeout": 30, "run_as_user": False}


async def run(http: Http, agent_id: str, **changes: object) -> Answer:
    return await http("POST", f"/agents/{agent_id}/runscript/", BODY | changes)


async def command(http: Http, agent_id: str, **changes: object) -> Answer:
    return await http("POST", f"/agents/{agent_id}/cmd/", COMMAND | changes)


async def rows(http: Http, agent_id: str) -> list[dict[str, object]]:
    return sorted((await http.get(f"/agents/{agent_id}/history/")).items, key=lambda row: int(str(row["id"])))
