"""Filters of agents."""

from dataclasses import dataclass
from typing import get_args

from trmm_async import arguments
from trmm_async.dialects import AgentFilter
from trmm_async.resources.api import Api
from trmm_async.resources.names import AnyClient, AnySite, Names
from trmm_async.words import MonitoringType

__all__ = ["AgentQuery", "agent_query"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentQuery:
    """A filter of agents; None for any. `client` and `site` are ids or names, `hostname` is exact."""

    hostname: str | None = None
    client: int | str | None = None
    site: int | str | None = None
    monitoring_type: str | None = None

    async def resolve(self, api: Api) -> AgentFilter:
        """The same filter with ids. Raises what `Names` raises."""
        client, site = await Names(api).place(self.client, self.site)
        return AgentFilter(
            hostname=self.hostname, client=client, site=site, monitoring_type=self.monitoring_type
        )


def agent_query(
    hostname: str | None,
    client: AnyClient | None,
    site: AnySite | None,
    monitoring_type: str | None,
) -> AgentQuery:
    """Check all arguments of a filter."""
    return AgentQuery(
        hostname=None if hostname is None else arguments.plain_text(hostname, "hostname"),
        client=None if client is None else arguments.reference(client, "client"),
        site=None if site is None else arguments.reference(site, "site"),
        monitoring_type=None
        if monitoring_type is None
        else arguments.choice(monitoring_type, "monitoring_type", get_args(MonitoringType)),
    )
