"""`trmm.agents.event_log`, over real HTTP."""

import pytest

from tests.servers import stock
from trmm_async import (
    InvalidRequestError,
)
from trmm_async.testing import Simulator


def of(server: Simulator, plat: str) -> str:
    return next(agent.agent_id for agent in server.agents if agent.plat == plat)


class TestEventLog:
    async def test_event_logs(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = of(server, "windows")
            found = await trmm.agents.event_log.list(agent_id, "Security", days=2)
            assert {one.event_type for one in found} >= {"INFO", "ERROR"}
            assert all(one.time is not None and one.time.tzinfo is None for one in found)
            with pytest.raises(InvalidRequestError):
                await trmm.agents.event_log.list(agent_id, "Nonsense")  # type: ignore[arg-type]
            with pytest.raises(InvalidRequestError):
                await trmm.agents.event_log.list(agent_id, days=0)
