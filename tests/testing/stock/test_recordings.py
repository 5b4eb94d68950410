from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import aiohttp
import pytest

from tests.recorded import NOT_YET_REPLAYED, NOT_YET_SIMULATED
from trmm_async.testing import Simulator

from .preparations import prepare
from .replay import HTTP, agent_program, differences, furnish, recording, same_words
from .test_recordings_told import TOLD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .replay import Recording

MISSING = ("args", "env_vars", "output", "run_as_user", "script", "timeout")
COVERED = {
    "auth": (
        "auth_bearer auth_empty_key auth_expired_key auth_inactive_user auth_key_and_bad_authorization "
        "auth_key_and_bad_knox auth_knox_bad_token auth_limited_run_script auth_limited_unknown_agent "
        "auth_lowercase_header auth_no_key auth_norole_user auth_role_without_perm auth_wrong_key "
        "auth_blocked_dashboard_key_works"
    ),
    "errors": (
        "err_404_agent err_404_short_agent_id err_404_unknown_path err_405 err_405_post_agent "
        "err_body_is_list err_form_body err_malformed_json err_no_trailing_slash_get "
        "err_no_trailing_slash_post err_wrong_content_type root core_version"
    ),
    "agents": (
        "agents_list_client agents_list_client_empty agents_list_client_name agents_list_client_unknown "
        "agents_list_default agents_list_detail_TRUE_upper agents_list_detail_false "
        "agents_list_hostname_filter agents_list_monitoring_bad agents_list_monitoring_server "
        "agents_list_site agents_list_site_and_client_conflict agents_list_site_text agent_delete "
        "agent_delete_404 agent_delete_forbidden agent_detail_darwin agent_detail_linux "
        "agent_detail_never_seen agent_detail_windows agent_patch_not_allowed agent_put_back "
        "agent_put_bad_site agent_put_bad_value agent_put_custom_field agent_put_custom_field_bad "
        "agent_put_custom_field_missing agent_put_custom_field_value_key agent_put_empty "
        "agent_put_null_policy agent_put_ok agent_put_unknown_field agent_put_winupdatepolicy "
        "agent_put_winupdatepolicy_empty"
    ),
    "runs": (
        "runscript_args_null runscript_args_string runscript_collector runscript_collector_bad_field "
        "runscript_collector_last_line runscript_collector_no_field runscript_email_custom "
        "runscript_email_default runscript_email_missing_emailMode runscript_forget runscript_get_405 "
        "runscript_hung_timeout runscript_missing_args runscript_missing_custom_field "
        "runscript_missing_emailMode runscript_missing_emails runscript_missing_env_vars "
        "runscript_missing_output runscript_missing_run_as_user runscript_missing_save_all_output "
        "runscript_missing_script runscript_missing_timeout runscript_note runscript_offline_collector "
        "runscript_offline_forget runscript_offline_note runscript_offline_wait runscript_run_on_server "
        "runscript_script_404 runscript_script_as_name runscript_script_as_str_id runscript_slow_ok "
        "runscript_timeout_str runscript_unknown_output_mode runscript_wait runscript_wait_empty_output "
        "runscript_wait_for_history runscript_wait_stderr_rc3 cmd_agent_slower_than_timeout "
        "cmd_custom_shell cmd_custom_shell_missing_key cmd_empty_body cmd_empty_output cmd_hung_timeout "
        "cmd_linux_stderr cmd_missing_cmd cmd_missing_custom_shell cmd_missing_run_as_user "
        "cmd_missing_shell cmd_missing_timeout cmd_multiline cmd_offline cmd_ok cmd_timeout_bad "
        "cmd_timeout_str cmd_windows_stderr"
    ),
    "bus": (
        "natsdown__cmd natsdown__runscript_forget natsdown__runscript_wait "
        "natsapi_down__cmd_offline_no_responder natsapi_down__cmd_zombie_no_responder "
        "natsapi_down__runscript_offline_no_responder"
    ),
    "history": (
        "history_after_runscript history_agent history_all history_unknown_agent scripthistory "
        "scripthistory_bad_limit scripthistory_range"
    ),
    "bulk": (
        "bulk_bad_mode bulk_command_agents bulk_command_all_servers bulk_command_client "
        "bulk_command_missing_agents bulk_command_missing_client bulk_command_missing_cmd "
        "bulk_command_missing_custom_shell bulk_command_missing_mode bulk_command_missing_monType "
        "bulk_command_missing_offlineAgents bulk_command_missing_osType bulk_command_missing_run_as_user "
        "bulk_command_missing_shell bulk_command_missing_site bulk_command_missing_target "
        "bulk_command_missing_timeout bulk_command_no_agents bulk_command_site "
        "bulk_command_unknown_agents bulk_patch_scan bulk_script_agents bulk_script_missing_args "
        "bulk_script_missing_collector_all_output bulk_script_missing_custom_field "
        "bulk_script_missing_env_vars bulk_script_missing_save_to_agent_note bulk_script_missing_script"
    ),
    "clients": (
        "client_create client_create_dup client_create_empty_name client_create_flat "
        "client_create_no_site client_create_pipe client_delete client_delete_404 client_delete_move "
        "client_delete_move_to_site client_delete_with_agents client_get client_get_404 client_get_new "
        "client_update client_update_flat client_without_sites_delete client_without_sites_get "
        "clients_list clients_list_after site_create site_create_bad_client site_create_dup "
        "site_create_flat site_delete site_delete_last site_delete_with_agents site_get site_update "
        "sites_list"
    ),
    "deployments": (
        "deployment_create deployment_create_bad_agenttype deployment_create_micro "
        "deployment_create_missing_rdp deployment_create_naive deployment_create_no_site "
        "deployment_create_offset deployment_create_site_404 deployment_delete deployment_delete_404 "
        "deployment_download_bad_uid deployment_download_unknown deployment_get_one deployments_list"
    ),
    "alerts": (
        "alert_create alert_create_bad_sev alert_create_empty alert_delete alert_delete_404 alert_get "
        "alert_get_404 alert_get_no_agent alert_get_resolved alert_get_snoozed alert_limited_resolve_403 "
        "alert_post_resolve_url alert_put_404 alert_put_bad_type alert_put_fields alert_resolve "
        "alert_resolve_again alert_snooze alert_snooze_days_bad alert_snooze_missing_days alert_unsnooze "
        "alerts_bulk_missing alerts_bulk_resolve alerts_bulk_snooze alerts_bulk_snooze_missing_days "
        "alerts_bulk_unknown_action alerts_bulk_unknown_ids alerts_filter_all alerts_filter_client_empty "
        "alerts_filter_resolved_false alerts_filter_severity alerts_filter_severity_str "
        "alerts_filter_snoozed_false alerts_filter_time alerts_filter_time_str alerts_get_405 "
        "alerts_patch_nobody alerts_top alerts_top_str"
    ),
}
"""The recordings that are replayed here, by the part of the API."""

