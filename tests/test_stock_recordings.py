"""Every recording of a real stock server: replayed by the operation that it is of, or spared for a reason.

Replayed: our call is the recorded request, unless `DIFFERENT` says how and why it is another, and the
recorded answer becomes our nouns, or a typed error that reads. docs/coverage.md is written from these rows.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import pytest

from tests.asked import NOUNS, request_of
from tests.each import for_each
from tests.recorded import HTTP, NOT_YET_REPLAYED, Recording, recording, sent_by
from tests.replays import FAMILIES, every
from tests.replays.operation import But, Operation
from tests.replays.operation import differs as _with
from tests.replays.operation import has as _has
from tests.replays.operation import names as _names
from tests.replays.operation import never as _never
from tests.replays.operation import op as _op
from tests.replays.operation import spared as _spared
from tests.replays.operation import texts as _texts
from tests.replays.operation import whole as _whole
from trmm_async import ScriptResult
from trmm_async.answers import failure
from trmm_async.calls import ArrayCall, Call, Plan, Request
from trmm_async.dialects import (
    AgentFilter,
    DeploymentOrder,
    HistoryRun,
    ScriptRun,
    Stock,
)
from trmm_async.dialects.detection import PROBE
from trmm_async.dialects.stock.commands import PING, CommandRun, run_command
from trmm_async.dialects.stock.dialect import ALERTS
from trmm_async.dialects.stock.history import (
    AGENT_HISTORY,
    newest_runs,
    runs_within,
    statuses_of,
    visible_agents,
)
from trmm_async.dialects.stock.login import Checked, Token, check_credentials, log_in
from trmm_async.errors import (
    AgentLostError,
    AgentUnreachableError,
    APIError,
    NotFoundError,
    TRMMError,
)
from trmm_async.models import Check, Deployment
from trmm_async.resources import clients, scripts
from trmm_async.resources.stock import (
    actions,
    audit_log,
    custom_fields,
    event_log,
    notes,
    policies,
    policy_places,
    processes,
    services,
    sites,
    software,
    windows_updates,
)
from trmm_async.resources.stock.custom_field_values import wrapped
from trmm_async.retry import Final as Judged
from trmm_async.retry import Reply, RetryPolicy, Tries

PAGE: Final = Path(__file__).parents[1] / "docs" / "stock.md"
SOCKETS: Final = HTTP.parent / "ws"

STOCK: Final = Stock("https://rmm.example.com")
WINDOWS: Final = "WKPFklJfIyyVlbPegBPrUhRZdsvDQucdWrdEWKpm"
CLIENTS: Final = b'[{"id": 1, "name": "Acme Corp", "sites": [{"id": 1, "name": "HQ"}]}]'


# -- the intent behind a recorded request --------------------------------------------------------------------


def _which(told: Recording, hostname: str | None = None) -> AgentFilter:
    asked = told.query
    return AgentFilter(
        client=_whole(asked.get("client")),
        site=_whole(asked.get("site")),
        monitoring_type=asked.get("monitoring_type"),
        hostname=hostname,
    )


def _iterated(told: Recording) -> Call[Any]:
    steps = STOCK.iter_agents(_which(told)).steps()
    try:
        steps.send(next(steps).decode(CLIENTS))
    except StopIteration as end:
        array: ArrayCall[Any] = end.value
        return msgspec.structs.replace(array.call, decode=partial(_by_pieces, array))
    raise AssertionError("one call comes before the list")


def _by_pieces(array: ArrayCall[Any], body: bytes) -> list[Any]:
    rows = array.rows()
    fed = [
        one for at in range(0, len(body), 999) for batch in rows.feed(body[at : at + 999]) for one in batch
    ]
    return [*fed, *rows.finish()]


def _script_run(told: Recording) -> ScriptRun:
    has = _has(told)
    return ScriptRun(
        script=_whole(has.get("script")) or 2,
        output="forget" if has.get("output") == "forget" else "wait",
        args=_texts(has.get("args")),
        timeout=_whole(has.get("timeout")) or 10,
        env_vars=_texts(has.get("env_vars")),
        run_as_user=has.get("run_as_user", False),
    )


def _command(told: Recording) -> CommandRun:
    has = _has(told)
    return CommandRun(
        command=has.get("cmd", "echo hello"),
        shell=has.get("shell", "cmd"),
        custom_shell=has.get("custom_shell"),
        timeout=_whole(has.get("timeout")) or 10,
        run_as_user=has.get("run_as_user", False),
    )


def _usual_shell(told: Recording, agent: str) -> Request[Any]:
    del told
    return run_command(agent, CommandRun(command="x"))


def _reboot_at(told: Recording, agent: str) -> Any:
    at = datetime.fromisoformat(_has(told).get("datetime", "2027-01-15T23:30"))
    return request_of(NOUNS.agents.reboot(agent, at=at))


def _settings(told: Recording, agent: str) -> Any:
    has = dict(_has(told))
    written = [one for one in has.pop("custom_fields", ()) if one.get("field") in set(range(1, 12))]
    values = {one["field"]: one.get("string_value", one.get("value")) for one in written}
    if not values:
        return actions.UPDATE.call(agent, body=has or {"description": "x"})
    return request_of(NOUNS.agents.update(agent, **has, custom_fields=values))


def _deployment(told: Recording) -> Plan[Deployment]:
    has = told.sent
    expires = datetime.fromisoformat(has["expires"])
    order = DeploymentOrder(
        client=has["client"],
        site=has.get("site", 1),
        expires=expires if expires.tzinfo else expires.replace(tzinfo=UTC),
        arch=has["goarch"],
        monitoring_type=has["agenttype"],
    )
    return STOCK.create_deployment(order)


def _download(told: Recording, uid: str) -> Call[bytes]:
    """The address of the installer, which is ours: the list of deployments does not tell it."""
    del told
    (one,) = STOCK.list_deployments().decode(json.dumps([{"id": 1, "uid": uid}]).encode())
    path = (one.download_url or "").removeprefix("https://rmm.example.com")
    return STOCK.raw(Call(method="GET", path=path, decode=bytes))


_CLIENT_NEVER: Final = "client_create_empty_name client_create_pipe"


def _new_client(told: Recording) -> Plan[Any]:
    if told.name in _names(_CLIENT_NEVER):
        return STOCK.create_client("x", "y")
    has = _has(told)
    name = has.get("client", has).get("name", "New Client")
    return STOCK.create_client(name, has.get("site", {}).get("name"))


def _client_changes(told: Recording, number: str) -> Request[None]:
    has = _has(told)
    changes = dict(has.get("client", has))
    if "custom_fields" in has:
        changes["custom_fields"] = {one["field"]: one["string_value"] for one in has["custom_fields"]}
    return wrapped(clients.UPDATE, int(number), "client", changes)


def _new_site(told: Recording) -> Request[Any]:
    site = told.sent.get("site", told.sent)
    made: Request[Any] = request_of(NOUNS.sites.create(client=site["client"], name=site["name"]))
    return made


def _new_script(told: Recording) -> Request[Any]:
    has = _has(told)
    made: Request[Any] = request_of(
        NOUNS.scripts.create(
            name=has.get("name", "x"),
            shell={"perl": "cmd"}.get(shell := has.get("shell", "powershell"), shell),
            code=has.get("script_body") or "x",
            description=has.get("description", ""),
            category=has.get("category"),
            args=_texts(has.get("args")),
            env_vars=dict(one.split("=", 1) for one in _texts(has.get("env_vars"))),
            default_timeout=has.get("default_timeout", 90),
            run_as_user=has.get("run_as_user", False),
            supported_platforms=cast("Any", _texts(has.get("supported_platforms"))),
        )
    )
    return made


def _trial(told: Recording, agent: str) -> Request[ScriptResult]:
    has = told.sent
    made: Request[Any] = request_of(
        NOUNS.scripts.test(
            agent,
            code=has["code"],
            shell=has["shell"],
            args=_texts(has["args"]),
            env_vars=dict(one.split("=", 1) for one in _texts(has.get("env_vars"))),
            timeout=int(has["timeout"]),
        )
    )
    return made


def _alerts(told: Recording) -> Request[list[Any]]:
    has = told.sent
    if has is None:
        return STOCK.list_alerts()
    if has in ({}, {"clientFilter": []}):  # we ask for all without a filter, and don't let none through
        return ALERTS.call(body=has)
    made: Request[list[Any]] = request_of(
        NOUNS.alerts.list(
            days=_whole(has.get("timeFilter")),
            client=has.get("clientFilter"),
            severity=has.get("severityFilter"),
            resolved=has.get("resolvedFilter"),
            snoozed=has.get("snoozedFilter"),
        )
    )
    return made


def _audit(told: Recording) -> Request[Any]:
    has = told.sent
    actions = has.get("actionFilter")
    which = audit_log.filters(
        "", {"agent": has.get("agentFilter"), "action": actions, "days": has.get("timeFilter")}
    )
    pages = has.get("pagination", {"page": 1, "rowsPerPage": 5})
    return audit_log.page_of(which, pages["page"], pages["rowsPerPage"])


def _new_field(told: Recording) -> Request[Any]:
    has = told.sent
    if has["type"] == "foo":  # we don't let it through
        return custom_fields.CREATE.call(body=has)
    made: Request[Any] = request_of(
        NOUNS.custom_fields.create(name=has["name"], model=has["model"], type=has["type"])
    )
    return made


def _login(told: Recording) -> Call[Any]:
    has = _has(told)
    name, password = has.get("username", "u"), has.get("password", "p")
    if told.path == "/v2/checkcreds/":
        return check_credentials(name, password)
    return log_in(name, password, has.get("twofactor", "1"))


# -- the operations ------------------------------------------------------------------------------------------


OPERATIONS: Final = [
    *(operation for family in FAMILIES for operation in family.OPERATIONS),
    _op(
        "agents.list",
        "GET /agents/",
        lambda told: STOCK.list_agents(_which(told)),
        "Agent",
        "agents_list_default agents_list_client agents_list_site agents_list_client_unknown "
        "agents_list_client_empty agents_list_client_name agents_list_site_text agents_list_monitoring_bad "
        "auth_bearer auth_expired_key auth_inactive_user auth_no_key auth_norole_user "
        "auth_role_without_perm auth_wrong_key",
    ),
    _op(
        "agents.list",
        "GET /clients/",
        lambda _: STOCK.list_agents(AgentFilter()),
        "Client",
        "clients_list auth_limited_clients",
    ),
    _op(
        "agents.iter",
        "GET /agents/",
        _iterated,
        "Agent",
        "agents_list_default agents_list_client agents_list_site agents_list_client_unknown",
    ),
    _op(
        "agents.find",
        "GET /agents/",
        lambda told: STOCK.list_agents(_which(told, told.body[0]["hostname"])),
        "ShortAgent",
        "agents_list_detail_false agents_list_hostname_filter agents_list_detail_TRUE_upper "
        "agents_list_monitoring_server agents_list_site_and_client_conflict auth_limited_list_agents "
        "gzip_accept knox_token_works_for_rest",
    ),
    _op(
        "agents.get",
        "GET /agents/<agent>/",
        lambda _, agent: STOCK.get_agent(agent),
        "Agent",
        "agent_detail_windows agent_detail_linux agent_detail_darwin agent_detail_never_seen "
        "agent_get_after_put_full agent_get_after_winupdatepolicy_partial "
        "auth_limited_other_client_agent auth_limited_unknown_agent err_404_agent err_404_short_agent_id",
    ),
    _op(
        "agents.delete",
        "DELETE /agents/<agent>/",
        lambda _, agent: STOCK.delete_agent(agent),
        None,
        "agent_delete agent_delete_404 agent_delete_forbidden",
    ),
    _op(
        "agents.run_script",
        "POST /agents/<agent>/runscript/",
        lambda told, agent: STOCK.run_script(agent, _script_run(told)),
        None,
        "runscript_forget runscript_offline_forget natsdown__runscript_forget runscript_wait "
        "runscript_wait_empty_output runscript_wait_for_history runscript_wait_stderr_rc3 runscript_slow_ok "
        "runscript_hung_timeout runscript_offline_wait runscript_script_404 natsdown__runscript_wait "
        "natsapi_down__runscript_offline_no_responder runscript_missing_args runscript_missing_custom_field "
        "runscript_missing_emailMode runscript_missing_emails runscript_missing_env_vars "
        "runscript_missing_output runscript_missing_run_as_user runscript_missing_save_all_output "
        "runscript_missing_script runscript_missing_timeout runscript_script_as_name "
        "runscript_script_as_str_id runscript_timeout_str auth_limited_run_script",
    ),
    _op(
        "agents.run_script",
        "GET /agents/scripthistory/",
        lambda _: newest_runs(),
        "HistoryEntry",
        "scripthistory scripthistory_bad_limit",
    ),
    _op(
        "agents.run_script",
        "GET /agents/scripthistory/",
        lambda _: runs_within(datetime(2026, 11, 1, tzinfo=UTC)),
        "HistoryEntry",
        "scripthistory_range",
    ),
    _op(
        "agents.run_script",
        "GET /agents/",
        lambda _: visible_agents(),
        str,
        "agents_list_detail_false",
    ),
    _op(
        "agents.run_script",
        "GET /agents/<agent>/",
        lambda _, agent: statuses_of(frozenset({agent})),
        str,
        "agent_detail_windows agent_detail_linux agent_detail_darwin agent_detail_never_seen",
    ),
    _op(
        "fleet.run_script",
        "GET /agents/",
        lambda told: statuses_of(frozenset(one["agent_id"] for one in told.body)),
        str,
        "agents_list_default",
    ),
    _op(
        "agents.run_command",
        "POST /agents/<agent>/cmd/",
        lambda told, agent: run_command(agent, _command(told)),
        "CommandResult",
        "cmd_ok cmd_custom_shell cmd_empty_output cmd_linux_stderr cmd_multiline cmd_windows_stderr "
        "cmd_agent_slower_than_timeout cmd_hung_timeout cmd_offline cmd_missing_custom_shell "
        "cmd_timeout_str cmd_timeout_bad cmd_custom_shell_missing_key cmd_empty_body cmd_missing_cmd "
        "cmd_missing_run_as_user cmd_missing_shell cmd_missing_timeout err_body_is_list "
        "natsapi_down__cmd_offline_no_responder natsapi_down__cmd_zombie_no_responder",
    ),
    _op(
        "agents.run_command",
        "POST /agents/<agent>/cmd/",
        lambda told, agent: run_command(agent, _command(told)),
        str,
        "natsdown__cmd",
    ),
    _op(
        "agents.run_command",
        "GET /agents/<agent>/",
        _usual_shell,
        "_Platform",
        "agent_detail_windows agent_detail_linux agent_detail_darwin agent_detail_never_seen",
    ),
    _op(
        "agents.ping",
        "GET /agents/<agent>/ping/",
        lambda _, agent: PING.call(agent),
        bool,
        "agent_ping_online agent_ping_offline agent_ping_hung natsdown__ping "
        "natsapi_down__agent_ping_offline_no_responder",
    ),
    _op(
        "agents.reboot",
        "POST /agents/<agent>/reboot/",
        lambda _, agent: actions.REBOOT.call(agent),
        None,
        "reboot_online reboot_offline reboot_hung natsdown__reboot natsapi_down__reboot_offline",
    ),
    _op(
        "agents.reboot",
        "PATCH /agents/<agent>/reboot/",
        _reboot_at,
        None,
        "reboot_later_ok reboot_later_for_pending reboot_later_linux reboot_later_past "
        "reboot_later_seconds reboot_later_missing",
    ),
    _op(
        "agents.shutdown",
        "POST /agents/<agent>/shutdown/",
        lambda _, agent: actions.SHUTDOWN.call(agent),
        None,
        "shutdown_online",
    ),
    _op(
        "agents.recover",
        "POST /agents/<agent>/recover/",
        lambda told, agent: request_of(NOUNS.agents.recover(agent, mode=_has(told).get("mode", "mesh"))),
        None,
        "recover_mesh recover_mesh_hung recover_tacagent recover_missing",
    ),
    _op(
        "agents.update",
        "PUT /agents/<agent>/",
        _settings,
        None,
        "agent_put_ok agent_put_back agent_put_null_policy agent_put_bad_site agent_put_bad_value "
        "agent_put_custom_field agent_put_custom_field_value_key agent_put_custom_field_bad "
        "agent_put_custom_field_missing",
    ),
    _op(
        "agents.update",
        "GET /core/customfields/",
        lambda _: request_of(NOUNS.agents.update(WINDOWS, custom_fields={1: "x"})),
        "CustomField",
        "core_customfields",
    ),
    _op(
        "agents.set_maintenance",
        "PUT /agents/<agent>/",
        _settings,
        None,
        "agent_put_back",
    ),
    _op(
        "agents.set_maintenance",
        "POST /agents/maintenance/bulk/",
        lambda told: actions.MAINTAIN.call(body=told.sent),
        int,
        "maintenance_bulk_client maintenance_bulk_client_off maintenance_bulk_empty maintenance_bulk_site "
        "maintenance_bulk_agent_type maintenance_bulk_lowercase",
    ),
    _op(
        "agents.history",
        "GET /agents/<agent>/history/",
        lambda _, agent: AGENT_HISTORY.call(agent),
        "HistoryEntry",
        "history_agent history_after_runscript history_unknown_agent",
    ),
    _op(
        "agents.processes.list",
        "GET /agents/<agent>/processes/",
        lambda _, agent: processes.LIST.call(agent),
        "Process",
        "processes processes_hung processes_offline natsdown__processes",
    ),
    _op(
        "agents.processes.kill",
        "DELETE /agents/<agent>/processes/<id>/",
        lambda _, agent, pid: processes.KILL.call(agent, int(pid)),
        None,
        "processes_kill processes_kill_denied",
    ),
    _op(
        "agents.services",
        "GET /services/<agent>/",
        lambda _, agent: services.LIST.call(agent),
        "Service",
        "services_agent services_agent_offline",
    ),
    _op(
        "agents.services.get",
        "GET /services/<agent>/([A-Za-z]+)/",
        lambda _, agent, name: request_of(NOUNS.agents.services.get(agent, name)),
        "Service",
        "service_detail service_detail_unknown natsdown__service_detail",
    ),
    _op(
        "agents.services.control",
        "POST /services/<agent>/([A-Za-z]+)/",
        lambda told, agent, name: services.CONTROL.call(agent, name, body=told.sent),
        None,
        "service_restart service_stop service_denied service_linux service_offline",
    ),
    _op(
        "agents.services.update",
        "PUT /services/<agent>/([A-Za-z]+)/",
        lambda told, agent, name: services.UPDATE.call(agent, name, body=told.sent),
        None,
        "service_edit",
    ),
    _op(
        "agents.software.list",
        "GET /software/<agent>/",
        lambda _, agent: software.LIST.call(agent),
        "Software",
        "software_agent software_agent_none",
    ),
    _op(
        "agents.software.refresh",
        "PUT /software/<agent>/",
        lambda _, agent: software.REFRESH.call(agent),
        None,
        "software_refresh software_refresh_linux",
    ),
    _op(
        "agents.event_log.list",
        "GET /agents/<agent>/eventlog/([A-Za-z]+)/([0-9a-c]+)/",
        lambda _, agent, log, days: event_log.LIST.call(agent, log, days),
        "EventLogEntry",
        "eventlog_application eventlog_security eventlog_offline eventlog_bad_days "
        "natsapi_down__eventlog_offline",
    ),
    _op(
        "agents.windows_updates.list",
        "GET /winupdate/<agent>/",
        lambda _, agent: windows_updates.LIST.call(agent),
        "WindowsUpdate",
        "winupdate_agent",
    ),
    _op(
        "agents.windows_updates.update",
        "PUT /winupdate/<id>/",
        lambda told, number: windows_updates.UPDATE.call(int(number), body=told.sent),
        None,
        "winupdate_edit",
    ),
    _op(
        "agents.windows_updates.scan",
        "POST /winupdate/<agent>/scan/",
        lambda _, agent: windows_updates.SCAN.call(agent),
        None,
        "winupdate_scan winupdate_scan_linux",
    ),
    _op(
        "agents.windows_updates.install",
        "POST /winupdate/<agent>/install/",
        lambda _, agent: windows_updates.INSTALL.call(agent),
        None,
        "winupdate_install",
    ),
    _op(
        "agents.notes.list",
        "GET /agents/<agent>/notes/",
        lambda _, agent: notes.LIST.call(agent),
        "Note",
        "notes_agent notes_agent_after",
    ),
    _op(
        "agents.notes.create",
        "POST /agents/notes/",
        lambda told: request_of(
            NOUNS.agents.notes.create(told.sent.get("agent_id", WINDOWS), told.sent.get("note", "x"))
        ),
        None,
        "note_add note_create_ok note_add_no_agent note_add_no_note",
    ),
    _op(
        "agents.notes.create",
        "GET /agents/<agent>/notes/",
        lambda _, agent: request_of(NOUNS.agents.notes.create(agent, "x")),
        "Note",
        "notes_agent notes_agent_after",
    ),
    _op(
        "agents.notes.update",
        "PUT /agents/notes/<id>/",
        lambda told, number: notes.UPDATE.call(int(number), body=told.sent),
        None,
        "note_edit",
    ),
    _op(
        "agents.notes.delete",
        "DELETE /agents/notes/<id>/",
        lambda _, number: notes.DELETE.call(int(number)),
        None,
        "note_delete",
    ),
    _op(
        "deployments.create",
        "POST /clients/deployments/",
        _deployment,
        None,
        "deployment_create deployment_create_bad_agenttype deployment_create_micro deployment_create_naive "
        "deployment_create_offset deployment_create_missing_rdp deployment_create_no_site "
        "deployment_create_site_404",
    ),
    _op(
        "deployments.list",
        "GET /clients/deployments/",
        lambda _: STOCK.list_deployments(),
        "Deployment",
        "deployments_list",
    ),
    _op(
        "deployments.delete",
        "DELETE /clients/deployments/<id>/",
        lambda _, number: STOCK.delete_deployment(int(number)),
        None,
        "deployment_delete deployment_delete_404",
    ),
    _op(
        "deployments.download",
        "GET /clients/([a-z0-9-]+)/deploy/",
        _download,
        bytes,
        "deployment_download deployment_download_bad_uid deployment_download_unknown",
    ),
    _op(
        "clients.list",
        "GET /clients/",
        lambda _: STOCK.list_clients(),
        "Client",
        "clients_list clients_list_after auth_limited_clients",
    ),
    _op(
        "clients.get",
        "GET /clients/<id>/",
        lambda _, number: request_of(NOUNS.clients.get(int(number))),
        "Client",
        "client_get client_get_new client_without_sites_get client_get_404",
    ),
    _op(
        "clients.sites",
        "GET /clients/<id>/",
        lambda _, number: STOCK.list_sites(int(number)),
        "Site",
        "client_get client_get_new client_without_sites_get client_get_404",
    ),
    _op(
        "clients.create",
        "POST /clients/",
        _new_client,
        None,
        "client_create client_create_dup client_delete_move client_create_flat client_create_no_site "
        + _CLIENT_NEVER,
    ),
    _op(
        "clients.update",
        "PUT /clients/<id>/",
        _client_changes,
        None,
        "client_update client_update_flat",
    ),
    _op(
        "clients.delete",
        "DELETE /clients/<id>/",
        lambda told, number: request_of(
            NOUNS.clients.delete(
                int(number), with_sites=True, move_to_site=_whole(told.query.get("move_to_site"))
            )
        ),
        None,
        "client_delete client_delete_404 client_delete_move_to_site client_delete_with_agents "
        "client_without_sites_delete",
    ),
    _op("sites.list", "GET /clients/sites/", lambda _: request_of(NOUNS.sites.list()), "Site", "sites_list"),
    _op(
        "sites.list",
        "GET /clients/<id>/",
        lambda _, number: request_of(NOUNS.sites.list(client=int(number))),
        "Site",
        "client_get client_get_new client_without_sites_get client_get_404",
    ),
    _op(
        "sites.get",
        "GET /clients/sites/<id>/",
        lambda _, number: request_of(NOUNS.sites.get(int(number))),
        "Site",
        "site_get",
    ),
    _op(
        "sites.create",
        "POST /clients/sites/",
        _new_site,
        None,
        "site_create site_create_bad_client site_create_dup site_create_flat",
    ),
    _op(
        "sites.update",
        "PUT /clients/sites/<id>/",
        lambda told, number: wrapped(sites.UPDATE, int(number), "site", told.sent["site"]),
        None,
        "site_update",
    ),
    _op(
        "sites.delete",
        "DELETE /clients/sites/<id>/",
        lambda told, number: request_of(
            NOUNS.sites.delete(int(number), move_to_site=_whole(told.query.get("move_to_site")))
        ),
        None,
        "site_delete site_delete_last site_delete_with_agents",
    ),
    _op(
        "scripts.list",
        "GET /scripts/",
        lambda _: STOCK.list_scripts(),
        "Script",
        "scripts_list scripts_list_after scripts_list_norole_403",
    ),
    _op(
        "scripts.get",
        "GET /scripts/<id>/",
        lambda _, number: request_of(NOUNS.scripts.get(int(number))),
        "Script",
        "script_get script_get_community script_get_404",
    ),
    _op(
        "scripts.create",
        "POST /scripts/",
        _new_script,
        None,
        "script_create script_create_dup_name script_create_minimal script_create_bad_shell",
    ),
    _op("scripts.create", "GET /scripts/", _new_script, "Script", "scripts_list_hidden"),
    _op(
        "scripts.update",
        "PUT /scripts/<id>/",
        lambda told, number: scripts.UPDATE.call(int(number), body=told.sent),
        None,
        "script_update script_favorite_community script_community_hide script_community_favorite_wins "
        "script_update_community",
    ),
    _op(
        "scripts.delete",
        "DELETE /scripts/<id>/",
        lambda _, number: request_of(NOUNS.scripts.delete(int(number), with_code=True, in_use=True)),
        None,
        "script_delete script_delete_404 script_delete_community",
    ),
    _op(
        "scripts.test",
        "POST /scripts/<agent>/test/",
        _trial,
        "ScriptResult",
        "script_test script_test_offline script_test_missing_env script_test_timeout_str "
        "natsdown__script_test",
    ),
    _op(
        "checks.list",
        "GET /agents/<agent>/checks/",
        lambda _, agent: STOCK.list_checks(agent),
        "Check",
        "checks_agent checks_agent_after checks_agent_linux checks_agent2_policy_inherited "
        "checks_agent_never_ran checks_agent_with_pending auth_limited_own_agent_checks",
    ),
    _op(
        "checks.run",
        "POST /checks/<agent>/run/",
        lambda _, agent: request_of(NOUNS.checks.run(agent)),
        None,
        "check_run check_run_offline",
    ),
    _op(
        "checks.reset",
        "POST /checks/<id>/reset/",
        lambda _, number: request_of(NOUNS.checks.reset(Check(id=0, result_id=int(number)))),
        None,
        "check_reset check_reset_404",
    ),
    _op(
        "checks.reset",
        "POST /checks/<agent>/resetall/",
        lambda _, agent: request_of(NOUNS.checks.reset(agent=agent)),
        None,
        "check_resetall",
    ),
    _op(
        "checks.history",
        "PATCH /checks/<id>/history/",
        lambda told, number: request_of(
            NOUNS.checks.history(Check(id=0, result_id=int(number)), days=_whole(told.sent.get("timeFilter")))
        ),
        "CheckHistoryPoint",
        "check_history check_history_all check_history_by_check_id_wrong check_history_str_filter",
    ),
    _op(
        "alerts.list",
        "PATCH /alerts/",
        _alerts,
        "Alert",
        "alerts_patch_nobody alerts_limited_user alerts_filter_all alerts_filter_client_empty "
        "alerts_filter_resolved_false alerts_filter_severity alerts_filter_severity_str "
        "alerts_filter_snoozed_false alerts_filter_time alerts_filter_time_str",
    ),
    _op(
        "alerts.get",
        "GET /alerts/<id>/",
        lambda _, number: request_of(NOUNS.alerts.get(int(number))),
        "Alert",
        "alert_get alert_get_no_agent alert_get_resolved alert_get_snoozed alert_get_404",
    ),
    _op(
        "alerts.resolve",
        "PUT /alerts/<id>/",
        lambda _, number: STOCK.resolve_alert(int(number)),
        None,
        "alert_resolve alert_resolve_again alert_limited_resolve_403 alert_put_404 alert_put_bad_type",
    ),
    _op(
        "alerts.resolve",
        "POST /alerts/bulk/",
        lambda told: request_of(NOUNS.alerts.resolve(told.sent["alerts"])),
        None,
        "alerts_bulk_resolve alerts_bulk_unknown_ids alerts_bulk_missing alerts_bulk_unknown_action",
    ),
    _op(
        "alerts.snooze",
        "PUT /alerts/<id>/",
        lambda told, number: request_of(
            NOUNS.alerts.snooze(int(number), days=_whole(told.sent.get("snooze_days")) or 1)
        ),
        None,
        "alert_snooze alert_snooze_days_bad alert_snooze_missing_days",
    ),
    _op(
        "alerts.snooze",
        "POST /alerts/bulk/",
        lambda told: request_of(
            NOUNS.alerts.snooze(told.sent["alerts"], days=told.sent.get("snooze_days", 1))
        ),
        None,
        "alerts_bulk_snooze alerts_bulk_snooze_missing_days",
    ),
    _op(
        "alerts.unsnooze",
        "PUT /alerts/<id>/",
        lambda _, number: request_of(NOUNS.alerts.unsnooze(int(number))),
        None,
        "alert_unsnooze",
    ),
    _op(
        "alerts.delete",
        "DELETE /alerts/<id>/",
        lambda _, number: request_of(NOUNS.alerts.delete(int(number), with_history=True)),
        None,
        "alert_delete alert_delete_404",
    ),
    _op(
        "policies.list",
        "GET /automation/policies/",
        lambda _: policies.LIST.call(),
        "Policy",
        "automation_policies",
    ),
    _op(
        "policies.get",
        "GET /automation/policies/<id>/",
        lambda _, number: policies.GET.call(int(number)),
        "Policy",
        "automation_policy automation_policy_404",
    ),
    _op(
        "policies.related",
        "GET /automation/policies/<id>/related/",
        lambda _, number: policy_places.use_of(int(number)),
        "PolicyUse",
        "automation_policy_related automation_related_404",
    ),
    _op(
        "policies.delete",
        "DELETE /automation/policies/<id>/",
        lambda _, number: policies.DELETE.call(int(number)),
        None,
        "policy_delete policy_delete_404 policy_delete_assigned policy_delete_limited_403",
    ),
    _op(
        "policies.checks",
        "GET /automation/policies/<id>/checks/",
        lambda _, number: policies.CHECKS.call(int(number)),
        "Check",
        "automation_policy_checks",
    ),
    _op(
        "policies.tasks",
        "GET /automation/policies/<id>/tasks/",
        lambda _, number: policies.TASKS.call(int(number)),
        "Task",
        "automation_policy_tasks",
    ),
    _op(
        "custom_fields.list",
        "GET /core/customfields/",
        lambda told: custom_fields.LIST.call(query=told.query),
        "CustomField",
        "core_customfields core_customfields_model",
    ),
    _op(
        "custom_fields.create",
        "POST /core/customfields/",
        _new_field,
        None,
        "core_customfield_create core_customfield_create_bad",
    ),
    _op(
        "custom_fields.update",
        "PUT /core/customfields/<id>/",
        lambda told, number: custom_fields.UPDATE.call(int(number), body=told.sent),
        None,
    ),
    _op(
        "custom_fields.delete",
        "DELETE /core/customfields/<id>/",
        lambda _, number: request_of(NOUNS.custom_fields.delete(int(number), with_values=True)),
        None,
    ),
    _op(
        "key_store.list",
        "GET /core/keystore/",
        lambda _: request_of(NOUNS.key_store.list()),
        "KeyStoreEntry",
        "core_keystore core_keystore_after",
    ),
    _op(
        "key_store.create",
        "POST /core/keystore/",
        lambda told: request_of(NOUNS.key_store.create(**told.sent)),
        None,
        "core_keystore_create",
    ),
    _op(
        "key_store.update",
        "PUT /core/keystore/<id>/",
        lambda told, number: request_of(NOUNS.key_store.update(int(number), **told.sent)),
        None,
        "core_keystore_update",
    ),
    _op(
        "key_store.delete",
        "DELETE /core/keystore/<id>/",
        lambda _, number: request_of(NOUNS.key_store.delete(int(number), with_value=True)),
        None,
        "core_keystore_delete",
    ),
    _op(
        "audit_log.iter",
        "PATCH /logs/audit/",
        _audit,
        "AuditPage",
        "audit_logs audit_logs_page2 audit_logs_page_past_end audit_logs_filters audit_logs_no_pagination",
    ),
    _op(
        "core.version",
        "GET /core/dashinfo/",
        lambda _: request_of(NOUNS.core.version()),
        str,
        "core_dashinfo",
    ),
    _op(
        "core.settings",
        "GET /core/settings/",
        lambda _: request_of(NOUNS.core.settings()),
        "ServerSettings",
        "core_settings auth_limited_core_settings",
    ),
    _op(
        "core.dashboard",
        "GET /core/dashinfo/",
        lambda _: request_of(NOUNS.core.dashboard()),
        "Dashboard",
        "core_dashinfo",
    ),
    _op(
        "trmm.login",
        "POST /v2/(?:checkcreds|login)/",
        _login,
        (Checked, Token),
        "login_checkcreds_ok login_checkcreds_no_totp_set login_checkcreds_bad login_throttled login_ok "
        "login_bad_password login_bad_totp login_blocked_dashboard_user login_missing_totp "
        "login_ok_with_api_key_header_only",
    ),
    _op(
        "trmm.dialect",
        "GET /api/v3/agents/deployments/",
        lambda _: PROBE,
        None,
        "x_api_v3_agents_deployments",
    ),
]


# -- what is other than recorded -----------------------------------------------------------------------------


_FORGET: Final = "we never wait in the call, which holds a worker: we send forget and look into the history"
_BY_ID: Final = "we sort by id, which is unique, not by time"


def _pages(page: int) -> Mapping[str, Any]:
    paged = {"sortBy": "id", "descending": True, "page": page, "rowsPerPage": 5, "rowsNumber": 0}
    return {"pagination": paged}


DIFFERENT: Final[Mapping[str, But]] = {
    **every("DIFFERENT"),
    **_with(
        _FORGET,
        {"output": "forget"},
        "runscript_wait runscript_wait_empty_output runscript_wait_for_history runscript_wait_stderr_rc3 "
        "runscript_slow_ok runscript_hung_timeout runscript_offline_wait runscript_script_404 "
        "natsdown__runscript_wait natsapi_down__runscript_offline_no_responder runscript_missing_output",
    ),
    **_with(
        "we send forget, and every key",
        {"output": "forget", "custom_field": None, "emailMode": "default", "emails": []}
        | {"save_all_output": False, "script": 2, "args": ["stdout=hello world\\n"], "timeout": 10}
        | {"run_as_user": False, "env_vars": ["A=1"]},
        "runscript_missing_custom_field runscript_missing_emailMode runscript_missing_emails "
        "runscript_missing_run_as_user runscript_missing_save_all_output runscript_missing_script "
        "runscript_missing_timeout runscript_script_as_name runscript_script_as_str_id runscript_timeout_str",
    ),
    **_with("we send forget, and every key", {"output": "forget", "args": []}, "runscript_missing_args"),
    **_with(
        "we send forget, and every key", {"output": "forget", "env_vars": []}, "runscript_missing_env_vars"
    ),
    **_with(
        "we send every key, and numbers as numbers",
        {"cmd": "echo hello", "custom_shell": None, "run_as_user": False, "shell": "cmd", "timeout": 10},
        "cmd_missing_custom_shell cmd_missing_cmd cmd_missing_run_as_user cmd_missing_shell "
        "cmd_missing_timeout cmd_timeout_str cmd_timeout_bad cmd_empty_body",
    ),
    **_with("we send every key", {"env_vars": []}, "script_test_missing_env"),
    **_with("we send numbers as numbers", {"timeout": 5}, "script_test_timeout_str"),
    **_with("we leave the seconds out", {"datetime": "2027-01-15T23:30"}, "reboot_later_seconds"),
    **_with("we always say when", {"datetime": "2027-01-15T23:30"}, "reboot_later_missing"),
    **_with("we always say what", {"mode": "mesh"}, "recover_missing"),
    **_with(
        "we write a value under the key of the field's type",
        {"custom_fields": [{"field": 2, "string_value": "7"}]},
        "agent_put_custom_field_value_key",
    ),
    **_with("we write it without a fraction", {"expires": "2027-06-01T12:00:00Z"}, "deployment_create_micro"),
    **_with("we write it in UTC", {"expires": "2027-06-01T10:00:00Z"}, "deployment_create_offset"),
    **_with("we write it with a zone", {"expires": "2027-06-01T12:00:00Z"}, "deployment_create_naive"),
    **_with("we send every key", {"rdp": 0}, "deployment_create_missing_rdp"),
    **_with("we send every key", {"site": 1}, "deployment_create_no_site"),
    **_with("we always name a site", {"site": {"name": "Default"}}, "client_create_no_site"),
    "client_create_flat": But(
        "we wrap it",
        body={"client": {"name": "Flat"}, "site": {"name": "Default"}},
        without=("name",),
    ),
    "client_update_flat": But("we wrap it", body={"client": {"name": "X"}}, without=("name",)),
    "site_create_flat": But(
        "we wrap it", body={"site": {"client": 6, "name": "Flat"}}, without=("client", "name")
    ),
    "script_create_dup_name": But("we say more of it, and some code", body={"script_body": "x"}, more=True),
    "script_create_minimal": But("we say more of it", more=True),
    "script_create_bad_shell": But("we say more of it, and a shell", body={"shell": "cmd"}, more=True),
    **_with("we send every key", {"agent_id": WINDOWS}, "note_add_no_agent"),
    **_with("we send every key", {"note": "x"}, "note_add_no_note"),
    **_with("we send numbers as numbers", {"timeFilter": 1}, "check_history_str_filter"),
    **_with("we send numbers as numbers", {"timeFilter": 7}, "alerts_filter_time_str"),
    **_with("we send a list", {"severityFilter": ["error"]}, "alerts_filter_severity_str"),
    **_with("we name the alert", {"id": 1}, "alert_resolve_again"),
    **_with("we name the alert", {"id": 6}, "alert_limited_resolve_403"),
    **_with("we name the alert", {"id": 999999}, "alert_put_404"),
    **_with("there is no such type", {"id": 5, "type": "resolve"}, "alert_put_bad_type"),
    **_with("we send numbers as numbers, and every key", {"snooze_days": 1}, "alert_snooze_days_bad"),
    **_with("we send every key", {"snooze_days": 1}, "alert_snooze_missing_days"),
    **_with("we send every key", {"snooze_days": 1}, "alerts_bulk_snooze_missing_days"),
    **_with("we send every key", {"bulk_action": "resolve"}, "alerts_bulk_missing"),
    **_with("there is no such action", {"bulk_action": "resolve"}, "alerts_bulk_unknown_action"),
    **_with(_BY_ID, _pages(1), "audit_logs audit_logs_filters audit_logs_no_pagination"),
    **_with(_BY_ID, _pages(2), "audit_logs_page2"),
    **_with(_BY_ID, _pages(9999), "audit_logs_page_past_end"),
    **_with(
        "we send all three",
        {"username": "u", "password": "p", "twofactor": "1"},
        "login_ok_with_api_key_header_only",
    ),
    **_with("we send all three", {"twofactor": "1"}, "login_missing_totp"),
    **_never(
        "a filter of the wrong kind, which we refuse",
        "agents_list_client_empty agents_list_client_name agents_list_site_text",
    ),
    **_never("there is no such filter, and we send none", "agents_list_hostname_filter"),
    **_never("a name that the server does not take, which we refuse", _CLIENT_NEVER),
    **_never("the server reads any word but true as we write false", "agents_list_detail_TRUE_upper"),
    **_never("we ask by the second, with a zone, and without a limit", "scripthistory_range"),
    **_never("we ask for five", "scripthistory_bad_limit"),
    **_never("a body that is no JSON object", "err_body_is_list"),
    **_never(
        "a custom field that is not there, which we find out before",
        "agent_put_custom_field_bad agent_put_custom_field_missing",
    ),
    **_never("a script's run without a body", "auth_limited_run_script"),
    **_never("a custom shell without its path: we send null then", "cmd_custom_shell_missing_key"),
}

NO_RESULT: Final[Mapping[str, type[TRMMError]]] = {
    **every("NO_RESULT"),
    "service_detail_unknown": NotFoundError,
    "natsdown__service_detail": AgentUnreachableError,
    "script_test_offline": AgentLostError,
    "natsdown__script_test": AgentUnreachableError,
    "automation_related_404": NotFoundError,
}
"""A 200 that is none: the error that it is with us."""


SPARED: Final[Mapping[str, str]] = every("SPARED") | _spared(
    {
        "no operation of ours: the web client's session": "knox_after_logout knox_logout",
        "only about the key: agents.list has its like": (
            "auth_blocked_dashboard_key_works auth_empty_key auth_key_and_bad_authorization "
            "auth_key_and_bad_knox auth_knox_bad_token auth_knox_token_header auth_limited_core_version "
            "auth_lowercase_header throttled_ip_api_key_still_ok"
        ),
        "no operation of ours: patch policies of an agent": ("agent_put_winupdatepolicy_empty"),
        "a change of nothing, or of what is no setting: refused here": (
            "agent_put_empty agent_put_unknown_field alert_put_fields recover_unknown"
        ),
        "no operation of ours: making alerts, their templates and their top": ("alerts_top alerts_top_str"),
        "no operation of ours: the beta API, off unless an administrator turns it on": (
            "beta_enabled_agent_hostname beta_enabled_agents_page beta_enabled_clients beta_enabled_sites "
            "x_beta_agent"
        ),
        "no operation of ours: the server's upkeep, its URL actions and its logs for developers": (
            "core_codesign core_status_v1 core_urlaction_run core_webtermperms root"
        ),
        "no operation of ours: MeshCentral": ("meshcentral_recover"),
        "no operation of ours: reports": "reporting_history reporting_templates",
        "we store output by the call for many: this one waits, and holds a worker": (
            "runscript_collector runscript_collector_bad_field runscript_collector_last_line "
            "runscript_collector_no_field runscript_offline_collector"
        ),
        "no operation of ours: output by mail and into notes, and scripts on the server itself": (
            "runscript_email_custom runscript_email_default runscript_email_missing_emailMode runscript_note "
            "runscript_offline_note runscript_run_on_server"
        ),
        "a bad request that we never send, and the server takes": (
            "runscript_args_null runscript_args_string runscript_unknown_output_mode script_create_empty"
        ),
        "no operation of ours: terminals, WMI and wake-on-LAN": (
            "terminal_defaults terminal_defaults_old_agent"
        ),
        "a method that the path has not": (
            "agent_patch_not_allowed alerts_get_405 audit_logs_get_405 check_run_get_405 err_405 "
            "err_405_post_agent runscript_get_405"
        ),
        "a method that we never use": "cors_preflight err_head err_options options_clients "
        "options_core_version",
        "a path that we never ask for": (
            "alert_post_resolve_url deployment_get_one err_404_unknown_path err_no_trailing_slash_get "
            "err_no_trailing_slash_post x_agents_deployments x_api_agents x_api_v3_agent_config_with_key "
            "x_api_v3_agents x_api_v3_checkrunner x_trmm_agent_http x_ws_path_over_http"
        ),
        "a host, a header or a form of body that we never send": (
            "err_accept_html err_bad_host err_form_body err_malformed_json err_wrong_content_type"
        ),
    }
)

# -- the sockets ---------------------------------------------------------------------------------------------

SOCKETS_READ: Final = _names(
    "cmd_stream_agent_never_done cmd_stream_api_key_header cmd_stream_bad_token "
    "cmd_stream_big_2000_lines cmd_stream_blocked_user cmd_stream_client_cmd_id "
    "cmd_stream_cmd_id_with_space cmd_stream_echo cmd_stream_exit_code_3 "
    "cmd_stream_fast_output_lost cmd_stream_no_permission cmd_stream_no_role "
    "cmd_stream_offline_agent cmd_stream_ok cmd_stream_old_agent cmd_stream_payload_bad_timeout "
    "cmd_stream_payload_binary cmd_stream_payload_error_then_ok cmd_stream_payload_list "
    "cmd_stream_payload_no_cmd cmd_stream_payload_not_json cmd_stream_payload_timeout_null "
    "cmd_stream_runs_past_timeout cmd_stream_sequential cmd_stream_stderr "
    "cmd_stream_two_commands_same_socket cmd_stream_unknown_agent_limited "
    "cmd_stream_unknown_agent_superuser"
)
"""Of `agents.stream_command`: tests/resources/test_commands.py reads each, and makes sure that it has all."""

SOCKETS_SPARED: Final[Mapping[str, str]] = _spared(
    {
        "no operation of ours: the numbers of the dashboard, pushed": (
            "dashinfo dashinfo_api_key_as_access_token dashinfo_authorization_header dashinfo_bad_token "
            "dashinfo_blocked_dashboard_user dashinfo_expired_token dashinfo_limited_user dashinfo_no_token "
            "dashinfo_norole_user dashinfo_origin_evil dashinfo_other_param_then_token dashinfo_send_garbage "
            "dashinfo_token_then_other_param dashinfo_x_api_key_header"
        ),
        "no operation of ours: terminals": (
            "terminal_agent_start_failure terminal_bad_session_id terminal_bad_shell terminal_bad_token "
            "terminal_input_before_start terminal_kill terminal_no_permission terminal_not_json "
            "terminal_offline_agent terminal_ok terminal_unknown_action terminal_unknown_agent"
        ),
        "a path that we never dial": "trmm_agent_path trmmcli_disabled_or_ok unknown_path "
        "ws_no_trailing_slash",
    }
)

# -- carried out by hand -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """The call of a request that is the recorded one, and what the request makes of its answer."""

    call: Call[Any]
    outcome: Callable[[bytes], Any]


def step(operation: Operation, told: Recording) -> Step:
    """The recorded request among those that ours makes, whose other calls get answers that fit."""
    found = re.fullmatch(operation.path, told.path)
    assert found, f"{told.path} is not of {operation.name}"
    request = operation.ask(told, *found.groups())
    if isinstance(request, HistoryRun):
        request = request.send
    if isinstance(request, Call):
        return Step(request, request.decode)
    assert isinstance(request, Plan)
    steps = request.steps()
    call = next(steps)
    while (call.method, call.path) != (told.method, told.path):
        call = steps.send(_fit(call))
    return Step(call, partial(_sent_on, steps, call))


def _fit(call: Call[Any]) -> Any:
    if call.path == "/core/customfields/":
        return call.decode(recording("core_customfields").answer)
    if call.path == "/core/dashinfo/":
        return call.decode(recording("core_dashinfo").answer)
    if call.path.endswith("/checks/"):
        return call.decode(json.dumps([{"id": number} for number in range(1, 500)]).encode())
    try:
        return call.decode(b"[]")
    except msgspec.DecodeError:
        return call.decode(b'{"id": 1, "agent": 1, "client": 1}')


def _sent_on(steps: Any, call: Call[Any], answer: bytes) -> Any:
    """What the plan returns, or the answer's own reading where it goes on to another call."""
    read = call.decode(answer)
    try:
        steps.send(read)
    except StopIteration as end:
        return end.value
    return read


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _leaves(one)
    elif isinstance(value, Mapping):
        yield from _leaves(list(value.values()))
    else:
        yield value


