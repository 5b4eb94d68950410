"""One script over many agents: an outcome for each, whatever happens, and never a script run twice."""

import asyncio
import dataclasses
import gc
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.peer import Peer, Request, peer
from tests.properties import many
from tests.servers import DIALECTS, at_once, served, until
from trmm_async import (
    TRMM,
    AgentSilentError,
    AuthenticationError,
    BadRequestError,
    ClosedError,
    Counts,
    Done,
    Failed,
    InvalidRequestError,
    OutcomeUnknownError,
    Skipped,
    Unknown,
)
from trmm_async.fleet.plan import RunPlan
from trmm_async.testing import Simulator

# What becomes of a target by what happens to its own call. A stock server's history tells what a lost answer
# would have; and it takes a script for an agent that is not there, and never says that it was not.
KINDS: dict[str, dict[str, type[Done | Failed | Unknown]]] = {
    "gateway": {"ok": Done, "late": Done, "400": Failed, "502": Unknown, "cut": Unknown, "offline": Failed},
    "stock": {"ok": Done, "late": Done, "400": Failed, "502": Done, "cut": Done, "offline": Unknown},
}


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

    async def test_each_kind_of_trouble_is_a_value_of_its_own_kind(self, dialect: str) -> None:
        async with served(dialect, agents=12, offline_hold=0.05) as (server, trmm):
            ids = server.agent_ids
            server.go_offline(ids[0])
            server.script(1, agent_id=ids[1], retcode=3)
            server.fail("POST", f"/{ids[2]}/runscript/", status=502, after=True)
            server.cut("POST", f"/{ids[3]}/runscript/", after=True)
            server.fail("POST", f"/{ids[4]}/runscript/", status=403)
            # On a stock server, a width keeps it to single calls.
            run = trmm.fleet.run_script(ids, script=1, timeout=1, width=11)
            offline, nonzero, bad_gateway, cut, forbidden, *_ = await run
            kinds = KINDS[dialect]
            assert isinstance(offline, kinds["offline"])
            assert isinstance(offline, Failed | Unknown)
            assert isinstance(offline.error, BadRequestError | AgentSilentError)
            assert isinstance(nonzero, Done)
            assert nonzero.result.retcode == 3
            assert isinstance(bad_gateway, kinds["502"])
            assert isinstance(cut, kinds["cut"])
            assert isinstance(cut, Done) or isinstance(cut.error, OutcomeUnknownError)
            assert isinstance(forbidden, Failed)
            ran = Counter(run.agent_id for run in server.runs)
            assert all(ran[agent_id] <= 1 for agent_id in ids)
            assert ran[ids[0]] == ran[ids[4]] == 0

    async def test_counts_add_up_at_every_moment(self, dialect: str) -> None:
        async with served(dialect, agents=12) as (server, trmm):
            server.fail("POST", "/runscript/", status=400, times=3)
            async with trmm.fleet.run_script(server.agent_ids, script=1, width=4) as run:
                assert run.counts.total == 12
                async for _ in run:
                    assert run.counts.total == 12
            assert run.counts == Counts(done=9, failed=3)
            assert run.rest == []
            assert "ended" in repr(run)

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


class TestBeforeSending:
    @pytest.mark.parametrize(
        ("targets", "settings", "said"),
        [
            (["a", "b", "a"], {}, "'a' is given more than once"),
            ("abc", {}, "a collection"),
            (["a", ".."], {}, "dot path"),
            (["a", ""], {}, "empty"),
            (["a"], {"width": 0}, "width"),
            (["a"], {"timeout": 301}, "1 to 300"),
            (["a"], {"args": "C:"}, "sequence"),
            (["a"], {"script": 1.5}, "script"),
        ],
    )
    async def test_what_is_wrong_is_said_and_nothing_sent(
        self, dialect: str, targets: Any, settings: dict[str, Any], said: str
    ) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match=said):
                trmm.fleet.run_script(targets, **{"script": 1, **settings})
            assert server.requests == []


