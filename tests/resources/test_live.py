"""A script's output while it runs: complete or honest about it, and always with an end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.servers import served, until
from trmm_async import (
    TRMM,
    AgentSilentError,
    AuthenticationError,
    BadRequestError,
    ClosedError,
    ConnectionFailedError,
    InvalidRequestError,
    OutcomeUnknownError,
    ScriptOutput,
    TRMMError,
)
from trmm_async.testing import Simulator

OFFLINE: dict[str, tuple[type[TRMMError], str]] = {
    "gateway": (BadRequestError, "contact the agent"),
    "stock": (AgentSilentError, "is offline: no result"),
}
# Said on entering by a gateway, to whose events the stream subscribes; on a stock server by the run itself.
LIVE = {"gateway": True, "stock": False}


@asynccontextmanager
async def stage(dialect: str, **world: Any) -> AsyncIterator[tuple[Simulator, TRMM, str]]:
    async with served(dialect, agents=2, **{"script_seconds": (0.05, 0.3), **world}) as (server, trmm):
        yield server, trmm, server.agent_ids[0]


async def test_output_comes_live_and_then_the_result(dialect: str) -> None:
    async with stage(dialect) as (server, trmm, agent):
        server.script(1, seconds=0.2, lines=["one\n", "two\n", "three\n"], retcode=4)
        async with trmm.agents.stream_script(agent, script=1, args=["x"]) as output:
            pieces = [piece async for piece in output]
        assert "".join(piece.output for piece in pieces) == "one\ntwo\nthree\n"
        assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        assert (len(pieces) > 1) is LIVE[dialect]
        assert pieces[-1].exit_code == 4
        assert (output.result.retcode, output.result.stdout) == (4, "one\ntwo\nthree\n")
        assert output.complete is LIVE[dialect]
        (run,) = server.runs
        assert list(run.args) == ["x"]
        # A stock server takes no id of ours.
        assert (run.cmd_id == pieces[0].cmd_id) is LIVE[dialect]


async def test_two_runs_of_one_script_on_one_agent_do_not_mix(dialect: str) -> None:
    async with stage(dialect) as (server, trmm, agent):
        server.script(1, seconds=0.2, lines=["one\n", "two\n"])

        async def run() -> list[ScriptOutput]:
            async with trmm.agents.stream_script(agent, script=1) as output:
                return [piece async for piece in output]

        first, second = await asyncio.gather(run(), run())
        assert {piece.cmd_id for piece in first} != {piece.cmd_id for piece in second}
        for pieces in (first, second):
            assert "".join(piece.output for piece in pieces) == "one\ntwo\n"
        assert len(server.runs) == 2


async def test_a_server_that_does_not_know_cmd_id_still_gives_the_output_in_the_end(dialect: str) -> None:
    async with stage(dialect, knows_cmd_id=False) as (server, trmm, agent):
        server.script(1, seconds=0.05, lines=["one\n", "two\n"])
        async with trmm.agents.stream_script(agent, script=1) as output:
            pieces = [piece async for piece in output]
        assert [(piece.output, piece.done) for piece in pieces] == [("one\ntwo\n", True)]
        assert not output.complete
        assert output.result.ok


async def test_a_subscription_that_is_lost_on_the_way_still_has_an_end() -> None:
    async with stage("gateway") as (server, trmm, agent):
        server.script(1, seconds=0.4, lines=["one\n", "two\n", "three\n", "four\n"])
        async with trmm.agents.stream_script(agent, script=1) as output:
            pieces = [await anext(output)]
            server.refuse_events(agent, status=403)
            server.drop_events(agent)
            pieces += [piece async for piece in output]
        assert pieces[-1].done
        assert not output.complete
        assert output.result.stdout == "one\ntwo\nthree\nfour\n"
        assert len(server.runs) == 1


async def test_a_lost_answer_is_made_up_for_by_the_live_output_or_the_history(dialect: str) -> None:
    async with stage(dialect) as (server, trmm, agent):
        server.script(1, seconds=0.2, lines=["one\n", "two\n"], retcode=7)
        server.cut("POST", "/runscript/", after=True)
        async with trmm.agents.stream_script(agent, script=1) as output:
            pieces = [piece async for piece in output]
        assert "".join(piece.output for piece in pieces) == "one\ntwo\n"
        assert (output.result.retcode, output.result.stdout) == (7, "one\ntwo\n")
        assert len(server.runs) == 1


async def test_an_answer_lost_before_the_script_ran_ends_in_an_unknown_outcome(dialect: str) -> None:
    async with stage(dialect) as (server, trmm, agent):
        server.cut("POST", "/runscript/", after=False)
        with pytest.raises(OutcomeUnknownError):
            async with trmm.agents.stream_script(agent, script=1, timeout=1) as output:
                async for _ in output:
                    pass
        with pytest.raises(ClosedError, match="no result"):
            _ = output.result


async def test_a_refused_run_raises_what_the_server_said(dialect: str) -> None:
    async with stage(dialect) as (server, trmm, agent):
        server.go_offline(agent)
        error, words = OFFLINE[dialect]
        with pytest.raises(error, match=words):
            async with trmm.agents.stream_script(agent, script=1, timeout=1) as output:
                async for _ in output:
                    pass
        assert server.runs == []


async def test_a_refused_subscription_sends_no_script(dialect: str) -> None:
    async with stage(dialect) as (server, trmm, agent):
        server.revoke_key()
        with pytest.raises(AuthenticationError):
            async with trmm.agents.stream_script(agent, script=1) as output:
                assert not LIVE[dialect]
                await anext(output)
        assert [request for request in server.requests if request.method == "POST"] == []


async def test_leaving_early_leaves_no_task(dialect: str) -> None:
    async with stage(dialect) as (server, trmm, agent):
        before = asyncio.all_tasks()
        server.script(1, seconds=5, lines=["one\n"] * 50)
        async with trmm.agents.stream_script(agent, script=1) as output:
            await (anext(output) if LIVE[dialect] else until(lambda: server.runs))
        left = {task for task in asyncio.all_tasks() - before if "trmm_async" in repr(task.get_coro())}
        assert {task for task in left if "testing" not in repr(task.get_coro())} == set()
        assert len(server.runs) == 1


async def test_it_is_entered_first_and_ends_for_good(dialect: str) -> None:
    async with stage(dialect) as (server, trmm, agent):
        server.script(1, seconds=0.01)
        output = trmm.agents.stream_script(agent, script=1)
        assert "new" in repr(output)
        with pytest.raises(ClosedError, match="enter"):
            await anext(output)
        async with output:
            assert "running" in repr(output)
            async for _ in output:
                pass
            with pytest.raises(StopAsyncIteration):
                await anext(output)
        assert "ended" in repr(output)


async def test_wrong_arguments_are_refused_before_anything_is_sent(dialect: str) -> None:
    async with stage(dialect) as (server, trmm, agent):
        with pytest.raises(InvalidRequestError):
            trmm.agents.stream_script(agent, script=1, timeout=999)
        assert server.requests == []


async def test_a_server_that_is_not_there_is_said_to_be(dialect: str) -> None:
    async with stage(dialect) as (server, _, agent):
        url = server.url
    async with TRMM(url, api_key="key", retries=0, dialect=dialect) as trmm:  # type: ignore[arg-type]
        with pytest.raises(ConnectionFailedError):
            async with trmm.agents.stream_script(agent, script=1) as output:
                assert not LIVE[dialect]
                await anext(output)
