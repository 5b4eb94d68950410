"""The history of commands: of few agents one by one, of many in one call, and of those alone."""

import asyncio
import json
from typing import Any

import pytest

from trmm_async import HistoryEntry
from trmm_async.calls import Call
from trmm_async.errors import NotFoundError, ServerError
from trmm_async.script_runs.commands import CommandPoller
from trmm_async.script_runs.tracked import Span, TrackedRun

IDS = [f"agent{number:02}" for number in range(40)]


def row(agent: int) -> dict[str, Any]:
    return {"id": agent, "agent": agent, "type": "cmd_run", "command": "x"}


class Server:
    """Stands for a transport: it answers each call for the history, and notes how many are in progress."""

    def __init__(self, **errors: Exception) -> None:
        self._errors = errors
        self.asked: list[str] = []
        self.under_way = self.most = 0

    async def send(self, call: Call[Any]) -> Any:
        self.asked.append(call.path)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        agent_id = call.path.split("/")[2]
        if (error := self._errors.get(agent_id)) is not None:
            raise error
        if agent_id in IDS:
            return call.decode(json.dumps([row(IDS.index(agent_id))]).encode())
        if agent_id == "history":
            return call.decode(json.dumps([row(number) for number in range(40)]).encode())
        return call.decode(json.dumps([{"id": n, "agent_id": name} for n, name in enumerate(IDS)]).encode())


async def rows(server: Server, *agent_ids: str) -> list[HistoryEntry]:
    transport: Any = server
    poller = CommandPoller(transport)
    run = TrackedRun("x", 10.0, agent_ids)
    waiter = await poller.enter(run)
    run.is_sent = True
    found = await poller._look(Span(None))
    await poller.leave(waiter)
    await poller.aclose()
    return found


async def test_of_few_each_is_read_a_few_at_once() -> None:
    server = Server()
    found = await rows(server, *IDS[:20])
    assert sorted(server.asked) == [f"/agents/{agent_id}/history/" for agent_id in IDS[:20]]
    assert server.most == 5
    assert {row.agent_id for row in found} == {*IDS[:20]}


async def test_of_more_all_are_read_in_one_call_and_those_of_others_left_out() -> None:
    server = Server()
    found = await rows(server, *IDS[:21])
    assert sorted(path.partition("?")[0] for path in server.asked) == ["/agents/", "/agents/history/"]
    assert {row.agent_id for row in found} == {*IDS[:21]}


async def test_an_agent_that_is_gone_has_none_and_any_other_error_is_raised_as_it_is() -> None:
    found = await rows(Server(agent01=NotFoundError(404, "no")), *IDS[:3])
    assert {row.agent_id for row in found} == {"agent00", "agent02"}
    with pytest.raises(ServerError):
        await rows(Server(agent01=ServerError(502, "no")), *IDS[:3])


async def test_while_nothing_is_sent_nothing_is_read() -> None:
    server = Server()
    transport: Any = server
    poller = CommandPoller(transport)
    waiter = await poller.enter(TrackedRun("x", 10.0, (IDS[0],)))
    assert await poller._look(Span(None)) == []
    assert server.asked == []
    await poller.leave(waiter)