def _is(leaf: Any, into: Any) -> bool:
    if isinstance(into, tuple):
        return any(_is(leaf, each) for each in into)
    if isinstance(into, str):
        return type(leaf).__name__ == into
    return leaf is None if into is None else isinstance(leaf, into)


def _error(call: Call[Any], told: Recording) -> TRMMError:
    reply = Reply(told.status, {}, told.answer)
    tries = Tries(call.replay, RetryPolicy(retries=0), definite=call.definite)
    verdict = tries.judge(reply, datetime.now(UTC))
    assert isinstance(verdict, Judged)
    return failure(call, reply, verdict.meaning, tries, str)


REPLAYED: Final = [(operation, name) for operation in OPERATIONS for name in operation.names]
of_each = pytest.mark.parametrize(
    "operation",
    [pytest.param(each, id=f"{each.name}-{place}") for place, each in enumerate(OPERATIONS) if each.names],
)


@of_each
def test_what_we_send_is_what_was_recorded(operation: Operation) -> None:
    for_each(operation.names, partial(_sends_what_was_recorded, operation))


def _sends_what_was_recorded(operation: Operation, name: str) -> None:
    told = recording(name)
    assert told.method == operation.method
    method, path, query, sent = sent_by(step(operation, told).call)
    assert (method, path) == (told.method, told.path)
    but = DIFFERENT.get(name)
    if but is None:
        assert (query, sent) == (told.query, told.sent)
    else:
        assert but.never or query == told.query
        assert but.fits(sent, told.sent), (but.why, sent, told.sent)


