"""Settings, upkeep, schedules, the debug log, how the server is, and installers."""

from datetime import time, timedelta
from typing import Any

from tests.asked import NOUNS, request_of
from tests.recorded import Recording
from tests.replays.operation import But, has, names, never, op, spared
from trmm_async.calls import Request
from trmm_async.resources.stock import core, installers, schedules

_OURS = {
    "enable_server_scripts": "server_scripts_enabled",
    "enable_server_webterminal": "web_terminal_enabled",
}
_NOT_OURS = {"block_local_user_logon", "sso_enabled"}
_FLAGS = {"audit_logs": "check_run_logs", "pending_actions": "completed_actions", "alerts": "all_alerts"}


def _settings(told: Recording) -> Request[None]:
    sent = {_OURS.get(name, name): value for name, value in has(told).items() if name not in _NOT_OURS}
    known = core.SettingsChanges.__annotations__
    if told.status in {400, 500} or not sent or any(name not in known for name in sent):
        return core.UPDATE.call(body=told.sent)  # we don't let it through
    made: Request[None] = request_of(NOUNS.core.update_settings(**sent))
    return made


def _maintain(told: Recording) -> Any:
    action = has(told).get("action")
    if action == "reload_nats":
        return request_of(NOUNS.core.reload_nats())
    if action == "rm_orphaned_tasks":
        return request_of(NOUNS.core.remove_orphaned_tasks())
    return core.MAINTAIN.call(body=told.sent)


def _prune(told: Recording) -> Any:
    tables = [table for table in has(told).get("prune_tables", ()) if table in _FLAGS]
    if not tables:
        return core.PRUNE.call(body=told.sent)
    return request_of(NOUNS.core.prune(**dict.fromkeys((_FLAGS[table] for table in tables), True)))


def _debug(told: Recording) -> Any:
    sent = has(told)
    if told.name in {"debug_log_filter_list", "debug_log_filter_unknown_values"}:
        return core.DEBUG_LOG.call(body=told.sent)
    return request_of(
        NOUNS.core.debug_log(
            level=sent.get("logLevelFilter"),
            log_type=sent.get("logTypeFilter"),
            agent=sent.get("agentFilter"),
        )
    )


def _new_schedule(told: Recording) -> Any:
    sent = has(told)
    if told.name in {"schedule_create_bad", "schedule_create_no_run_time", "schedule_create_no_name"}:
        return schedules.CREATE.call(body=told.sent)
    kind = sent.get("schedule_type", "weekly")
    names = {"weekly": ("weekdays",), "monthly": ("months", "days")}.get(kind, ())
    if sent.get("monthly_type") == "weeks":
        names = ("months", "weeks", "weekdays")
    words = {ours: sent.get(str(schedules._WIRE[ours]), ()) for ours in names}
    run_time = time.fromisoformat(sent["run_time"])
    return request_of(NOUNS.schedules.create(name=sent["name"], run_time=run_time, **words))


def _change(told: Recording, number: str) -> Any:
    if told.status == 400:
        return schedules.UPDATE.call(int(number), body=told.sent)
    names = {theirs: ours for ours, theirs in schedules._WIRE.items()}
    words: dict[str, Any] = {
        names.get(name, name): value for name, value in has(told).items() if name != "id"
    }
    if "run_time" in words:
        words["run_time"] = time.fromisoformat(words["run_time"])
    return request_of(NOUNS.schedules.update(int(number), **words))


def _installer(told: Recording) -> Any:
    sent = has(told)
    if told.status == 500 or not str(sent["expires"]).isdecimal():
        return installers.CREATE.call(body=told.sent)  # we don't let it through
    words = {name: bool(sent[name]) for name in ("rdp", "ping", "power")}
    request: Any = request_of(
        NOUNS.installers.create(
            site=sent["site"],
            method=sent["installMethod"],
            monitoring_type=sent["agenttype"],
            valid_for=timedelta(hours=int(sent["expires"])),
            arch=sent["goarch"],
            api=sent["api"],
            **words,
        )
    )
    return request


