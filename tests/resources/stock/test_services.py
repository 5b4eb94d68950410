"""`trmm.agents.services`, over real HTTP."""

from typing import Any

import pytest

from tests.servers import stock
from trmm_async import (
    InvalidRequestError,
    NotFoundError,
)
from trmm_async.errors import (
    AgentUnreachableError,
    BadRequestError,
)
from trmm_async.testing import Simulator


def of(server: Simulator, plat: str) -> str:
    return next(agent.agent_id for agent in server.agents if agent.plat == plat)


class TestServices:
    async def test_services(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = of(server, "windows")
            names = {one.name for one in await trmm.agents.services(agent_id)}
            assert "Spooler" in names
            spooler = await trmm.agents.services.get(agent_id, "Spooler")
            await trmm.agents.services.control(agent_id, spooler, "stop")
            await trmm.agents.services.update(agent_id, spooler, start_type="disabled")
            after = await trmm.agents.services.get(agent_id, spooler)
            assert (after.status, after.start_type) == ("stopped", "Disabled")
            with pytest.raises(NotFoundError, match="no service 'nosuch'"):
                await trmm.agents.services.get(agent_id, "nosuch")
            with pytest.raises(BadRequestError, match="denied"):
                await trmm.agents.services.control(agent_id, "denied", "restart")

    @pytest.mark.parametrize("name", ["", "a/b", "..", " a", 5])
    async def test_a_service_that_is_none_is_not_sent(self, name: Any) -> None:
        async with stock(retries=0, agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.agents.services.get(server.agent_ids[0], name)
            assert server.requests == []

    async def test_a_service_behind_a_bus_that_is_down(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            with server.nats_down(), pytest.raises(AgentUnreachableError, match="NATS"):
                await trmm.agents.services.get(of(server, "windows"), "Spooler")
