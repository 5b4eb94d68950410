"""Checks: made, read, changed, removed, and run on a client or a site."""

from types import NoneType
from typing import Any, Final

from tests.asked import NOUNS, request_of
from tests.recorded import Recording
from tests.replays.operation import But, names, never, op
from trmm_async import kinds
from trmm_async.dialects.stock.checks import changes_body
from trmm_async.resources import checks

_OURS: Final = {
    "fails_b4_alert": "fails_before_alert",
    "alert_severity": "severity",
    "svc_name": "service",
    "svc_display_name": "display_name",
    "pass_if_svc_not_exist": "pass_if_missing",
    "svc_policy_mode": "policy_mode",
    "script_args": "args",
    "log_name": "log",
    "event_source": "source",
    "event_message": "message",
    "number_of_events_b4_alert": "number_of_events",
}
_KINDS: Final[dict[str, Any]] = {
    "diskspace": kinds.DiskSpaceCheck,
    "cpuload": kinds.CpuLoadCheck,
    "memory": kinds.MemoryCheck,
    "ping": kinds.PingCheck,
    "winsvc": kinds.ServiceCheck,
    "script": kinds.ScriptCheck,
    "eventlog": kinds.EventLogCheck,
}


def _settings(sent: dict[str, Any]) -> dict[str, Any]:
    """The fields of a check in our words."""
    has = {_OURS.get(name, name): value for name, value in sent.items()}
    for name in ("agent", "policy", "check_type"):
        has.pop(name, None)
    if has.pop("event_id_is_wildcard", False):
        has["event_id"] = None
    if "env_vars" in has:
        has["env_vars"] = dict(one.split("=", 1) for one in has["env_vars"])
    return has


def _create(told: Recording) -> Any:
    if told.name in names(CREATE_NEVER):
        return request_of(NOUNS.checks.create(kinds.PingCheck(ip="10.0.0.7"), agent="A" * 40))
    kind = _KINDS[told.sent["check_type"]]
    owner: Any = {name: told.sent[name] for name in ("agent", "policy") if name in told.sent}
    return request_of(NOUNS.checks.create(kind(**_settings(told.sent)), **owner))


def _update(told: Recording, number: str) -> Any:
    if told.name in names(UPDATE_NEVER):
        return checks.UPDATE.call(int(number), body=changes_body("checks.update", {"fails_before_alert": 7}))
    return checks.UPDATE.call(int(number), body=changes_body("checks.update", _settings(told.sent)))


_WHOLE: Final = (
    "check_create_agent_cpuload_full check_create_agent_diskspace_full check_create_agent_eventlog_full "
    "check_create_agent_memory_full check_create_agent_ping_full check_create_agent_script_full "
    "check_create_agent_winsvc_full check_create_policy_cpuload_full check_create_policy_diskspace_full "
    "check_create_policy_eventlog_full check_create_policy_memory_full check_create_policy_ping_full "
    "check_create_policy_script_full check_create_policy_winsvc_full "
)
_LESS: Final = (
    "check_create_agent_404 check_create_cpu_policy check_create_cpuload_dup check_create_cpuload_minimal "
    "check_create_disk check_create_diskspace_dup check_create_diskspace_minimal check_create_eventlog "
    "check_create_eventlog_minimal check_create_eventlog_wildcard check_create_limited_403 "
    "check_create_memory_dup check_create_memory_minimal check_create_ping check_create_policy_404 "
    "check_create_script check_create_script_minimal check_create_script_unknown check_create_winsvc "
    "check_create_winsvc_minimal "
)
_NAMED: Final = "check_create_ping_duplicate_ok check_create_ping_minimal "
CREATE_NEVER: Final = (
    "check_create_agent_and_policy check_create_bad_agent check_create_bad_severity "
    "check_create_bad_threshold check_create_bad_type check_create_cpuload_no_threshold_keys "
    "check_create_diskspace_long_disk check_create_diskspace_no_disk "
    "check_create_diskspace_no_thresholds_set check_create_diskspace_one_threshold "
    "check_create_diskspace_over_99 check_create_diskspace_wrong_order check_create_eventlog_bad_choices "
    "check_create_eventlog_no_wildcard_key check_create_list_body check_create_memory_wrong_order "
    "check_create_no_parent check_create_no_type check_create_ping_bad_ip check_create_ping_no_ip "
    "check_create_policy_cpuload_no_threshold_keys check_create_policy_memory_one_threshold "
    "check_create_script_bad_codes check_create_script_no_script check_create_unknown_key "
    "check_create_winsvc_no_display_name check_create_winsvc_no_name "
)
UPDATE_NEVER: Final = (
    "check_update check_update_bad check_update_diskspace check_update_diskspace_wrong_order "
    "check_update_move_to_agent check_update_ping_bad_ip check_update_type_ignored "
    "check_update_type_ignored_policy "
)