OPERATIONS = [
    op(
        "core.settings",
        "GET /core/settings/",
        lambda _: request_of(NOUNS.core.settings()),
        "ServerSettings",
        "core_settings_before core_settings_after_update core_settings_limited_403",
    ),
    op(
        "core.update_settings",
        "PUT /core/settings/",
        _settings,
        None,
        "core_settings_update_full core_settings_update_one_field core_settings_update_policies_null "
        "core_settings_update_limited_403 core_settings_update_bad "
        "core_settings_update_custom_shell_no_path "
        "core_settings_update_recipients_text core_settings_update_sso_unlicensed",
    ),
    op(
        "core.web_version",
        "GET /core/version/",
        lambda _: request_of(NOUNS.core.web_version()),
        str,
        "core_version core_version_ok core_version_norole core_version_no_key",
    ),
    op(
        "core.status",
        "GET /core/v2/status/",
        lambda _: request_of(NOUNS.core.status("stockmontoken")),
        ("ServerStatus", bool),
        "core_status_v2_ok core_status_v2_ok_with_mon_token core_status_v2_wrong_token "
        "core_status_v2_bad_token "
        "core_status_v2_no_mon_token_configured core_status_v2_no_header core_status_v2_api_key_only "
        "core_status_v2",
    ),
    op(
        "core.clear_cache",
        "GET /core/clearcache/",
        lambda _: request_of(NOUNS.core.clear_cache()),
        None,
        "core_clearcache core_clearcache_ok core_clearcache_limited_403",
    ),
    op(
        "core.reload_nats",
        "POST /core/servermaintenance/",
        _maintain,
        None,
        "servermaintenance_reload_nats servermaintenance_limited_403 servermaintenance_no_action "
        "servermaintenance_unknown_action",
    ),
    op(
        "core.remove_orphaned_tasks",
        "POST /core/servermaintenance/",
        _maintain,
        None,
        "servermaintenance_rm_orphaned_tasks",
    ),
    op(
        "core.prune",
        "POST /core/servermaintenance/",
        _prune,
        int,
        "servermaintenance_prune_all servermaintenance_prune_no_tables servermaintenance_prune_nothing "
        "servermaintenance_prune_unknown_table",
    ),
    op(
        "core.test_email",
        "POST /core/emailtest/",
        lambda _: request_of(NOUNS.core.test_email()),
        None,
        "core_emailtest_ok core_emailtest_limited_403 core_emailtest_no_recipients "
        "core_emailtest_no_starttls "
        "core_emailtest_refused",
    ),
    op(
        "core.test_sms",
        "POST /core/smstest/",
        lambda _: request_of(NOUNS.core.test_sms()),
        None,
        "core_smstest_limited_403 core_smstest_not_configured",
    ),
    op(
        "core.debug_log",
        "PATCH /logs/debug/",
        _debug,
        "DebugEntry",
        "debug_log debug_log_all debug_log_filter debug_log_filters debug_log_filter_agent "
        "debug_log_limited_403 debug_log_filter_list debug_log_filter_unknown_values",
    ),
    op(
        "schedules.list",
        "GET /core/schedules/",
        lambda _: request_of(NOUNS.schedules.list()),
        "Schedule",
        "core_schedules schedules_list schedules_list_limited_403",
    ),
    op(
        "schedules.create",
        "POST /core/schedules/",
        _new_schedule,
        "Schedule",
        "schedule_create_daily schedule_create_weekly schedule_create_monthly_days "
        "schedule_create_monthly_weeks schedule_create_minimal schedule_create_limited_403 "
        "schedule_create_bad schedule_create_no_name schedule_create_no_run_time",
    ),
    op(
        "schedules.update",
        "PUT /core/schedules/<id>/",
        _change,
        None,
        "schedule_update_full schedule_update_one_field schedule_update_404 schedule_update_bad "
        "schedule_update_limited_403",
    ),
    op(
        "schedules.delete",
        "DELETE /core/schedules/<id>/",
        lambda _, number: request_of(NOUNS.schedules.delete(int(number))),
        None,
        "schedule_delete schedule_delete_404 schedule_delete_limited_403",
    ),
    op(
        "installers.create",
        "POST /agents/installer/",
        _installer,
        ("Installer", bytes),
        "installer_manual installer_manual_386 installer_manual_full installer_manual_linux_nonsense "
        "installer_powershell installer_powershell_full installer_bash_linux installer_mac installer_exe "
        "installer_limited_403 installer_bad_expires installer_manual_no_rdp installer_no_method "
        "installer_no_plat installer_unknown_method installer_unknown_site",
    ),
]
_NAME = "the name of the file is of no account"
DIFFERENT = {
    "core_settings_update_full": But(
        "what hangs on a licence we don't send", without=("block_local_user_logon", "sso_enabled")
    ),
    "schedule_create_minimal": But("we say all of it", more=True),
    "schedule_create_weekly": But("without seconds that are none", body={"run_time": "08:00"}),
    "schedule_update_full": But("the id stands in the path", without=("id",)),
    **{
        name: But(_NAME, without=("fileName",), more=True)
        for name in names(
            "installer_manual_386 installer_manual_full installer_powershell installer_powershell_full "
            "installer_bash_linux installer_mac installer_exe installer_limited_403 installer_unknown_site"
        )
    },
    "installer_manual": But(_NAME, body={"expires": 24}, without=("fileName",), more=True),
    **never("a command for Windows is nonsense elsewhere", "installer_manual_linux_nonsense"),
}
SPARED = spared(
    {
        "a path that we never ask for": "err_404_path_id_not_number",
        "a method that the path has not": (
            "core_clearcache_post_405 core_status_v2_post debug_log_get_405 schedule_get_one_405"
        ),
        "a change of nothing, or of what is no setting: refused here": (
            "core_settings_put_whole_get_back core_settings_update_block_local_logon "
            "core_settings_update_empty "
            "core_settings_update_unknown_field"
        ),
    }
)