class TestWidth:
    async def test_bounds_what_is_in_flight(self, dialect: str) -> None:
        async with served(dialect, agents=21, script_seconds=0.3) as (server, trmm):
            await trmm.fleet.run_script(server.agent_ids, script=1, width=7)
            assert at_once(server.runs) == 7
            # A gateway's call lasts as long as the script, a stock server's is over when that begins.
            assert server.max_in_flight <= 7
            assert server.max_in_flight == 7 or dialect == "stock"

    async def test_bounds_the_tasks_too(self) -> None:
        async with held() as (server, trmm):
            before = len(asyncio.all_tasks())
            async with trmm.fleet.run_script([f"agent-{n}" for n in range(10_000)], script=1, width=8):
                await server.received(8)
                # One task a worker; the peer has one for each of its connections.
                assert len(asyncio.all_tasks()) - before <= 2 * 8 + 1

    async def test_pending_targets_cost_no_more_than_their_place_in_a_list(self) -> None:
        targets = [f"agent-{number}" for number in range(100_000)]
        async with held() as (server, trmm):
            gc.collect()
            tracemalloc.start()
            try:
                async with trmm.fleet.run_script(targets, script=1, width=8):
                    await server.received(8)
                    gc.collect()
                    held_now, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        # With the eight calls that are under way, and the peer's side of them.
        assert held_now < 1_100_000

    async def test_a_reader_that_lags_behind_holds_the_workers_back(self, dialect: str) -> None:
        async with served(dialect, agents=40) as (server, trmm):
            async with trmm.fleet.run_script(server.agent_ids, script=1, width=3) as run:
                await anext(run)
                async with asyncio.timeout(30):
                    while run.counts.pending > 40 - 7:
                        await asyncio.sleep(0.01)
                await asyncio.sleep(0.1)
                # One read, three waiting to be read, three finished by workers that can't hand them over.
                assert len(server.runs) <= 7
            assert run.counts.total == 40
            # What was finished and not read is not lost, nor is what was never tried.
            assert len(run.rest) == 39
            ran = {record.agent_id for record in server.runs}
            assert {outcome.agent_id for outcome in run.rest if isinstance(outcome, Skipped)}.isdisjoint(ran)


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

    async def test_a_refused_key_stops_the_run(self, dialect: str) -> None:
        async with served(dialect, agents=30) as (server, trmm):
            server.revoke_key()
            run = trmm.fleet.run_script(server.agent_ids, script=1, width=3)
            outcomes = await run
            failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
            skipped = [outcome for outcome in outcomes if isinstance(outcome, Skipped)]
            assert run.stopped == str(failed[0].error)
            assert all(isinstance(outcome.error, AuthenticationError) for outcome in failed)
            assert 1 <= len(failed) <= 3
            assert len(failed) + len(skipped) == 30
            assert "401" in skipped[0].reason
            assert len(server.requests) == len(failed)

    async def test_a_refused_request_does_not(self, dialect: str) -> None:
        async with served(dialect, agents=5) as (server, trmm):
            server.fail("POST", "/runscript/", status=400, times=1)
            outcomes = await trmm.fleet.run_script(server.agent_ids, script=1, width=1)
            first = outcomes[0]
            assert isinstance(first, Failed)
            assert isinstance(first.error, BadRequestError)
            assert all(isinstance(outcome, Done) for outcome in outcomes[1:])

    async def test_a_mistake_of_ours_reaches_the_reader(self, dialect: str) -> None:
        async with served(dialect, agents=2) as (server, trmm):
            run = trmm.fleet.run_script(server.agent_ids, script=1)
            assert isinstance(run._plan, RunPlan)
            run._plan = dataclasses.replace(run._plan, work=None)  # type: ignore[arg-type]
            with pytest.raises(AttributeError):
                await run


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


@asynccontextmanager
async def held(**settings: Any) -> AsyncIterator[tuple[Peer, TRMM]]:
    """A server that takes every script and never answers."""

    async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
        await asyncio.Event().wait()
        return False

    settings = {"dialect": "gateway", "rate_limit": None, **settings}
    async with asyncio.timeout(30), peer(handle) as server:
        async with TRMM(server.url, api_key="key", **settings) as trmm:
            yield server, trmm
