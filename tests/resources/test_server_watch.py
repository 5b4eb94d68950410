"""What a look asks of a server: as little as it needs, and who is missing is said."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from trmm_async import Agent, Alert
from trmm_async.calls import Call
from trmm_async.dialects import Polled, Pushed
from trmm_async.errors import NotFoundError, ServerError, UnsupportedError
from trmm_async.resources.server_watch import ServerWatch

GONE = NotFoundError(404, "no such agent")
ALERTS = [Alert(id=1, agent_id="a")]
PC = Agent(agent_id="a", status="online")
OTHER = Agent(agent_id="b", status="offline")


class Server:
    """Stands for an `Api` and its dialect: it notes what is asked, and answers from a few values."""

    def __init__(self, *answers: Any, pushes: bool = False) -> None:
        self._answers = [*answers]
        self._pushes = pushes
        self.asked: list[str] = []

    async def dialect(self) -> "Server":
        return self

    def event_source(self) -> Pushed | Polled:
        unused: Any = None
        return Pushed(unused) if self._pushes else Polled(lambda number: asking(f"alert {number}"))

    def get_agent(self, agent_id: str) -> Call[Any]:
        return asking(f"agent {agent_id}")

    def list_agents(self, _: object) -> Call[Any]:
        return asking("agents")

    def list_alerts(self) -> Call[Any]:
        return asking("alerts")

    async def send(self, intent: Callable[["Server"], Call[Any]]) -> Any:
        return await self.carry_out(intent(self))

    async def carry_out(self, call: Call[Any]) -> Any:
        self.asked.append(call.path)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def asking(what: str) -> Call[Any]:
    return Call(method="GET", path=what, decode=bytes)


async def look(
    server: Server, agent_ids: str | None = None, *, whole: bool = False, alerts: bool = False
) -> Any:
    api: Any = server
    ids = None if agent_ids is None else frozenset(agent_ids)
    return await ServerWatch(api).poll(ids, whole=whole, alerts=alerts)


async def test_of_agents_that_are_known_only_the_statuses_are_read() -> None:
    server = Server({"a": "online"}, ALERTS)
    seen = await look(server, "ab", alerts=True)
    assert server.asked == ["/agents/", "alerts"]
    assert (seen.statuses, seen.alerts, seen.agents) == ({"a": "online"}, ALERTS, {})
    assert {name: (error.status, error.path) for name, error in seen.missing.items()} == {
        "b": (404, "/agents/")
    }
    assert "no agent b in the list" in str(seen.missing["b"])


async def test_one_agent_is_asked_for_itself() -> None:
    server = Server({"a": "online"})
    assert (await look(server, "a")).statuses == {"a": "online"}
    assert server.asked == ["/agents/a/"]
    whole = Server(PC)
    assert (await look(whole, "a", whole=True)).agents == {"a": PC}
    assert whole.asked == ["agent a"]


@pytest.mark.parametrize("whole", [False, True])
async def test_one_that_is_gone_is_missing_and_alerts_are_not_asked_for(whole: bool) -> None:
    server = Server(GONE)
    seen = await look(server, "a", whole=whole, alerts=True)
    assert (seen.statuses, seen.missing, len(server.asked)) == ({}, {"a": GONE}, 1)


async def test_whole_agents_come_by_the_list_which_a_gateway_reads_in_any_case() -> None:
    for server, agent_ids, whole in (
        (Server([PC, OTHER]), None, True),
        (Server([PC, OTHER]), "abc", True),
        (Server([PC, OTHER], pushes=True), "abc", False),
    ):
        seen = await look(server, agent_ids, whole=whole)
        assert server.asked == ["agents"]
        assert seen.agents == {"a": PC, "b": OTHER}
        assert seen.statuses == {"a": "online", "b": "offline"}
        assert seen.missing.keys() == ({"c"} if agent_ids else set())


async def test_alerts_are_read_though_there_are_no_agents_at_all() -> None:
    server = Server([], ALERTS)
    assert (await look(server, whole=True, alerts=True)).alerts == ALERTS


async def test_any_other_error_is_raised() -> None:
    with pytest.raises(ServerError):
        await look(Server(ServerError(502, "no")), "ab")


async def test_an_alert_that_is_gone_is_none() -> None:
    one: Any = Server(ALERTS[0], GONE)
    watch = ServerWatch(one)
    assert await watch.alert(1) == ALERTS[0]
    assert await watch.alert(2) is None
    assert one.asked == ["alert 1", "alert 2"]


async def test_a_gateway_has_no_history_and_is_not_asked() -> None:
    gateway: Any = Server(pushes=True)
    watch = ServerWatch(gateway)
    for ask in (watch.newest_runs(), watch.runs_since(datetime(2026, 4, 21, tzinfo=UTC)), watch.alert(1)):
        with pytest.raises(UnsupportedError, match="no history"):
            await ask
    assert gateway.asked == []
