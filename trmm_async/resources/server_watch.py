"""Reads what `stream.SharedPoller` needs, through the transport."""

import asyncio
from dataclasses import replace
from datetime import datetime

from trmm_async.dialects import AgentFilter, Dialect, Polled
from trmm_async.dialects.stock.history import newest_runs, runs_within, statuses_of
from trmm_async.errors import NotFoundError, UnsupportedError
from trmm_async.models import Agent, Alert, HistoryEntry
from trmm_async.resources.api import Api
from trmm_async.stream import PolledState

__all__ = ["ServerWatch"]


class ServerWatch:
    """Reads the state of a server for polls, one call after the other. Fulfils `stream.Watch`."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def _polled(self) -> Polled:
        source = (await self._api.dialect()).event_source()
        if not isinstance(source, Polled):
            raise UnsupportedError("a gateway has no history of scripts to look at")
        return source

    async def poll(self, agent_ids: frozenset[str] | None, *, whole: bool, alerts: bool) -> PolledState:
        seen = await self._agents(agent_ids, whole=whole)
        if not alerts or (agent_ids and not seen.statuses):
            return seen
        return replace(seen, alerts=await self._api.send(lambda dialect: dialect.list_alerts()))

    async def _agents(self, agent_ids: frozenset[str] | None, *, whole: bool) -> PolledState:
        dialect = await self._api.dialect()
        source = dialect.event_source()
        if not whole and agent_ids is not None and isinstance(source, Polled):
            asked = statuses_of(agent_ids)
            try:
                statuses = await self._api.carry_out(asked)
            except NotFoundError as error:
                return PolledState({}, [], dict.fromkeys(agent_ids, error))
            return PolledState(statuses, [], _missing(asked.path, agent_ids - statuses.keys()))
        try:
            agents = await self._whole(dialect, agent_ids)
        except NotFoundError as error:
            return PolledState({}, [], dict.fromkeys(agent_ids or (), error))
        # For thousands of agents, each of these steps takes a millisecond or two.
        await asyncio.sleep(0)
        missing = _missing("/agents/", (agent_ids or frozenset()) - agents.keys())
        return PolledState({name: agent.status for name, agent in agents.items()}, [], missing, agents)

    async def _whole(self, dialect: Dialect, agent_ids: frozenset[str] | None) -> dict[str, Agent]:
        if agent_ids is not None and len(agent_ids) == 1:
            agent = await self._api.carry_out(dialect.get_agent(*agent_ids))
            return {agent.agent_id: agent}
        listed = await self._api.carry_out(dialect.list_agents(AgentFilter()))
        await asyncio.sleep(0)
        return {agent.agent_id: agent for agent in listed}

    async def alert(self, alert_id: int) -> Alert | None:
        try:
            return await self._api.carry_out((await self._polled()).alert(alert_id))
        except NotFoundError:
            return None

    @property
    def clock(self) -> datetime | None:
        return self._api.transport.server_time()

    async def newest_runs(self) -> list[HistoryEntry]:
        await self._polled()
        return await self._api.carry_out(newest_runs())

    async def runs_since(self, moment: datetime | None) -> list[HistoryEntry]:
        await self._polled()
        return await self._api.carry_out(runs_within(moment))


def _missing(path: str, agent_ids: frozenset[str]) -> dict[str, NotFoundError]:
    """Agents that are not in a list count as not found."""
    return {
        agent_id: NotFoundError(404, f"no agent {agent_id} in the list", method="GET", path=path)
        for agent_id in agent_ids
    }
