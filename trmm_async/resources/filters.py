"""Which agents are meant, where several are."""

from typing import Final, Literal

from trmm_async import arguments
from trmm_async.dialects import AgentFilter
from trmm_async.models import Client, ClientRef, Site, SiteRef

__all__ = ["MonitoringType", "agent_filter"]

MonitoringType = Literal["server", "workstation"]

_ALL: Final = AgentFilter()


def agent_filter(
    hostname: str | None,
    client: int | Client | ClientRef | None,
    site: int | Site | SiteRef | None,
    monitoring_type: str | None,
) -> AgentFilter:
    """Which agents are meant, every argument checked."""
    if hostname is None and client is None and site is None and monitoring_type is None:
        return _ALL
    return AgentFilter(
        hostname=None if hostname is None else arguments.plain_text(hostname, "hostname"),
        client=None if client is None else arguments.object_id(client, "client"),
        site=None if site is None else arguments.object_id(site, "site"),
        monitoring_type=None
        if monitoring_type is None
        else arguments.choice(monitoring_type, "monitoring_type", ("server", "workstation")),
    )
