"""How a stock server sends clients, sites, scripts, checks, alerts and deployments."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec

from trmm_async import codec
from trmm_async.dialects.stock.endpoint import Sent, Wire, reader
from trmm_async.models import (
    Alert,
    Check,
    Client,
    ClientRef,
    CustomFieldValue,
    Deployment,
    Moment,
    Script,
    Site,
    no_extra,
)

__all__ = [
    "alert_of",
    "alerts_of",
    "checks_of",
    "client_of",
    "clients_of",
    "deployments_of",
    "script_of",
    "scripts_of",
    "site_of",
    "sites_of",
    "sites_of_client",
    "sites_within",
]


class _Site(msgspec.Struct, gc=False):
    id: int
    name: str = ""
    client: int | None = None
    client_name: str = ""
    extra: Mapping[str, Any] = no_extra()
    server_policy: int | None = None
    workstation_policy: int | None = None
    alert_template: int | None = None
    block_policy_inheritance: bool | None = None
    custom_fields: tuple[CustomFieldValue, ...] = ()


class _ClientSites(msgspec.Struct):
    sites: tuple[_Site, ...] = ()


class _CheckResult(msgspec.Struct, frozen=True, gc=False):
    """Empty before the first run, and always empty in the list of all checks."""

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


def sites_of_client(body: bytes) -> list[Site]:
    """The sites of one client, from the client's details; each says whose it is."""
    return [_site(one) for one in codec.decoder(_ClientSites)(body).sites]


def sites_within(body: bytes) -> list[Site]:
    """The same, but without their client, as they are in `Client.sites`."""
    return list(client_of(body).sites)


def site_of(body: bytes) -> Site:
    """One site."""
    return _site(codec.decoder(_Site)(body))


def _site(sent: _Site) -> Site:
    return _placed(sent, ClientRef(id=sent.client, name=sent.client_name))


def _placed(sent: _Site, client: ClientRef | None = None) -> Site:
    return Site(
        id=sent.id,
        name=sent.name,
        client=client,
        server_policy=sent.server_policy,
        workstation_policy=sent.workstation_policy,
        alert_template=sent.alert_template,
        block_policy_inheritance=sent.block_policy_inheritance,
        custom_fields=sent.custom_fields,
        extra=sent.extra,
    )


sites_of: Final[codec.ListDecoder[list[Site]]] = codec.listed(_Site, _site)


def _within(sites: tuple[_Site, ...]) -> tuple[Site, ...]:
    """The sites within a client, which have no `client` of their own."""
    return tuple(map(_placed, sites))


_CLIENT: Final[Wire] = {"sites": Sent(kind=tuple[_Site, ...], fit=_within)}
clients_of: Final = reader(list[Client], _CLIENT)
client_of: Final = reader(Client, _CLIENT)

_SCRIPT: Final[Wire] = {"code": "script_body"}
scripts_of: Final = reader(list[Script], _SCRIPT)
script_of: Final = reader(Script, _SCRIPT)

_ALERT: Final[Wire] = {
    "created_at": "alert_time",
    "message": Sent(kind=str | None, fit=lambda message: message or ""),
}
alerts_of: Final = reader(list[Alert], _ALERT)
alert_of: Final = reader(Alert, _ALERT)


def checks_of(agent_id: str | None) -> codec.ListDecoder[list[Check]]:
    """Reads the checks of an agent; with None those of a policy, which have no results (status "unknown")."""
    return codec.listed(_Check, partial(_check, agent_id=agent_id))


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


_DEPLOYMENT: Final[Wire] = {
    "uuid": "uid",
    "client": "client_id",
    "site": "site_id",
    "arch": "goarch",
    "monitoring_type": "mon_type",
    "install_flags": Sent(kind=dict[str, Any] | None, fit=lambda flags: _names_set(flags or {})),
}
_deployments_of: Final[Any] = reader(list[Deployment], _DEPLOYMENT)


def deployments_of(base_url: str) -> codec.ListDecoder[list[Deployment]]:
    """Reads deployments, and adds the URL of each, which the server doesn't send."""

    def with_urls(found: list[Deployment]) -> list[Deployment]:
        return [
            msgspec.structs.replace(one, download_url=f"{base_url}/clients/{one.uuid}/deploy/")
            for one in found
        ]

    decode: codec.ListDecoder[list[Deployment]] = _deployments_of.then(with_urls)
    return decode


def _names_set(flags: Mapping[str, Any]) -> str:
    return " ".join(sorted(name for name, is_set in flags.items() if is_set))
