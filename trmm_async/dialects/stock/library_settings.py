"""Custom fields, the key store, the audit log and the settings of a stock server."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from trmm_async import codec
from trmm_async.administration import (
    AuditEntry,
    AuditPage,
    CustomField,
    Dashboard,
    KeyStoreEntry,
    ServerSettings,
)
from trmm_async.calls import Call, Plan, Replay
from trmm_async.dialects.library import AuditFilter, Changes, CustomFieldOrder, FieldValue
from trmm_async.dialects.stock.making import make
from trmm_async.dialects.stock.wording import change, change_for, get, get_secret
from trmm_async.models import ClientRef, Extra, Moment, SiteRef, no_extra

__all__ = ["StockSettings", "server_version"]


_DASHBOARD_SECONDS: Final = 20.0
"""What the server may take to ask the internet for the newest version (5 s) and after its token (15 s)."""


class StockSettings:
    """See `Library`."""

    def list_custom_fields(self, model: str | None) -> Call[list[CustomField]]:
        return get("/core/customfields/", _custom_fields, query={"model": model})

    def create_custom_field(self, order: CustomFieldOrder) -> Plan[CustomField]:
        body: dict[str, Any] = {"model": order.model, "type": order.type, "name": order.name}
        if order.options:
            body["options"] = order.options
        if order.required:
            body["required"] = True
        body |= _default(order.default)
        send = change("POST", "/core/customfields/", body)
        return make(
            "custom field", self.list_custom_fields(order.model), send, lambda field: field.name == order.name
        )

    def update_custom_field(self, field_id: int, changes: Changes) -> Call[None]:
        body = {name: value for name, value in changes.items() if name != "default"}
        body |= _default(changes.get("default"))
        return change("PUT", f"/core/customfields/{field_id}/", body, replay=Replay.IDEMPOTENT)

    def delete_custom_field(self, field_id: int) -> Call[None]:
        return change("DELETE", f"/core/customfields/{field_id}/")

    def list_keys(self) -> Call[list[KeyStoreEntry]]:
        return get_secret("/core/keystore/", codec.decoder(list[KeyStoreEntry]))

    def create_key(self, name: str, value: str) -> Plan[KeyStoreEntry]:
        send = change("POST", "/core/keystore/", {"name": name, "value": value})
        return make("key", self.list_keys(), send, lambda key: (key.name, key.value) == (name, value))

    def update_key(self, key_id: int, changes: Changes) -> Call[None]:
        return change("PUT", f"/core/keystore/{key_id}/", changes, replay=Replay.IDEMPOTENT)

    def delete_key(self, key_id: int) -> Call[None]:
        return change("DELETE", f"/core/keystore/{key_id}/")

    def audit_page(self, which: AuditFilter, page: int, size: int) -> Call[AuditPage]:
        return change_for(
            _audit_page, "PATCH", "/logs/audit/", _audit_query(which, page, size), replay=Replay.SAFE
        )

    def server_version(self) -> Call[str]:
        return server_version()

    def server_settings(self) -> Call[ServerSettings]:
        return get_secret("/core/settings/", _settings)

    def dashboard(self) -> Call[Dashboard]:
        return get("/core/dashinfo/", _dashboard, waits=_DASHBOARD_SECONDS)


def server_version() -> Call[str]:
    """The server's own version, as "1.5.1"; any key may ask."""
    # Not /core/version/, which is the version of the web pages.
    return get("/core/dashinfo/", _version, waits=_DASHBOARD_SECONDS)


class _Field(msgspec.Struct):
    id: int
    name: str = ""
    model: str = ""
    type: str = ""
    options: tuple[str | None, ...] = ()
    required: bool = False
    default_value_string: str | None = None
    extra: Mapping[str, Any] = no_extra()
    default_value_bool: bool = False
    default_values_multiple: tuple[str | None, ...] = ()
    hide_in_ui: bool = False
    hide_in_summary: bool = False


def _custom_fields(body: bytes) -> list[CustomField]:
    return [_custom_field(one) for one in codec.decoder(list[_Field])(body)]


def _custom_field(sent: _Field) -> CustomField:
    default: str | bool | tuple[str, ...] | None = sent.default_value_string
    if sent.type == "checkbox":
        default = sent.default_value_bool
    elif sent.type == "multiple":
        default = tuple(value for value in sent.default_values_multiple if value is not None)
    return CustomField(
        id=sent.id,
        name=sent.name,
        model=sent.model,
        type=sent.type,
        options=tuple(option for option in sent.options if option is not None),
        required=sent.required,
        default=default,
        hide_in_ui=sent.hide_in_ui,
        hide_in_summary=sent.hide_in_summary,
        extra=sent.extra,
    )


