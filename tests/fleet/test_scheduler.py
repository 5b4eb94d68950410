"""Which target is sent to when: as many at once as may be, and none in a dry run."""

import asyncio
import gc
import tracemalloc
from datetime import timedelta
from pathlib import Path

from tests.fleet.careful import fleet, held, posts
from tests.servers import at_once, served
from trmm_async import Skipped


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
        targets = [f"agent-{number}" for number in range(25_000)]
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
        assert held_now < 500_000

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


class TestDryRun:
    async def test_says_what_would_happen_and_sends_nothing(self, dialect: str, tmp_path: Path) -> None:
        async with fleet(dialect, agents=6) as (server, trmm):
            server.go_offline(server.agent_ids[0])
            run = trmm.fleet.run_script(
                server.agent_ids,
                1,
                canary=1,
                batch=2,
                skip_offline=True,
                dry_run=True,
                journal=tmp_path / "a.db",
            )
            outcomes = await run
            assert [outcome.reason for outcome in outcomes if isinstance(outcome, Skipped)] == [
                "dry run: would be skipped: offline",
                "dry run: would run first, as a canary",
                "dry run: would run in batch 1",
                "dry run: would run in batch 1",
                "dry run: would run in batch 2",
                "dry run: would run in batch 2",
            ]
            assert posts(server) == 0
            assert list(tmp_path.iterdir()) == []

    async def test_of_those_that_would_be_waited_for(self, dialect: str) -> None:
        async with fleet(dialect, agents=2) as (server, trmm):
            server.go_offline(server.agent_ids[1])
            outcomes = await trmm.fleet.run_script(
                server.agent_ids, 1, when_online=timedelta(hours=1), dry_run=True
            )
            assert [outcome.reason for outcome in outcomes if isinstance(outcome, Skipped)] == [
                "dry run: would run",
                "dry run: would wait until it is online",
            ]
