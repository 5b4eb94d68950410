"""The present state of some agents, with which the event stream catches up."""

from collections.abc import Mapping
from datetime import UTC, datetime

from trmm_async.calls import Request
from trmm_async.dialects import AgentFilter, Dialect
from trmm_async.errors import NotFoundError
from trmm_async.models import Agent
from trmm_async.resources.api import Api
from trmm_async.stream import Snapshot

__all__ = ["take_snapshot"]

_ONE_BY_ONE = 3
"""Up to so many agents are read one by one; for more, the whole list takes fewer calls."""


async def take_snapshot(api: Api, agent_ids: frozenset[str]) -> Snapshot:
    """The statuses of these agents, without those that the server doesn't know, and all alerts.

    Raises:
        TRMMError: the server could not be asked.
    """
    statuses = await _statuses(api, agent_ids)
    alerts = await api.send(lambda dialect: dialect.list_alerts())
    return Snapshot(statuses, alerts, clock=api.transport.server_time(), now=datetime.now(UTC))


async def _statuses(api: Api, agent_ids: frozenset[str]) -> Mapping[str, str]:
    if len(agent_ids) > _ONE_BY_ONE:
        agents = await api.send(lambda dialect: dialect.list_agents(AgentFilter()))
        return {agent.agent_id: agent.status for agent in agents if agent.agent_id in agent_ids}
    found = [await _status(api, agent_id) for agent_id in agent_ids]
    return {agent_id: status for agent_id, status in zip(agent_ids, found, strict=True) if status is not None}


async def _status(api: Api, agent_id: str) -> str | None:
    def intent(dialect: Dialect) -> Request[Agent]:
        return dialect.get_agent(agent_id)

    try:
        return (await api.send(intent)).status
    except NotFoundError:
        return None
