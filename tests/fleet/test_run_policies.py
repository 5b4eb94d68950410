"""How careful a run is, over real servers of both kinds."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.careful import fleet, posts, streamed
from tests.servers import at_once, count
from trmm_async import Counts, Done, Skipped, UnsupportedError


class TestCanary:
    async def test_goes_first_and_then_all_others(self, dialect: str) -> None:
        async with fleet(dialect) as (server, trmm):
            outcomes = await trmm.fleet.run_script(server.agent_ids, 1, canary=3)
            assert [type(outcome) for outcome in outcomes] == [Done] * 20
            first = sorted(server.runs, key=lambda run: run.started)[:3]
            assert {run.agent_id for run in first} == set(server.agent_ids[:3])
            others = [run.started for run in server.runs if run not in first]
            assert min(others) >= max(run.finished or 0.0 for run in first)

    async def test_that_fails_keeps_the_others_from_running(self, dialect: str) -> None:
        async with fleet(dialect) as (server, trmm):
            server.script(1, agent_id=server.agent_ids[1], retcode=1)
            run = trmm.fleet.run_script(server.agent_ids, 1, canary=3)
            outcomes = await run
            assert [type(outcome) for outcome in outcomes] == [Done] * 3 + [Skipped] * 17
            assert run.stopped == "a canary did not succeed"
            assert {outcome.reason for outcome in outcomes if isinstance(outcome, Skipped)} == {run.stopped}
            assert run.counts == Counts(done=3, skipped=17)
            assert run.succeeded == 2
            assert len(server.runs) == 3

    @pytest.mark.parametrize("source", ["stream", "journal"])
    async def test_are_no_more_where_targets_have_to_be_fetched(
        self, dialect: str, source: str, tmp_path: Path
    ) -> None:
        async with fleet(dialect) as (server, trmm):
            server.script(1, agent_id=server.agent_ids[0], retcode=1, seconds=0.1)
            targets: Any = server.agent_ids if source == "journal" else streamed(server.agent_ids)
            journal = tmp_path / "run.db" if source == "journal" else None
            run = trmm.fleet.run_script(targets, 1, canary=1, journal=journal)
            await run
            assert run.stopped == "a canary did not succeed"
            assert [each.agent_id for each in server.runs] == server.agent_ids[:1]


class TestBatches:
    @pytest.mark.parametrize("batch", [5, 0.25])
    async def test_one_after_the_other(self, dialect: str, batch: float) -> None:
        async with fleet(dialect) as (server, trmm):
            outcomes = await trmm.fleet.run_script(server.agent_ids, 1, batch=batch)
            assert len(outcomes) == len(server.runs) == 20
            assert at_once(server.runs) <= 5
            if dialect == "stock":
                assert posts(server) == 4

    async def test_of_a_journal_are_no_larger(self, dialect: str, tmp_path: Path) -> None:
        async with fleet(dialect) as (server, trmm):
            await trmm.fleet.run_script(server.agent_ids, 1, batch=2, journal=tmp_path / "run.db")
            assert len(server.runs) == 20
            assert at_once(server.runs) <= 2

    async def test_of_one_are_one_after_the_other(self, dialect: str) -> None:
        async with fleet(dialect, agents=4) as (server, trmm):
            await trmm.fleet.run_script(server.agent_ids, 1, batch=1)
            assert at_once(server.runs) == 1
            assert [run.agent_id for run in server.runs] == server.agent_ids


class TestFailures:
    @pytest.mark.parametrize("most", [2, 0.1])
    async def test_more_than_that_stop_the_run(self, dialect: str, most: float) -> None:
        async with fleet(dialect) as (server, trmm):
            for agent_id in server.agent_ids[::2]:
                server.script(1, agent_id=agent_id, retcode=1)
            run = trmm.fleet.run_script(server.agent_ids, 1, max_failures=most, width=1)
            outcomes = await run
            assert run.stopped == "more than 2 failures"
            # Good and bad by turns: the third failure is the fifth target.
            assert [type(outcome) for outcome in outcomes] == [Done] * 5 + [Skipped] * 15
            assert len(server.runs) == 5

    async def test_a_run_that_can_be_stopped_is_not_sent_to_all_at_once(self, dialect: str) -> None:
        async with fleet(dialect, agents=80) as (server, trmm):
            server.script(1, retcode=1, seconds=0.05)
            run = trmm.fleet.run_script(server.agent_ids, 1, max_failures=3)
            await run
            # Fifty are under way when the fourth of them fails, and three have made room by then.
            assert len(server.runs) <= 53
            assert run.counts.skipped >= 27
            assert count(server, "POST", "/bulk/") == 0

    async def test_success_is_what_the_user_says(self, dialect: str) -> None:
        async with fleet(dialect, agents=6) as (server, trmm):
            server.script(1, retcode=3010)
            run = trmm.fleet.run_script(
                server.agent_ids, 1, canary=2, max_failures=0, success=lambda result: result.retcode == 3010
            )
            await run
            assert (run.counts.done, run.succeeded, run.stopped) == (6, 6, "")

    async def test_a_predicate_that_breaks_says_so(self, dialect: str) -> None:
        async with fleet(dialect, agents=3) as (server, trmm):
            with pytest.raises(ZeroDivisionError):
                await trmm.fleet.run_script(
                    server.agent_ids, 1, success=lambda result: result.retcode == 1 / 0
                )

    async def test_a_predicate_that_breaks_ends_the_run(self, dialect: str) -> None:
        async with fleet(dialect, agents=40) as (server, trmm):
            run = trmm.fleet.run_script(
                server.agent_ids, 1, width=4, success=lambda result: result.retcode == 1 / 0
            )
            async with run:
                with pytest.raises(ZeroDivisionError):
                    await anext(run)
                begun = len(server.runs)
                # Whoever worked beside the one that broke has ended too, and sends nothing more.
                await asyncio.sleep(0.1)
                assert len(server.runs) == begun <= 8


class TestStopping:
    @pytest.mark.parametrize("after", range(6))
    async def test_while_targets_are_fetched(self, dialect: str, after: int) -> None:
        async def slowly() -> AsyncIterator[str]:
            for agent_id in server.agent_ids:
                await asyncio.sleep(0.01)
                yield agent_id

        async with fleet(dialect) as (server, trmm):
            run = trmm.fleet.run_script(slowly(), 1)
            asyncio.get_running_loop().call_later(0.005 + 0.011 * after, run.stop)
            outcomes = await run
            assert len(server.runs) < 15
            assert len(outcomes) == run.counts.total
            assert run.counts.pending == 0

    async def test_waits_for_what_is_in_flight(self, dialect: str) -> None:
        async with fleet(dialect, agents=30) as (server, trmm):
            server.script(1, seconds=0.1)
            async with trmm.fleet.run_script(server.agent_ids, 1, width=4) as run:
                first = await anext(run)
                run.stop()
                outcomes = [first, *[outcome async for outcome in run]]
            assert len(outcomes) == 30
            assert run.rest == []
            assert run.counts.done == len(server.runs) <= 8
            assert run.counts == Counts(done=len(server.runs), skipped=30 - len(server.runs))


class TestGroups:
    async def test_fold_what_is_alike(self, dialect: str) -> None:
        async with fleet(dialect, agents=6) as (server, trmm):
            server.script(1, stdout="same\n")
            server.script(1, agent_id=server.agent_ids[3], stdout="other\n", retcode=4)
            run = trmm.fleet.run_script(server.agent_ids, 1)
            assert (run.groups(), run.worst_retcode) == ([], None)
            await run
            first, second = run.groups()
            assert (len(first), first.output, first.retcode) == (5, "same\n", 0)
            assert (second.agent_ids, second.output, second.retcode) == ([server.agent_ids[3]], "other\n", 4)
            assert run.worst_retcode == 4
            assert "(5: done, return code 0)" in run.report()
            assert "NAME (1: done" in run.report({server.agent_ids[3]: "NAME"})


async def test_environment_variables_are_for_a_stock_server(dialect: str) -> None:
    async with fleet(dialect, agents=2) as (server, trmm):
        outcomes = await trmm.fleet.run_script(server.agent_ids, 1, env_vars={"A": "1"}, run_as_user=True)
        if dialect == "stock":
            assert {tuple(run.env_vars) for run in server.runs} == {("A=1",)}
        else:
            assert {type(getattr(outcome, "error", None)) for outcome in outcomes} == {UnsupportedError}
