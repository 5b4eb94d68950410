"""Waiting until agents are as they should be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.mirror.told import Told
from tests.servers import served, until
from trmm_async import (
    AgentOffline,
    AgentOnline,
    ConnectionFailedError,
    Event,
    InvalidRequestError,
    NotFoundError,
    TimeoutError,
)


class TestWaitingForAgents:
    async def test_for_a_status_or_a_predicate(self, dialect: str) -> None:
        async with served(dialect, agents=3) as (server, trmm):
            who, other, _ = server.agent_ids
            agent = await trmm.agents.wait_until(who, "online", timeout=20)
            assert (agent.agent_id, agent.status) == (who, "online")
            both = await trmm.agents.wait_until([other, agent], lambda agent: agent.hostname, timeout=20)
            assert [one.agent_id for one in both] == [other, who]

    async def test_for_all_of_several(self, dialect: str) -> None:
        async with served(dialect, agents=3) as (server, trmm):
            who, other, _ = server.agent_ids
            server.go_offline(who)
            with pytest.raises(TimeoutError, match=f"^{who}: not so within"):
                await trmm.agents.wait_until([who, other], "online", timeout=0.3)

    async def test_for_one_that_is_not_there(self, dialect: str) -> None:
        nobody = "NoSuchAgentIsOnThisServerAtAll"
        async with served(dialect, agents=1) as (_, trmm):
            with pytest.raises(NotFoundError):
                await trmm.agents.wait_until(nobody, "online", timeout=20)
            with pytest.raises(TimeoutError):
                await trmm.agents.wait_until(nobody, "online", timeout=0.2, missing_ok=True)

    async def test_outlives_a_look_that_fails(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            server.fail("GET", server.agent_ids[0], status=503)
            assert (
                await trmm.agents.wait_until(server.agent_ids[0], "online", timeout=30)
            ).status == "online"

    async def test_looks_when_events_say_that_it_may_be_so(self, dialect: str) -> None:
        """And believes the server, not them."""
        source = Told()
        async with served(dialect, agents=2) as (server, trmm):
            who, other = server.agent_ids
            server.go_offline(who)
            server.go_offline(other)
            both = trmm.agents.wait_until([who, other], "Online", timeout=20, source=source)
            waiting = asyncio.create_task(both)
            poller = trmm._api.shared_poller
            await until(lambda: poller.polls == 1)
            for told in (AgentOffline(agent_id=who), AgentOnline(agent_id="another")):
                source.queue.put_nowait(told)
            await until(source.queue.empty)
            assert poller.polls == 1
            source.queue.put_nowait(AgentOnline(agent_id=who))
            await until(lambda: poller.polls == 2)
            assert not waiting.done()
            server.come_online(who)
            server.come_online(other)
            source.queue.put_nowait(AgentOnline(agent_id=other))
            assert [agent.status for agent in await waiting] == ["online", "online"]
            assert poller.polls <= 3
            assert not source.is_open

    async def test_ends_with_its_events(self, dialect: str) -> None:
        @asynccontextmanager
        async def none() -> AsyncIterator[AsyncIterator[Event]]:
            async def events() -> AsyncIterator[Event]:
                nothing: tuple[Event, ...] = ()
                for event in nothing:
                    yield event

            yield events()

        async with served(dialect, agents=1) as (server, trmm):
            with pytest.raises(ConnectionFailedError, match="have ended"):
                await trmm.agents.wait_until(server.agent_ids[0], "offline", timeout=20, source=none())
            source = Told()
            with pytest.raises(ZeroDivisionError):
                await trmm.agents.wait_until(server.agent_ids[0], lambda agent: 1 / 0, source=source)
            with pytest.raises(TimeoutError, match="not so within"):
                await trmm.agents.wait_until(server.agent_ids[0], "offline", timeout=0.1, source=source)
            assert not source.is_open

    async def test_that_is_cancelled_leaves_nothing(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            waiting = asyncio.create_task(trmm.agents.wait_until(server.agent_ids[0], "offline"))
            await until(lambda: server.requests)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    @pytest.mark.parametrize("wrong", ["up", 5, None])
    async def test_for_nothing_is_refused(self, wrong: Any) -> None:
        async with served("stock", agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.agents.wait_until(server.agent_ids[0], wrong)
            with pytest.raises(InvalidRequestError):
                await trmm.agents.wait_until([], "online")
            assert server.requests == []


class TestARebootThatIsWaitedFor:
    async def test_is_over_when_the_boot_time_is_later(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            who = server.agent_ids[0]
            before = (await trmm.agents.get(who)).boot_time
            agent = await trmm.agents.reboot(who, wait=30)
            assert before is not None
            assert agent.boot_time is not None
            assert agent.boot_time > before

    async def test_with_a_time_is_refused(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match="exclude each other"):
                await trmm.agents.reboot(server.agent_ids[0], at=datetime.now(UTC), wait=5)  # type: ignore[call-overload]
            assert server.requests == []
