"""Maintenance of the server, its schedules, its test messages and its status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trmm_async.testing.stock.setup_rows import MON_TOKEN

if TYPE_CHECKING:
    from .asking import Views


async def test_what_is_pruned(views: Views) -> None:
    server, path = views.server, "/core/servermaintenance/"
    agent = server.agents[0].agent_id
    server.world.alerts.clear()
    server.raise_alert(agent)
    kept = server.add_pending_action(agent)
    server.add_pending_action(agent, status="completed")
    server._activity.log("eve", "check_run", "agent", "ran")
    server._activity.log("eve", "add", "script", "made")
    for table, left in (
        ("audit_logs", (1, 2, 1)),
        ("pending_actions", (1, 1, 1)),
        ("nonsense", (1, 1, 1)),
        ("alerts", (0, 1, 1)),
    ):
        said = await views("POST", path, {"action": "prune_db", "prune_tables": [table]})
        pruned = 0 if table == "nonsense" else 1
        assert said.json == f"{pruned} records were pruned from the database"
        rows = server.world.alerts, server._activity.actions, server._activity.audit
        assert tuple(len(each) for each in rows) == left
    assert list(server._activity.actions) == [kept]
    assert [row["action"] for row in server._activity.audit.values()] == ["add"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"action": "reload_nats"}, 200, "Nats configuration was reloaded successfully."),
        ({"action": "rm_orphaned_tasks"}, 200, "The task has been initiated."),
        ({"action": "prune_db"}, 400, "The data is incorrect."),
        (
            {"action": "prune_db", "prune_tables": [["alerts"]]},
            200,
            "0 records were pruned from the database",
        ),
        ({"action": "explode"}, 400, "The data is incorrect"),
        ({}, 400, "The data is incorrect"),
    ],
)
async def test_maintenance(views: Views, body: object, status: int, words: str) -> None:
    said = await views("POST", "/core/servermaintenance/", body)
    assert (said.status, said.json) == (status, words)


async def test_a_table_is_pruned_that_is_named_anywhere_in_what_comes(views: Views) -> None:
    body = {"action": "prune_db", "prune_tables": "alerts, audit_logs"}
    views.server.world.alerts.clear()
    views.server.raise_alert(views.server.agents[0].agent_id)
    views.server._activity.log("eve", "check_run", "agent", "ran")
    said = await views("POST", "/core/servermaintenance/", body)
    assert said.json == "2 records were pruned from the database"
    for odd in (None, 5, True):
        assert (await views("POST", "/core/servermaintenance/", body | {"prune_tables": odd})).status == 500


async def test_messages_are_tested_where_somebody_can_be_written_to(views: Views) -> None:
    settings = views.server._database.settings
    assert (await views("POST", "/core/emailtest/")).status == 400
    settings["email_alert_recipients"] = ["ops@example.com"]
    assert (await views("POST", "/core/emailtest/")).json == "Email test ok!"
    for name in ("twilio_number", "twilio_account_sid", "twilio_auth_token", "sms_alert_recipients"):
        assert (await views("POST", "/core/smstest/")).status == 400
        settings[name] = "x"
    assert (await views("POST", "/core/smstest/")).json == "SMS Test sent successfully!"


@pytest.mark.parametrize(
    ("headers", "words"),
    [({}, "Missing X-Mon-Token header\n"), ({"x-mon-token": "wrong"}, "Not authenticated\n")],
)
async def test_the_status_is_told_to_nobody_without_its_token(
    views: Views, headers: dict[str, str], words: str
) -> None:
    said = await views("GET", "/core/v2/status/", headers=headers)
    assert (said.status, said.body.decode()) == (401, words)


async def test_the_status_counts_and_knows_the_bus(views: Views) -> None:
    headers = {"x-mon-token": MON_TOKEN}
    said = (await views("GET", "/core/v2/status/", headers=headers)).fields
    world = views.server.world
    counts = (said["agent_count"], said["client_count"], said["site_count"])
    assert counts == (2, len(world.clients), len(world.sites))
    assert (said["version"], said["nats_std_ping"], said["nats_ws_ping"]) == ("1.5.1", True, True)
    with views.server.nats_down():
        said = (await views("GET", "/core/v2/status/", headers=headers)).fields
    assert (said["nats_std_ping"], said["nats_ws_ping"]) == (False, False)


async def test_a_schedule_needs_a_time_and_a_change_does_not(views: Views) -> None:
    path = "/core/schedules/"
    assert (await views("POST", path, {"name": "nightly"})).status == 500
    made = (await views("POST", path, {"name": "nightly", "run_time": "03:00"})).fields
    assert (made["run_time"], made["schedule_type"], made["created_by"]) == ("03:00:00", "weekly", "admin")
    one = f"{path}{made['id']}/"
    changed = (await views("PUT", one, {"run_time_weekdays": [0, 6]})).fields
    assert (changed["run_time_weekdays"], changed["run_time"]) == ([0, 6], "03:00:00")
    assert (await views("GET", path)).json == [changed]
    assert (await views("DELETE", one)).json == made["id"]
    assert (await views("DELETE", one)).detail == "No Schedule matches the given query."


SCHEDULES = """
    create_daily create_weekly create_monthly_days create_monthly_weeks create_minimal create_no_run_time
    create_no_name create_bad update_full update_one_field update_bad update_404 delete delete_404
"""


async def test_schedules_are_as_recorded(views: Views) -> None:
    for name in SCHEDULES.split():
        await views.tell_values(f"schedule_{name}", {"id", "created_time", "modified_time"})
    await views.tell("schedules_list")
