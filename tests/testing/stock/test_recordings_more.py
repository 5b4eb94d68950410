"""The rest of the recordings: logins, checks, tasks, policies, library, settings, logs, live questions."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.recorded import NOT_YET_REPLAYED, NOT_YET_SIMULATED
from trmm_async.testing import Script, Simulator
from trmm_async.testing.stock.database import RESULTS

from .preparations import prepare
from .replay import HTTP, LINUX, WINDOWS, agent_program, differences, furnish, recording, same_words
from .test_recordings_told import TOLD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .replay import Recording

Change = dict[str, str]
"""What to put in the place of what in the recorded path."""

COVERED = {
    "logins": (
        "login_bad_password login_bad_totp login_blocked_dashboard_user login_checkcreds_bad "
        "login_checkcreds_no_totp_set login_checkcreds_ok login_missing_totp login_ok "
        "login_ok_with_api_key_header_only login_throttled auth_knox_token_header knox_after_logout "
        "knox_logout knox_token_works_for_rest throttled_ip_api_key_still_ok"
    ),
    "checks": (
        "check_create_bad_agent check_create_bad_threshold check_create_bad_type check_create_cpu_policy "
        "check_create_disk check_create_eventlog check_create_eventlog_no_wildcard_key "
        "check_create_no_parent check_create_no_type check_create_ping check_create_script "
        "check_create_script_no_script check_create_winsvc check_csbulkrun_client check_csbulkrun_empty "
        "check_delete check_get check_get_404 check_history check_history_all "
        "check_history_by_check_id_wrong check_history_str_filter check_reset check_reset_404 "
        "check_resetall check_run check_run_get_405 check_run_offline check_update "
        "check_update_type_ignored checks_agent checks_agent2_policy_inherited checks_agent_after "
        "checks_agent_linux checks_agent_never_ran checks_detail_policy checks_list_all"
    ),
    "tasks": (
        "task_create_bad_action task_create_bad_agent task_create_daily task_create_daily_missing_interval "
        "task_create_daily_missing_run_time task_create_empty_actions task_create_manual "
        "task_create_manual_cmd task_create_monthly task_create_no_actions task_create_no_name "
        "task_create_no_type task_create_policy task_create_runonce task_create_weekly task_delete task_get "
        "task_get_404 task_run task_run_404 task_run_nobody task_run_policy_on_agent task_update "
        "tasks_agent tasks_detail_policy tasks_list_all"
    ),
    "policies": (
        "automation_check_status automation_policies automation_policies_overview automation_policy "
        "automation_policy_404 automation_policy_checks automation_policy_related automation_policy_tasks "
        "automation_related_404 automation_task_status"
    ),
    "library": (
        "script_create script_create_bad_shell script_create_dup_name script_create_empty "
        "script_create_minimal script_delete script_delete_404 script_delete_community script_download "
        "script_download_no_snippets script_favorite_community script_get script_get_404 "
        "script_get_community script_snippets script_test_missing_env script_test_offline "
        "script_test_timeout_str script_update script_update_community scripts_list scripts_list_after "
        "scripts_list_hidden scripts_list_no_community natsdown__script_test"
    ),
    "settings": (
        "core_clearcache core_codesign core_customfield_create core_customfield_create_bad core_customfields "
        "core_customfields_model core_dashinfo core_keystore core_keystore_after core_keystore_create "
        "core_keystore_delete core_keystore_update core_schedules core_settings core_urlaction "
        "core_urlaction_run accounts_apikeys accounts_roles accounts_users users_search apikey_create"
    ),
    "logs": (
        "audit_logs audit_logs_filters audit_logs_get_405 audit_logs_no_pagination audit_logs_page2 "
        "audit_logs_page_past_end debug_log debug_log_filter pendingaction_cancel pendingaction_cancel_404 "
        "pendingactions_agent pendingactions_all pendingactions_all2"
    ),
    "live": (
        "agent_ping_hung agent_ping_offline agent_ping_online agents_bulkrecovery agents_update "
        "agents_versions eventlog_application eventlog_bad_days eventlog_offline eventlog_security "
        "maintenance_bulk_agent_type maintenance_bulk_client maintenance_bulk_client_off "
        "maintenance_bulk_empty maintenance_bulk_lowercase maintenance_bulk_site meshcentral_recover "
        "meshcentral_urls natsapi_down__agent_ping_offline_no_responder natsapi_down__eventlog_offline "
        "natsapi_down__reboot_offline natsdown__ping natsdown__processes natsdown__reboot "
        "natsdown__service_detail note_add note_add_no_agent note_add_no_note note_delete note_edit note_get "
        "note_get_404 notes_agent notes_agent_after notes_all processes processes_hung processes_kill "
        "processes_kill_denied processes_offline reboot_hung reboot_later_linux reboot_later_missing "
        "reboot_later_ok reboot_later_past reboot_later_seconds reboot_offline reboot_online recover_mesh "
        "recover_mesh_hung recover_missing recover_unknown service_denied service_detail "
        "service_detail_unknown service_edit service_linux service_offline service_restart service_stop "
        "services_agent services_agent_offline shutdown_online software_agent software_agent_none "
        "software_install software_install_offline software_refresh software_refresh_linux "
        "software_uninstall terminal_defaults winupdate_agent winupdate_edit winupdate_install "
        "winupdate_scan winupdate_scan_linux wmi_refresh"
    ),
}
SPARED = {
    "checks_agent_with_pending": "an agent that is not in the simulator's world",
    "script_test": "the recorded agent was told what to do by arguments; its own test is below",
    "wol": "the recorded server had no mesh server, the simulator has",
    "recover_tacagent": "likewise",
    "terminal_defaults_old_agent": "an agent that is not in the simulator's world",
    "core_status": "for monitoring, not for people",
    "core_webtermperms": "not in the simulator",
    "core_version": "replayed elsewhere",
    "accounts_users_ui": "not in the simulator",
}
PARTS = (
    "login_", "knox_", "check", "task", "automation_", "script_", "scripts_", "core_", "accounts_", "users_",
    "audit_", "debug_", "pendingaction", "agent_ping", "agents_bulk", "agents_update", "agents_versions",
    "eventlog_", "maintenance_", "meshcentral_", "note", "process", "reboot_", "recover_", "service",
    "shutdown_", "software_", "terminal_", "winupdate_", "wmi_", "wol", "apikey_",
)  # fmt: skip
FREE_COLUMNS = ("debug_info", "before_value", "after_value")


def names() -> list[str]:
    return [name for group in COVERED.values() for name in group.split()]


def test_every_recording_of_these_parts_is_replayed_or_spared() -> None:
    there = {path.stem for path in HTTP.glob("*.json") if path.stem.startswith(PARTS)}
    there -= NOT_YET_REPLAYED | NOT_YET_SIMULATED
    assert there - set(names()) - set(_spared(there)) - TOLD == set()


def _spared(there: set[str]) -> list[str]:
    return [name for name in there - set(names()) if name.startswith(tuple(SPARED))]


@pytest.mark.parametrize("name", names())
async def test_the_answer_is_of_the_recorded_kind(name: str) -> None:
    it = recording(name)
    async with (
        Simulator(dialect="stock", agents=10, script_seconds=0.0, offline_hold=0.0) as server,
        aiohttp.ClientSession() as session,
    ):
        _furnish(server)
        changed = await _prepare(server, session, name)
        prepare(server, name)
        await _replay(server, session, _changed(it, changed))


def _changed(it: Recording, changes: Change) -> Recording:
    path = str(it.request["path"])
    for real, ours in changes.items():
        path = path.replace(real, ours)
    return replace(it, request=it.request | {"path": path})


def _furnish(server: Simulator) -> None:
    furnish(server)
    scripts = server.world.scripts
    scripts[1] = Script(1, "Check storage pool health", "powershell", "checks pools")
    scripts[4] = Script(4, "Disk usage (bash)", "shell", "")
    scripts[11] = Script(11, "API script", "python", "d")
    server.script(2, handler=agent_program)
    server.user("admin").password = "stockadmin123!"
    server.add_user("nototp", totp=False)
    server.add_user("apionly", blocked=True)
    server.add_user("limited", permissions=["can_list_agents"])


async def _replay(server: Simulator, session: aiohttp.ClientSession, it: Recording) -> None:
    query, body, sent = it.request["query"] or {}, it.request["body"], _headers(server, it)
    assert isinstance(query, dict)
    async with session.request(
        str(it.request["method"]),
        f"{server.url}{it.request['path']}",
        params={str(name): str(value) for name, value in query.items()},
        headers=sent,
        json=body,
        skip_auto_headers=["Content-Type"] if body is None else [],
    ) as response:
        content = await response.read()
    assert response.status == it.response["status"], content
    recorded = it.response["headers"]
    assert isinstance(recorded, dict)
    for name in ("content-type", "retry-after"):
        assert (name in recorded) == (name in response.headers)
    kind = str(recorded.get("content-type", "")).partition(";")[0]
    assert response.headers.get("Content-Type", "").partition(";")[0] == kind
    _compare(it, content)


def _compare(it: Recording, content: bytes) -> None:
    if not str(it.response["body_kind"]).startswith("json"):
        assert content.decode() == it.body
        return
    ours = json.loads(content)
    if isinstance(it.body, str) or it.response["status"] != 200:
        assert same_words(it.body, ours), ours
        return
    real = it.body
    if it.name.startswith("audit_"):
        real, ours = _without_free_columns(real), _without_free_columns(ours)
    assert type(ours) is type(real)
    assert bool(ours) == bool(real)
    assert list(differences(real, ours)) == []


def _without_free_columns(page: object) -> object:
    """Leave out what is of another form in every row of the audit log."""
    assert isinstance(page, dict)
    rows = [{name: row[name] for name in row if name not in FREE_COLUMNS} for row in page["audit_logs"]]
    return page | {"audit_logs": rows}


def _headers(server: Simulator, it: Recording) -> dict[str, str]:
    given = it.request["headers"] or {}
    assert isinstance(given, dict)
    sent = {str(name): str(value) for name, value in given.items()}
    if "Authorization" in sent or it.name.startswith("knox_"):
        ended = it.name == "knox_after_logout"
        return {"Authorization": f"Token {'0' * 64 if ended else server.new_token()}"}
    if str(it.request["auth"] or "").startswith("X-API-KEY"):
        sent["X-API-KEY"] = server.api_key
    return sent


# -- what had happened before --------------------------------------------------------------------------------


async def _prepare(server: Simulator, session: aiohttp.ClientSession, name: str) -> Change:
    for start, preparation in PREPARATIONS.items():
        if name.startswith(start):
            return await preparation(server, session)
    return {}


async def _call(
    server: Simulator, session: aiohttp.ClientSession, method: str, path: str, body: object = None
) -> object:
    headers = {"X-API-KEY": server.api_key}
    async with session.request(method, server.url + path, json=body, headers=headers) as response:
        return await response.json()


async def _many_logins(server: Simulator, session: aiohttp.ClientSession) -> Change:
    for _ in range(10):
        body = {"username": "admin", "password": "wrong"}
        async with session.post(f"{server.url}/v2/checkcreds/", json=body) as response:
            assert response.status == 400
    return {}


async def _checks(server: Simulator, session: aiohttp.ClientSession) -> Change:
    made = server.world.checks_of(WINDOWS)
    load = next(check for check in made if check.check_type == "cpuload")
    result = f"{RESULTS + load.id}"
    return {
        "/checks/3/": f"/checks/{made[0].id}/", "/checks/1373/": f"/checks/{load.id}/",
        "/checks/1/reset/": f"/checks/{result}/reset/", "/checks/1/history/": f"/checks/{result}/history/",
    }  # fmt: skip


async def _tasks(server: Simulator, session: aiohttp.ClientSession) -> Change:
    world = server.world
    made = [
        world.create_task(name=name, agent_id=WINDOWS, script=2, schedule="30 19 * * *", enabled=True)
        for name in ("Daily cleanup", "API policy")
    ]
    return {
        "/tasks/2/": f"/tasks/{made[0].id}/",
        "/tasks/550/": f"/tasks/{made[1].id}/",
        "/tasks/1/": "/tasks/901/",
    }


async def _ran_policy_task(server: Simulator, session: aiohttp.ClientSession) -> Change:
    await _call(server, session, "POST", "/tasks/901/run/", {"agent_id": WINDOWS})
    async with asyncio.timeout(30):
        while not await _call(server, session, "GET", "/automation/tasks/901/status/"):
            await asyncio.sleep(0)
    return {"/tasks/1/": "/tasks/901/"}


async def _scripts(server: Simulator, session: aiohttp.ClientSession) -> Change:
    number = server.add_community_script("Win_Defender_Status_Report", description="Community")
    bodies = {4: "#!/bin/bash\ndf -h\n", 11: "print('hi')\n"}
    for script, text in bodies.items():
        await _call(server, session, "PUT", f"/scripts/{script}/", {"script_body": text})
    return {"/scripts/9/": f"/scripts/{number}/"}


async def _keys(server: Simulator, session: aiohttp.ClientSession) -> Change:
    return {"/keystore/3/": "/keystore/1/"}


async def _audit(server: Simulator, session: aiohttp.ClientSession) -> Change:
    for number in range(7):
        body = {"shell": "cmd", "cmd": f"echo {number}", "timeout": 5, "run_as_user": False}
        headers = {"Authorization": f"Token {server.new_token()}"}
        async with session.ws_connect(
            f"{server.url}/ws/agent/{WINDOWS}/cmd/?access_token={headers['Authorization'][6:]}"
        ) as socket:
            await socket.send_json(body)
            await socket.receive(timeout=5)
    return {}


async def _complaints(server: Simulator, session: aiohttp.ClientSession) -> Change:
    server.add_debug_log("it is late")
    server.add_debug_log("it is gone", level="warning", agent_id=WINDOWS)
    return {}


async def _actions(server: Simulator, session: aiohttp.ClientSession) -> Change:
    number = server.add_pending_action(LINUX, "chocoinstall", name="vlc", output="ok", installed=True)
    server.add_pending_action(
        WINDOWS, "schedreboot", time="2026-12-24 18:30:00", taskname="TacticalRMM_SchedReboot_x"
    )
    return {"/pendingactions/4/": f"/pendingactions/{number}/"}


async def _notes(server: Simulator, session: aiohttp.ClientSession) -> Change:
    made = server.world.journal.add_note(WINDOWS, username="admin", note="from api")
    return {"/notes/63/": f"/notes/{made.pk}/"}


async def _updates(server: Simulator, session: aiohttp.ClientSession) -> Change:
    found = await _call(server, session, "GET", f"/winupdate/{WINDOWS}/")
    assert isinstance(found, list)
    return {"/winupdate/15/": f"/winupdate/{found[0]['id']}/"}


PREPARATIONS: dict[str, Callable[[Simulator, aiohttp.ClientSession], Awaitable[Change]]] = {
    "login_throttled": _many_logins,
    "throttled_ip": _many_logins,
    "check": _checks,
    "task": _tasks,
    "automation_task_status": _ran_policy_task,
    "script": _scripts,
    "core_keystore": _keys,
    "audit_": _audit,
    "debug_": _complaints,
    "pendingaction_cancel_404": _complaints,
    "pendingaction": _actions,
    "note_get_404": _complaints,
    "note": _notes,
    "winupdate_edit": _updates,
}
