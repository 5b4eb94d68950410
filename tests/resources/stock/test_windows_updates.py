"""`trmm.agents.windows_updates`, over real HTTP."""

import pytest

from tests.servers import stock
from trmm_async import (
    InvalidRequestError,
)
from trmm_async.testing import Simulator


def of(server: Simulator, plat: str) -> str:
    return next(agent.agent_id for agent in server.agents if agent.plat == plat)


class TestWindowsUpdates:
    async def test_windows_updates(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = of(server, "windows")
            first = (await trmm.agents.windows_updates.list(agent_id))[0]
            await trmm.agents.windows_updates.update(first, "approve")
            again = (await trmm.agents.windows_updates.list(agent_id))[0]
            assert (again.id, again.action, again.agent_id) == (first.id, "approve", agent_id)
            await trmm.agents.windows_updates.scan(agent_id)
            await trmm.agents.windows_updates.install(agent_id)
            with pytest.raises(InvalidRequestError):
                await trmm.agents.windows_updates.update(first, "manual")  # type: ignore[arg-type]
