"""The history of a stock server as it is read for all who wait: refused, failing, full of others' rows."""

import asyncio
import logging
import time
from typing import Any

import pytest

from tests.script_runs.echo import echoing
from tests.servers import count, served, until
from trmm_async import (
    TRMM,
    Done,
    OutcomeUnknownError,
    PermissionDeniedError,
    ServerError,
    UnidentifiedError,
)
from trmm_async.dialects.stock.history import FOREVER
from trmm_async.script_runs import HistoryWaits
from trmm_async.testing import Simulator
from trmm_async.testing.ledger import Request

POST, HISTORY, KEYS = "/runscript/", "/agents/scripthistory/", "/accounts/apikeys/"


class TestTheHistory:
    async def test_that_is_refused_is_said_before_anything_is_sent(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            with server.restrict("can_list_agent_history"):
                with pytest.raises(PermissionDeniedError):
                    await trmm.agents.run_script(server.agent_ids[0], 1)
            assert count(server, "POST") == 0

    async def test_that_fails_fails_for_all_who_waited_for_it(self) -> None:
        async with served("stock", agents=9) as (server, trmm):
            server.fail("GET", HISTORY, status=502, after=False)
            runs = (trmm.agents.run_script(agent, 1) for agent in server.agent_ids)
            told = await asyncio.gather(*runs, return_exceptions=True)
            assert [type(one) for one in told] == [ServerError] * 9
            assert (count(server, "GET", HISTORY), count(server, "POST")) == (1, 0)
            assert (await trmm.agents.run_script(server.agent_ids[0], 1)).ok

    async def test_that_is_refused_later_leaves_the_outcome_unknown(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            server.script(1, seconds=0.5)
            task = asyncio.create_task(trmm.agents.run_script(server.agent_ids[0], 1))
            await until(lambda: server.runs)
            with server.restrict("can_list_agent_history"):
                with pytest.raises(OutcomeUnknownError, match=r"the history can't be read: .*403"):
                    await task

    async def test_may_fail_for_a_while(self) -> None:
        async with served("stock", agents=1, waits=HistoryWaits(row=5.0)) as (server, trmm):
            script = echoing(server)
            await trmm.agents.run_script(server.agent_ids[0], script)
            rule = server.fail("GET", HISTORY, status=502, times=3)
            assert (await trmm.agents.run_script(server.agent_ids[0], script, args=["x"])).stdout == "x"
            assert rule.hits == 3
            assert len(server.runs) == 2

    async def test_that_fails_for_good_leaves_the_outcome_unknown(self) -> None:
        async with served("stock", agents=1, waits=HistoryWaits(row=0.5)) as (server, trmm):
            await trmm.agents.run_script(server.agent_ids[0], 1)
            server.fail("GET", HISTORY, status=502, times=None)
            with pytest.raises(OutcomeUnknownError, match=r"the history can't be read: .*502"):
                await trmm.agents.run_script(server.agent_ids[0], 1)
            assert len(server.runs) == 2

    async def test_rows_of_others_are_not_ours(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            script, agent = echoing(server), server.agent_ids[0]
            server.slow("POST", POST, 0.2, after=False)
            task = asyncio.create_task(trmm.agents.run_script(agent, script, args=["mine"]))
            await until(lambda: server.in_flight)
            server.add_history(agent, script, username="eve", stdout="hers")
            assert (await task).stdout == "mine"

    async def test_rows_of_others_are_not_guessed_at_where_our_name_is_not_known(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            script, agent = echoing(server), server.agent_ids[0]
            server.slow("POST", POST, 0.2, after=False)
            with server.restrict("can_list_api_keys"):
                task = asyncio.create_task(trmm.agents.run_script(agent, script, args=["mine"]))
                await until(lambda: count(server, "POST"))
                server.add_history(agent, script, username="eve", stdout="hers")
                with pytest.raises(UnidentifiedError) as caught:
                    await task
            assert {row.username for row in caught.value.candidates} == {"eve", server.username}  # type: ignore[attr-defined]

    async def test_our_name_is_asked_for_once_and_by_nobody_who_knows_it(self) -> None:
        async with served("stock", agents=2) as (server, trmm):
            server.username = "n" * 60
            with server.restrict("can_list_api_keys"):
                await trmm.agents.run_script(server.agent_ids[0], 1)
                assert trmm._api.poller.matcher.username == "n" * 50
            await trmm.agents.run_script(server.agent_ids[1], 1)
            assert count(server, "GET", KEYS) == 1
            async with TRMM(server.url, api_key=server.api_key, dialect="stock") as other:
                await other.agents.run_script(server.agent_ids[1], 1)
                assert other._api.poller.matcher.username == "n" * 50
                await other.agents.run_script(server.agent_ids[1], 1)
            assert count(server, "GET", KEYS) == 2

    @pytest.mark.parametrize("status", [200, 500])
    async def test_the_keys_of_others_are_shown_nowhere(
        self, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        async with served("stock", agents=1) as (server, trmm):
            server.script(1, retcode=0)
            server.answer("GET", KEYS, body='[{"key": "THEIRS", "username": 1}]', status=status)
            assert (await trmm.agents.run_script(server.agent_ids[0], 1)).ok
        assert "THEIRS" not in caplog.text


def looks() -> list[asyncio.Task[Any]]:
    return [one for one in asyncio.all_tasks() if one.get_name() == "trmm_async: history"]


class TestTheEnd:
    async def test_a_client_that_is_closed_says_so_to_who_waits(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            server.script(1, seconds=20)
            task = asyncio.create_task(trmm.agents.run_script(server.agent_ids[0], 1))
            await until(lambda: server.runs)
            await trmm.aclose()
            with pytest.raises(OutcomeUnknownError, match="the client was closed"):
                await task
            left = [one for one in asyncio.all_tasks() if one.get_name().startswith("trmm_async")]
            assert left == []

    async def test_a_look_that_is_cancelled_before_it_begins_keeps_nobody_waiting_either(self) -> None:
        def born_cancelled(loop: asyncio.AbstractEventLoop, coro: Any, **how: Any) -> asyncio.Task[Any]:
            task = asyncio.Task(coro, loop=loop, **how)
            if coro.__qualname__ == "RunPoller._poll":
                task.cancel()
            return task

        async with served("stock", agents=1) as (server, trmm):
            server.script(1, seconds=20)
            asyncio.get_running_loop().set_task_factory(born_cancelled)
            try:
                with pytest.raises(OutcomeUnknownError, match="was cancelled"):
                    await asyncio.wait_for(trmm.agents.run_script(server.agent_ids[0], 1), 5)
            finally:
                asyncio.get_running_loop().set_task_factory(None)

    async def test_all_tasks_cancelled_by_somebody_else_keep_nobody_waiting(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            server.script(1, seconds=20)
            task = asyncio.create_task(trmm.agents.run_script(server.agent_ids[0], 1))
            # It begins when the answer is here: the server has the script before that.
            await until(looks)
            (look,) = looks()
            look.cancel()
            with pytest.raises(OutcomeUnknownError, match="was cancelled"):
                await asyncio.wait_for(task, 5)

    async def test_a_cancelled_run_leaves_no_look_at_the_history_behind(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            server.script(1, seconds=20)
            task = asyncio.create_task(trmm.agents.run_script(server.agent_ids[0], 1))
            await until(lambda: server.runs)
            task.cancel()
            assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
            assert [one for one in asyncio.all_tasks() if one.get_name().startswith("trmm_async")] == []
            assert len(server.runs) == 1


async def test_while_one_is_silent_only_its_own_row_is_read_again() -> None:
    async with served("stock", agents=9, waits=HistoryWaits(report=0.5)) as (server, trmm):
        server.hang(server.agent_ids[4])
        report = await trmm.fleet.run_script(server.agent_ids, 1, timeout=1)
        assert [type(one) for one in report].count(Done) == 8
        ends = [row.query["end"] for row in asked(server) if "end" in row.query]
        assert ends[-1] == FOREVER  # once more before it is given up
        assert [end for end in ends if end != FOREVER]


class TestAHistoryOfWrongTimes:
    @pytest.mark.parametrize("dated", ["ahead", "set back"])
    async def test_is_read_to_its_end_whatever_its_rows_are_dated(self, dated: str) -> None:
        """Of rows of tomorrow the newest by time hide what was run since: that is never taken for ours."""
        ahead = [0.0]
        waits = HistoryWaits(row=1.0)
        async with served("stock", agents=2, waits=waits, clock=lambda: time.time() + ahead[0]) as (
            server,
            trmm,
        ):
            script, (agent, other) = echoing(server), server.agent_ids
            ahead[0] = 86_400.0 if dated == "ahead" else 0.0
            for _ in range(6):
                server.add_history(other, 2, stdout="later")
            ahead[0] = 0.0 if dated == "ahead" else -86_400.0
            server.add_history(agent, script, username=server.username, stdout="another's")
            server.cut("POST", POST, after=False)
            with pytest.raises(OutcomeUnknownError):
                await trmm.agents.run_script(agent, script, args=["never"])
            assert (await trmm.agents.run_script(agent, script, args=["mine"])).stdout == "mine"
            # Of the whole history it is told once that it is not known.
            assert sum("limit" not in row.query and not row.query for row in asked(server)) <= 2

    async def test_is_found_by_the_clock_that_was_set_back_meanwhile(self) -> None:
        ahead = [0.0]
        async with served("stock", agents=3, clock=lambda: time.time() + ahead[0]) as (server, trmm):
            script = echoing(server)
            server.add_history(server.agent_ids[0], 2, stdout="before")
            await trmm.agents.run_script(server.agent_ids[0], script)
            ahead[0] = -3600.0
            report = await trmm.fleet.run_script(server.agent_ids, script, args=["x"])
            assert [isinstance(one, Done) and one.result.stdout for one in report] == ["x"] * 3
            assert all(row.query for row in asked(server))


def asked(server: Simulator) -> list[Request]:
    return [row for row in server.requests if row.path == HISTORY]
