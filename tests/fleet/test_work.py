"""What functions of a user's say, and what they send: within a run, and within a run in a run."""

import asyncio
import re
from typing import Any

import pytest

from tests.servers import served
from trmm_async import Agent, InvalidRequestError, NotFoundError, ScriptResult, Unknown


async def test_what_a_map_within_a_map_sends_is_sent_by_both(dialect: str) -> None:
    async with served(dialect, agents=2) as (server, trmm):

        async def both(agent_id: str) -> Agent:
            await trmm.fleet.map([agent_id], lambda one: trmm.agents.run_script(one, 1))
            raise NotFoundError(404, "gone")

        outcomes = await trmm.fleet.map(server.agent_ids, both)
        assert len(server.runs) == 2
        assert {type(outcome) for outcome in outcomes} == {Unknown}


async def test_any_answer_counts_as_yes_or_no(dialect: str) -> None:
    async with served(dialect, agents=4) as (server, trmm):
        judge: Any = lambda result: re.search("Disk", result.stdout)  # noqa: E731
        run = trmm.fleet.run_script(server.agent_ids, 1, success=judge, canary=2)
        await run
        assert (run.counts.done, run.counts.pending, run.succeeded) == (4, 0, 4)


async def test_an_awaitable_is_no_answer(dialect: str) -> None:
    async with served(dialect, agents=3) as (server, trmm):
        later: Any = lambda result: asyncio.sleep(0, result)  # noqa: E731
        run = trmm.fleet.run_script(server.agent_ids, 1, success=later)
        with pytest.raises(InvalidRequestError, match="success must return True or False"):
            await run
        assert run.counts.pending == 0
        with pytest.raises(InvalidRequestError, match="where must return True or False"):
            await trmm.agents.select(where=later).agent_ids()


async def test_what_can_t_judge_is_refused_before_anything_is_sent(dialect: str) -> None:
    class Asks:
        async def __call__(self, result: ScriptResult) -> bool:
            return result.ok

    async with served(dialect, agents=1) as (server, trmm):
        codes: Any = (1, 2)
        wrong: Any = Asks()
        with pytest.raises(InvalidRequestError, match="success must be a plain function"):
            trmm.fleet.map(server.agent_ids, trmm.agents.get, success=codes)
        with pytest.raises(InvalidRequestError, match="success must be a plain function"):
            trmm.fleet.run_script(server.agent_ids, 1, success=wrong)
        with pytest.raises(InvalidRequestError, match="where must be a plain function"):
            trmm.agents.select(where=wrong)
        assert server.requests == []
