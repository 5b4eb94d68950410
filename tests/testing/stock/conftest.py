from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testing.kit import Clock, Http
from trmm_async.testing import Simulator

from .asking import Views
from .lines import Line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp


@pytest.fixture
async def server(clock: Clock) -> AsyncIterator[Simulator]:
    async with Simulator(
        dialect="stock", agents=6, clock=clock, script_seconds=0.0, offline_hold=0.01
    ) as simulator:
        yield simulator


@pytest.fixture
async def http(server: Simulator, session: aiohttp.ClientSession) -> Http:
    return Http(server, session)


@pytest.fixture
async def line(server: Simulator, session: aiohttp.ClientSession) -> Line:
    return Line(server, session)


@pytest.fixture
def jade(server: Simulator) -> str:
    return server.agent_ids[0]


@pytest.fixture
def views(clock: Clock) -> Views:
    """The views of a stock server with two agents, which never wait."""
    return Views(Simulator(dialect="stock", agents=2, clock=clock, script_seconds=0.0, offline_hold=0.0))
