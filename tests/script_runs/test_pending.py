"""One script on one agent of a stock server: sent once, and its own result found in the history, or none."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.script_runs.echo import echoing
from tests.servers import count, served, until
from trmm_async import (
    TRMM,
    AgentSilentError,
    Outcome,
    OutcomeUnknownError,
    ScriptResult,
    ServerError,
    UnidentifiedError,
)
from trmm_async.script_runs import HistoryWaits

POST, HISTORY, KEYS = "/runscript/", "/agents/scripthistory/", "/accounts/apikeys/"


class TestTheResult:
    async def test_has_what_the_answer_has_not(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            server.script(1, stdout="out\n", stderr="err\n", retcode=3, seconds=0.1)
            result = await trmm.agents.run_script(server.agent_ids[0], 1)
            assert (result.stdout, result.stderr, result.retcode) == ("out\n", "err\n", 3)
            assert result.execution_time == pytest.approx(0.1, abs=0.05)

    async def test_words_that_a_server_uses_itself_are_output_like_any(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            server.script(1, stdout="timeout")
            result = await trmm.agents.run_script(server.agent_ids[0], 1)
            assert (result.stdout, result.ok) == ("timeout", True)

    async def test_may_be_reported_late(self) -> None:
        async with served("stock", agents=1, client={"report_grace": 5.0}) as (server, trmm):
            server.report_delay = 0.6
            result = await trmm.agents.run_script(server.agent_ids[0], 1, timeout=1)
            assert result.ok


class TestRunsAtTheSameTime:
    async def test_on_one_agent_each_have_their_own_result(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            script = echoing(server)
            runs = (trmm.agents.run_script(server.agent_ids[0], script, args=[f"n{n}"]) for n in range(4))
            assert [result.stdout for result in await asyncio.gather(*runs)] == [f"n{n}" for n in range(4)]
            assert Counter(run.args for run in server.runs) == Counter((f"n{n}",) for n in range(4))

    async def test_of_two_clients_too_or_it_is_said_that_they_can_not_be_told_apart(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            script, agent = echoing(server), server.agent_ids[0]
            async with TRMM(server.url, api_key=server.api_key, dialect="stock") as other:
                runs = (
                    one.agents.run_script(agent, script, args=[name])
                    for one, name in ((trmm, "a"), (other, "b"))
                )
                told = await asyncio.gather(*runs, return_exceptions=True)
            for result, name in zip(told, "ab", strict=True):
                if isinstance(result, BaseException):
                    assert isinstance(result, UnidentifiedError)
                    assert len(result.candidates) == 2
                else:
                    assert result.stdout == name

    async def test_share_one_look_at_the_history(self) -> None:
        async with served("stock", agents=50) as (server, trmm):
            server.script(1, seconds=0.3)
            runs = (trmm.agents.run_script(agent, 1) for agent in server.agent_ids)
            assert all(result.ok for result in await asyncio.gather(*runs))
            assert count(server, "POST", POST) == 50
            assert count(server, "GET", HISTORY) == count(server, "GET") - count(server, "GET", KEYS) <= 10

    @pytest.mark.parametrize("how", ["forget", "collector"])
    async def test_one_that_nobody_waits_for_is_not_mistaken_for_one_that_is(self, how: Any) -> None:
        async with served("stock", agents=1) as (server, trmm):
            script, agent = echoing(server), server.agent_ids[0]
            where: Any = {"custom_field": server.add_custom_field("x")} if how == "collector" else {}
            await trmm.agents.run_script(agent, script, args=["warm"])
            await trmm.agents.run_script(agent, script, args=["unwatched"], output=how, **where)
            await until(lambda: len(server.runs) == 2)
            assert (await trmm.agents.run_script(agent, script, args=["mine"])).stdout == "mine"

    async def test_many_that_nobody_waits_for_and_whose_answers_get_lost_leave_nothing_behind(self) -> None:
        async with served("stock", agents=3) as (server, trmm):
            script = echoing(server)
            await trmm.agents.run_script(server.agent_ids[0], script)
            with server.cut("POST", POST, times=60):
                for number in range(60):
                    with pytest.raises(OutcomeUnknownError):
                        await trmm.agents.run_script(server.agent_ids[number % 3], script, output="forget")
            assert len(server.runs) == 61
            trmm._api.poller.matcher._prune(asyncio.get_running_loop().time() + 2)  # it does so once a second
            assert len(trmm._api.poller.matcher._claimed) < 10
            assert (await trmm.agents.run_script(server.agent_ids[0], script, args=["mine"])).stdout == "mine"

    async def test_one_that_nobody_waits_for_may_be_sent_while_another_is_waited_for(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            script, agent = echoing(server), server.agent_ids[0]
            mine, _ = await asyncio.gather(
                trmm.agents.run_script(agent, script, args=["mine"]),
                trmm.agents.run_script(agent, script, args=["unwatched"], output="forget"),
            )
            assert mine.stdout == "mine"

    async def test_one_that_was_given_up_is_not_mistaken_for_the_next(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            script, agent = echoing(server), server.agent_ids[0]
            await trmm.agents.run_script(agent, script, args=["warm"])
            first = asyncio.create_task(trmm.agents.run_script(agent, script, args=["given up"]))
            await until(lambda: len(server.runs) == 2)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            assert (await trmm.agents.run_script(agent, script, args=["mine"])).stdout == "mine"

    async def test_a_run_on_many_is_not_kept_waiting_by_later_ones_on_each(self) -> None:
        async with served("stock", agents=2) as (server, trmm):
            script, (one, other) = echoing(server), server.agent_ids
            first = asyncio.create_task(trmm.agents.run_script(one, script))
            await until(lambda: count(server, "POST"))
            many = asyncio.create_task(_outcomes(trmm, [one, other], script))
            for _ in range(50):
                await asyncio.sleep(0)  # it waits for its turn on the first of the two
            later = asyncio.create_task(trmm.agents.run_script(other, script))
            await asyncio.gather(first, many, later)
            posts = [seen.path.rsplit("/", 2)[-2] for seen in server.requests if seen.method == "POST"]
            assert posts == ["runscript", "bulk", "runscript"]

    async def test_runs_that_are_given_up_while_others_wait_their_turn_keep_nobody_waiting(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            script, agent = echoing(server), server.agent_ids[0]
            server.script(script, seconds=20)
            first, *queue, last = (
                asyncio.create_task(trmm.agents.run_script(agent, script)) for _ in range(30)
            )
            await until(lambda: server.runs)
            server.script(script, seconds=0)
            for task in (first, *queue):
                task.cancel()
                await asyncio.sleep(0)
                task.cancel()  # as a timeout's end and a closing task group may
            assert (await last).ok
            assert count(server, "POST") <= 3


class TestALostAnswer:
    @pytest.mark.parametrize("status", [302, 500, 502, 503, 504])
    async def test_to_a_script_that_ran_costs_nothing(self, status: int) -> None:
        async with served("stock", agents=1) as (server, trmm):
            script = echoing(server)
            server.fail("POST", POST, status=status, after=True, retry_after=0)
            assert (await trmm.agents.run_script(server.agent_ids[0], script, args=["x"])).stdout == "x"
            assert len(server.runs) == 1

    @pytest.mark.parametrize("at", ["answer", "body", "reset"])
    async def test_that_was_cut_costs_nothing_either(self, at: Any) -> None:
        async with served("stock", agents=1) as (server, trmm):
            script = echoing(server)
            server.cut("POST", POST, at=at)
            assert (await trmm.agents.run_script(server.agent_ids[0], script, args=["x"])).stdout == "x"
            assert len(server.runs) == 1

    @pytest.mark.parametrize("status", [302, 502, 503, 504])
    async def test_to_one_that_never_arrived_is_unknown(self, status: int) -> None:
        async with served("stock", agents=1, waits=HistoryWaits(row=0.5)) as (server, trmm):
            server.fail("POST", POST, status=status, retry_after=0)
            with pytest.raises(OutcomeUnknownError, match=str(status)):
                await trmm.agents.run_script(server.agent_ids[0], 1)
            assert (server.runs, count(server, "POST")) == ([], 1)

    async def test_to_one_that_the_server_failed_over_did_not_run(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            server.fail("POST", POST, status=500)
            with pytest.raises(ServerError, match="it did not run: the history has no row") as caught:
                await trmm.agents.run_script(server.agent_ids[0], 1)
            assert not isinstance(caught.value, OutcomeUnknownError)
            assert server.runs == []

    async def test_leaves_the_next_run_its_own_result(self) -> None:
        async with served("stock", agents=1, waits=HistoryWaits(row=0.3)) as (server, trmm):
            script, agent = echoing(server), server.agent_ids[0]
            server.cut("POST", POST, after=False)
            with pytest.raises(OutcomeUnknownError):
                await trmm.agents.run_script(agent, script, args=["lost"])
            assert (await trmm.agents.run_script(agent, script, args=["x"])).stdout == "x"


async def test_silence_is_no_result_and_has_its_reason() -> None:
    # All at once: each takes a second for the script, three that the server adds, and the grace.
    async with (
        served("stock", agents=4) as (server, trmm),
        served("stock", agents=1, seed=1, offline_hold=0.05) as (busless, other),
    ):
        offline, hung, lost, slow = server.agent_ids
        server.go_offline(offline)
        server.hang(hung)
        server.script(1, seconds=60)
        agents = [(trmm, one) for one in server.agent_ids] + [(other, busless.agent_ids[0])]
        with busless.nats_down():
            runs = [
                asyncio.create_task(client.agents.run_script(one, 1, timeout=1)) for client, one in agents
            ]
            await until(lambda: len(server.runs) == 2)
            server.go_offline(lost)
            outcomes = await asyncio.gather(*runs, return_exceptions=True)
        silent = [one for one in outcomes if isinstance(one, AgentSilentError)]
        reasons = {error.agent_id: error.reason for error in silent}
        assert reasons.items() >= {offline: "offline", hung: "silent", lost: "offline"}.items()
        assert reasons[busless.agent_ids[0]] == "silent"
        assert all(error.waited == pytest.approx(5.0, abs=1.0) for error in silent)
        # Its agent stops the slow one at the very end of what we wait for.
        assert isinstance(outcomes[3], ScriptResult | AgentSilentError)
        assert (len(server.runs_of(slow)), busless.runs) == (1, [])


async def _outcomes(trmm: TRMM, agent_ids: list[str], script: int) -> list[Outcome]:
    return list(await trmm.fleet.run_script(agent_ids, script=script))
