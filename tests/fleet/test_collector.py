"""Outcomes as they are counted, grouped and handed to the reader."""

import asyncio
import dataclasses
from typing import Any

import pytest

from tests.fleet.careful import kinds
from tests.servers import served
from trmm_async import (
    Counts,
    Done,
    JournalError,
    Outcome,
    OutcomeUnknownError,
    ScriptResult,
    Skipped,
    Unknown,
)
from trmm_async.fleet.collector import OutcomeCollector
from trmm_async.fleet.plan import RunPlan
from trmm_async.fleet.rollout import RolloutControl, RolloutPolicy
from trmm_async.fleet.storage import Judged
from trmm_async.observing import Observers, RunWatch


class TestOutcomes:
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


class TestUse:
    async def test_a_mistake_of_ours_reaches_the_reader(self, dialect: str) -> None:
        async with served(dialect, agents=2) as (server, trmm):
            run = trmm.fleet.run_script(server.agent_ids, script=1)
            assert isinstance(run._plan, RunPlan)
            run._plan = dataclasses.replace(run._plan, work=None)  # type: ignore[arg-type]
            with pytest.raises(AttributeError):
                await run


class TestLeaving:
    async def test_a_slow_reader_has_what_had_come_by_then(self) -> None:
        async with served("stock", agents=120) as (server, trmm):
            # The first look comes when all of them have ended: it has all the results.
            server.slow("GET", "/agents/scripthistory/", 0.5, times=None, after=False)
            async with trmm.fleet.run_script(server.agent_ids, 1) as run:
                await anext(run)
            assert run.counts == Counts(done=120)
            assert kinds(run.rest) == {Done: 119}


# The collector itself.

GOOD, BAD = ScriptResult(retcode=0), ScriptResult(retcode=1)


class Kept:
    """Stands for a journal: whether it settles an outcome, or the error that it raises."""

    def __init__(self, answer: bool | JournalError = True, *, is_shared: bool = False) -> None:
        self.shared = object() if is_shared else None
        self._answer = answer
        self.settled: list[tuple[str, bool, Judged]] = []

    async def settle(self, outcome: Outcome, *, ok: bool, judged: Judged) -> bool:
        self.settled.append((type(outcome).__name__, ok, judged))
        if isinstance(self._answer, JournalError):
            raise self._answer
        return self._answer


def collector(
    journal: Kept | None = None, *, forgives: bool = False, lag: int = 9, **policy: Any
) -> tuple[OutcomeCollector[ScriptResult], RolloutControl]:
    rules = RolloutPolicy(**policy)
    control = RolloutControl(rules, 4)
    watch = RunWatch(Observers(), "a script", 4, None, resumed=False)
    kept: Any = journal
    hosts = {"a": "PC-1"}
    made = OutcomeCollector[ScriptResult](
        rules, control, kept, lag=lag, hosts=hosts, watch=watch, forgives=forgives
    )
    return made, control


async def test_an_outcome_is_counted_named_recorded_and_handed_over() -> None:
    journal = Kept()
    outcomes, control = collector(journal)
    control.start(2)
    await outcomes.tell(Done("a", GOOD))
    await outcomes.tell(Done("b", BAD))
    await outcomes.tell(Skipped("c", "offline"), begun=False, is_final=False)
    assert outcomes.counts(4) == Counts(done=2, skipped=1, pending=1)
    assert outcomes.succeeded == 1
    told = [outcomes.ready.get_nowait() for _ in range(3)]
    assert [(one.agent_id, one.hostname) for one in told if isinstance(one, Done | Skipped)] == [
        ("a", "PC-1"),
        ("b", None),
        ("c", None),
    ]
    assert [(kind, ok) for kind, ok, _ in journal.settled] == [("Done", True), ("Done", False)]


@pytest.mark.parametrize(("forgives", "stops"), [(False, True), (True, False)])
async def test_what_an_earlier_process_had_started_is_forgiven_only_where_that_is_said(
    forgives: bool, stops: bool
) -> None:
    journal = Kept()
    outcomes, control = collector(journal, forgives=forgives, canary=1)
    control.start()
    await outcomes.tell(Unknown("a", OutcomeUnknownError("lost")), crashed=True)
    assert [judged for *_, judged in journal.settled] == [Judged(succeeded=forgives, crashed=True)]
    assert bool(control.stopped) is stops


async def test_a_journal_that_can_not_be_written_stops_the_run_and_the_outcome_is_handed_over() -> None:
    outcomes, control = collector(Kept(JournalError("disk full")))
    woken: list[None] = []
    outcomes.changed = lambda: woken.append(None)
    control.start()
    await outcomes.tell(Done("a", GOOD))
    assert (str(outcomes.unwritten), control.stopped) == ("disk full", "disk full")
    assert woken
    assert outcomes.ready.qsize() == 1
    outcomes.fail(JournalError("later"))
    assert str(outcomes.unwritten) == "disk full"


async def test_an_outcome_that_another_host_decides_is_dropped_and_comes_from_there_once() -> None:
    outcomes, control = collector(Kept(False, is_shared=True))
    control.start()
    await outcomes.tell(Done("a", GOOD))
    assert (outcomes.counts(4).pending, outcomes.ready.qsize()) == (4, 0)
    for _ in range(2):
        await outcomes.tell_of_other(Done("a", BAD), ok=True)
    assert (outcomes.counts(4), outcomes.succeeded, outcomes.ready.qsize()) == (
        Counts(done=1, pending=3),
        1,
        1,
    )


async def test_where_the_reader_lags_and_leaves_nothing_is_lost() -> None:
    outcomes, control = collector(lag=1)
    control.start(3)
    await outcomes.tell(Done("a", GOOD))
    late = asyncio.create_task(outcomes.tell(Done("b", GOOD)))
    await asyncio.sleep(0)
    late.cancel()
    await asyncio.wait([late])
    outcomes.keep(Unknown("c", OutcomeUnknownError("left")))
    outcomes.close()
    assert sorted(one.agent_id for one in outcomes.rest) == ["a", "b", "c"]
    assert [one.agent_id for one in outcomes.kept] == ["c"]
    assert outcomes.counts(4) == Counts(done=2, unknown=1, pending=1)


async def test_a_predicate_that_breaks_leaves_its_outcome_to_the_rest() -> None:
    outcomes, control = collector(success=lambda _: 1 / 0)
    control.start()
    with pytest.raises(ZeroDivisionError):
        await outcomes.tell(Done("a", GOOD))
    assert ([one.agent_id for one in outcomes.rest], outcomes.counts(4).done) == (["a"], 1)


async def test_what_earlier_processes_ended_is_told_again_or_counted() -> None:
    outcomes, _ = collector()
    outcomes.expect(Counts(done=2, failed=1))
    await outcomes.tell_again(Done("a", GOOD), ok=False)  # by the rule of its own run
    assert outcomes.succeeded == 0
    outcomes.drop_the_rest(4)
    assert outcomes.counts(4) == Counts(done=2, failed=1, skipped=1)


def test_of_a_shared_run_that_was_left_the_journal_knows() -> None:
    outcomes, _ = collector(Kept(is_shared=True))
    outcomes.drop_to(Counts(done=3, failed=1, unknown=1, skipped=2, pending=5), in_flight=2)
    assert outcomes.counts(12) == Counts(done=3, failed=1, unknown=3, skipped=5)