@of_each
def test_what_was_answered_is_ours(operation: Operation, caplog: pytest.LogCaptureFixture) -> None:
    for_each(operation.names, partial(_is_ours, operation, caplog))


def _is_ours(operation: Operation, caplog: pytest.LogCaptureFixture, name: str) -> None:
    caplog.clear()
    told = recording(name)
    at = step(operation, told)
    if not 200 <= told.status < 300 or operation.name == "trmm.dialect":
        error = _error(at.call, told)
        assert isinstance(error, APIError)
        assert error.detail
        assert str(told.status) in str(error)
        assert not re.search(r"<[/!a-z]", str(error))
    elif name in NO_RESULT:
        with pytest.raises(NO_RESULT[name]):
            at.outcome(told.answer)
    else:
        leaves = list(_leaves(at.outcome(told.answer)))
        assert [leaf for leaf in leaves if not _is(leaf, operation.into)] == []
        if isinstance(told.body, list) and told.body:
            assert leaves
    if 200 <= told.status < 300:
        # Nothing in it was odd to the codec, which would have read it slowly, and logged that.
        assert [one.getMessage() for one in caplog.records if one.name == "trmm_async.codec"] == []


# -- nothing is left out, nothing is stale -------------------------------------------------------------------

NAMES: Final = {name for _, name in REPLAYED}


