"""`dialect="auto"`: one harmless question, when it is first needed; then all is as if it had been said."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from tests.servers import NOBODY, count, served, until
from trmm_async import (
    TRMM,
    AuthenticationError,
    ConnectionFailedError,
    Done,
    Failed,
    NotFoundError,
    RateLimit,
    ServerError,
    UnsupportedError,
)
from trmm_async.testing import Simulator

PROBE = "/api/v3/agents/deployments/"
SINGLE = {"gateway": "/runscript/", "stock": "/agents/actions/bulk/"}


def auto(dialect: str, **world: Any) -> Any:
    return served(dialect, said="auto", **world)


async def test_all_works_as_though_it_had_been_said(dialect: str) -> None:
    async with auto(dialect, agents=3) as (server, trmm):
        agents = await trmm.agents.list()
        assert sorted(agent.agent_id for agent in agents) == sorted(server.agent_ids)
        assert (await trmm.agents.get(agents[0])).hostname == agents[0].hostname
        with pytest.raises(NotFoundError):
            await trmm.agents.get(NOBODY)
        async with trmm.agents.iter() as stream:
            assert len([agent async for agent in stream]) == 3
        server.script(1, stdout="out", retcode=4)
        result = await trmm.agents.run_script(agents[0], 1)
        assert (result.stdout, result.retcode) == ("out", 4)
        async with trmm.agents.stream_script(agents[0], 1) as output:
            assert "".join([piece.output async for piece in output]) == "out"
        outcomes = await trmm.fleet.run_script(agents, script=1)
        assert all(isinstance(outcome, Done) and outcome.result.retcode == 4 for outcome in outcomes)
        assert count(server, "POST", SINGLE[dialect]) > 0
        number = server.raise_alert(agents[0].agent_id)
        await trmm.alerts.resolve(number)
        assert [alert.resolved for alert in await trmm.alerts.list()] == [True]
        assert count(server, "GET", PROBE) == 1


@pytest.mark.parametrize("first", ["list", "iter", "run", "stream", "fleet", "request", "events"])
async def test_whatever_comes_first_asks(dialect: str, first: str) -> None:
    async with auto(dialect, agents=2) as (server, trmm):
        assert trmm.dialect == "auto"
        assert "auto" in repr(trmm)
        agent = server.agent_ids[0]
        match first:
            case "list":
                await trmm.agents.list()
            case "iter":
                async with trmm.agents.iter() as stream:
                    assert len([one async for one in stream]) == 2
            case "run":
                await trmm.agents.run_script(agent, 1)
            case "stream":
                async with trmm.agents.stream_script(agent, 1) as output:
                    assert [piece async for piece in output][-1].done
            case "fleet":
                assert len(await trmm.fleet.run_script(server.agent_ids, script=1)) == 2
            case "request":
                await trmm.request("GET", {"gateway": "/api/v3/scripts/", "stock": "/scripts/"}[dialect])
            case "events":
                await _subscribe(trmm, dialect, agent)
        assert trmm.dialect == dialect
        assert count(server, "GET", PROBE) == 1


async def test_twenty_calls_at_once_ask_once(dialect: str) -> None:
    async with auto(dialect, agents=3, latency=0.02) as (server, trmm):
        lists = await asyncio.gather(*(trmm.agents.list() for _ in range(20)))
        assert [len(agents) for agents in lists] == [3] * 20
        assert (count(server, "GET", PROBE), trmm.dialect) == (1, dialect)


async def test_twenty_calls_at_once_share_its_failure(dialect: str) -> None:
    async with auto(dialect, agents=3, latency=0.02) as (server, trmm):
        server.fail("GET", PROBE, status=502)
        told = await asyncio.gather(*(trmm.agents.list() for _ in range(20)), return_exceptions=True)
        assert [type(one) for one in told] == [ServerError] * 20
        assert (count(server, "GET", PROBE), trmm.dialect) == (1, "auto")
        assert len(await trmm.agents.list()) == 3


async def test_a_call_that_is_given_up_while_it_asks_does_not_keep_the_others_from_it(dialect: str) -> None:
    async with auto(dialect, agents=1) as (server, trmm):
        rule = server.slow("GET", PROBE, 20, after=False)
        first, second = (asyncio.create_task(trmm.agents.list()) for _ in range(2))
        await until(lambda: rule.hits)
        first.cancel()
        assert len(await second) == 1
        await asyncio.gather(first, return_exceptions=True)
        assert (count(server, "GET", PROBE), trmm.dialect) == (2, dialect)


async def test_a_question_that_failed_says_nothing_and_is_asked_again(dialect: str) -> None:
    async with auto(dialect, agents=2) as (server, trmm):
        server.fail("GET", PROBE, status=502)
        with pytest.raises(ServerError):
            await trmm.agents.list()
        server.cut("GET", PROBE, times=None, after=False)
        with pytest.raises(ConnectionFailedError):
            await trmm.agents.list()
        outcomes = await trmm.fleet.run_script(server.agent_ids, script=1)
        assert all(
            isinstance(one, Failed) and isinstance(one.error, ConnectionFailedError) for one in outcomes
        )
        assert (trmm.dialect, server.runs) == ("auto", [])
        server.clear_faults()
        assert len(await trmm.agents.list()) == 2
        assert trmm.dialect == dialect


@pytest.mark.parametrize("answers", ["at once", "after a refusal"])
async def test_what_finds_out_is_counted_like_any_other(answers: str) -> None:
    client = {"rate_limit": RateLimit(10, per=0.5)}
    async with auto("gateway", agents=1, rate_limit=(10, 0.5), client=client) as (server, trmm):
        if answers == "after a refusal":
            server.fail("GET", PROBE, status=502, after=True)
        # What finds out is a request of the same window: one too many, were it not counted.
        with suppress(ServerError):
            await trmm.clients.list()
        await asyncio.gather(*(trmm.clients.list() for _ in range(25)))
        assert server.throttled == 0


async def test_a_key_that_is_refused_is_said_to_be(dialect: str) -> None:
    async with auto(dialect, agents=1) as (server, trmm):
        server.revoke_key()
        with pytest.raises(AuthenticationError):
            await trmm.agents.list()


async def test_a_server_of_neither_kind_is_said_to_be(dialect: str) -> None:
    async with auto(dialect, agents=1) as (server, trmm):
        server.answer("GET", PROBE, body=b"<html>a web client</html>", content_type="text/html")
        with pytest.raises(UnsupportedError, match=r"neither a gateway's answer nor a stock server's"):
            await trmm.agents.list()
        assert trmm.dialect == "auto"


async def _subscribe(trmm: TRMM, dialect: str, agent: str) -> None:
    async with trmm.events(agent):
        assert trmm.dialect == dialect


async def test_it_is_the_default_and_making_a_client_asks_nothing(dialect: str) -> None:
    async with Simulator(dialect=dialect, agents=2) as server:
        async with TRMM(server.url, api_key=server.api_key) as trmm:
            assert (trmm.dialect, server.requests) == ("auto", [])
            assert len(await trmm.agents.list()) == 2
            assert trmm.dialect == dialect
        assert count(server, "GET", PROBE) == 1