def _default(value: FieldValue | None) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"default_value_bool": value}
    return {"default_value_string" if isinstance(value, str) else "default_values_multiple": value}


class _Place(msgspec.Struct):
    id: int | None = None
    name: str = ""
    client: int | None = None
    client_name: str = ""


class _Entry(msgspec.Struct):
    id: int
    entry_time: Moment | None = None
    username: str = ""
    action: str = ""
    object_type: str = ""
    message: str | None = None
    agent: str | None = None
    agent_id: str | None = None
    ip_address: str | None = None
    site: _Place | None = None
    before_value: Any = None
    after_value: Any = None
    debug_info: dict[str, Any] | None = None
    extra: Mapping[str, Any] = no_extra()


class _Page(msgspec.Struct):
    audit_logs: tuple[_Entry, ...]
    total: int
    extra: Mapping[str, Any] = no_extra()


def _audit_query(which: AuditFilter, page: int, size: int) -> dict[str, Any]:
    filters: dict[str, Any] = {
        "agentFilter": which.agents,
        "clientFilter": which.clients,
        "userFilter": which.users,
        "actionFilter": which.actions,
        "objectFilter": which.object_types,
        "timeFilter": which.days,
    }
    # By id, and not by time as the server's own pages do: ids are unique, the order is never in doubt.
    pagination = {"sortBy": "id", "descending": True, "page": page, "rowsPerPage": size, "rowsNumber": 0}
    return {
        "pagination": pagination,
        **{name: value for name, value in filters.items() if value is not None},
    }


def _audit_page(body: bytes) -> AuditPage:
    sent = codec.decoder(_Page)(body)
    return AuditPage(
        entries=tuple(_entry(one) for one in sent.audit_logs), total=sent.total, extra=sent.extra
    )


def _entry(sent: _Entry) -> AuditEntry:
    site = sent.site
    return AuditEntry(
        id=sent.id,
        time=sent.entry_time,
        username=sent.username,
        action=sent.action,
        object_type=sent.object_type,
        message=sent.message or "",
        agent_id=sent.agent_id,
        hostname=sent.agent,
        client=ClientRef(id=site.client, name=site.client_name) if site else None,
        site=SiteRef(id=site.id, name=site.name) if site else None,
        ip_address=sent.ip_address,
        before=sent.before_value,
        after=sent.after_value,
        extra=Extra({**(sent.debug_info or {}), **sent.extra}),
    )


class _Dashboard(msgspec.Struct):
    trmm_version: str
    latest_trmm_ver: str | None = None
    hosted: bool | None = None
    token_is_expired: bool | None = None
    server_scripts_enabled: bool | None = None
    web_terminal_enabled: bool | None = None
    block_local_user_logon: bool | None = None
    sso_enabled: bool | None = None
    extra: Mapping[str, Any] = no_extra()


class _Settings(msgspec.Struct):
    default_time_zone: str | None = None
    extra: Mapping[str, Any] = no_extra()
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
    enable_server_scripts: bool | None = None
    enable_server_webterminal: bool | None = None
    block_local_user_logon: bool | None = None
    sso_enabled: bool | None = None


_ALL_ZONES: Final = "all_timezones"
"""The same on every server: the names of all time zones there are."""


def _settings(body: bytes) -> ServerSettings:
    fields = msgspec.structs.asdict(codec.decoder(_Settings)(body))
    return ServerSettings(
        server_scripts_enabled=fields.pop("enable_server_scripts"),
        web_terminal_enabled=fields.pop("enable_server_webterminal"),
        extra=Extra({**_rest(body, _Settings), **fields.pop("extra")}),
        **fields,
    )


def _version(body: bytes) -> str:
    return codec.decoder(_Dashboard)(body).trmm_version


def _dashboard(body: bytes) -> Dashboard:
    fields = msgspec.structs.asdict(codec.decoder(_Dashboard)(body))
    latest = fields.pop("latest_trmm_ver")
    return Dashboard(
        version=fields.pop("trmm_version"),
        latest_version=None if latest == "error" else latest,
        extra=Extra({**_rest(body, _Dashboard), **fields.pop("extra")}),
        **fields,
    )


def _rest(body: bytes, known: type[msgspec.Struct]) -> Extra:
    """What was sent beyond the fields of the Struct."""
    ours = {field.encode_name for field in msgspec.structs.fields(known)} | {_ALL_ZONES}
    everything = codec.decoder(dict[str, Any])(body)
    return Extra((name, value) for name, value in everything.items() if name not in ours)
