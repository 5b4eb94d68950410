"""Several hosts work one run off: together, each target once, and stopped together."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.fleet.hosts import another, begun, fleet, kinds, rows
from tests.servers import at_once, count, until
from trmm_async import Counts, Done, Failed, JournalError, Outcome, Skipped, Unknown
from trmm_async.fleet.journal import InFlight
from trmm_async.fleet.sharing import SharedRun
from trmm_async.fleet.storage import RunStanding


class TestSeveralHosts:
    async def test_work_it_off_together_and_are_told_all_outcomes(self, database: str, dialect: str) -> None:
        order = {"width": 6} if dialect == "gateway" else {"batch": 4}
        async with fleet(dialect, agents=40) as (server, trmm), AsyncExitStack() as stack:
            server.script(1, seconds=0.2)  # so long that nobody has run them all before the others come
            journal = await begun(database, server, **order)
            others = [await stack.enter_async_context(another(server)) for _ in range(2)]
            told = await asyncio.gather(*(each.fleet.resume(journal) for each in (trmm, *others)))
            for outcomes in told:
                assert [one.agent_id for one in outcomes] == server.agent_ids
                assert kinds(outcomes) == {"Done": 40}
            assert len(server.runs) == 40
            assert at_once(server.runs) <= 6
            assert len({owner for (owner,) in rows(database, "owner")}) > 1

    async def test_have_some_each_where_one_call_is_for_many(self, database: str) -> None:
        async with fleet("stock", agents=260) as (server, trmm), another(server) as other:
            journal = await begun(database, server)
            one, two = await asyncio.gather(trmm.fleet.resume(journal), other.fleet.resume(journal))
            assert kinds(one) == kinds(two) == {"Done": 260}
            assert count(server, "POST", "/bulk/") == 2
            # Whoever comes first has the first 200; the other the rest, unless it comes too late for that.
            assert min(rows(database, "count(*) OVER (PARTITION BY owner)")) in {(60,), (260,)}

    async def test_are_one_run_with_one_canary(self, database: str, dialect: str) -> None:
        async with fleet(dialect, agents=20) as (server, trmm), another(server) as other:
            server.script(1, agent_id=server.agent_ids[1], retcode=1)
            journal = await begun(database, server, canary=3)
            one, two = await asyncio.gather(trmm.fleet.resume(journal), other.fleet.resume(journal))
            ran = len(server.runs)
            assert 2 <= ran <= 3  # the third may not have been begun when the second had failed
            for outcomes in (one, two):
                assert kinds(outcomes) == {"Done": ran, "Skipped": 20 - ran}
                assert {o.reason for o in outcomes if isinstance(o, Skipped)} == {"a canary did not succeed"}
            # It stays stopped, until somebody says otherwise.
            assert kinds(await other.fleet.resume(journal)) == {"Done": ran, "Skipped": 20 - ran}
            assert kinds(await trmm.fleet.resume(journal, forgive=True)) == {"Done": 20}
            assert len(server.runs) == 20

    async def test_stop_together_after_too_many_failures(self, database: str) -> None:
        async with fleet("gateway", agents=40) as (server, trmm), another(server) as other:
            server.script(1, retcode=1)
            journal = await begun(database, server, max_failures=4, width=3)
            one, two = await asyncio.gather(trmm.fleet.resume(journal), other.fleet.resume(journal))
            # One more than four stops it; two more were on their way.
            assert 5 <= len(server.runs) <= 7
            assert kinds(one) == kinds(two) == {"Done": len(server.runs), "Skipped": 40 - len(server.runs)}

    async def test_stop_together_when_the_key_is_refused(self, database: str) -> None:
        async with (
            fleet("gateway", agents=30, script_seconds=0.05) as (server, trmm),
            another(server) as other,
        ):
            journal = await begun(database, server, width=2)
            hosts = asyncio.gather(trmm.fleet.resume(journal), other.fleet.resume(journal))
            await until(lambda: len(server.runs) >= 4)
            server.revoke_key()
            one, two = await hosts
            for outcomes in (one, two):
                assert {type(each) for each in outcomes} == {Done, Failed, Skipped}
            assert len(server.runs) < 30

    async def test_of_which_one_is_stopped_leaves_it_to_the_other(self, database: str) -> None:
        async with (
            fleet("gateway", agents=20, script_seconds=0.02) as (server, trmm),
            another(server) as other,
        ):
            journal = await begun(database, server, width=2)
            run = other.fleet.resume(journal)

            async def left() -> Counts:
                async with run:
                    async for _ in run:
                        run.stop()
                return run.counts

            whole, counts = await asyncio.gather(trmm.fleet.resume(journal), left())
            assert kinds(whole) == {"Done": 20}
            assert counts.total == 20
            assert counts.pending == 0
            assert counts.skipped > 0
            assert len(server.runs) == 20


# One host's part, over a journal that is a few values.


class Run:
    """Stands for a shared journal, its store, the targets and the collector of one host."""

    poll = 0.001

    def __init__(self, *standings: RunStanding) -> None:
        self.standings = [*standings]
        self.left: list[tuple[int, str, str]] = []
        self.orphans: list[tuple[str, float, int, str | None]] = []
        self.written: list[tuple[int, Outcome[Any], bool]] = []
        self.read_after: list[int] = []
        self.told: dict[str, Outcome[Any]] = {}
        self.stopped = ""
        self.has_ended = False
        self.failed: JournalError | None = None

    # The store and the journal.
    async def adopt(self, patience: float) -> list[tuple[str, float, int, str | None]]:
        assert patience == 30.0
        found, self.orphans = self.orphans, []
        return found

    async def standing(self) -> RunStanding:
        if not self.standings:
            raise JournalError("the database is gone")
        return self.standings.pop(0)

    async def unended(self, after: int) -> list[tuple[int, str, str]]:
        return [row for row in self.left if row[0] > after][:1]

    async def news(self, after: int) -> list[tuple[int, Outcome[Any], bool]]:
        self.read_after.append(after)
        return [row for row in self.written if row[0] > after][:1]

    def in_flight_of(self, rows: list[tuple[str, float, int, str | None]]) -> list[InFlight]:
        return [InFlight(agent_id, sent_at, mark, None) for agent_id, sent_at, mark, _ in rows]

    # The targets.
    def end(self) -> None:
        self.has_ended = True

    # The collector.
    async def tell_of_other(self, outcome: Outcome[Any], *, ok: bool) -> None:
        del ok
        self.told[outcome.agent_id] = outcome

    async def tell(self, outcome: Outcome[Any], *, begun: bool, is_final: bool) -> None:
        assert not begun
        assert not is_final
        self.told[outcome.agent_id] = outcome

    def stop(self, why: str) -> None:
        self.stopped = why

    def fail(self, error: JournalError) -> None:
        self.failed = error

    def changed(self) -> None:
        pass


def part(run: Run, *parked: str) -> SharedRun[Any]:
    its: Any = run
    return SharedRun(its, its, its, its, its, {*parked}, patience=30.0)


async def nothing(rows: list[InFlight]) -> None:
    raise AssertionError(rows)


def standing(ended: int, under_way: int = 0, stopped: str = "") -> RunStanding:
    return RunStanding(total=3, ended=ended, under_way=under_way, serial=ended, stopped=stopped)


async def test_it_is_over_when_all_have_ended_and_this_host_has_sent_all() -> None:
    run = Run(standing(1), *[standing(3)] * 100_000)
    run.written = [(number, Done(f"agent{number}", None), True) for number in (1, 2, 3)]
    shared = part(run, "agent2")
    following = asyncio.create_task(shared.follow(nothing))
    await until(lambda: len(run.standings) < 100_000)
    assert not following.done()
    shared.sent_all()
    await asyncio.wait_for(following, 30)
    assert run.told.keys() == {"agent1", "agent2", "agent3"}
    assert shared.parked == set()
    assert run.read_after[:4] == [0, 1, 2, 3]  # nothing is read twice
    assert run.has_ended


@pytest.mark.parametrize(
    ("standings", "looks"),
    [
        # Stopped for all: over as soon as nobody has one in progress.
        ([standing(1, 2, "why"), standing(1, 1, "why"), standing(1, 0, "why")], 3),
        # Stopped on this host alone: the others may go on for long, and are not waited for.
        ([standing(1, 2)], 1),
    ],
)
async def test_of_a_run_that_was_stopped_only_what_is_in_progress_is_waited_for(
    standings: list[RunStanding], looks: int
) -> None:
    run = Run(*standings, *[standing(3)] * 5)
    if not standings[0].stopped:
        run.stopped = "by this host"
    shared = part(run)
    shared.sent_all()
    await asyncio.wait_for(shared.follow(nothing), 30)
    assert len(standings) + 5 - len(run.standings) == looks
    assert run.stopped == (standings[0].stopped or "by this host")


async def test_targets_of_a_host_that_is_gone_are_looked_up_meanwhile() -> None:
    run = Run(standing(1), standing(2), standing(3))
    run.orphans = [("agent2", 5.0, 7, None)]
    looked_up: list[InFlight] = []

    async def recover(rows: list[InFlight]) -> None:
        looked_up.extend(rows)

    shared = part(run)
    shared.sent_all()
    await asyncio.wait_for(shared.follow(recover), 30)
    assert looked_up == [InFlight("agent2", 5.0, 7, None)]


async def test_a_journal_that_is_gone_ends_it_on_this_host_and_leaves_no_task() -> None:
    run = Run(standing(1))
    run.orphans = [("agent2", 5.0, 7, None)]
    was_cancelled = asyncio.Event()

    async def recover(rows: list[InFlight]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            was_cancelled.set()

    await asyncio.wait_for(part(run).follow(recover), 30)
    assert str(run.failed) == "the database is gone"
    assert was_cancelled.is_set()
    assert run.has_ended


async def test_who_leaves_tells_of_the_rest_what_is_known() -> None:
    run = Run(standing(0))
    run.left = [(1, "agent1", "pending"), (2, "agent2", "claimed"), (3, "agent3", "sending")]
    await part(run).tell_rest("left early")
    assert {name: type(one) for name, one in run.told.items()} == {
        "agent1": Skipped,
        "agent2": Skipped,
        "agent3": Unknown,
    }
    assert "sent to agent3 by another host" in str(getattr(run.told["agent3"], "error", None))
