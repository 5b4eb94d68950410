from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from trmm_async.testing import Simulator

from .kit import Clock, Http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def server(clock: Clock) -> AsyncIterator[Simulator]:
    async with Simulator(agents=6, clock=clock, script_seconds=0.0) as simulator:
        yield simulator


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


@pytest.fixture
async def http(server: Simulator, session: aiohttp.ClientSession) -> Http:
    return Http(server, session)
