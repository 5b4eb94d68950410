"""Looking at a server that pushes no events: what `stream.Polling` needs, over the transport."""

from collections.abc import Mapping
from datetime import datetime

from trmm_async.calls import Call
from trmm_async.dialects import Polled
from trmm_async.errors import NotFoundError
from trmm_async.models import Alert, HistoryEntry
from trmm_async.resources.api import Api
from trmm_async.stream import Seen

__all__ = ["ServerWatch"]


class ServerWatch:
    """See `stream.polling.Watch`. The calls of one look follow one another."""

    def __init__(self, api: Api, source: Polled) -> None:
        self._api = api
        self._history = source.history
        self._alert = source.alert

    async def look(self, agent_ids: frozenset[str]) -> Seen:
        asked = self._history.statuses(agent_ids)
        try:
            statuses = await self._api.carry_out(asked)
        except NotFoundError as error:
            return Seen({}, [], dict.fromkeys(agent_ids, error))
        alerts = await self._api.send(lambda dialect: dialect.list_alerts())
        return Seen(statuses, alerts, _missing(asked, agent_ids - statuses.keys()))

    async def alert(self, alert_id: int) -> Alert | None:
        try:
            return await self._api.carry_out(self._alert(alert_id))
        except NotFoundError:
            return None

    @property
    def clock(self) -> datetime | None:
        """See `Watch`."""
        return self._api.transport.server_time()

    async def newest_runs(self) -> list[HistoryEntry]:
        return await self._api.carry_out(self._history.newest())

    async def runs_since(self, moment: datetime | None) -> list[HistoryEntry]:
        return await self._api.carry_out(self._history.since(moment))


def _missing(asked: Call[Mapping[str, str]], agent_ids: frozenset[str]) -> dict[str, NotFoundError]:
    """Those that a list lacks are as unknown to the server as if it had said so of each."""
    return {
        agent_id: NotFoundError(404, f"no agent {agent_id} in the list", method=asked.method, path=asked.path)
        for agent_id in agent_ids
    }
