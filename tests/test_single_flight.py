"""Many who want the same are one attempt, and share its failure."""

import asyncio

import pytest

from trmm_async.errors import ServerError
from trmm_async.single_flight import SingleFlight


async def failing(error: ServerError, gate: asyncio.Event) -> None:
    await gate.wait()
    raise error


async def wanted(flight: SingleFlight, error: ServerError, gate: asyncio.Event) -> None:
    async with flight.take() as share_failure:
        share_failure()
        await flight.attempt(failing(error, gate))


async def test_those_who_wait_share_a_failure_each_with_an_error_of_its_own() -> None:
    flight, gate, cause = SingleFlight(), asyncio.Event(), ValueError("why")
    error = ServerError(502, "down", method="GET", path="/x/")
    error.__cause__ = cause
    tasks = [asyncio.ensure_future(wanted(flight, error, gate)) for _ in range(5)]
    await asyncio.sleep(0)
    gate.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(one) for one in told] == [str(error)] * 5
    assert len({id(one) for one in told}) == 5
    assert all(isinstance(one, ServerError) and one.__cause__ is cause for one in told)


async def test_who_comes_later_asks_anew() -> None:
    flight, gate = SingleFlight(), asyncio.Event()
    gate.set()
    for number in range(3):
        with pytest.raises(ServerError, match=f"no {number}"):
            await wanted(flight, ServerError(502, f"no {number}"), gate)


async def test_what_was_made_up_for_is_shared_with_nobody() -> None:
    flight, gate = SingleFlight(), asyncio.Event()
    first = asyncio.ensure_future(wanted(flight, ServerError(502, "down"), gate))
    await asyncio.sleep(0)

    async def waiting() -> str:
        async with flight.take() as share_failure:
            flight.forget()
            share_failure()
            return "asked"

    second = asyncio.ensure_future(waiting())
    await asyncio.sleep(0)
    gate.set()
    assert await second == "asked"
    with pytest.raises(ServerError):
        await first
