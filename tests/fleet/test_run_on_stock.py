"""One script over many agents of a stock server: one call, few looks, and no silence of it left unsaid."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.forked import killed_in_the_end
from tests.properties import many
from tests.servers import at_once, count, served, until
from trmm_async import (
    AgentSilentError,
    AuthenticationError,
    BadRequestError,
    Counts,
    Done,
    Failed,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ServerFaultError,
    Skipped,
    UnidentifiedError,
    Unknown,
)
from trmm_async.fleet.journal import Journal, Order
from trmm_async.outcomes import Outcome
from trmm_async.script_runs import HistoryWaits
from trmm_async.testing import Run, ScriptReply, Simulator

BULK, SINGLE, HISTORY = "/agents/actions/bulk/", "/runscript/", "/agents/scripthistory/"
NOBODIES = [f"NobodyOfThisServer{n:022}" for n in range(3)]


def echo(run: Run) -> ScriptReply:
    return ScriptReply(stdout=f"{run.agent_id} {' '.join(run.args)}", seconds=0.02)


def echoing(server: Simulator) -> int:
    number = server.add_script("echo")
    server.script(number, handler=echo)
    return number


def printed(outcomes: Iterable[Outcome]) -> dict[str, str]:
    return {one.agent_id: one.result.stdout for one in outcomes if isinstance(one, Done)}


def none_twice(server: Simulator, times: int = 1) -> bool:
    return max(Counter(run.agent_id for run in server.runs).values(), default=0) <= times


class TestOneCall:
    async def test_serves_all_and_the_looks_do_not_grow_with_them(self) -> None:
        looks: dict[int, int] = {}
        for agents in (30, 300):
            async with served("stock", agents=agents, waits=HistoryWaits(report=5)) as (server, trmm):
                server.script(1, seconds=0.5)
                outcomes = await trmm.fleet.run_script(server.agent_ids, script=1)
                assert all(isinstance(outcome, Done) for outcome in outcomes)
                assert [outcome.agent_id for outcome in outcomes] == server.agent_ids
                assert count(server, "POST") == count(server, "POST", BULK) == 1
                looks[agents] = count(server, "GET", HISTORY)
                assert count(server, "GET") == looks[agents] + 2  # our own name, and the script
        assert looks[30] <= 9
        assert looks[300] <= looks[30] + 1

    async def test_carries_everything_that_the_run_was_given(self) -> None:
        async with served("stock", agents=3) as (server, trmm):
            how: Any = {"args": ["C:"], "timeout": 7, "env_vars": {"A": "b"}, "run_as_user": True}
            await trmm.fleet.run_script(server.agent_ids, script=1, **how)
            said = {(run.args, run.timeout, run.env_vars, run.run_as_user) for run in server.runs}
            assert said == {(("C:",), 7, ("A=b",), True)}

    async def test_gives_outcomes_as_they_come(self) -> None:
        async with served("stock", agents=5, waits=HistoryWaits(report=5)) as (server, trmm):
            slow = server.agent_ids[2]
            server.script(1, agent_id=slow, seconds=1.0)
            async with trmm.fleet.run_script(server.agent_ids, script=1) as run:
                first = await anext(run)
                assert not server.runs_of(slow)[0].finished
                rest = [outcome async for outcome in run]
            assert [outcome.agent_id for outcome in (first, *rest)][-1] == slow

    async def test_a_width_as_wide_as_the_targets_changes_nothing(self) -> None:
        async with served("stock", agents=4) as (server, trmm):
            await trmm.fleet.run_script(server.agent_ids, script=1, width=4)
            assert (count(server, "POST", BULK), count(server, "POST", SINGLE)) == (1, 0)

    async def test_a_smaller_width_bounds_how_many_run(self) -> None:
        async with served("stock", agents=8) as (server, trmm):
            server.script(1, seconds=0.3)
            outcomes = await trmm.fleet.run_script(server.agent_ids, script=1, width=4)
            assert all(isinstance(outcome, Done) for outcome in outcomes)
            assert (count(server, "POST", BULK), count(server, "POST", SINGLE)) == (0, 8)
            assert at_once(server.runs) == 4

    async def test_one_target_is_no_fleet(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            (outcome,) = await trmm.fleet.run_script(server.agent_ids, script=1)
            assert isinstance(outcome, Done)
            assert (count(server, "POST", BULK), count(server, "POST", SINGLE)) == (0, 1)

    async def test_five_thousand_agents(self) -> None:
        waits = HistoryWaits(report=20, bulk_row=20)
        async with served("stock", agents=5000, waits=waits, longest=30) as (server, trmm):
            outcomes = await trmm.fleet.run_script(server.agent_ids, script=1)
            assert [outcome.agent_id for outcome in outcomes] == server.agent_ids
            assert all(isinstance(outcome, Done) for outcome in outcomes)
            assert (count(server, "POST"), len(server.runs)) == (1, 5000)
            assert count(server, "GET") < 20


class TestWhatTheServerLeavesOut:
    async def test_targets_that_it_does_not_know(self) -> None:
        async with served("stock", agents=3) as (server, trmm):
            targets = [NOBODIES[0], *server.agent_ids, NOBODIES[1]]
            first, *known, last = await trmm.fleet.run_script(targets, script=1)
            assert all(isinstance(outcome, Done) for outcome in known)
            for outcome in (first, last):
                assert isinstance(outcome, Failed)
                assert isinstance(outcome.error, NotFoundError)
                assert outcome.agent_id in str(outcome.error)

    async def test_where_it_may_not_be_asked_which_these_are(self) -> None:
        async with served("stock", agents=3, waits=HistoryWaits(report=0.3, bulk_row=20)) as (server, trmm):
            server.script(1, seconds=0)
            with server.restrict("can_list_agents"):
                run = trmm.fleet.run_script([*server.agent_ids, NOBODIES[0]], script=1, timeout=1)
                async with asyncio.timeout(30):
                    *known, unknown = await run
            assert all(isinstance(outcome, Done) for outcome in known)
            assert isinstance(unknown, Unknown)
            assert "not begun" in str(unknown.error)

    async def test_all_of_them(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            outcomes = await trmm.fleet.run_script(NOBODIES, script=1)
            assert [type(outcome) for outcome in outcomes] == [Failed] * 3
            assert all(
                isinstance(outcome, Failed) and isinstance(outcome.error, NotFoundError)
                for outcome in outcomes
            )
            assert (server.runs, count(server, "POST")) == ([], 1)

    async def test_what_it_refuses_altogether(self) -> None:
        async with served("stock", agents=3) as (server, trmm):
            for status, kind in (
                (400, BadRequestError),
                (403, PermissionDeniedError),
                (401, AuthenticationError),
            ):
                server.fail("POST", BULK, status=status)
                outcomes = await trmm.fleet.run_script(server.agent_ids, script=1)
                assert all(isinstance(one, Failed) and isinstance(one.error, kind) for one in outcomes)
            # A real server answers 500 to a script that it has not, as to much else: that proves nothing.
            server.fail("POST", BULK, status=500)
            (lost, *_) = await trmm.fleet.run_script(server.agent_ids, script=1)
            assert isinstance(lost, Unknown)
            assert isinstance(lost.error, ServerFaultError)
            assert server.runs == []

    async def test_a_history_that_is_refused_keeps_all_from_being_sent(self) -> None:
        async with served("stock", agents=3) as (server, trmm):
            with server.restrict("can_list_agent_history"):
                outcomes = await trmm.fleet.run_script(server.agent_ids, script=1)
            assert all(isinstance(outcome, Failed) for outcome in outcomes)
            assert count(server, "POST") == 0


class TestSilence:
    async def test_has_its_reason(self) -> None:
        async with served("stock", agents=6) as (server, trmm):
            offline, hung, lost, *well = server.agent_ids
            server.go_offline(offline)
            server.hang(hung)
            server.script(1, agent_id=lost, seconds=60)
            task = asyncio.ensure_future(
                _awaited(trmm.fleet.run_script(server.agent_ids, script=1, timeout=2))
            )
            await until(lambda: server.runs_of(lost))
            server.go_offline(lost)
            outcomes = await task
            for outcome, reason in zip(outcomes, ("offline", "silent", "offline"), strict=False):
                assert isinstance(outcome, Unknown)
                assert isinstance(outcome.error, AgentSilentError)
                assert (outcome.error.agent_id, outcome.error.reason) == (outcome.agent_id, reason)
            assert list(printed(outcomes)) == well

    async def test_of_all(self) -> None:
        async with served("stock", agents=3, offline_hold=0.05) as (server, trmm):
            with server.nats_down():
                outcomes = await trmm.fleet.run_script(server.agent_ids, script=1, timeout=1)
            assert all(
                isinstance(one, Unknown) and isinstance(one.error, AgentSilentError) for one in outcomes
            )
            assert server.runs == []

    async def test_a_late_report_is_still_a_result(self) -> None:
        async with served("stock", agents=3, waits=HistoryWaits(report=5)) as (server, trmm):
            server.report_delay = 1.2
            outcomes = await trmm.fleet.run_script(server.agent_ids, script=1, timeout=1)
            assert all(isinstance(outcome, Done) for outcome in outcomes)


class TestALostAnswer:
    @pytest.mark.parametrize("status", [302, 500, 502, 503, 504])
    async def test_to_a_call_that_worked_costs_nothing(self, status: int) -> None:
        async with served("stock", agents=3, waits=HistoryWaits(bulk_row=5)) as (server, trmm):
            server.fail("POST", BULK, status=status, after=True, retry_after=0)
            outcomes = await trmm.fleet.run_script(server.agent_ids, script=1)
            assert all(isinstance(outcome, Done) for outcome in outcomes)
            assert none_twice(server)
            assert count(server, "POST") == 1

    async def test_that_was_cut_costs_nothing_either(self) -> None:
        async with served("stock", agents=3, waits=HistoryWaits(bulk_row=5)) as (server, trmm):
            server.cut("POST", BULK, after=True)
            targets = [*server.agent_ids, NOBODIES[0]]
            *known, unknown = await trmm.fleet.run_script(targets, script=1)
            assert all(isinstance(outcome, Done) for outcome in known)
            assert isinstance(unknown, Failed)
            assert none_twice(server)

    @pytest.mark.parametrize("fault", ["cut", 302, 502, 503, 504, 500])
    async def test_to_one_that_never_arrived_is_unknown(self, fault: str | int) -> None:
        async with served("stock", agents=3, waits=HistoryWaits(row=0.4)) as (server, trmm):
            if isinstance(fault, int):
                server.fail("POST", BULK, status=fault, retry_after=0)
            else:
                server.cut("POST", BULK, after=False)
            outcomes = await trmm.fleet.run_script(server.agent_ids, script=1)
            assert all(
                isinstance(one, Unknown) and isinstance(one.error, OutcomeUnknownError) for one in outcomes
            )
            assert (server.runs, count(server, "POST")) == ([], 1)

    async def test_of_the_history_for_a_while_costs_nothing(self) -> None:
        async with served("stock", agents=3, waits=HistoryWaits(bulk_row=5)) as (server, trmm):
            await trmm.fleet.run_script(server.agent_ids, script=2)
            rule = server.fail("GET", HISTORY, status=502, times=3)
            outcomes = await trmm.fleet.run_script(server.agent_ids, script=1)
            assert rule.hits == 3
            assert all(isinstance(outcome, Done) for outcome in outcomes)


class TestLeaving:
    async def test_early_leaves_no_task_and_calls_the_rest_unknown(self) -> None:
        async with served("stock", agents=20) as (server, trmm):
            server.script(1, seconds=20)
            quick = server.agent_ids[7]
            server.script(1, agent_id=quick, seconds=0)
            async with trmm.fleet.run_script(server.agent_ids, script=1) as run:
                assert (await anext(run)).agent_id == quick
                assert run.counts == Counts(done=1, pending=19)
            assert run.counts == Counts(done=1, unknown=19)
            assert {outcome.agent_id for outcome in run.rest} == set(server.agent_ids) - {quick}
            assert _tasks_of_ours() == []

    async def test_before_the_call_is_sent_calls_them_skipped(self) -> None:
        async with served("stock", agents=5) as (server, trmm):
            server.slow("GET", HISTORY, 20, after=False)
            async with trmm.fleet.run_script(server.agent_ids, script=1) as run:
                await until(lambda: server.in_flight)
            assert run.counts == Counts(skipped=5)
            assert all(isinstance(outcome, Skipped) for outcome in run.rest)
            assert (count(server, "POST"), server.runs, _tasks_of_ours()) == (0, [], [])

    async def test_while_the_call_is_under_way_calls_them_unknown(self) -> None:
        async with served("stock", agents=5) as (server, trmm):
            server.slow("POST", BULK, 20, after=True)
            async with trmm.fleet.run_script(server.agent_ids, script=1) as run:
                await until(lambda: server.runs)
            assert run.counts == Counts(unknown=5)
            assert _tasks_of_ours() == []

    async def test_cancelled_after_the_call(self) -> None:
        async with served("stock", agents=5) as (server, trmm):
            server.script(1, seconds=20)
            run = trmm.fleet.run_script(server.agent_ids, script=1)
            task = asyncio.ensure_future(_awaited(run))
            await until(lambda: len(server.runs) == 5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert run.counts == Counts(unknown=5)
            assert _tasks_of_ours() == []
            assert none_twice(server)

    async def test_a_run_that_was_left_is_not_mistaken_for_the_next(self) -> None:
        async with served("stock", agents=5) as (server, trmm):
            script = echoing(server)
            async with trmm.fleet.run_script(server.agent_ids, script=script, args=["left"]):
                await until(lambda: len(server.runs) == 5)
            outcomes = await trmm.fleet.run_script(server.agent_ids, script=script, args=["mine"])
            assert printed(outcomes) == {agent: f"{agent} mine" for agent in server.agent_ids}

    async def test_a_client_that_is_closed_says_so(self) -> None:
        async with served("stock", agents=3) as (server, trmm):
            server.script(1, seconds=20)
            task = asyncio.ensure_future(_awaited(trmm.fleet.run_script(server.agent_ids, script=1)))
            await until(lambda: len(server.runs) == 3)
            await trmm.aclose()
            outcomes = await task
            assert all(isinstance(one, Unknown) and "was closed" in str(one.error) for one in outcomes)
            assert _tasks_of_ours() == []


class TestOthers:
    async def test_runs_of_ours_over_the_same_agents_do_not_mix(self) -> None:
        async with served("stock", agents=9, waits=HistoryWaits(report=5, bulk_row=5)) as (server, trmm):
            script, ids = echoing(server), server.agent_ids
            whose = {"a": ids[:6], "b": ids[3:], "c": ids}
            single = asyncio.ensure_future(trmm.agents.run_script(ids[4], script, args=["single"]))
            told = await asyncio.gather(
                *(
                    _awaited(trmm.fleet.run_script(of, script=script, args=[name]))
                    for name, of in whose.items()
                )
            )
            for (name, targets), outcomes in zip(whose.items(), told, strict=True):
                assert printed(outcomes) == {agent: f"{agent} {name}" for agent in targets}
            assert (await single).stdout == f"{ids[4]} single"
            assert none_twice(server, times=4)

    async def test_rows_of_another_user_are_never_taken_for_ours(self) -> None:
        async with served("stock", agents=4, waits=HistoryWaits(report=5, bulk_row=5)) as (server, trmm):
            script, ids = echoing(server), server.agent_ids
            await trmm.agents.run_script(ids[0], script)  # by which our own name becomes known
            server.slow("POST", BULK, 0.2, after=False)
            task = asyncio.ensure_future(_awaited(trmm.fleet.run_script(ids, script=script, args=["mine"])))
            await until(lambda: count(server, "POST", BULK))
            for agent in ids:
                server.add_history(agent, script, username="eve", stdout="hers")
            assert printed(await task) == {agent: f"{agent} mine" for agent in ids}

    async def test_nor_on_some_where_our_name_is_not_known(self) -> None:
        async with served("stock", agents=4, waits=HistoryWaits(report=5, bulk_row=5)) as (server, trmm):
            script, ids = echoing(server), server.agent_ids
            server.slow("POST", BULK, 0.2, after=False)
            task = asyncio.ensure_future(_awaited(trmm.fleet.run_script(ids, script=script, args=["mine"])))
            await until(lambda: count(server, "POST", BULK))
            for agent in ids[:3]:
                server.add_history(agent, script, username="eve", stdout="hers")
            assert printed(await task) == {agent: f"{agent} mine" for agent in ids}

    async def test_nor_on_all_where_our_name_is_not_known(self) -> None:
        async with served("stock", agents=4, waits=HistoryWaits(report=5, bulk_row=5)) as (server, trmm):
            script, ids = echoing(server), server.agent_ids
            server.slow("POST", BULK, 0.2, after=False)
            with server.restrict("can_list_api_keys"):
                run = trmm.fleet.run_script(ids, script=script, args=["mine"])
                task = asyncio.ensure_future(_awaited(run))
                await until(lambda: count(server, "POST", BULK))
                for agent in ids:
                    server.add_history(agent, script, username="eve", stdout="hers")
                outcomes = await task
            assert printed(outcomes) == {}
            assert all(
                isinstance(one, Unknown) and isinstance(one.error, UnidentifiedError) for one in outcomes
            )


KILLED = """
import asyncio, sys
from trmm_async import TRMM

