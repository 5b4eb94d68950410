"""`trmm.core`."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, Literal, TypedDict, Unpack

import msgspec

from trmm_async import arguments
from trmm_async.calls import Steps, plan
from trmm_async.dialects.stock.creation import look_up
from trmm_async.dialects.stock.dialect import DASHBOARD_SECONDS, VERSION
from trmm_async.dialects.stock.endpoint import Sent, Wire, act, put, read, send
from trmm_async.dialects.stock.explanations import sentence
from trmm_async.errors import InvalidRequestError
from trmm_async.hidden import HiddenText, hide
from trmm_async.models import Agent, Discreet, Moment, Noun, no_extra
from trmm_async.resources.resource import Resource

__all__ = ["Core", "Dashboard", "DebugEntry", "ServerSettings", "ServerStatus", "SettingsChanges"]


class ServerSettings(Discreet, frozen=True, kw_only=True, gc=False):
    """The server's settings. 0 days of pruning means never. `extra` has the others by the server's names.

    Secrets (SMTP, Twilio, MeshCentral, OpenAI) are only in `extra`, which appears in no repr.
    """

    _shown: ClassVar[tuple[str, ...]] = (
        "default_time_zone",
        "agent_auto_update",
        "server_policy",
        "workstation_policy",
        "alert_template",
    )

    default_time_zone: str | None = None
    """The time zone of agents that have none."""
    agent_auto_update: bool | None = None
    """Whether agents update themselves."""
    server_policy: int | None = None
    """The policy of all servers, by id."""
    workstation_policy: int | None = None
    """The policy of all workstations, by id."""
    alert_template: int | None = None
    """The alert template of all, by id."""
    check_history_prune_days: int | None = None
    """Days that results of checks are kept."""
    resolved_alerts_prune_days: int | None = None
    """Days that resolved alerts are kept."""
    agent_history_prune_days: int | None = None
    """Days that the history of agents is kept."""
    debug_log_prune_days: int | None = None
    """Days that the debug log is kept."""
    audit_log_prune_days: int | None = None
    """Days that the audit log is kept."""
    notify_on_info_alerts: bool | None = None
    """Whether informations are sent out."""
    notify_on_warning_alerts: bool | None = None
    """Whether warnings are sent out."""
    server_scripts_enabled: bool | None = None
    """Whether scripts may run on the server itself."""
    web_terminal_enabled: bool | None = None
    """Whether the terminal of the web client is on."""
    block_local_user_logon: bool | None = None
    """Whether users of the server's own can't log in."""
    sso_enabled: bool | None = None
    """Whether single sign-on is on."""
    extra: Mapping[str, Any] = no_extra()


class Dashboard(Noun, frozen=True, kw_only=True, gc=False):
    """What the dashboard loads first. `extra` has the rest: the appearance that the key's user has chosen.

    `latest_version` is None if the server could not find it out.
    """

    version: str = ""
    """The server's version."""
    latest_version: str | None = None
    hosted: bool | None = None
    """Whether the vendor hosts it."""
    token_is_expired: bool | None = None
    """Whether its code signing token has ended."""
    server_scripts_enabled: bool | None = None
    """Whether scripts may run on the server itself."""
    web_terminal_enabled: bool | None = None
    """Whether the terminal of the web client is on."""
    block_local_user_logon: bool | None = None
    """Whether users of the server's own can't log in."""
    sso_enabled: bool | None = None
    """Whether single sign-on is on."""
    extra: Mapping[str, Any] = no_extra()


class ServerStatus(Noun, frozen=True, kw_only=True, gc=False):
    """The health of the server, by its monitoring endpoint: percentages, days, and which parts answer."""

    version: str = ""
    """The server's version."""
    latest_agent_version: str = ""
    """The newest version of the agent that it knows."""
    agent_count: int | None = None
    """How many agents there are."""
    client_count: int | None = None
    """How many clients."""
    site_count: int | None = None
    """How many sites."""
    disk_usage: float | None = None
    """How full its disk is, in percent."""
    memory_usage: float | None = None
    """How full its memory is, in percent."""
    days_until_certificate_expires: int | None = None
    """Days until its certificate ends."""
    certificate_expired: bool | None = None
    """Whether it has ended."""
    redis_answers: bool | None = None
    """Whether Redis answers."""
    nats_answers: bool | None = None
    """Whether NATS answers."""
    nats_websocket_answers: bool | None = None
    """Whether NATS answers over WebSocket."""
    mesh_answers: bool | None = None
    """Whether MeshCentral answers."""
    queue_length: int | None = None
    """How many jobs wait."""
    queue_health: str = ""
    """What the server thinks of that."""
    services_running: Mapping[str, bool] = no_extra()
    """By the names of its services, whether they run."""
    extra: Mapping[str, Any] = no_extra()


