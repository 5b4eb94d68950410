"""One script over many agents: an outcome for each, whatever happens, and never a script run twice."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fleet.careful import KINDS, held
from tests.properties import many
from tests.servers import DIALECTS, served, until
from trmm_async import ClosedError, Counts, Done, Unknown
from trmm_async.testing import Simulator


class TestOutcomes:
    async def test_awaited_they_come_in_the_order_of_the_targets(self, dialect: str) -> None:
        async with served(dialect, agents=12) as (server, trmm):
            targets = server.agent_ids[::-1]
            outcomes = await trmm.fleet.run_script(targets, script=1, width=5)
            assert [outcome.agent_id for outcome in outcomes] == targets
            assert all(isinstance(outcome, Done) and outcome.result.ok for outcome in outcomes)
            assert Counter(run.agent_id for run in server.runs) == Counter(targets)

    async def test_iterated_they_come_in_the_order_of_completion(self, dialect: str) -> None:
        async with served(dialect, agents=3) as (server, trmm):
            slow, *quick = server.agent_ids
            server.script(1, agent_id=slow, seconds=0.3)
            async with trmm.fleet.run_script(server.agent_ids, script=1) as run:
                order = [outcome.agent_id async for outcome in run]
            assert order[-1] == slow
            assert set(order) == {slow, *quick}

    async def test_agents_and_scripts_stand_for_their_ids(self, dialect: str) -> None:
        async with served(dialect, agents=3) as (server, trmm):
            agents, scripts = await trmm.agents.list(), await trmm.scripts.list()
            outcomes = await trmm.fleet.run_script(agents, scripts[0], args=["C:"], timeout=7)
            assert {(run.script, tuple(run.args), run.timeout) for run in server.runs} == {
                (scripts[0].id, ("C:",), 7)
            }
            assert len(outcomes) == 3

    @pytest.mark.parametrize("dialect", DIALECTS)
    @settings(max_examples=many(10))
    @given(
        fates=st.lists(st.sampled_from(sorted(KINDS["gateway"])), max_size=15),
        width=st.integers(1, 6),
    )
    def test_every_target_has_one_outcome_and_no_script_runs_twice(
        self, dialect: str, fates: list[str], width: int
    ) -> None:
        if dialect == "stock":
            # To find out about one of these takes seconds: `test_run_on_stock` has them, all in one call.
            fates = [fate for fate in fates if fate != "offline"]
            # Narrower than the targets, or they go in one call, with one fate for all.
            width = max(1, min(width, len(fates) - 1))

        async def scenario() -> None:
            async with served(dialect, agents=max(1, len(fates))) as (server, trmm):
                targets = server.agent_ids[: len(fates)]
                for agent_id, fate in zip(targets, fates, strict=True):
                    _order(server, agent_id, fate)
                outcomes = await trmm.fleet.run_script(targets, script=1, timeout=1, width=width)
                assert [type(outcome) for outcome in outcomes] == [KINDS[dialect][fate] for fate in fates]
                assert max(Counter(run.agent_id for run in server.runs).values(), default=0) <= 1

        asyncio.run(scenario())

    async def test_no_targets_are_no_outcomes(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (_, trmm):
            assert await trmm.fleet.run_script([], script=1) == []


class TestLeaving:
    async def test_early_stops_sending_and_leaves_no_task(self) -> None:
        before = asyncio.all_tasks()
        async with held() as (server, trmm):
            async with trmm.fleet.run_script([f"agent-{n}" for n in range(50)], script=1, width=5) as run:
                await server.received(5)
            assert len(server.requests) == 5
            # What was sent may have run; what was not certainly did not.
            assert run.counts == Counts(unknown=5, skipped=45)
            assert {outcome.agent_id for outcome in run.rest} == {f"agent-{n}" for n in range(50)}
            assert sum(isinstance(outcome, Unknown) for outcome in run.rest) == 5
            with pytest.raises(StopAsyncIteration):
                await anext(run)
        assert asyncio.all_tasks() == before

    async def test_by_break_and_by_error_alike(self, dialect: str) -> None:
        async with served(dialect, agents=30) as (server, trmm):
            with pytest.raises(ZeroDivisionError):
                async with trmm.fleet.run_script(server.agent_ids, script=1, width=2) as run:
                    async for _ in run:
                        raise ZeroDivisionError
            assert run.counts.total == 30
            assert run.counts.pending == 0
            assert run.counts.skipped > 20

    async def test_cancelled_it_leaves_no_task_either(self) -> None:
        async with held() as (server, trmm):
            task = asyncio.ensure_future(_await(trmm.fleet.run_script(["a", "b", "c"], script=1, width=2)))
            await server.received(2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            workers = [one for one in asyncio.all_tasks() if "FleetRun" in repr(one.get_coro())]
            assert workers == []

    async def test_cancelled_while_awaited_it_keeps_what_is_known(self, dialect: str) -> None:
        async with served(dialect, agents=8) as (server, trmm):
            server.script(1, agent_id=server.agent_ids[0], seconds=60)
            run = trmm.fleet.run_script(server.agent_ids, script=1, width=4)
            task = asyncio.ensure_future(_await(run))
            await until(lambda: run.counts.done == 7)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert Counter(type(outcome) for outcome in run.rest) == {Done: 7, Unknown: 1}
            assert {outcome.agent_id for outcome in run.rest} == set(server.agent_ids)

    async def test_what_waits_for_the_limit_was_never_sent(self) -> None:
        from trmm_async import RateLimit

        async with held(rate_limit=RateLimit(2, per=300)) as (server, trmm):
            async with trmm.fleet.run_script(["a", "b", "c", "d", "e"], script=1, width=4) as run:
                await server.received(2)
                await asyncio.sleep(0.05)
            assert run.counts == Counts(unknown=2, skipped=3)
            assert len(server.requests) == 2


class TestUse:
    async def test_a_run_is_used_once(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            run = trmm.fleet.run_script(server.agent_ids, script=1)
            await run
            with pytest.raises(ClosedError, match="used already"):
                await run

    async def test_it_is_entered_before_it_is_iterated(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            run = trmm.fleet.run_script(server.agent_ids, script=1)
            with pytest.raises(ClosedError, match="enter"):
                await anext(run)
            assert server.requests == []


def _order(server: Simulator, agent_id: str, fate: str) -> None:
    match fate:
        case "late":
            server.script(1, agent_id=agent_id, seconds=0.05)
        case "400" | "502":
            server.fail("POST", f"/{agent_id}/runscript/", status=int(fate), after=fate == "502")
        case "cut":
            server.cut("POST", f"/{agent_id}/runscript/", after=True)
        case "offline":
            server.go_offline(agent_id)


async def _await(run: Any) -> Any:
    return await run
