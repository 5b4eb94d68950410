"""When entering a subscription is over, and what it raises."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from trmm_async.errors import ConnectionFailedError, NotFoundError, TRMMError
from trmm_async.stream import StreamState
from trmm_async.stream.settled import Standing, check_reached, wait_until_settled


def state(problem: TRMMError | None = None, *, settled: bool = True, ended: bool = False) -> Any:
    event = asyncio.Event()
    if settled:
        event.set()
    return SimpleNamespace(
        settled=event, problem=problem, state=StreamState.ENDED if ended else StreamState.CONNECTING
    )


REFUSED = NotFoundError(404, "no such agent", method="GET", path="/")
LOST = ConnectionFailedError("lost", method="GET", path="/")


async def test_all_are_waited_for_or_only_the_first_that_is_connected() -> None:
    states = [state(LOST), state(settled=False)]
    first = asyncio.ensure_future(wait_until_settled(states, every=False))
    every = asyncio.ensure_future(wait_until_settled([state(), *states], every=True))
    await asyncio.sleep(0)
    assert not first.done(), "a failed stream is not a connected one"
    states[1].settled.set()
    async with asyncio.timeout(20):
        await asyncio.gather(first, every)


async def test_with_one_connected_the_others_are_not_waited_for() -> None:
    async with asyncio.timeout(20):
        await wait_until_settled([state(settled=False), state()], every=False)


def test_an_agent_alone_raises_its_problem_and_several_refused_ones_do_not() -> None:
    with pytest.raises(NotFoundError):
        check_reached([state(REFUSED, ended=True)])
    check_reached([state(REFUSED, ended=True)] * 2)
    check_reached([state(LOST), state()])
    with pytest.raises(ConnectionFailedError):
        check_reached([state(REFUSED, ended=True), state(LOST)])


async def test_standing_may_be_awaited_often_and_is_done_for_an_agent_that_is_not_begun() -> None:
    async with asyncio.timeout(20):
        standing = Standing(state())
        await standing
        await standing
        await Standing(None)