class DebugEntry(Noun, frozen=True, kw_only=True, gc=False):
    """One entry of the debug log; `agent` is a host name."""

    id: int
    """The server's id of it."""
    time: Moment | None = None
    """When that was."""
    log_level: str = ""
    """How serious it is."""
    log_type: str = ""
    """What it is about."""
    message: str = ""
    """What it says."""
    agent: str | None = None
    extra: Mapping[str, Any] = no_extra()


class _KnownAgent(msgspec.Struct):
    agent_id: str = ""


class SettingsChanges(TypedDict, total=False):
    """The settings that `core.update_settings` can change. What is not given stays unchanged."""

    email_alert_recipients: Iterable[str]
    sms_alert_recipients: Iterable[str]
    twilio_number: str | None
    twilio_account_sid: str | None
    twilio_auth_token: str | None
    smtp_from_email: str
    smtp_from_name: str | None
    smtp_host: str
    smtp_host_user: str
    smtp_host_password: str
    smtp_port: int
    smtp_requires_auth: bool
    default_time_zone: str
    check_history_prune_days: int
    resolved_alerts_prune_days: int
    agent_history_prune_days: int
    debug_log_prune_days: int
    audit_log_prune_days: int
    report_history_prune_days: int
    agent_debug_level: Literal["info", "warning", "error", "critical"]
    clear_faults_days: int
    mesh_token: str
    mesh_username: str
    mesh_site: str
    mesh_device_group: str
    mesh_company_name: str
    sync_mesh_with_trmm: bool
    agent_auto_update: bool
    date_format: str
    open_ai_token: str | None
    open_ai_model: str
    server_scripts_enabled: bool
    web_terminal_enabled: bool
    notify_on_info_alerts: bool
    notify_on_warning_alerts: bool
    terminal_mode: Literal["new", "legacy"]
    default_shell_windows: Literal["cmd", "powershell", "custom"]
    default_shell_windows_custom: str
    default_shell_linux: Literal["bash", "custom"]
    default_shell_linux_custom: str
    default_shell_darwin: Literal["bash", "custom"]
    default_shell_darwin_custom: str
    server_policy: int | None
    workstation_policy: int | None
    alert_template: int | None


def _line(value: object, what: str) -> str:
    return arguments.plain_text(value, what, empty=True)


def _secret(value: object, what: str) -> str:
    """May be empty, for none; in no message and no repr."""
    return hide(value if value == "" and isinstance(value, str) else arguments.secret(value, what))


def _number(value: object, what: str) -> int:
    return arguments.integer(value, what, minimum=0, maximum=2**31 - 1)


def _word(*words: str) -> arguments.Check:
    return lambda value, what: arguments.choice(value, what, words)


_CHECKS: Final[arguments.Checks] = {
    "email_alert_recipients": arguments.names,
    "sms_alert_recipients": arguments.names,
    **dict.fromkeys(("twilio_number", "twilio_account_sid", "smtp_from_name"), arguments.or_none(_line)),
    **dict.fromkeys(("twilio_auth_token", "open_ai_token"), arguments.or_none(_secret)),
    **dict.fromkeys(("smtp_host_password", "mesh_token"), _secret),
    **dict.fromkeys(
        (
            "smtp_from_email",
            "smtp_host",
            "smtp_host_user",
            "mesh_username",
            "mesh_site",
            "mesh_device_group",
            "mesh_company_name",
            "date_format",
            "open_ai_model",
            "default_shell_windows_custom",
            "default_shell_linux_custom",
            "default_shell_darwin_custom",
        ),
        _line,
    ),
    "default_time_zone": arguments.time_zone,
    "terminal_mode": _word("new", "legacy"),
    **dict.fromkeys(
        (
            "smtp_port",
            "check_history_prune_days",
            "resolved_alerts_prune_days",
            "agent_history_prune_days",
            "debug_log_prune_days",
            "audit_log_prune_days",
            "report_history_prune_days",
            "clear_faults_days",
        ),
        _number,
    ),
    "agent_debug_level": _word("info", "warning", "error", "critical"),
    "default_shell_windows": _word("cmd", "powershell", "custom"),
    "default_shell_linux": _word("bash", "custom"),
    "default_shell_darwin": _word("bash", "custom"),
    **dict.fromkeys(
        (
            "smtp_requires_auth",
            "sync_mesh_with_trmm",
            "agent_auto_update",
            "notify_on_info_alerts",
            "notify_on_warning_alerts",
        ),
        arguments.boolean,
    ),
    "server_scripts_enabled": ("enable_server_scripts", arguments.boolean),
    "web_terminal_enabled": ("enable_server_webterminal", arguments.boolean),
    **dict.fromkeys(
        ("server_policy", "workstation_policy", "alert_template"), arguments.or_none(arguments.object_id)
    ),
}
_LEVELS: Final = ("info", "warning", "error", "critical")
_TYPES: Final = ("agent_update", "agent_issues", "win_updates", "system_issues", "scripting")
_COUNT: Final = re.compile(r"([0-9]{1,18}) records? ")
_STATUS: Final[Wire] = {
    "disk_usage": "disk_usage_percent",
    "memory_usage": "mem_usage_percent",
    "days_until_certificate_expires": "days_until_cert_expires",
    "certificate_expired": "cert_expired",
    "redis_answers": "redis_ping",
    "nats_answers": "nats_std_ping",
    "nats_websocket_answers": "nats_ws_ping",
    "mesh_answers": "mesh_ping",
    "queue_length": "celery_queue_len",
    "queue_health": "celery_queue_health",
    "services_running": Sent(kind=dict[str, bool]),
}


