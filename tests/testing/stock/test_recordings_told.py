"""Recordings that build on each other, told to one simulator in their order: what was made is there after.

Each family is a story. Where the recorded server had other ids than the simulator, `PLACES` of the story say
which are meant, by what the simulator answered until then.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from trmm_async.testing import Script, Simulator

from .replay import (
    AGENTS,
    DARWIN,
    FOREIGN,
    HUNG,
    LINUX,
    WINDOWS,
    ZOMBIE,
    differences,
    furnish,
    recording,
    same_words,
)

FULL = "aojZhVVTyksHNbzhFtIPWXcyAtfnqIhQAvFnPJiK"
BARE = "AjpVkOyRkunyBHsrdEtUhtPjXldWDbLEZcugmlwn"
NOBODY = "nobody"
BUSY = "KbOQmXfipEKASvvfxrDhCUipKIIJeJqkVvMjhasR"
MEANT = {FULL: HUNG, BARE: ZOMBIE, BUSY: DARWIN}


@dataclass
class Teller:
    """Sends what was recorded to a simulator, and compares the answers."""

    server: Simulator
    session: aiohttp.ClientSession
    texts: dict[str, str] = field(default_factory=lambda: dict(MEANT))
    """What to put in the place of what in a request, but for its numbers."""
    paths: dict[str, str] = field(default_factory=dict)
    """What to put in the place of what in a path."""
    numbers: dict[tuple[str, int], int] = field(default_factory=dict)
    """(a key of a body, its number) -> ours."""

    allowed: str = ""
    """What may be asked here by everybody."""

    async def ask(self, method: str, path: str, body: object = None, *, user: str | None = None) -> Any:
        headers = {} if user == NOBODY else {"Authorization": f"Token {self.server.new_token(user)}"}
        async with self.session.request(
            method, self.server.url + path, json=body, headers=headers
        ) as response:
            content = await response.read()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(content) if is_json else content.decode()

    async def tell(self, name: str) -> None:
        it = recording(name)
        path, body = str(it.request["path"]), it.request["body"]
        for text, ours in {**self.texts, **self.paths}.items():
            path = path.replace(text, ours)
        sent = json.loads(self._ours(json.dumps(body)), object_hook=self._numbered)
        by = str(it.request["auth"])
        user = "norole" if by.endswith("norole") else None
        user = "limited" if by.endswith(("limited", "manager")) else user
        user = None if name == self.allowed else user
        if it.request["auth"] is None:
            user = NOBODY
        query = it.request["query"] or {}
        assert isinstance(query, dict)
        path += "?" + "&".join(f"{key}={value}" for key, value in query.items()) if query else ""
        status, ours = await self.ask(str(it.request["method"]), path, sent, user=user)
        assert status == it.response["status"], (name, ours)
        if isinstance(it.body, str) or status != 200:
            assert same_words(self._ours(str(it.body)), ours), (name, it.body, ours)
            return
        assert type(ours) is type(it.body), name
        assert bool(ours) == bool(it.body), name
        assert list(differences(it.body, ours)) == [], name

    def _ours(self, text: str) -> str:
        for theirs, mine in self.texts.items():
            text = text.replace(theirs, mine)
        return text

    def _numbered(self, found: dict[str, Any]) -> dict[str, Any]:
        return {
            name: self.numbers.get((name, value), value) if isinstance(value, int) else value
            for name, value in found.items()
        }


def _furnish(server: Simulator) -> None:
    furnish(server)
    server.world.scripts[131] = Script(131, "Clear Print Spooler", "cmd", "")
    server.add_user("limited", permissions=[])
    for agent_id in (HUNG, ZOMBIE):
        server.world.checks_of(agent_id).clear()


Story = Callable[[Teller], Awaitable[None]]


async def _checks(it: Teller) -> None:
    for _ in range(2):
        await it.ask("POST", "/automation/policies/", {"name": f"policy {_}", "active": True})
    for name in CHECKS_MADE.split():
        await it.tell(name)
    _, rows = await it.ask("GET", "/checks/")
    agents = {agent_id: number for number, (agent_id, *_) in enumerate(AGENTS, 1)}
    kinds = ("diskspace", "cpuload", "memory", "ping", "script", "winsvc", "eventlog")
    for first, owner in ((110, ("agent", agents[HUNG])), (103, ("policy", 3))):
        for number, kind in enumerate(kinds, first):
            (found,) = [row["id"] for row in rows if (row[owner[0]], row["check_type"]) == (owner[1], kind)]
            it.paths[f"/checks/{number}/"] = f"/checks/{found}/"
    it.numbers["agent", 5] = agents[LINUX]
    for name in CHECKS_AFTER.split():
        await it.tell(name)


CHECKS_MADE = (
    "checks_agent_none check_create_agent_404 check_create_agent_cpuload_full "
    "check_create_agent_diskspace_full check_create_agent_eventlog_full check_create_agent_memory_full "
    "check_create_agent_ping_full check_create_agent_script_full check_create_agent_winsvc_full "
    "check_create_policy_cpuload_full check_create_policy_diskspace_full check_create_policy_eventlog_full "
    "check_create_policy_memory_full check_create_policy_ping_full check_create_policy_script_full "
    "check_create_policy_winsvc_full checks_agent_all_types check_create_bad_severity "
    "check_create_cpuload_minimal check_create_cpuload_dup check_create_cpuload_no_threshold_keys "
    "check_create_diskspace_minimal check_create_diskspace_dup check_create_diskspace_long_disk "
    "check_create_diskspace_no_disk check_create_diskspace_no_thresholds_set "
    "check_create_diskspace_one_threshold check_create_diskspace_over_99 "
    "check_create_diskspace_wrong_order check_create_eventlog_bad_choices check_create_eventlog_minimal "
    "check_create_eventlog_wildcard check_create_limited_403 check_create_list_body "
    "check_create_memory_minimal check_create_memory_dup check_create_memory_wrong_order "
    "check_create_ping_bad_ip check_create_ping_minimal check_create_ping_duplicate_ok "
    "check_create_ping_no_ip check_create_policy_404 check_create_policy_cpuload_no_threshold_keys "
    "check_create_policy_memory_one_threshold check_create_script_bad_codes check_create_script_minimal "
    "check_create_script_unknown check_create_unknown_key check_create_winsvc_minimal "
    "check_create_winsvc_no_display_name check_create_winsvc_no_name checks_agent_minimal "
    "check_create_agent_and_policy "
)
CHECKS_AFTER = (
    "check_get_cpuload check_get_diskspace check_get_eventlog check_get_memory check_get_ping "
    "check_get_script check_get_winsvc check_get_limited_other_client_403 check_update_404 check_update_bad "
    "check_update_cpuload check_update_diskspace check_update_diskspace_wrong_order "
    "check_update_eventlog_to_wildcard check_update_limited_403 check_update_memory check_update_ping "
    "check_update_ping_bad_ip check_update_script check_update_type_ignored_policy check_update_winsvc "
    "check_update_move_to_agent checks_agent_all_types_after check_csbulkrun_agent_target "
    "check_csbulkrun_bad_target check_csbulkrun_client_ok check_csbulkrun_limited_403 "
    "check_csbulkrun_no_agents check_csbulkrun_restricted_other_403 check_csbulkrun_site_ok "
    "check_csbulkrun_unknown_client check_delete_limited_403 check_delete_agent check_delete_404 "
    "check_delete_policy "
)

POLICIES_MADE = (
    "policy_create_full policy_get_after_create policy_create_minimal policy_get_minimal policy_create_dup "
    "policy_create_no_name policy_create_no_name_again policy_create_bad_type policy_create_agent_id_as_text "
    "policy_create_limited_403 policy_create_list_body policy_update_full policy_get_after_update "
    "policy_update_one_field policy_update_404 policy_update_bad policy_update_limited_403 "
    "policies_list_before "
)
POLICIES_SET = (
    "policies_overview_assigned policies_overview_limited_403 policies_list_assigned "
    "policy_related_assigned policy_update_alert_template "
)
POLICIES_COPIED = (
    "policy_create_copy policy_get_copy policy_copy_checks policy_copy_tasks policy_create_copy_404 "
    "policy_checks_after policy_tasks_after "
)
PATCHES = (
    "patchpolicy_create_full patchpolicy_create_minimal patchpolicy_create_second patchpolicy_create_404 "
    "patchpolicy_create_bad patchpolicy_create_limited_403 patchpolicy_create_no_policy "
    "policies_list_with_patchpolicy patchpolicy_update_full patchpolicy_update_one_field "
    "patchpolicy_update_bad patchpolicy_update_404 patchpolicy_update_limited_403 "
    "policies_list_patchpolicy_updated patchpolicy_reset_all patchpolicy_reset_bad_client "
    "patchpolicy_reset_client patchpolicy_reset_limited_403 patchpolicy_reset_site "
    "patchpolicy_reset_unknown_client patchpolicy_delete_limited_403 patchpolicy_delete "
    "patchpolicy_delete_404 "
)
POLICY_TASKS = (
    "policy_task_status policy_task_status_via_run policy_task_status_404 policy_task_status_limited_403 "
    "policy_task_status_via_run_limited_403 policy_task_run policy_task_run_via_status policy_task_run_404 "
    "policy_task_run_limited_403 policy_task_run_via_status_limited_403 policy_task_run_not_policy "
    "policy_check_status policy_check_status_404 policy_check_status_limited_403 policy_check_status_none "
)
POLICIES_LATER = (
    "policy_update_exclude_agent checks_agent_policy_excluded policy_update_enforced "
    "policy_update_inactive policies_list_as_default "
)


async def _policies(it: Teller) -> None:
    server = it.server
    for name in POLICIES_MADE.split():
        await it.tell(name)
    check = {"policy": 3, "check_type": "ping", "name": "still ping", "ip": "10.0.0.1"}
    await it.ask("POST", "/checks/", check)
    _, (row,) = await it.ask("GET", "/automation/policies/3/checks/")
    action = {"type": "cmd", "shell": "cmd", "command": "echo", "timeout": 30, "name": ""}
    script = {
        "name": "",
        "type": "script",
        "script": 131,
        "timeout": 90,
        "script_args": [],
        "env_vars": ["A=1"],
    }
    task = {"policy": 3, "name": "t", "task_type": "manual", "actions": [script]}
    await it.ask("POST", "/tasks/", task)
    on_failure = {"actions": [action], "task_type": "checkfailure", "assigned_check": row["id"]}
    await it.ask("POST", "/tasks/", task | on_failure)
    _, tasks = await it.ask("GET", "/automation/policies/3/tasks/")
    await it.ask("PUT", "/clients/1/", {"client": {"server_policy": 3}})
    await it.ask("POST", "/alerts/templates/", {"name": "t"})
    for name in POLICIES_SET.split():
        await it.tell(name)
    # What has no name took a number there.
    for name in POLICIES_COPIED.split():
        it.paths = {"/policies/7/": "/policies/6/"}
        await it.tell(name)
    it.numbers = {("policy", 7): 6}
    server.world.agents[HUNG].pk = 12
    for name in PATCHES.split():
        it.paths = {"/patchpolicy/14/": "/patchpolicy/1/", "/patchpolicy/15/": "/patchpolicy/2/"}
        await it.tell(name)
    await it.ask("POST", "/checks/client/1/csbulkrun/")
    it.paths = {
        "/tasks/46/": f"/tasks/{tasks[0]['id']}/",
        "/tasks/43/": "/tasks/900000/",
        "/checks/106/": f"/checks/{row['id']}/",
    }
    for name in POLICY_TASKS.split():
        await it.tell(name)
    await it.ask("DELETE", "/alerts/templates/1/")
    for name in POLICIES_LATER.split():
        await it.tell(name)


ACTIONS = (
    "urlactions_list_limited_403 urlaction_create_web_full urlaction_create_rest_full "
    "urlaction_create_minimal urlaction_create_empty urlaction_create_no_pattern "
    "urlaction_create_bad_choice urlaction_create_body_object urlaction_create_limited_403 urlactions_list "
    "urlaction_get_one_405 urlaction_update_full urlaction_update_one_field urlaction_update_bad "
    "urlaction_update_404 urlaction_update_limited_403 urlactions_list_after_update "
    "urlaction_delete_limited_403 urlaction_delete urlaction_delete_404 "
)
TEMPLATES = (
    "alert_template_create_full alert_template_get alert_template_create_minimal "
    "alert_template_get_minimal alert_template_create_same_name alert_template_create_no_name "
    "alert_template_create_rest_action alert_template_create_server_action alert_template_create_bad "
    "alert_template_create_by_manager alert_template_create_limited_403 alert_templates_list "
    "alert_templates_list_limited_403 alert_template_get_404 alert_template_update_full "
    "alert_template_get_after_update alert_template_update_one_field alert_template_update_bad "
    "alert_template_update_404 alert_template_update_limited_403 alert_template_related_none "
    "alert_template_related_404 alert_template_related_limited_403 "
)
TEMPLATES_SET = (
    "alert_template_related alert_template_delete_limited_403 alert_template_delete_assigned "
    "alert_template_delete alert_template_delete_404 "
)
ALERTS = (
    "alert_create_full alert_get_after_create alert_create_minimal alert_create_unknown_agent "
    "alert_create_agent_id_as_text alert_create_bad_type alert_create_limited_403 "
)


async def _alerts(it: Teller) -> None:
    # What the simulator begins with has the first number.
    it.paths = {"/urlaction/3/": "/urlaction/4/"}
    for name in ACTIONS.split():
        await it.tell(name)
    it.server.world.scripts[132] = Script(132, "Tell", "cmd", "")
    it.allowed = "alert_template_create_by_manager"
    it.paths = {}
    for name in TEMPLATES.split():
        await it.tell(name)
    await it.ask("POST", "/automation/policies/", {"name": "x", "alert_template": 1})
    await it.ask("PUT", "/clients/1/", {"client": {"alert_template": 1}})
    await it.ask("PUT", "/clients/sites/3/", {"site": {"alert_template": 1}})
    for name in TEMPLATES_SET.split():
        await it.tell(name)
    before = set(it.server.world.alerts)
    first, *others = ALERTS.split()
    await it.tell(first)
    (made,) = set(it.server.world.alerts) - before
    it.paths = {str(recording("alert_get_after_create").request["path"]): f"/alerts/{made}/"}
    for name in others:
        await it.tell(name)


FIELDS = (
    "customfield_create_agent_text customfield_create_client_text customfield_create_client_number "
    "customfield_create_client_single customfield_create_client_multiple "
    "customfield_create_client_checkbox customfield_create_client_datetime customfield_create_bad_choices "
    "customfield_create_minimal customfield_create_dup customfield_get customfield_get_404 "
    "customfield_get_limited_403 customfields_list_client customfields_list_unknown_model "
)
PLACES = (
    "client_create_full client_get_full client_create_bad_policy client_create_site_pipe "
    "client_create_limited_403 client_update_full client_get_after_update "
    "client_update_custom_fields_only client_update_custom_fields_no_client client_get_after_partial "
    "client_update_404 client_update_restricted_other_403 site_create_minimal site_create_no_client "
    "site_create_no_name site_update_404 site_update_no_site_key "
)
AGENTS_PUT = (
    "agent_put_block_inheritance agent_put_own_policy agent_put_winupdatepolicy_partial "
    "agent_put_winupdatepolicy_not_list "
)


async def _places(it: Teller) -> None:
    it.server.world.custom_fields.clear()
    for number in range(2):
        await it.ask("POST", "/automation/policies/", {"name": f"policy {number}", "active": True})
    for _ in range(7):
        await it.ask("POST", "/alerts/templates/", {"name": "t"})
    for name in FIELDS.split():
        await it.tell(name)
    await it.tell(first := PLACES.split(maxsplit=1)[0])
    (made,) = [one.id for one in it.server.world.clients.values() if one.name == "Omega KG"]
    it.paths = {"/clients/7/": f"/clients/{made}/", "/sites/23/": "/sites/1/"}
    for name in PLACES.split():
        if name != first:
            it.numbers = {("client", 7): made}
            await it.tell(name)
    it.texts["HedcmpMbXDuCLmHoOsFaQfDPrAJfTquWoGsbeKXg"] = HUNG
    await it.ask("POST", "/automation/policies/", {"name": "third"})
    for name in AGENTS_PUT.split():
        await it.tell(name)


TASKS_BAD = (
    "task_create_action_no_command task_create_action_no_script task_create_action_no_script_args "
    "task_create_action_no_timeout task_create_action_no_type task_create_agent_404 "
    "task_create_bad_choices task_create_checkfailure_no_check task_create_daily_no_date "
    "task_create_expired task_create_limited_403 task_create_monthly_no_days task_create_monthly_no_months "
    "task_create_monthlydow_no_weeks task_create_no_task_type_policy task_create_policy_404 "
    "task_create_weekly_no_days task_create_weekly_no_interval "
)
TASKS_OLD = "task_create_onboarding_too_old task_create_onboarding_old_agent "
TASKS_MADE = (
    "task_create_daily_full task_create_weekly_full task_create_monthly_full task_create_monthly_last_day "
    "task_create_monthlydow_full task_create_runonce_full task_create_manual_full task_create_onboarding "
    "task_create_checkfailure task_create_policy_daily_full task_create_policy_onboarding "
    "task_create_policy_checkfailure task_create_minimal task_create_no_parent "
    "task_create_action_unknown_script task_create_action_unknown_type task_create_agent_and_policy "
    "task_create_posix "
)
TASKS_AFTER = (
    "tasks_agent_all_types task_get_daily_full task_get_weekly_full task_get_monthly_full "
    "task_get_second_tuesday task_get_once task_get_onboarding task_get_on_ping_failure "
    "check_get_with_assigned_task "
    "task_update_404 task_update_limited_403 task_update_full task_get_after_update task_update_enabled_only "
    "task_update_schedule_without_type task_get_after_schedule_without_type task_update_actions_only "
    "task_update_actions_empty task_update_type_without_date task_update_checkfailure_to_manual "
    "task_update_policy_task task_run_manual tasks_agent_policy_mixed "
    "task_delete_404 task_delete_agent task_delete_policy task_delete_agent_and_policy "
    "task_get_agent_and_policy_still_there task_get_offline_agent task_delete_offline_agent "
    "tasks_agent_pending_deletion "
)
OLD = "BmFrPpegJCYWFpeZFdXJeYjZxlgvcwoshAlNybRN"
OF_TASKS = {
    FULL: WINDOWS,
    OLD: FOREIGN,
    "HNkInOIOnHnINLioVOZwluMumnXmgipiUfqygBAI": LINUX,
    "WjKyRSnIsZjClgJqFBhjubrKKjrOzruofEmxJqJd": ZOMBIE,
}
NAMED = {
    37: "Daily full", 38: "Weekly full", 39: "Monthly full", 41: "Second Tuesday", 42: "Once", 43: "Manual",
    44: "Onboarding", 45: "On ping failure", 46: "Policy daily", 47: "Policy onboarding", 57: "Both",
    58: "On an offline agent",
}  # fmt: skip
"""The recorded tasks by their numbers."""


async def _tasks(it: Teller) -> None:
    it.texts = dict(OF_TASKS)
    await it.ask("DELETE", "/tasks/901/")
    script = {"type": "script", "name": "Restart", "script": 131, "timeout": 90, "script_args": []}
    await it.ask("POST", "/tasks/", {"agent": LINUX, "name": "t", "task_type": "manual", "actions": [script]})
    await it.tell("tasks_list_global")
    for number in range(2):
        await it.ask("POST", "/automation/policies/", {"name": f"policy {number}", "active": True})
    await it.ask("PUT", f"/agents/{WINDOWS}/", {"policy": 3})
    await it.ask("PUT", f"/agents/{ZOMBIE}/", {"policy": 3})
    ping = {"check_type": "ping", "name": "Told", "ip": "10.0.0.1"}
    for owner in ({"agent": WINDOWS}, {"policy": 3}):
        await it.ask("POST", "/checks/", ping | owner)
    _, rows = await it.ask("GET", "/checks/")
    made = [row for row in rows if row["name"] == "Told"]
    it.numbers = {
        ("assigned_check", recorded): row["id"]
        for recorded, row in zip((106, 113), sorted(made, key=lambda row: row["agent"] or 0), strict=True)
    }
    it.paths = {"/checks/113/": f"/checks/{it.numbers['assigned_check', 113]}/"}
    for name in TASKS_BAD.split():
        await it.tell(name)
    for name, version in zip(TASKS_OLD.split(), ("2.5.0", "2.6.0"), strict=True):
        it.server.world.agents[FOREIGN].version = version
        await it.tell(name)
    for name in TASKS_MADE.split():
        await it.tell(name)
    command = {"type": "cmd", "name": "", "shell": "cmd", "command": "ver", "timeout": 30}
    offline = {"agent": ZOMBIE, "name": NAMED[58], "task_type": "manual", "actions": [command]}
    await it.ask("POST", "/tasks/", offline)
    _, rows = await it.ask("GET", "/tasks/")
    numbers = {row["name"]: row["id"] for row in rows}
    it.paths |= {f"/tasks/{number}/": f"/tasks/{numbers[name]}/" for number, name in NAMED.items()}
    for name in TASKS_AFTER.split():
        await it.tell(name)


KEYS = (
    "apikey_create_limited_403 apikey_create_list_body apikey_create_no_user apikey_create_unknown_user "
    "apikey_create_bad_expiration apikey_create_long_name apikey_create_no_name apikey_create_full "
    "apikey_create_dup apikey_create_own_key_ignored apikey_update_404 apikey_update_limited_403 "
    "apikey_update_bad apikey_update_full apikey_update_one_field apikey_delete_limited_403 "
    "apikey_delete apikey_delete_404 users_list users_list_limited_403 users_search_tech "
)
LIBRARY = (
    "script_community_favorite_wins script_community_hide script_download_404 script_download_cmd "
    "script_download_deno script_download_norole_403 script_download_nushell script_download_python "
    "script_download_shell script_download_with_snippets script_download_without_snippets "
    "script_download_without_snippets_capital script_download_snippet_gone scripts_list_all_flags "
    "scripts_list_flag_False_capital scripts_list_flag_True_capital scripts_list_flag_empty "
    "scripts_list_norole_403 scripts_list_user_and_hidden scripts_list_user_only scripts_list_with_hidden "
)
SOFTWARE = (
    "software_all software_all_limited_403 software_chocos software_chocos_no_key software_chocos_norole "
    "software_install_404 software_install_agent_offline software_install_any_name "
    "software_install_limited_403 software_install_linux software_install_no_name software_install_ok "
    "software_uninstall_404 software_uninstall_agent_offline software_uninstall_full "
    "software_uninstall_limited_403 software_uninstall_linux software_uninstall_no_command "
    "software_uninstall_no_name software_uninstall_no_run_as_user software_uninstall_no_timeout "
    "software_uninstall_trmm_refused "
)
PENDING = (
    "pendingactions_agent_404 pendingactions_agent_limited_403 pendingactions_agent_none "
    "pendingactions_all_limited_403 reboot_later_for_pending pendingactions_agent_several "
    "pendingactions_all_several pendingaction_delete_limited_403 pendingaction_delete_reboot "
    "pendingaction_delete_404 pendingaction_delete_choco "
)
AGENTS_ALL = (
    "agents_bulkrecovery_limited_403 agents_bulkrecovery_ok agents_bulkrecovery_post_405 "
    "agents_update_empty_list agents_update_limited_403 agents_update_no_key agents_update_ok "
    "agents_update_unknown_id agents_versions_norole_403 agents_versions_ok history_all_mixed "
    "history_all_norole_403 meshcentral_urls_404 meshcentral_urls_limited_403 meshcentral_urls_no_mesh "
    "meshcentral_urls_offline note_create_ok note_get_limited_403 note_get_one note_get_unknown_404 "
    "notes_all_after notes_limited_403 wmi_refresh_404 wmi_refresh_limited_403 wmi_refresh_offline "
    "wmi_refresh_ok "
)
CORE = (
    "core_clearcache_limited_403 core_clearcache_ok core_clearcache_post_405 core_emailtest_limited_403 "
    "core_emailtest_no_recipients core_settings_before core_settings_limited_403 "
    "core_settings_put_whole_get_back core_settings_update_bad core_settings_update_block_local_logon "
    "core_settings_update_custom_shell_no_path core_settings_update_empty core_settings_update_full "
    "core_settings_after_update core_settings_update_limited_403 core_settings_update_one_field "
    "core_settings_update_policies_null core_settings_update_recipients_text "
    "core_settings_update_sso_unlicensed core_settings_update_unknown_field core_smstest_limited_403 "
    "core_smstest_not_configured debug_log_all debug_log_filter_agent debug_log_filter_list "
    "debug_log_filter_unknown_values debug_log_filters debug_log_get_405 debug_log_limited_403 "
    "err_404_path_id_not_number "
)
SEEN = "agents_versions_limited history_all_limited "
"""What the limited user may see, who has a role that lists agents."""
OF_SERVER = {
    "HedcmpMbXDuCLmHoOsFaQfDPrAJfTquWoGsbeKXg": WINDOWS,
    "HNkInOIOnHnINLioVOZwluMumnXmgipiUfqygBAI": LINUX,
    "WjKyRSnIsZjClgJqFBhjubrKKjrOzruofEmxJqJd": ZOMBIE,
}


async def _server(it: Teller) -> None:
    it.texts, server = dict(OF_SERVER), it.server
    await it.ask("POST", "/automation/policies/", {"name": "third"})
    for _ in range(7):
        await it.ask("POST", "/alerts/templates/", {"name": "t"})
    for username in ("norole", "tech1", "tech2"):
        server.add_user(username, permissions=[])
    _, users = await it.ask("GET", "/accounts/users/")
    numbers = {one["username"]: one["id"] for one in users}
    it.numbers = {("user", 17): numbers["tech1"], ("user", 18): numbers["tech2"]}
    shells = ("powershell", "cmd", "python", "shell", "nushell", "deno")
    for number, shell in enumerate(shells, 136):
        server.world.scripts[number] = Script(number, f"dl {shell}", shell, "")
        await it.ask("PUT", f"/scripts/{number}/", {"script_body": "echo {{greeting}}"})
    it.paths = {"/scripts/130/": f"/scripts/{server.add_community_script('Python - Module Manager')}/"}
    for name in KEYS.split()[:10]:
        await it.tell(name)
    _, keys = await it.ask("GET", "/accounts/apikeys/")
    it.paths["/apikeys/4/"] = f"/apikeys/{next(one['id'] for one in keys if one['name'] == 'ci')}/"
    for name in (*KEYS.split()[10:], *LIBRARY.split(), *SOFTWARE.split()):
        await it.tell(name)
    choco = server.add_pending_action(
        WINDOWS, "chocoinstall", name="no-such-package", output="", installed=False
    )
    for name in PENDING.split():
        _, rows = await it.ask("GET", "/logs/pendingactions/")
        reboots = [row["id"] for row in rows if row["action_type"] == "schedreboot"]
        it.paths |= {"/pendingactions/4/": f"/pendingactions/{choco}/"}
        it.paths["/pendingactions/2/"] = f"/pendingactions/{max(reboots, default=999)}/"
        await it.tell(name)
    server.add_history(WINDOWS, command="ping google.com", username="demo", stdout="\nok")
    server.add_history(WINDOWS, 131, username="admin")
    server.add_debug_log("Sending email failed", level="error")
    for name in AGENTS_ALL.split():
        _, notes = await it.ask("GET", "/agents/notes/")
        it.paths["/notes/4/"] = f"/notes/{max((note['pk'] for note in notes), default=999)}/"
        await it.tell(name)
    for name in CORE.split():
        await it.tell(name)
    await it.ask("PUT", "/core/settings/", {"email_alert_recipients": ["ops@example.com"]})
    await it.tell("core_emailtest_ok")
    server.add_user("limited", permissions=["can_list_agents", "can_list_agent_history"])
    for name in SEEN.split():
        await it.tell(name)


BULK = (
    "bulk_bad_montype_is_all bulk_bad_ostype_is_all bulk_bad_target bulk_client_unknown "
    "bulk_command_agents_full bulk_command_all_darwin bulk_command_all_linux "
    "bulk_command_client_servers_windows bulk_command_minimal bulk_command_site_workstations "
    "bulk_patch_bad_patchmode bulk_patch_install_all_servers bulk_patch_install_site bulk_patch_minimal "
    "bulk_patch_no_patchmode bulk_patch_scan_agents bulk_patch_scan_client bulk_script_404 "
    "bulk_script_agents_full bulk_script_all bulk_script_client bulk_script_minimal bulk_script_site_windows "
)


async def _bulk(it: Teller) -> None:
    it.texts = {**OF_SERVER, "qaxtjRNmHkWvQCFpuzQqmOBZZWmnyoLuniiFwcTe": FOREIGN}
    for site in list(it.server.world.sites.values()):  # at each site somebody of each kind and system
        for plat, kind in (("windows", "server"), ("linux", "workstation"), ("darwin", "workstation")):
            agent = it.server.add_agent(site=site.id)
            agent.plat, agent.monitoring_type = plat, kind
    for name in BULK.split():
        await it.tell(name)
    it.server.add_user("limited", permissions=["can_run_bulk"])
    await it.tell("bulk_limited_all")


DEFINED = (
    "customfield_create_no_model customfields_list_all_types customfield_update_full "
    "customfield_update_one_field customfield_get_after_update customfield_update_bad "
    "customfield_update_404 customfield_update_model_changed customfield_delete customfield_delete_404 "
)
KEPT = (
    "client_create_bad_custom_field client_create_custom_field_no_field clients_list_after_bad_custom_field "
    "client_create_site_fields_ignored client_get_site_fields_ignored site_create_full site_get_full "
    "site_create_bad_custom_field site_update_full site_get_after_update site_update_move_client "
    "site_update_move_last_site client_update_custom_field_partial "
    "client_update_policies_and_template site_update_policies_and_template client_get_assigned "
    "site_get_assigned "
)
UNSET = "client_get_after_template_delete site_get_after_policy_delete "
AGENTS_KEPT = (
    "agent_put_bad_timezone agent_put_shell_custom_no_path agent_put_shell_wrong_os agent_put_full "
    "agent_get_after_put_full agent_put_winupdatepolicy_bad agent_get_after_winupdatepolicy_partial "
    "agent_put_shell_reset agent_put_restore "
)


async def _kept(it: Teller) -> None:
    server = it.server
    server.world.custom_fields.clear()
    it.texts = dict(OF_SERVER)
    for number in range(2, 4):
        await it.ask("POST", "/automation/policies/", {"name": f"policy {number}", "active": True})
    for _ in range(7):
        await it.ask("POST", "/alerts/templates/", {"name": "t"})
    types = ("text", "number", "single", "multiple", "checkbox", "datetime")
    for first, model in ((2, "client"), (8, "site"), (14, "agent")):
        for number, kind in enumerate(types, first):
            options = {"single": ["gold", "silver", "bronze"], "multiple": ["a", "b", "c"]}.get(kind, [])
            field = {"name": f"{model} {kind}", "model": model, "type": kind, "options": options}
            await it.ask("POST", "/core/customfields/", field)
            _, fields = await it.ask("GET", "/core/customfields/")
            it.numbers["field", number] = fields[-1]["id"]
    await it.ask("POST", "/core/customfields/", {"name": "moves", "model": "client", "type": "text"})
    _, fields = await it.ask("GET", "/core/customfields/")
    it.paths = {
        "/customfields/4/": f"/customfields/{it.numbers['field', 4]}/",
        "/customfields/20/": f"/customfields/{fields[-1]['id']}/",
    }
    for name in DEFINED.split():
        await it.tell(name)
    await it.ask("POST", "/clients/", {"client": {"name": "Omega AG"}, "site": {"name": "x"}})
    for name in KEPT.split():
        _, clients = await it.ask("GET", "/clients/")
        sites = {site["name"]: site["id"] for one in clients for site in one["sites"]}
        ids = {one["name"]: one["id"] for one in clients}
        it.numbers["client", 7] = ids["Omega AG"]
        it.paths = {
            "/clients/7/": f"/clients/{ids['Omega AG']}/",
            "/clients/8/": f"/clients/{ids.get('Psi KG', 0)}/",
            "/sites/23/": f"/sites/{sites.get('Hamburg', sites.get('Hamburg 2', 0))}/",
            "/sites/20/": f"/sites/{sites.get('Bonn', 0)}/",
            "/sites/5/": "/sites/3/",
        }
        await it.tell(name)
    await it.ask("DELETE", "/alerts/templates/1/")
    await it.ask("DELETE", "/automation/policies/4/")
    for name in (*UNSET.split(), *AGENTS_KEPT.split()):
        await it.tell(name)


SCHEDULES = (
    "schedule_create_daily schedule_create_weekly schedule_create_monthly_days schedule_create_monthly_weeks "
    "schedule_create_minimal schedule_create_bad schedule_create_no_name schedule_create_no_run_time "
    "schedule_create_limited_403 schedule_get_one_405 schedules_list schedules_list_limited_403 "
    "schedule_update_full schedule_update_one_field schedule_update_bad schedule_update_404 "
    "schedule_update_limited_403 schedule_delete_limited_403 schedule_delete schedule_delete_404 "
)
SNIPPETS = (
    "snippet_create_full snippet_create_minimal snippet_create_name_code snippet_create_name_code_shell "
    "snippet_create_dup snippet_create_no_name snippet_create_bad_shell snippet_create_empty_code "
    "snippet_create_long_name snippet_create_limited_403 snippets_list snippet_get snippet_get_404 "
    "snippet_update_full snippet_update_one_field snippet_get_after_update snippet_update_404 "
    "snippet_update_bad snippet_update_limited_403 snippet_delete_limited_403 snippet_delete "
    "snippet_delete_404 "
)
INSTALLERS = (
    "installer_bad_expires installer_bash_linux installer_exe installer_limited_403 installer_mac "
    "installer_manual installer_manual_386 installer_manual_full installer_manual_linux_nonsense "
    "installer_manual_no_rdp installer_no_method installer_no_plat installer_unknown_method "
    "installer_unknown_site "
)
MAINTENANCE = (
    "servermaintenance_limited_403 servermaintenance_no_action servermaintenance_prune_all "
    "servermaintenance_prune_no_tables servermaintenance_prune_nothing servermaintenance_prune_unknown_table "
    "servermaintenance_reload_nats servermaintenance_rm_orphaned_tasks servermaintenance_unknown_action "
)


async def _in_order(it: Teller) -> None:
    _, there = await it.ask("GET", "/scripts/snippets/")
    it.paths["/scripts/snippets/1/"] = f"/scripts/snippets/{max(row['id'] for row in there) + 1}/"
    for name in (SCHEDULES + SNIPPETS + INSTALLERS + MAINTENANCE).split():
        await it.tell(name)


STORIES: dict[str, tuple[Story, str]] = {
    "in order": (_in_order, SCHEDULES + SNIPPETS + INSTALLERS + MAINTENANCE),
    "kept": (_kept, DEFINED + KEPT + UNSET + AGENTS_KEPT),
    "bulk": (_bulk, BULK + "bulk_limited_all"),
    "server": (_server, KEYS + LIBRARY + SOFTWARE + PENDING + AGENTS_ALL + CORE + SEEN + "core_emailtest_ok"),
    "tasks": (
        _tasks,
        "tasks_list_global " + TASKS_BAD + TASKS_OLD + TASKS_MADE + TASKS_AFTER,
    ),
    "checks": (_checks, CHECKS_MADE + CHECKS_AFTER),
    "places": (_places, FIELDS + PLACES + AGENTS_PUT),
    "alerts": (_alerts, ACTIONS + TEMPLATES + TEMPLATES_SET + ALERTS),
    "policies": (
        _policies,
        POLICIES_MADE + POLICIES_SET + POLICIES_COPIED + PATCHES + POLICY_TASKS + POLICIES_LATER,
    ),
}
REACH = "an agent's checks are others here; test_reach.py tells what policies give it"
RESTRICTED = "told in test_sight.py, by roles that are made there"
MAIL = "the simulated server's mail always goes out, to whomever"
SPARED: dict[str, str] = {
    "bulk_limited_other_client_403": RESTRICTED,
    "client_create_by_restricted_user": RESTRICTED,
    "core_emailtest_no_starttls": MAIL,
    "core_emailtest_refused": MAIL,
    "checks_agent_block_inheritance": REACH,
    "checks_agent_block_inheritance_stale": REACH,
    "checks_agent_own_policy_blocked": REACH,
    "checks_agent_policy_enforced": REACH,
    "checks_agent_policy_enforced_first_read": REACH,
    "alert_template_get_core_settings_list": "of a template with recipients alone; the list has one, too",
    "alert_template_create_server_action_403": RESTRICTED,
    "policy_create_by_restricted_user": RESTRICTED,
    "patchpolicy_reset_restricted_all": RESTRICTED,
    "patchpolicy_update_of_agent": "told by a call of the client: it goes by the id of an agent's own",
    "checks_agent_policy_inactive": REACH,
    "checks_agent_policy_mixed": REACH,
}
TOLD = {name for _, names in STORIES.values() for name in names.split()} | set(SPARED)
"""All that is told here, or not, for a reason."""


@pytest.mark.parametrize("family", STORIES)
async def test_what_was_recorded_is_answered_in_order(family: str) -> None:
    story, _ = STORIES[family]
    async with (
        Simulator(dialect="stock", agents=10, script_seconds=0.0, offline_hold=0.0) as server,
        aiohttp.ClientSession() as session,
    ):
        _furnish(server)
        await story(Teller(server, session))
