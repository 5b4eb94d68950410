"""Clients, sites, scripts, checks, alerts and deployments as a stock server spells them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from trmm_async import codec
from trmm_async.models import Alert, Check, Client, Deployment, Moment, Script, Site, no_extra

__all__ = [
    "alert_of",
    "alerts_of",
    "checks_of",
    "client_of_site",
    "deployments_of",
    "script_of",
    "scripts_of",
    "sites_of_client",
]


class _SiteOfClient(msgspec.Struct):
    id: int
    client: int | None = None


class _Script(msgspec.Struct):
    id: int
    name: str = ""
    shell: str = ""
    description: str | None = None
    category: str | None = None
    script_type: str | None = None
    args: tuple[str, ...] = ()
    env_vars: tuple[str, ...] = ()
    default_timeout: int | None = None
    extra: Mapping[str, Any] = no_extra()
    run_as_user: bool | None = None
    supported_platforms: tuple[str, ...] = ()
    hidden: bool | None = None
    favorite: bool | None = None
    script_body: str | None = None


class _CheckResult(msgspec.Struct, frozen=True, gc=False):
    """Empty before the first run, and in the list of all checks always."""

    id: int | None = None
    status: str | None = None
    more_info: str | None = None
    last_run: Moment | None = None


class _Check(msgspec.Struct, gc=False):
    id: int
    check_type: str = ""
    name: str | None = None
    readable_desc: str | None = None
    check_result: _CheckResult = _CheckResult()
    extra: Mapping[str, Any] = no_extra()


class _Alert(msgspec.Struct, gc=False):
    id: int
    alert_type: str = ""
    agent_id: str | None = None
    severity: str = ""
    message: str | None = None
    alert_time: Moment | None = None
    snoozed: bool = False
    resolved: bool = False
    hostname: str | None = None
    client: str | None = None
    site: str | None = None
    resolved_on: Moment | None = None
    snooze_until: Moment | None = None
    assigned_check: int | None = None
    assigned_task: int | None = None
    extra: Mapping[str, Any] = no_extra()


class _Deployment(msgspec.Struct):
    id: int
    uid: str = ""
    client_id: int | None = None
    site_id: int | None = None
    expiry: Moment | None = None
    mon_type: str | None = None
    goarch: str | None = None
    install_flags: dict[str, Any] = {}
    extra: Mapping[str, Any] = no_extra()


def sites_of_client(body: bytes) -> list[Site]:
    """The sites of one client, whose detail has them."""
    return list(codec.decoder(Client)(body).sites)


def client_of_site(body: bytes) -> int | None:
    """The id of the client that a site belongs to."""
    return codec.decoder(_SiteOfClient)(body).client


def scripts_of(body: bytes) -> list[Script]:
    """A list of scripts, without their code."""
    return [_script(one) for one in codec.decoder(list[_Script])(body)]


def script_of(body: bytes) -> Script:
    """One script, with its code."""
    return _script(codec.decoder(_Script)(body))


def _script(sent: _Script) -> Script:
    fields = msgspec.structs.asdict(sent)
    return Script(code=fields.pop("script_body"), **fields)


def checks_of(agent_id: str | None, body: bytes) -> list[Check]:
    """A list of checks: one agent's, or a policy's, which have no results: their status is "unknown"."""
    return [_check(one, agent_id) for one in codec.decoder(list[_Check])(body)]


def _check(sent: _Check, agent_id: str | None) -> Check:
    result = sent.check_result
    return Check(
        id=sent.id,
        check_type=sent.check_type,
        name=sent.readable_desc or sent.name or "",
        status=result.status or ("unknown" if agent_id is None else "pending"),
        more_info=result.more_info,
        last_run=result.last_run,
        agent_id=agent_id,
        result_id=result.id,
        extra=sent.extra,
    )


def alerts_of(body: bytes) -> list[Alert]:
    """A list of alerts."""
    return [alert_noun(one) for one in codec.decoder(list[_Alert])(body)]


def alert_of(body: bytes) -> Alert:
    """One alert."""
    return alert_noun(codec.decoder(_Alert)(body))


def alert_noun(sent: _Alert) -> Alert:
    """The noun of one on the wire."""
    return Alert(
        id=sent.id,
        alert_type=sent.alert_type,
        agent_id=sent.agent_id,
        severity=sent.severity,
        message=sent.message or "",
        created_at=sent.alert_time,
        snoozed=sent.snoozed,
        resolved=sent.resolved,
        hostname=sent.hostname,
        client=sent.client,
        site=sent.site,
        resolved_on=sent.resolved_on,
        snooze_until=sent.snooze_until,
        assigned_check=sent.assigned_check,
        assigned_task=sent.assigned_task,
        extra=sent.extra,
    )


def deployments_of(base_url: str, body: bytes) -> list[Deployment]:
    """A list of deployments; where each is downloaded from is not told, but known."""
    return [_deployment(base_url, one) for one in codec.decoder(list[_Deployment])(body)]


def _deployment(base_url: str, sent: _Deployment) -> Deployment:
    return Deployment(
        id=sent.id,
        uuid=sent.uid,
        client=sent.client_id,
        site=sent.site_id,
        expiry=sent.expiry,
        install_flags=" ".join(sorted(name for name, set_ in sent.install_flags.items() if set_)),
        download_url=f"{base_url}/clients/{sent.uid}/deploy/",
        arch=sent.goarch,
        monitoring_type=sent.mon_type,
        extra=sent.extra,
    )