def _pruned(body: bytes) -> int:
    """How many rows, as its sentence says."""
    found = _COUNT.match(sentence(body))
    return int(found[1]) if found else 0


_SETTINGS: Final[Wire] = {
    "server_scripts_enabled": "enable_server_scripts",
    "web_terminal_enabled": "enable_server_webterminal",
}
_DASHBOARD: Final[Wire] = {
    "version": "trmm_version",
    "latest_version": Sent("latest_trmm_ver", fit=lambda latest: None if latest == "error" else latest),
}
_ALL_ZONES: Final = "all_timezones"
"""The names of all time zones: the same on every server."""

SETTINGS = read(
    "core.settings", "/core/settings/", ServerSettings, wire=_SETTINGS, rest=(_ALL_ZONES,), secret=True
)
DASHBOARD = read(
    "core.dashboard", "/core/dashinfo/", Dashboard, wire=_DASHBOARD, rest=(), waits=DASHBOARD_SECONDS
)


UPDATE = put("core.update_settings", "/core/settings/", secret=True)
WEB_VERSION = read("core.web_version", "/core/version/", str)
STATUS = read("core.status", "/core/v2/status/", ServerStatus, wire=_STATUS, since="1.0.0")
CLEAR_CACHE = send("core.clear_cache", "/core/clearcache/", method="GET")
MAINTAIN = send("core.reload_nats", "/core/servermaintenance/", needs="action")
REMOVE_TASKS = send("core.remove_orphaned_tasks", "/core/servermaintenance/", needs="action")
PRUNE = act("core.prune", "/core/servermaintenance/", decode=_pruned, needs="action prune_tables")
TEST_EMAIL = send("core.test_email", "/core/emailtest/", waits=20, lacking="no mail was sent")
TEST_SMS = send("core.test_sms", "/core/smstest/", waits=20, lacking="no message was sent")
AGENT_THERE = read("core.debug_log", "/agents/{agent:agent}/", _KnownAgent)
DEBUG_LOG = read(
    "core.debug_log", "/logs/debug/", list[DebugEntry], method="PATCH", wire={"time": "entry_time"}
)


@plan
def _debug_log_of(body: Mapping[str, object]) -> Steps[list[DebugEntry]]:
    found = yield from DEBUG_LOG.call(body=body)
    if not found:
        yield from look_up(AGENT_THERE.call(body["agentFilter"]))
    return found


