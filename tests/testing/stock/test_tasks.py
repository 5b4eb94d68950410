"""Tasks: what they run, when, and on whom."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.testing.kit import Row, one, rows

if TYPE_CHECKING:
    from tests.testing.kit import Http
    from trmm_async.testing import Simulator


DATED = {"run_time_date": "2026-12-01T10:00:00Z"}


async def test_a_task_runs_its_actions_and_keeps_the_result(http: Http, server: Simulator) -> None:
    agent_id = server.agent_ids[0]
    server.command("dir", stdout="files\n", retcode=3)
    server.script(2, stdout="done\n")
    actions = [
        {"type": "script", "script": 2, "script_args": ["-x"], "timeout": 9},
        {"type": "cmd", "command": "dir", "timeout": 9, "shell": "cmd"},
    ]
    body = {"agent": agent_id, "name": "mine", "task_type": "manual", "actions": actions}
    await http("POST", "/tasks/", body)
    path = f"/agents/{agent_id}/tasks/"
    made = await one(http, path, name="mine")
    assert (made["schedule"], made["created_by"]) == ("Manual", "admin")
    assert (await http("POST", f"/tasks/{made['id']}/run/")).json == "mine will now be run."
    async with asyncio.timeout(30):
        result: Any = {}
        while result.get("run_status") != "completed":
            result = (await one(http, path, name="mine"))["task_result"]
    assert (result["stdout"], result["retcode"], result["status"]) == ("done\nfiles\n", 3, "failing")
    assert [run.args for run in server.runs] == [("-x",), ()]
    assert (await http.get(f"/tasks/{made['id']}/")).fields["task_result"] == {}


async def test_a_task_of_an_agent_that_is_away_does_not_run(http: Http, server: Simulator) -> None:
    server.go_offline(server.agent_ids[0])
    task = (await rows(http, f"/agents/{server.agent_ids[0]}/tasks/"))[0]
    assert (await http("POST", f"/tasks/{task['id']}/run/")).status == 200
    assert server.runs == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"task_type": "daily", **DATED}, "daily_interval is required for task_type 'daily'"),
        ({"task_type": "weekly", **DATED}, "weekly_interval is required for task_type 'weekly'"),
        (
            {"task_type": "weekly", "weekly_interval": 1, **DATED},
            "run_time_bit_weekdays is required for task_type 'weekly'",
        ),
        ({"task_type": "monthly", **DATED}, "monthly_months_of_year is required for task_type 'monthly'"),
        (
            {"task_type": "monthlydow", "monthly_months_of_year": 1, **DATED},
            "monthly_weeks_of_month is required for task_type 'monthlydow'",
        ),
        ({"task_type": "checkfailure"}, "assigned_check is required for task_type 'checkfailure'"),
        (
            {"task_type": "runonce", "run_time_date": None},
            "run_time_date is required for task_type 'runonce'",
        ),
        ({"task_type": "manual", "expire_date": "2020-01-01T00:00:00Z"}, "Expires date/time is in the past"),
    ],
)
async def test_a_schedule_with_a_part_missing(http: Http, server: Simulator, body: Row, words: str) -> None:
    answer = await http("POST", "/tasks/", body | {"name": "x", "agent": server.agent_ids[0]})
    assert (answer.status, answer.json) == (400, {"non_field_errors": [words]})


async def test_a_schedule_changes_only_with_its_type(http: Http, server: Simulator) -> None:
    task = (await rows(http, f"/agents/{server.agent_ids[0]}/tasks/"))[0]
    path = f"/tasks/{task['id']}/"
    assert (await http("PUT", path, {"daily_interval": 5, "enabled": False})).json == "The task was updated"
    assert (await http.get(path)).fields | {"daily_interval": None, "enabled": False} == (
        await http.get(path)
    ).json
    await http("PUT", path, {"daily_interval": 5, "task_type": "daily", **DATED})
    assert (await http.get(path)).fields["schedule"] == "Every 5 days at 10:00AM"
    assert (await http("PUT", path, {"actions": []})).status == 400
    assert (await http("DELETE", path)).json == f"{task['name']} will be deleted shortly"
    assert (await http.get(path)).status == 404


async def test_a_task_on_failure_stands_with_its_check(http: Http, server: Simulator) -> None:
    agent_id = server.agent_ids[0]
    check = server.world.checks_of(agent_id)[0]
    await rows(http, "/checks/")
    body = {"agent": agent_id, "name": "repair", "task_type": "checkfailure", "assigned_check": check.id}
    assert (await http("POST", "/tasks/", body)).status == 200
    shown = await one(http, f"/agents/{agent_id}/checks/", id=check.id)
    assert isinstance(shown["assignedtasks"], list)
    assert [task["name"] for task in shown["assignedtasks"]] == ["repair"]
    task = await one(http, "/tasks/", name="repair")
    assert (task["check_name"], task["schedule"]) == (shown["readable_desc"], "Every time check fails")
