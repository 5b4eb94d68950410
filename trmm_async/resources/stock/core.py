"""`trmm.core`."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from trmm_async.dialects.stock.dialect import DASHBOARD_SECONDS, VERSION
from trmm_async.dialects.stock.endpoint import Sent, Wire, read
from trmm_async.models import Discreet, Noun, no_extra
from trmm_async.resources.resource import Resource

__all__ = ["Core", "Dashboard", "ServerSettings"]


class ServerSettings(Discreet, frozen=True, kw_only=True, gc=False):
    """The server's settings; days of pruning: 0 is never. `extra` holds the others by the server's names.

    Secrets (SMTP, Twilio, MeshCentral, OpenAI) are in `extra` alone, and `extra` is in no repr.
    """

    _shown: ClassVar[tuple[str, ...]] = (
        "default_time_zone",
        "agent_auto_update",
        "server_policy",
        "workstation_policy",
        "alert_template",
    )

    default_time_zone: str | None = None
    agent_auto_update: bool | None = None
    server_policy: int | None = None
    workstation_policy: int | None = None
    alert_template: int | None = None
    check_history_prune_days: int | None = None
    resolved_alerts_prune_days: int | None = None
    agent_history_prune_days: int | None = None
    debug_log_prune_days: int | None = None
    audit_log_prune_days: int | None = None
    notify_on_info_alerts: bool | None = None
    notify_on_warning_alerts: bool | None = None
    server_scripts_enabled: bool | None = None
    web_terminal_enabled: bool | None = None
    block_local_user_logon: bool | None = None
    sso_enabled: bool | None = None
    extra: Mapping[str, Any] = no_extra()


class Dashboard(Noun, frozen=True, kw_only=True, gc=False):
    """What the dashboard asks first. `extra` holds the others, the looks that the key's user has chosen.

    `latest_version` is None where the server could not find it out.
    """

    version: str = ""
    latest_version: str | None = None
    hosted: bool | None = None
    token_is_expired: bool | None = None
    server_scripts_enabled: bool | None = None
    web_terminal_enabled: bool | None = None
    block_local_user_logon: bool | None = None
    sso_enabled: bool | None = None
    extra: Mapping[str, Any] = no_extra()


_SETTINGS: Final[Wire] = {
    "server_scripts_enabled": "enable_server_scripts",
    "web_terminal_enabled": "enable_server_webterminal",
}
_DASHBOARD: Final[Wire] = {
    "version": "trmm_version",
    "latest_version": Sent("latest_trmm_ver", fit=lambda latest: None if latest == "error" else latest),
}
_ALL_ZONES: Final = "all_timezones"
"""The same on every server: the names of all time zones there are."""

SETTINGS = read(
    "core.settings", "/core/settings/", ServerSettings, wire=_SETTINGS, rest=(_ALL_ZONES,), secret=True
)
DASHBOARD = read(
    "core.dashboard", "/core/dashinfo/", Dashboard, wire=_DASHBOARD, rest=(), waits=DASHBOARD_SECONDS
)


class Core(Resource):
    """The stock server itself: version, settings. Every method raises `TRMMError`s only.

    On a gateway they are an `UnsupportedError`.
    """

    async def version(self) -> str:
        """Which Tactical RMM it is, as "1.5.1"; not the version of its web pages. As slow as `dashboard`."""
        return await self._send(VERSION)

    async def settings(self) -> ServerSettings:
        """The server's settings, its secrets among them: in `extra` alone, and in no repr."""
        return await self._send(SETTINGS)

    async def dashboard(self) -> Dashboard:
        """What the dashboard asks first: versions, what is switched on, the looks its user has chosen.

        The server asks the internet for its newest version meanwhile: without a way there, it takes 5 seconds
        (20 with a code signing token) and holds a worker for that long.
        """
        return await self._send(DASHBOARD)