class Core(Resource):
    """The stock server itself: version, settings, maintenance. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    async def version(self) -> str:
        """Get the version of Tactical RMM, such as "1.5.1", not of its web pages. As slow as `dashboard`."""
        return await self._api.read_version(VERSION.name)

    async def settings(self) -> ServerSettings:
        """Get the server's settings. They contain secrets, only in `extra`, which appears in no repr."""
        return await self._send(SETTINGS)

    async def dashboard(self) -> Dashboard:
        """Get what the dashboard loads first: versions, enabled features, the appearance that its user chose.

        The server asks the internet for the newest version meanwhile. Without internet access this takes 5
        seconds (20 with a code signing token), and holds a worker.
        """
        return await self._send(DASHBOARD)

    async def update_settings(self, **changes: Unpack[SettingsChanges]) -> None:
        """Change settings of the server. Idempotent: sent again if an answer is lost.

        `server_scripts_enabled` and `web_terminal_enabled` are named as in `settings()`, all others as on the
        server. 0 days of pruning means never. For a shell that is "custom", give its `…_custom` path, too.
        Single sign-on, which needs a licence, and the settings that depend on it can't be changed here.

        Raises:
            BadRequestError: the server refuses a value.
        """
        body = arguments.settings(changes, _CHECKS, UPDATE.name)
        self._keep_out(*(value for value in body.values() if isinstance(value, HiddenText)))
        await self._send(UPDATE, body=body)

    async def web_version(self) -> str:
        """Get the version of the server's web pages. `version` is the one of Tactical RMM."""
        return await self._send(WEB_VERSION)

    async def status(self, token: str) -> ServerStatus:
        """Get the health of the server from its monitoring endpoint.

        Args:
            token: the `MON_TOKEN` that an administrator has set on the server. The API key is not accepted.

        Raises:
            AuthenticationError: the token is wrong, or none is set on the server.
        """
        token = hide(arguments.token(token))
        self._keep_out(token)
        call = msgspec.structs.replace(STATUS.call(), headers={"X-Mon-Token": token})
        return await self._on_stock(STATUS.name, call)

    async def clear_cache(self) -> None:
        """Clear the server's cache of policies' checks and tasks. Never sent twice.

        The server caches them for 10 minutes: a policy that was assigned to an agent may show late in
        `checks.list`.
        """
        await self._send(CLEAR_CACHE)

    async def reload_nats(self) -> None:
        """Make the server rewrite the configuration of its message bus. Never sent twice."""
        await self._send(MAINTAIN, body={"action": "reload_nats"})

    async def remove_orphaned_tasks(self) -> None:
        """Have agents remove scheduled tasks that the server does not know any more. Begun only."""
        await self._send(REMOVE_TASKS, body={"action": "rm_orphaned_tasks"})

    async def prune(
        self, *, all_alerts: bool = False, completed_actions: bool = False, check_run_logs: bool = False
    ) -> int:
        """Delete rows of the server's database, and return their number. Never sent twice.

        Args:
            all_alerts: True deletes every alert, resolved or not.
            completed_actions: True deletes pending actions that are completed.
            check_run_logs: True deletes entries of the audit log about runs of checks.

        Raises:
            InvalidRequestError: none of them is True.
        """
        wanted = {
            "check_run_logs": ("audit_logs", check_run_logs),
            "completed_actions": ("pending_actions", completed_actions),
            "all_alerts": ("alerts", all_alerts),
        }
        tables = [table for name, (table, on) in wanted.items() if arguments.boolean(on, name)]
        if not tables:
            raise InvalidRequestError(
                "core.prune: say what is to be deleted: all_alerts, completed_actions, check_run_logs"
            )
        return await self._send(PRUNE, body={"action": "prune_db", "prune_tables": tables})

    async def test_email(self) -> None:
        """Make the server send a test mail to its recipients. It may take 20 seconds. Never sent twice.

        Raises:
            ServerError: the server could not send it; the text has the server's words.
        """
        await self._send(TEST_EMAIL)

    async def test_sms(self) -> None:
        """Make the server send a test message to its recipients, by Twilio. Never sent twice.

        Raises:
            ServerError: the server could not send it; the text has the server's words.
        """
        await self._send(TEST_SMS)

    async def debug_log(
        self,
        *,
        level: Literal["info", "warning", "error", "critical"] | None = None,
        log_type: Literal["agent_update", "agent_issues", "win_updates", "system_issues", "scripting"]
        | None = None,
        agent: str | Agent | None = None,
    ) -> list[DebugEntry]:
        """The newest entries of the debug log, 1000 at most, the newest first.

        Args:
            level: only of this level, not of higher ones.
            log_type: only of this type.
            agent: only about this agent.

        Raises:
            NotFoundError: there is no such agent. The server has no entries of one, and says no more.
        """
        body: dict[str, object] = {}
        if level is not None:
            body["logLevelFilter"] = arguments.choice(level, "level", _LEVELS)
        if log_type is not None:
            body["logTypeFilter"] = arguments.choice(log_type, "log_type", _TYPES)
        if agent is not None:
            body["agentFilter"] = arguments.agent_id(agent)
            return await self._on_stock(DEBUG_LOG.name, _debug_log_of(body))
        return await self._send(DEBUG_LOG, body=body)
