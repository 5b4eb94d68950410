"""What an administrator sets up and reads: custom fields, keys, logs, the server's settings.

Floor 1: over the nouns. Only a stock server has them. Frozen and tolerant as the nouns are; what may be
secret is in no repr.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from trmm_async.models import ClientRef, Moment, SiteRef, no_extra

__all__ = [
    "AuditEntry",
    "AuditPage",
    "CheckHistoryPoint",
    "CustomField",
    "Dashboard",
    "KeyStoreEntry",
    "ServerSettings",
]


class _Discreet(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Shows in its repr, and in rich's, only the fields named in `_shown`."""

    _shown: ClassVar[tuple[str, ...]] = ()

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in self._shown]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"
        )


class CustomField(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A custom field's definition, not a value of it.

    `model` is "agent", "client" or "site"; `type` "text", "number", "single", "multiple", "checkbox" or
    "datetime".
    `default` is True or False for a checkbox, a tuple of texts for "multiple", else a text or None.
    """

    id: int
    name: str = ""
    model: str = ""
    type: str = ""
    options: tuple[str, ...] = ()
    required: bool = False
    default: str | bool | tuple[str, ...] | None = None
    extra: Mapping[str, Any] = no_extra()
    hide_in_ui: bool = False
    hide_in_summary: bool = False


class KeyStoreEntry(_Discreet, frozen=True, kw_only=True, gc=False):
    """What scripts use as `{{global.name}}`. The value is in no repr: it may be secret."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "name")

    id: int
    name: str = ""
    value: str = ""
    extra: Mapping[str, Any] = no_extra()


class AuditEntry(_Discreet, frozen=True, kw_only=True, gc=False):
    """One line of the audit log.

    Attributes:
        action: "login", "add", "modify", "delete", "execute_script", …
        object_type: what it was done to: "agent", "script", "user", …
        before, after: the object as it was and became, or what was run; whatever the server kept. In no repr:
            they hold commands, and values of the key store.
        extra: what else the server kept about the request. In no repr.
        client, site: those of the agent now; None where no agent is named, or it is gone.
    """

    _shown: ClassVar[tuple[str, ...]] = (
        "id",
        "time",
        "username",
        "action",
        "object_type",
        "agent_id",
        "message",
    )

    id: int
    time: Moment | None = None
    username: str = ""
    action: str = ""
    object_type: str = ""
    message: str = ""
    agent_id: str | None = None
    hostname: str | None = None
    client: ClientRef | None = None
    site: SiteRef | None = None
    ip_address: str | None = None
    before: Any = None
    after: Any = None
    extra: Mapping[str, Any] = no_extra()


class AuditPage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One page of the audit log, and how many entries there are in all."""

    entries: tuple[AuditEntry, ...] = ()
    total: int = 0
    extra: Mapping[str, Any] = no_extra()


class CheckHistoryPoint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One past result of a check: a percentage, or 0 and 1, by its type; `results` is what else was kept."""

    time: Moment | None = None
    value: float | None = None
    results: Any = None
    extra: Mapping[str, Any] = no_extra()


class ServerSettings(_Discreet, frozen=True, kw_only=True, gc=False):
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


class Dashboard(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
