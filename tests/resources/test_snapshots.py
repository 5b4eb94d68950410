"""The present state of some agents: of few one by one, of many by the list, and all alerts."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from trmm_async import Agent, Alert
from trmm_async.errors import NotFoundError, ServerError
from trmm_async.resources.snapshots import take_snapshot
from trmm_async.stream import Snapshot

THEN = datetime(2026, 4, 21, tzinfo=UTC)
STATUSES = {"a": "online", "b": "offline", "c": "overdue", "d": "online", "e": "online"}
ALERTS = [Alert(id=1, agent_id="a")]


class Server:
    """Stands for an `Api`, its transport and its dialect: it notes what is asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[str] = []
        self._error = error

    @property
    def transport(self) -> "Server":
        return self

    def server_time(self) -> datetime:
        return THEN

    async def send(self, intent: Callable[["Server"], Callable[[], Any]]) -> Any:
        return intent(self)()

    def get_agent(self, agent_id: str) -> Callable[[], Agent]:
        self.asked.append(agent_id)
        return lambda: self._get(agent_id)

    def list_agents(self, _: object) -> Callable[[], list[Agent]]:
        self.asked.append("all agents")
        return lambda: [Agent(agent_id=name, status=status) for name, status in STATUSES.items()]

    def list_alerts(self) -> Callable[[], list[Alert]]:
        self.asked.append("all alerts")
        return lambda: ALERTS

    def _get(self, agent_id: str) -> Agent:
        if self._error is not None:
            raise self._error
        if agent_id not in STATUSES:
            raise NotFoundError(404, "no such agent")
        return Agent(agent_id=agent_id, status=STATUSES[agent_id])


async def taken(server: Server, *agent_ids: str) -> Snapshot:
    api: Any = server
    return await take_snapshot(api, frozenset(agent_ids))


@pytest.mark.parametrize("agent_ids", ["a", "abc", "abx"])
async def test_few_are_read_one_by_one_without_those_that_are_gone(agent_ids: str) -> None:
    server = Server()
    snapshot = await taken(server, *agent_ids)
    assert sorted(server.asked) == sorted([*agent_ids, "all alerts"])
    assert server.asked[-1] == "all alerts"  # what is raised meanwhile is in them
    assert snapshot._statuses == {name: STATUSES[name] for name in agent_ids if name in STATUSES}
    assert (snapshot._alerts, snapshot.clock) == ({"a": {1: ALERTS[0]}}, THEN)


async def test_of_more_only_theirs_are_kept_of_the_list() -> None:
    server = Server()
    snapshot = await taken(server, *"abcx")
    assert server.asked == ["all agents", "all alerts"]
    assert snapshot._statuses == {name: STATUSES[name] for name in "abc"}


async def test_any_other_error_is_raised() -> None:
    with pytest.raises(ServerError):
        await taken(Server(ServerError(500, "x")), "a")
