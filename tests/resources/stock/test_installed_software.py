"""`trmm.agents.software`, over real HTTP."""

import pytest

from tests.servers import stock
from trmm_async.errors import (
    BadRequestError,
)
from trmm_async.testing import Simulator


def of(server: Simulator, plat: str) -> str:
    return next(agent.agent_id for agent in server.agents if agent.plat == plat)


class TestSoftware:
    async def test_software(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            windows, linux = of(server, "windows"), of(server, "linux")
            assert {one.name for one in await trmm.agents.software.list(windows)}
            assert await trmm.agents.software.list(linux) == []
            await trmm.agents.software.refresh(windows)
            with pytest.raises(BadRequestError, match="linux"):
                await trmm.agents.software.refresh(linux)