OPERATIONS: Final = [
    op("checks.create", "POST /checks/", _create, None, _WHOLE + _LESS + _NAMED + CREATE_NEVER),
    op(
        "checks.create",
        "GET /agents/<agent>/checks/",
        lambda _, agent: request_of(NOUNS.checks.create(kinds.PingCheck(ip="10.0.0.1"), agent=agent)),
        "Check",
        "checks_agent_none checks_agent_minimal",
    ),
    op(
        "checks.list",
        "GET /agents/<agent>/checks/",
        lambda _, agent: request_of(NOUNS.checks.list(agent=agent)),
        "Check",
        "checks_agent_all_types checks_agent_all_types_after checks_agent_block_inheritance "
        "checks_agent_block_inheritance_stale checks_agent_own_policy_blocked checks_agent_policy_enforced "
        "checks_agent_policy_enforced_first_read checks_agent_policy_excluded checks_agent_policy_inactive "
        "checks_agent_policy_mixed",
    ),
    op(
        "checks.everywhere",
        "GET /checks/",
        lambda _: request_of(NOUNS.checks.everywhere()),
        ("CheckDetails", int, NoneType),
        "checks_list_all",
    ),
    op(
        "checks.get",
        "GET /checks/<id>/",
        lambda _, number: request_of(NOUNS.checks.get(int(number))),
        ("CheckDetails", int, None),
        "check_get check_get_404 check_get_cpuload check_get_diskspace check_get_eventlog "
        "check_get_limited_other_client_403 check_get_memory check_get_ping check_get_script "
        "check_get_winsvc check_get_with_assigned_task checks_detail_policy",
    ),
    op(
        "checks.update",
        "GET /checks/<id>/",
        lambda _, number: request_of(NOUNS.checks.update(int(number), name="x")),
        ("CheckDetails", int, None),
        "check_get_ping check_get_404",
    ),
    op(
        "checks.update",
        "PUT /checks/<id>/",
        _update,
        None,
        "check_update_404 check_update_cpuload check_update_eventlog_to_wildcard check_update_limited_403 "
        "check_update_memory check_update_ping check_update_script check_update_winsvc " + UPDATE_NEVER,
    ),
    op(
        "checks.delete",
        "DELETE /checks/<id>/",
        lambda _, number: request_of(NOUNS.checks.delete(int(number), in_use=True)),
        None,
        "check_delete check_delete_404 check_delete_agent check_delete_limited_403 check_delete_policy",
    ),
    op(
        "checks.run_many",
        "POST /checks/([a-z]+)/<id>/csbulkrun/",
        lambda _, target, number: checks.RUN_MANY.call(target, int(number)),
        int,
        "check_csbulkrun_agent_target check_csbulkrun_bad_target check_csbulkrun_client "
        "check_csbulkrun_client_ok check_csbulkrun_empty check_csbulkrun_limited_403 "
        "check_csbulkrun_no_agents check_csbulkrun_restricted_other_403 check_csbulkrun_site_ok "
        "check_csbulkrun_unknown_client",
    ),
    op(
        "checks.results",
        "GET /automation/checks/<id>/status/",
        lambda _, number: request_of(NOUNS.checks.results(int(number))),
        "_OnAgent",
        "automation_check_status policy_check_status policy_check_status_404 "
        "policy_check_status_limited_403 policy_check_status_none",
    ),
]
DIFFERENT: Final = {
    **{name: But("we send every key", more=True) for name in names(_LESS)},
    **{name: But("we send every key, and a name", more=True) for name in names(_NAMED)},
    **never("a check that we don't let through", CREATE_NEVER),
    **never("a change that we don't let through", UPDATE_NEVER),
}
