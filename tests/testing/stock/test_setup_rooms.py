"""Checks, tasks, policies, the script library, settings and logs: what changes do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from trmm_async.testing.stock.schedules import words

if TYPE_CHECKING:
    from tests.testing.kit import Clock, Http
    from trmm_async.testing import Simulator

Row = dict[str, object]
PAGES = {"sortBy": "id", "descending": True, "page": 1, "rowsPerPage": 25}
DATED = {"run_time_date": "2026-12-01T10:00:00Z"}


async def rows(http: Http, path: str) -> list[Row]:
    answer = await http.get(path)
    assert answer.status == 200, answer.body
    return answer.items


async def one(http: Http, path: str, **wanted: object) -> Row:
    """Return the row of a list with these values."""
    return next(row for row in await rows(http, path) if wanted.items() <= row.items())


# -- checks --------------------------------------------------------------------------------------------------


async def test_a_check_and_its_result_have_two_numbers(http: Http, server: Simulator) -> None:
    agent = server.agents[0]
    path = f"/agents/{agent.agent_id}/checks/"
    check = server.world.checks_of(agent.agent_id)[0]
    check.status = "failing"
    shown = await one(http, path, id=check.id)
    result = shown["check_result"]
    assert isinstance(result, dict)
    assert (result["status"], result["assigned_check"], result["agent"]) == ("failing", check.id, agent.pk)
    assert result["id"] != check.id
    assert (await http("POST", f"/checks/{check.id}/reset/")).status == 404
    assert (await http("POST", f"/checks/{result['id']}/reset/")).status == 200
    assert check.status == "passing"


async def test_resetting_resolves_the_alert(http: Http, server: Simulator) -> None:
    agent_id = server.agent_ids[0]
    check = server.world.checks_of(agent_id)[0]
    alert = server.world.alerts[server.raise_alert(agent_id)]
    other = server.world.alerts[server.raise_alert(agent_id)]
    alert.assigned_check = check.id
    assert (await http("POST", f"/checks/{agent_id}/resetall/")).status == 200
    assert (alert.resolved, other.resolved) == (True, False)


async def test_only_the_list_of_one_agent_has_results(http: Http, server: Simulator) -> None:
    everybodys = await rows(http, "/checks/")
    assert all(row["check_result"] == {} for row in everybodys)
    assert {row["agent"] for row in everybodys} == {None, *(agent.pk for agent in server.agents)}
    assert (await http.get(f"/checks/{everybodys[-1]['id']}/")).fields["check_result"] == {}


async def test_a_check_that_was_made_has_no_result_until_it_ran(http: Http, server: Simulator) -> None:
    agent_id = server.agent_ids[0]
    body = {"agent": agent_id, "check_type": "ping", "name": "gw", "ip": "10.0.0.1"}
    assert (await http("POST", "/checks/", body)).json == "Ping Check: gw was added!"
    path = f"/agents/{agent_id}/checks/"
    made = await one(http, path, name="gw")
    assert made["check_result"] == {}
    assert (await http("POST", f"/checks/{agent_id}/run/")).status == 200
    result = (await one(http, path, name="gw"))["check_result"]
    assert isinstance(result, dict)
    assert result["status"] == "passing"
    answer = await http("PUT", f"/checks/{made['id']}/", {"ip": "example.com", "check_type": "memory"})
    assert answer.json == "Ping Check: gw was edited!"
    changed = await one(http, path, id=made["id"])
    assert (changed["ip"], changed["check_type"], changed["modified_by"]) == ("example.com", "ping", "admin")
    assert (await http("DELETE", f"/checks/{made['id']}/")).json == "Ping Check: gw was deleted!"
    assert (await http.get(f"/checks/{made['id']}/")).status == 404


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"check_type": "ping", "name": "x", "ip": "no address"},
            "Please enter a valid IP address or domain name",
        ),
        ({"check_type": "diskspace", "disk": "C:"}, "A disk check for Drive C: already exists!"),
        (
            {"check_type": "diskspace", "disk": "X:", "warning_threshold": 0, "error_threshold": 0},
            "Warning threshold or Error Threshold must be set",
        ),
        (
            {"check_type": "diskspace", "disk": "X:", "warning_threshold": 5, "error_threshold": 20},
            "Warning threshold must be greater than Error Threshold",
        ),
        ({"check_type": "cpuload", "warning_threshold": 5}, "A cpuload check for this agent already exists"),
    ],
)
async def test_a_check_that_makes_no_sense(http: Http, server: Simulator, body: Row, words: str) -> None:
    answer = await http("POST", "/checks/", body | {"agent": server.agent_ids[0]})
    assert (answer.status, answer.json) == (400, {"non_field_errors": [words]})


async def test_a_check_with_a_threshold_missing_is_a_500(http: Http, server: Simulator) -> None:
    body = {"check_type": "diskspace", "disk": "X:", "agent": server.agent_ids[0]}
    assert (await http("POST", "/checks/", body)).status == 500
    answer = await http("POST", "/checks/", {"policy": 2, "check_type": "memory", "warning_threshold": 90,
                                             "error_threshold": 10})  # fmt: skip
    assert answer.json == {"non_field_errors": ["Warning threshold must be less than Error Threshold"]}
    assert (await http("POST", "/checks/", {"policy": 99, "check_type": "memory"})).status == 400


async def test_deleting_a_check_takes_it_from_the_agent(http: Http, server: Simulator) -> None:
    check = server.world.checks_of(server.agent_ids[0])[0]
    assert (await http("DELETE", f"/checks/{check.id}/")).status == 200
    assert check not in server.world.checks_of(server.agent_ids[0])


async def test_an_uninstalled_agent_has_no_checks_and_tasks(http: Http, server: Simulator) -> None:
    agent = server.agents[0]
    check = server.world.checks_of(agent.agent_id)[0]
    assert (await http.get(f"/checks/{check.id}/")).status == 200
    await http("DELETE", f"/agents/{agent.agent_id}/")
    assert (await http.get(f"/checks/{check.id}/")).status == 404
    assert agent.pk not in {row["agent"] for row in await rows(http, "/checks/")}
    assert agent.pk not in {row["agent"] for row in await rows(http, "/tasks/")}


async def test_history_is_as_long_as_was_asked_for(http: Http, server: Simulator) -> None:
    shown = (await rows(http, f"/agents/{server.agent_ids[0]}/checks/"))[0]["check_result"]
    assert isinstance(shown, dict)
    path = f"/checks/{shown['id']}/history/"
    assert len((await http("PATCH", path, {})).items) == 30
    assert 0 < len((await http("PATCH", path, {"timeFilter": 0.01})).items) < 30


async def test_checks_of_many_agents_run(http: Http, server: Simulator, clock: Clock) -> None:
    clock.now += 1000
    site = server.agents[0].site
    there = server.world.find_agents(site=site.id)
    answer = await http("POST", f"/checks/site/{site.id}/csbulkrun/")
    assert answer.json == f"Checks will now be run on {len(there)} agents"
    assert server.world.checks_of(there[0].agent_id)[0].last_run == clock.now


# -- tasks ---------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"task_type": "daily", "daily_interval": 1}, "Daily at 10:00AM"),
        ({"task_type": "daily", "daily_interval": 3}, "Every 3 days at 10:00AM"),
        (
            {"task_type": "weekly", "weekly_interval": 2, "run_time_bit_weekdays": 3},
            "Sunday, Monday at 10:00AM",
        ),
        (
            {"task_type": "weekly", "weekly_interval": 1, "run_time_bit_weekdays": 127},
            "Every day at 10:00AM every 1 weeks",
        ),
        (
            {"task_type": "monthly", "monthly_months_of_year": 4095, "monthly_days_of_month": 2147483648},
            "Runs on Every month on days Last day at 10:00AM",
        ),
        (
            {"task_type": "monthly", "monthly_months_of_year": 3, "monthly_days_of_month": 5},
            "Runs on January, February on days 1, 3 at 10:00AM",
        ),
        (
            {"task_type": "monthly", "monthly_months_of_year": 1, "monthly_days_of_month": 2147483647},
            "Runs on January on days Every day at 10:00AM",
        ),
        (
            {
                "task_type": "monthlydow", "monthly_months_of_year": 1, "monthly_weeks_of_month": 1,
                "run_time_bit_weekdays": 2,
            },
            "Runs on January on First Week on Monday at 10:00AM",
        ),
        ({"task_type": "runonce"}, "Run once on 12/01/2026 10:00AM"),
        ({"task_type": "onboarding"}, "Onboarding: Runs once on task creation."),
        ({"task_type": "scheduled"}, None),
    ],
)  # fmt: skip
def test_schedules_in_words(task: Row, said: str | None) -> None:
    assert words(DATED | task) == said


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


# -- policies ------------------------------------------------------------------------------------------------


async def test_a_policy_can_be_copied(http: Http) -> None:
    assert (await http("POST", "/automation/policies/", {"name": "copy", "copyId": 1})).json == "ok"
    made = await one(http, "/automation/policies/", name="copy")
    assert len(await rows(http, f"/automation/policies/{made['id']}/checks/")) == 1
    assert len(await rows(http, f"/automation/policies/{made['id']}/tasks/")) == 1
    await http("PUT", f"/automation/policies/{made['id']}/", {"active": True})
    assert (await http.get(f"/automation/policies/{made['id']}/")).fields["active"] is True
    assert (await http("DELETE", f"/automation/policies/{made['id']}/")).json == "ok"
    assert len([row for row in await rows(http, "/checks/") if row["policy"]]) == 1
    assert (await http("POST", "/automation/tasks/901/run/")).json == "Affected agent tasks will run shortly"


# -- scripts -------------------------------------------------------------------------------------------------


async def test_a_script_that_was_made_can_be_run(http: Http, server: Simulator) -> None:
    body = {"name": "Mine", "shell": "python", "script_body": "print(1)", "category": "A"}
    assert (await http("POST", "/scripts/", body)).json == "Mine was added!"
    made = (await rows(http, "/scripts/"))[0]
    assert (made["name"], made["script_type"]) == ("Mine", "userdefined")
    run = {"script": made["id"], "output": "wait", "args": ["hello"], "timeout": 5, "run_as_user": False,
           "env_vars": []}  # fmt: skip
    answer = await http("POST", f"/agents/{server.agent_ids[0]}/runscript/", run)
    assert answer.json == "hello\n"
    await http("PUT", f"/scripts/{made['id']}/", {"name": "Ours"})
    assert server.world.scripts[int(str(made["id"]))].name == "Ours"
    file = (await http.get(f"/scripts/{made['id']}/download/")).json
    assert file == {"filename": "Ours.py", "code": "print(1)"}
    assert (await http("DELETE", f"/scripts/{made['id']}/")).json == "Ours was deleted!"
    assert made["id"] not in server.world.scripts


async def test_hidden_and_community_scripts_are_listed_if_wanted(http: Http, server: Simulator) -> None:
    number = server.add_community_script("Community", description="theirs")
    listed = {row["id"] for row in await rows(http, "/scripts/")}
    assert number in listed
    without = {row["id"] for row in await rows(http, "/scripts/?showCommunityScripts=false")}
    assert listed - without >= {number}
    assert len(await rows(http, "/scripts/?showHiddenScripts=true")) == len(listed) + 1
    assert (await http("PUT", f"/scripts/{number}/", {"name": "x", "hidden": True})).status == 200
    assert server.world.scripts[number].name == "Community"
    assert number not in {row["id"] for row in await rows(http, "/scripts/")}


async def test_a_trial_tells_both_outputs_apart(http: Http, server: Simulator) -> None:
    server.command("Write-Host hi", stdout="hi\n", stderr="warn", retcode=2)
    body = {"code": "Write-Host hi", "timeout": 5, "args": ["a"], "shell": "powershell", "run_as_user": False,
            "env_vars": ["A=1"]}  # fmt: skip
    found = (await http("POST", f"/scripts/{server.agent_ids[0]}/test/", body)).fields
    assert (found["stdout"], found["stderr"], found["retcode"], found["id"]) == ("hi\n", "warn", 2, 0)
    assert isinstance(found["execution_time"], float)
    assert server.runs[0].output == "test"


async def test_snippets(http: Http) -> None:
    path = "/scripts/snippets/"
    required = ["This field is required."]
    assert (await http("POST", path, {})).json == {"name": required}
    assert (
        await http("POST", path, {"name": "n", "code": "c"})
    ).json == "Script snippet was saved successfully"
    made = await one(http, path, name="n")
    await http("PUT", f"{path}{made['id']}/", {"code": "d"})
    assert (await http.get(f"{path}{made['id']}/")).fields["code"] == "d"
    assert (await http("DELETE", f"{path}{made['id']}/")).json == "Script snippet was deleted successfully"
    assert (await http.get(f"{path}{made['id']}/")).status == 404


# -- settings ------------------------------------------------------------------------------------------------


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


async def test_a_new_key_works(http: Http) -> None:
    assert (await http("POST", "/accounts/apikeys/", {"name": "n", "user": 1})).status == 200
    keys = [str(row["key"]) for row in await rows(http, "/accounts/apikeys/")]
    assert [(await http("GET", "/core/version/", key=key)).status for key in keys] == [200, 200]
    assert (await http("POST", "/accounts/apikeys/", {"name": "n", "user": 77})).status == 400


# -- logs ----------------------------------------------------------------------------------------------------


async def audit(http: Http, **changes: object) -> Row:
    body = {"pagination": PAGES | {key: changes.pop(key) for key in PAGES if key in changes}} | changes
    answer = await http("PATCH", "/logs/audit/", body)
    assert answer.status == 200, answer.body
    return answer.fields


async def test_pages_of_the_audit_log(http: Http, server: Simulator) -> None:
    for number in range(7):
        server._diary.log(f"user{number}", "add", "script", f"{number}")
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
        server._diary.command(agent, "cmd", "dir", "admin")
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
