"""`trmm.agents.processes`, over real HTTP; and what all agents that are asked have in common."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.peer import Peer, Request, answer, peer
from tests.servers import stock
from trmm_async import (
    TRMM,
    DecodeError,
    InvalidRequestError,
    OutcomeUnknownError,
)
from trmm_async.errors import (
    AgentLostError,
    AgentUnreachableError,
    BadRequestError,
)
from trmm_async.resources.agents import Agents
from trmm_async.testing import Simulator

KEY = "key-for-tests"


def of(server: Simulator, plat: str) -> str:
    return next(agent.agent_id for agent in server.agents if agent.plat == plat)


class TestProcesses:
    async def test_processes(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = of(server, "windows")
            found = await trmm.agents.processes.list(agent_id)
            victim = next(one for one in found if one.pid > 1000)
            await trmm.agents.processes.kill(agent_id, victim)
            assert victim.pid not in {one.pid for one in await trmm.agents.processes.list(agent_id)}
            with pytest.raises(BadRequestError, match="denied"):
                await trmm.agents.processes.kill(agent_id, 4)
            with pytest.raises(InvalidRequestError):
                await trmm.agents.processes.kill(agent_id, "x")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "ask",
        [
            lambda agents, agent_id: agents.processes.list(agent_id),
            lambda agents, agent_id: agents.services(agent_id),
            lambda agents, agent_id: agents.services.get(agent_id, "Spooler"),
            lambda agents, agent_id: agents.event_log.list(agent_id),
            lambda agents, agent_id: agents.event_log.list(agent_id, "Security"),
        ],
    )
    async def test_an_agent_that_is_asked_in_vain(
        self, ask: Callable[[Agents, str], Awaitable[object]]
    ) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = of(server, "windows")
            server.hang(agent_id)
            with pytest.raises(AgentUnreachableError) as caught:
                await ask(trmm.agents, agent_id)
            assert not isinstance(caught.value, OutcomeUnknownError)

    @pytest.mark.parametrize(
        "change",
        [
            lambda agents, agent_id: agents.processes.kill(agent_id, 1234),
            lambda agents, agent_id: agents.services.control(agent_id, "Spooler", "restart"),
            lambda agents, agent_id: agents.services.update(agent_id, "Spooler", start_type="auto"),
            lambda agents, agent_id: agents.software.refresh(agent_id),
        ],
    )
    async def test_an_agent_that_is_told_in_vain(
        self, change: Callable[[Agents, str], Awaitable[object]]
    ) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = of(server, "windows")
            server.hang(agent_id)
            with pytest.raises(AgentLostError):
                await change(trmm.agents, agent_id)
            assert len(server.requests) == 1

    async def test_an_answer_that_is_none_of_it_can_not_be_read(self) -> None:
        async def nonsense(_: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            writer.write(answer(b'"no more memory"'))
            return True

        async with (
            asyncio.timeout(30),
            peer(nonsense) as server,
            TRMM(server.url, api_key=KEY, dialect="stock") as trmm,
        ):
            for asked in (
                trmm.agents.processes.list("a"),
                trmm.agents.services.get("a", "s"),
                trmm.agents.software.list("a"),
            ):
                with pytest.raises(DecodeError):
                    await asked
