from __future__ import annotations

import asyncio
from random import Random
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trmm_async.testing import Simulator
from trmm_async.testing.chaos import MOST_ALERTS, chaos, stir

from .kit import Clock, eventually


@given(seed=st.integers())
def test_what_is_said_has_happened(seed: int) -> None:
    server, rng = Simulator(agents=3, clock=Clock()), Random(seed)
    alerts, said = server.world.alerts, []
    for _ in range(60):
        online, open_alerts, known = _state(server)
        word = stir(server, rng)
        said.append(word)
        change = (_state(server)[0] - online, _state(server)[1] - open_alerts, _state(server)[2] - known)
        if "offline" in word:
            assert change == (-1, 0, 0)
        elif "came online" in word:
            assert change == (1, 0, 0)
        elif "raised" in word:
            assert change == (0, 1, 1)
        elif "resolved" in word:
            assert change == (0, -1, 0)
        else:
            assert word == "the next GET is answered 502"
            assert change == (0, 0, 0)
    assert len(alerts) == sum("raised" in word for word in said)


def _state(server: Simulator) -> tuple[int, int, int]:
    alerts = server.world.alerts.values()
    return sum(agent.online for agent in server.agents), sum(not a.resolved for a in alerts), len(alerts)


@pytest.mark.parametrize("dialect", ["gateway", "stock"])
def test_nothing_piles_up_where_nobody_looks(dialect: Literal["gateway", "stock"]) -> None:
    server, rng = Simulator(agents=3, clock=Clock(), dialect=dialect), Random(5)
    said = {stir(server, rng) for _ in range(5_000)}
    assert "the next GET is answered 502" in said
    assert len(server.faults) == 1
    assert len(server.world.alerts) <= MOST_ALERTS


async def test_it_goes_on_until_the_block_ends() -> None:
    server = Simulator(agents=3, clock=Clock())
    tasks = asyncio.all_tasks()
    async with chaos(server, seconds=0.001):
        await eventually(lambda: len(server.world.alerts) > 3)
    assert asyncio.all_tasks() == tasks


async def test_a_cancelled_block_ends_it_too() -> None:
    tasks = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), chaos(Simulator(agents=1)):
            await asyncio.Event().wait()
    assert asyncio.all_tasks() == tasks