async def main() -> None:
    url, key, journal, ids = sys.argv[1:]
    async with TRMM(url, api_key=key, dialect="stock") as trmm:
        await trmm.fleet.run_script(ids.split(","), 1, timeout=5, journal=journal)

asyncio.run(main())
"""


class TestWhileTheServerStillWritesTheRows:
    """They come one after the other, behind the answer."""

    async def test_a_run_is_resumed_at_once_after_kill_9(self, tmp_path: Path) -> None:
        waits = HistoryWaits(report=5, row=1, bulk_row=5)
        async with served("stock", agents=60, row_seconds=0.05, waits=waits) as (server, trmm):
            rows = server.world.journal.history
            words = [server.url, server.api_key, str(tmp_path / "run.db"), ",".join(server.agent_ids)]
            async with killed_in_the_end(KILLED, words):
                await until(lambda: rows, seconds=20)
            assert len(rows) < 60
            outcomes = await trmm.fleet.resume(tmp_path / "run.db")
            assert [type(outcome) for outcome in outcomes] == [Done] * 60
            assert none_twice(server)
            again = await trmm.fleet.resume(tmp_path / "run.db", retry="unknown")
            assert [type(outcome) for outcome in again] == [Done] * 60
            assert (count(server, "POST"), len(server.runs)) == (1, 60)

    async def test_an_agent_that_was_removed_meanwhile_keeps_nobody_waiting(self, tmp_path: Path) -> None:
        waits = HistoryWaits(report=5, row=20, bulk_row=20)
        async with served("stock", agents=4, waits=waits) as (server, trmm):
            gone, ids, place = server.agent_ids[0], server.agent_ids, tmp_path / "run.db"
            order = Order(server=server.url, script=1, timeout=5)
            async with await Journal.create(place, order, ids) as journal:
                await journal.begin(ids, 0, None)
            for agent_id in ids[1:]:
                server.add_history(agent_id, 1, username=server.username, stdout="ours")
            await trmm.agents.delete(gone)
            async with asyncio.timeout(30):
                first, *rest = await trmm.fleet.resume(place)
            assert isinstance(first, Unknown)
            assert "no longer has such an agent" in str(first.error)
            assert set(printed(rest).values()) == {"ours"}

    @pytest.mark.parametrize("answer", ["comes", "is lost"])
    async def test_they_are_waited_for_as_long_as_new_ones_come(self, answer: str) -> None:
        waits = HistoryWaits(report=5, row=1.5, bulk_row=1.5)
        async with served("stock", agents=80, row_seconds=0.04, waits=waits) as (server, trmm):
            if answer == "is lost":
                server.cut("POST", BULK)
            outcomes = await trmm.fleet.run_script(server.agent_ids, script=1)
            assert [type(outcome) for outcome in outcomes] == [Done] * 80

    async def test_results_are_waited_for_as_long_as_they_come(self) -> None:
        waits = HistoryWaits(report=1.5)
        async with served("stock", agents=80, result_seconds=0.05, waits=waits) as (server, trmm):
            server.script(1, seconds=0.1)
            outcomes = await trmm.fleet.run_script(server.agent_ids, script=1, timeout=1)
            assert [type(outcome) for outcome in outcomes] == [Done] * 80

    async def test_a_run_ends_soon_after_its_last_result_has_come(self) -> None:
        async with served("stock", agents=120, result_seconds=0.045, row_seconds=0.007) as (server, trmm):
            server.script(1, seconds=1)
            run = asyncio.ensure_future(_awaited(trmm.fleet.run_script(server.agent_ids, script=1)))
            rows = server.world.journal.history
            await until(lambda: len(rows) == 120 and all(row.script_results for row in rows.values()), 20)
            looks = count(server, "GET", "scripthistory")
            assert [type(outcome) for outcome in await run] == [Done] * 120
            # Of the seconds between looks, tests/script_runs/test_matcher.py is the judge.
            assert count(server, "GET", "scripthistory") - looks <= 3


FATES: dict[str, type[Outcome]] = {
    "ok": Done, "slow": Done, "nonzero": Done, "nobody": Failed, "offline": Unknown, "hung": Unknown,
}  # fmt: skip
ANSWERS = ("comes", "cut", "502", "500")


class TestWhateverHappens:
    @settings(max_examples=many(4))
    @given(
        fates=st.lists(st.sampled_from(sorted(FATES)), min_size=2, max_size=12),
        answered=st.sampled_from(ANSWERS),
    )
    def test_every_target_has_one_outcome_and_no_script_runs_twice(
        self, fates: list[str], answered: str
    ) -> None:
        async def scenario() -> None:
            async with served("stock", agents=len(fates)) as (server, trmm):
                script, targets = echoing(server), server.agent_ids
                for place, fate in enumerate(fates):
                    targets[place] = _order(server, script, targets[place], fate)
                _spoil(server, answered)
                outcomes = await trmm.fleet.run_script(targets, script=script, args=["x"], timeout=1)
                assert [outcome.agent_id for outcome in outcomes] == targets
                assert [type(outcome) for outcome in outcomes] == [FATES[fate] for fate in fates]
                assert none_twice(server)
                assert count(server, "POST") == 1

        asyncio.run(scenario())


def _order(server: Simulator, script: int, agent_id: str, fate: str) -> str:
    """Prepare one target; its id."""
    match fate:
        case "slow":
            server.script(script, agent_id=agent_id, seconds=0.2)
        case "nonzero":
            server.script(script, agent_id=agent_id, seconds=0, retcode=5)
        case "offline":
            server.go_offline(agent_id)
        case "hung":
            server.hang(agent_id)
        case "nobody":
            return f"Nobody{agent_id}"
    return agent_id


def _spoil(server: Simulator, answered: str) -> None:
    if answered == "cut":
        server.cut("POST", BULK, after=True)
    elif answered != "comes":
        server.fail("POST", BULK, status=int(answered), after=True)


def _tasks_of_ours() -> list[str]:
    return [
        repr(one)
        for one in asyncio.all_tasks()
        if one.get_name().startswith("trmm_async") or "FleetRun" in repr(one.get_coro())
    ]


async def _awaited(run: Any) -> list[Outcome]:
    outcomes: list[Outcome] = await run
    return outcomes


@pytest.mark.parametrize("single", [True, False])
async def test_a_stop_waits_out_no_pause_before_the_history(single: bool) -> None:
    """429 with 100 seconds to wait: what became of the script is unknown then, and that is said soon."""
    waits = HistoryWaits(report=0.1, row=0.3, bulk_row=0.3, hurried=0.1)
    client = {"retries": 3}
    async with served("stock", agents=3, waits=waits, client=client, longest=20) as (server, trmm):
        await trmm.agents.run_script(server.agent_ids[0], 2)

        def refusing(run: Run) -> ScriptReply:
            server.fail("GET", "/agents/*", status=429, times=None, retry_after=100)
            return echo(run)

        server.script(1, handler=refusing)
        targets = server.agent_ids[:1] if single else server.agent_ids
        async with trmm.fleet.run_script(targets, 1, timeout=1) as run:
            await until(lambda: any(row.status == 429 for row in server.requests))
            run.stop()
            outcomes = [outcome async for outcome in run]
        assert [type(outcome) for outcome in outcomes] == [Unknown] * len(targets)
        said = str(outcomes[0].error)  # type: ignore[union-attr]
        assert "the history can't be read" in said
        assert "the run was stopped" in said
        assert len(server.runs) == 1 + len(targets)
