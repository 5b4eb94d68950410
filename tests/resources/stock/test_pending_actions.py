from datetime import datetime

import pytest

from tests.servers import count, served
from trmm_async import AgentLostError, NotFoundError, UnsupportedError

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


async def test_a_planned_reboot_is_listed_and_taken_back() -> None:
    async with served("stock", agents=4) as (server, trmm):
        agent = next(agent for agent in server.agents if agent.plat == "windows")
        when = datetime(2030, 1, 2, 3, 4)  # noqa: DTZ001 - by the agent's clock
        await trmm.agents.reboot(agent.agent_id, at=when)
        (action,) = await trmm.pending_actions.list()
        assert (action.agent_id, action.hostname) == (agent.agent_id, agent.hostname)
        assert (action.action_type, action.status, action.at) == ("schedreboot", "pending", when)
        assert await trmm.pending_actions.list(agent=agent.agent_id) == [action]
        others = [other.agent_id for other in server.agents if other is not agent]
        assert await trmm.pending_actions.list(agent=others[0]) == []
        await trmm.pending_actions.cancel(action)
        assert await trmm.pending_actions.list() == []
        with pytest.raises(NotFoundError):
            await trmm.pending_actions.cancel(action)


async def test_a_reboot_is_not_taken_back_where_the_agent_does_not_answer() -> None:
    async with served("stock", agents=4, offline_hold=0.01) as (server, trmm):
        agent = next(agent for agent in server.agents if agent.plat == "windows")
        await trmm.agents.reboot(agent.agent_id, at=datetime(2030, 1, 2, 3, 4))  # noqa: DTZ001
        (action,) = await trmm.pending_actions.list()
        server.go_offline(agent.agent_id)
        with pytest.raises(AgentLostError):
            await trmm.pending_actions.cancel(action)
        assert await trmm.pending_actions.list() == [action]


async def test_whose_they_are_is_not_known_to_who_may_not_list_agents() -> None:
    async with served("stock", agents=2) as (server, trmm):
        agent = next(agent for agent in server.agents if agent.plat == "windows")
        await trmm.agents.software.install(agent.agent_id, "7zip")
        with server.restrict("can_list_agents"):
            (action,) = await trmm.pending_actions.list()
        assert (action.agent_id, action.hostname, action.due, action.at) == (
            None,
            agent.hostname,
            "ASAP",
            None,
        )
        assert action.details["name"] == "7zip"


async def test_a_lost_answer_to_a_cancel_costs_nothing() -> None:
    async with served("stock", agents=2, client={"retries": 1}) as (server, trmm):
        agent = next(agent for agent in server.agents if agent.plat == "windows")
        await trmm.agents.software.install(agent.agent_id, "7zip")
        (action,) = await trmm.pending_actions.list()
        server.cut("DELETE", "/logs/pendingactions/", after=True)
        await trmm.pending_actions.cancel(action)
        assert count(server, "DELETE") == 2
        assert await trmm.pending_actions.list() == []


async def test_a_gateway_has_none() -> None:
    async with served("gateway", agents=1) as (server, trmm):
        with pytest.raises(UnsupportedError, match=r"pending_actions\.list"):
            await trmm.pending_actions.list()
        assert server.requests == []