def test_every_recording_is_replayed_or_spared() -> None:
    assert {path.stem for path in HTTP.glob("*.json")} == NAMES | SPARED.keys() | NOT_YET_REPLAYED
    assert not NOT_YET_REPLAYED & (NAMES | SPARED.keys()), "these are replayed: take them out of the file"
    assert {path.stem for path in SOCKETS.glob("*.json")} == {*SOCKETS_READ} | SOCKETS_SPARED.keys()


def test_none_is_both() -> None:
    assert NAMES & SPARED.keys() == set()
    assert {*SOCKETS_READ} & SOCKETS_SPARED.keys() == set()
    assert len(REPLAYED) == len({(*key, name) for key, name in _keyed()}), "named twice"
    assert DIFFERENT.keys() | NO_RESULT.keys() <= NAMES


def _keyed() -> Iterator[tuple[tuple[Any, ...], str]]:
    for operation, name in REPLAYED:
        yield (operation.name, operation.method, operation.path, operation.into), name


def test_what_is_said_to_differ_does() -> None:
    for_each(DIFFERENT, _differs)


def _differs(name: str) -> None:
    told = recording(name)
    asked = [sent_by(step(operation, told).call)[2:] for operation, each in REPLAYED if each == name]
    assert all(ours != (told.query, told.sent) for ours in asked)


def test_what_went_well_on_the_path_of_an_operation_is_spared_for_these_reasons_only() -> None:
    paths = {(operation.method, operation.path) for operation in OPERATIONS}
    on_path = {
        name
        for name in SPARED
        for told in [recording(name)]
        if told.status < 300
        and any(method == told.method and re.fullmatch(path, told.path) for method, path in paths)
    }
    assert {SPARED[name] for name in on_path} == {
        "a change of nothing, or of what is no setting: refused here",
        "no operation of ours: making alerts, their templates and their top",
        "we store output by the call for many: this one waits, and holds a worker",
        "no operation of ours: output by mail and into notes, and scripts on the server itself",
        "a bad request that we never send, and the server takes",
        "a host, a header or a form of body that we never send",
        "the other path of the same view, which answers the same",
        "only about the key: agents.list has its like",
    }
