"""What is sent to each target, and what its end means."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.fleet.careful import KINDS, fleet
from tests.servers import served
from trmm_async import (
    AgentSilentError,
    AuthenticationError,
    BadRequestError,
    Done,
    Failed,
    Outcome,
    OutcomeUnknownError,
    Skipped,
    Unknown,
)
from trmm_async.fleet.dispatcher import Dispatcher, together
from trmm_async.fleet.journal import InFlight
from trmm_async.script_runs import RecoveredRun, Watermark


class TestSplay:
    async def test_spreads_the_sendings(self, dialect: str) -> None:
        async with fleet(dialect, agents=10) as (server, trmm):
            await trmm.fleet.run_script(server.agent_ids, 1, splay=0.4)
            starts = sorted(run.started for run in server.runs)
            assert len(starts) == 10
            assert starts[-1] - starts[0] > 0.05

    async def test_a_stop_reaches_those_that_wait(self, dialect: str) -> None:
        async with fleet(dialect, agents=30) as (server, trmm):
            server.script(1, retcode=1)
            async with trmm.fleet.run_script(server.agent_ids, 1, splay=0.5, max_failures=0) as run:
                outcomes = [outcome async for outcome in run]
            assert len(outcomes) == 30
            assert run.counts.skipped > 0
            assert len(server.runs) == run.counts.done


class TestOutcomes:
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


class TestUse:
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


async def test_of_several_jobs_the_first_failure_cancels_the_others() -> None:
    ended: list[str] = []

    async def job(name: str) -> None:
        try:
            if name == "fails":
                raise ZeroDivisionError
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    with pytest.raises(ZeroDivisionError):
        await together(job(name) for name in ("one", "fails", "other"))
    assert sorted(ended) == ["fails", "one", "other"]
    await together(())


async def test_what_one_call_has_sent_is_looked_up_by_one() -> None:
    asked: list[tuple[tuple[str, ...], RecoveredRun]] = []
    told: list[str] = []

    class Parts:
        """Stands for the work of a run that keeps no history, for its collector and its matcher."""

        username = None
        is_users = False

        def poller(self, _: object) -> Any:
            return self

        @property
        def matcher(self) -> Any:
            return self

        @property
        def work(self) -> Any:
            return self

        def recovery(self, _: object, __: object, agent_ids: tuple[str, ...], sent: RecoveredRun) -> None:
            asked.append((agent_ids, sent))

        async def tell(self, outcome: Outcome[Any], *, crashed: bool) -> None:
            assert crashed
            assert isinstance(outcome, Unknown)
            told.append(str(outcome.error))

    parts: Any = Parts()
    dispatcher = Dispatcher[Any](parts, parts, parts, parts, parts, parts, None)
    rows = [("a", 1.0, 5), ("b", 1.0, 5), ("c", 1.0, 6), ("d", 2.0, 5)]
    await dispatcher.recover(InFlight(name, at, mark, None) for name, at, mark in rows)
    assert [agent_ids for agent_ids, _ in asked] == [("a", "b"), ("c",), ("d",)]
    assert [(sent.watermark, sent.sent_at) for _, sent in asked[1:]] == [
        (Watermark(6, None), 1.0),
        (Watermark(5, None), 2.0),
    ]
    assert told == [f"sent to {name} by a process that ended before the answer came" for name in "abcd"]