SPARED = {
    "auth_limited_": "what a role's list of clients hides is not imitated",
    "alerts_limited_user": "likewise",
    "auth_knox_token_header": "needs a login",
    "deployment_download": "the recorded server could not build an installer, the simulator can",
    "err_accept_html": "every Accept is satisfied",
    "err_bad_host": "every Host is allowed",
    "err_head": "HEAD is not answered",
    "err_options": "OPTIONS is not answered",
    "alert_templates": "not in the simulator",
    "agents_bulkrecovery": "not in this part",
    "agents_update": "not in this part",
    "agents_versions": "not in this part",
}
"""What is not replayed, and why."""


PARTS = (
    "auth_", "err_", "agents_list", "agent_put", "agent_detail", "agent_delete", "runscript_", "cmd_",
    "history_", "scripthistory", "bulk_", "client", "site", "deployment", "alert",
    "natsdown__cmd", "natsdown__runscript",
)  # fmt: skip


def names() -> list[str]:
    return [name for group in COVERED.values() for name in group.split()]


@pytest.mark.parametrize("name", names())
async def test_the_answer_is_of_the_recorded_kind(name: str) -> None:
    it = recording(name)
    async with Simulator(dialect="stock", agents=10, script_seconds=0.0, offline_hold=0.0) as server:
        furnish(server)
        _program(server)
        prepare(server, name)
        status, headers, content = await _send(server, it)
    assert status == it.response["status"], content
    recorded = it.response["headers"]
    assert isinstance(recorded, dict)
    kind = str(recorded.get("content-type", "")).partition(";")[0]
    assert headers.get("Content-Type", "").partition(";")[0] == kind
    for header in ("location", "www-authenticate"):
        assert headers.get(header) == recorded.get(header)
    _compare(it, content)


def _compare(it: Recording, content: bytes) -> None:
    if not str(it.response["body_kind"]).startswith("json"):
        assert content.decode() == it.body
        return
    ours = json.loads(content)
    if isinstance(it.body, str) or it.response["status"] != 200:
        assert same_words(it.body, ours), ours
        return
    assert type(ours) is type(it.body)
    assert bool(ours) == bool(it.body)
    assert list(differences(it.body, ours)) == []


async def _send(server: Simulator, it: Recording) -> tuple[int, Mapping[str, str], bytes]:
    body, query, sent = it.request["body"], it.request["query"] or {}, dict(_headers(server, it))
    assert isinstance(query, dict)
    data: bytes | None = None
    if isinstance(body, dict) and "_raw" in body:
        data = str(body["_raw"]).encode()
        sent.setdefault("Content-Type", "application/json")
    elif body is not None:
        data = json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/json")
    url = f"{server.url}{it.request['path']}" + (f"?{urlencode(query)}" if query else "")
    async with (
        aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as session,
        session.request(
            str(it.request["method"]), url, data=data, headers=sent, allow_redirects=False
        ) as response,
    ):
        return response.status, response.headers, await response.read()


def _headers(server: Simulator, it: Recording) -> dict[str, str]:
    given = it.request["headers"] or {}
    assert isinstance(given, dict)
    sent = {str(name): str(value).replace(ADMIN, server.api_key) for name, value in given.items()}
    match str(it.request["auth"] or "").removeprefix("X-API-KEY:"):
        case "":
            return sent
        case "expired":
            return sent | {"X-API-KEY": server.add_key(fault="expired")}
        case "inactive":
            return sent | {"X-API-KEY": server.add_key(fault="inactive")}
        case "NOTAKEY":
            return sent | {"X-API-KEY": "NOTAKEY"}
        case "limited" | "norole" | "nothing":
            if it.response["status"] == 403:
                server.restrict(*PERMISSIONS)
            return sent | {"X-API-KEY": server.add_key(username="limited")}
        case _:
            return sent | {"X-API-KEY": server.api_key}


ADMIN = "STOCKADMIN0000000000000000000000"
PERMISSIONS = ("can_list_agents", "can_uninstall_agents", "can_run_scripts", "can_manage_alerts")


def _program(server: Simulator) -> None:
    server.script(2, handler=agent_program)
    server.command(handler=agent_program)


def test_every_recording_of_these_parts_is_replayed_or_spared() -> None:
    there = {path.stem for path in HTTP.glob("*.json") if path.stem.startswith(PARTS)}
    there -= NOT_YET_REPLAYED | NOT_YET_SIMULATED
    spared = {name for name in there if name.startswith(tuple(SPARED))}
    assert there - set(names()) - spared - TOLD == set()
