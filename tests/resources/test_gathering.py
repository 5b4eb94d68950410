"""One call for each of many agents: a few at once, and failures collected or raised."""

import asyncio
from typing import Any

import pytest

from trmm_async.errors import (
    AuthenticationError,
    ClosedError,
    NotFoundError,
    PermissionDeniedError,
    ServerError,
    UnsupportedError,
)
from trmm_async.resources.gathering import Gathering

IDS = [f"agent{number:02}" for number in range(60)]
DOWN = ServerError(502, "bad gateway")


class Server:
    """Answers with the agent's id, or raises what was set for it."""

    def __init__(self, **errors: Exception) -> None:
        self.errors = errors
        self.asked: list[str] = []
        self.under_way = self.most = 0

    async def __call__(self, agent_id: str) -> str:
        self.asked.append(agent_id)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
        finally:
            self.under_way -= 1
        if (error := self.errors.get(agent_id) or self.errors.get("all")) is not None:
            raise error
        return agent_id


async def test_each_is_asked_once_and_only_a_few_at_once() -> None:
    server = Server()
    gathering = Gathering(IDS, server)
    assert sorted([answer async for answer in gathering]) == IDS
    assert (sorted(server.asked), server.most, gathering.failed) == (IDS, 5, {})


async def test_who_fails_is_kept_with_the_error_and_who_is_gone_is_not() -> None:
    page = NotFoundError(404, "no", body="<html>")
    server = Server(agent03=DOWN, agent04=NotFoundError(404, "no"), agent05=page)
    gathering = Gathering(IDS[:8], server)
    assert sorted([answer async for answer in gathering]) == [IDS[0], IDS[1], IDS[2], IDS[6], IDS[7]]
    assert gathering.failed == {"agent03": DOWN, "agent05": page}
    assert all(error.__traceback__ is None for error in gathering.failed.values())
    assert repr(gathering) == "<Gathering 0 asked, 2 failed>"


async def test_a_server_that_is_down_is_not_asked_for_everybody() -> None:
    server = Server(all=DOWN)
    gathering = Gathering(IDS, server)
    assert [answer async for answer in gathering] == []
    assert len(server.asked) < 30
    assert gathering.failed.keys() == {*IDS}
    assert "20 agents before it failed in a row" in str(gathering.failed[IDS[-1]])


async def test_failures_in_between_do_not_add_up() -> None:
    server = Server(**{agent_id: DOWN for number, agent_id in enumerate(IDS) if number % 3})
    gathering = Gathering(IDS, server)
    assert len([answer async for answer in gathering]) == 20
    assert len(server.asked) == 60


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError(401, "no"),
        PermissionDeniedError(403, "no"),
        ClosedError("closed"),
        UnsupportedError("not there"),
        ZeroDivisionError(),
    ],
)
async def test_what_is_the_same_for_all_is_raised_and_nothing_goes_on_after_closing(error: Any) -> None:
    server = Server(all=error)
    gathering = Gathering(IDS, server)
    with pytest.raises(type(error)):
        await anext(gathering)
    await gathering.aclose()
    asked = len(server.asked)
    assert asked <= 5
    with pytest.raises(StopAsyncIteration):
        await anext(gathering)
    assert (len(server.asked), gathering.failed) == (asked, {})


async def test_closing_cancels_what_is_in_progress() -> None:
    ended: list[str] = []

    async def stuck(agent_id: str) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(agent_id)
        return agent_id

    gathering = Gathering(IDS, stuck)
    waiting = asyncio.ensure_future(anext(gathering))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await gathering.aclose()
    assert sorted(ended) == IDS[:5]
