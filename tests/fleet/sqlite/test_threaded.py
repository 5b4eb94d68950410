"""A journal in a thread of its own: shared by many writers, and let go of when it is dropped."""

import asyncio
import gc
from collections import Counter
from pathlib import Path

from tests.fleet.stores import AGENTS, IDS, ORDER, database_of, resumed
from tests.fleet.test_journal import fleet
from tests.servers import until
from trmm_async.fleet.journal import Journal


class TestDropped:
    async def test_a_journal_gives_its_lock_back(self, tmp_path: Path) -> None:
        journal = await Journal.create(tmp_path / "a.db", ORDER, AGENTS)
        await journal.begin(AGENTS[:1], 0, None)
        del journal
        gc.collect()
        assert len((await resumed(tmp_path / "a.db")).in_flight) == 1

    async def test_a_run_gives_its_lock_back(self, tmp_path: Path) -> None:
        async with fleet("gateway", agents=8) as (server, trmm):
            run = trmm.fleet.run_script(server.agent_ids, 1, journal=tmp_path / "a.db", width=1)
            await run.__aenter__()
            await until(lambda: len(server.runs) > 1)
            del run
            gc.collect()
            await until(lambda: not (tmp_path / "a.db.lock").exists())
            sent = len(server.runs)
            assert sent < 8
            outcomes = await trmm.fleet.resume(tmp_path / "a.db")
            assert len(outcomes) == 8
            assert max(Counter(each.agent_id for each in server.runs).values()) == 1


class TestTheFile:
    async def test_many_writers_share_the_wait_for_the_disk(self, tmp_path: Path) -> None:
        async with await Journal.create(tmp_path / "a.db", ORDER, IDS) as journal:
            transactions = []
            database_of(journal).set_trace_callback(
                lambda sql: transactions.append(sql) if sql.startswith("COMMIT") else None
            )
            await asyncio.gather(*(journal.begin([one], 0, None) for one in IDS))
            assert len(await journal.in_flight()) == 1200
            assert len(transactions) < 100

    async def test_a_cancelled_writer_takes_nothing_from_the_others(self, tmp_path: Path) -> None:
        async with await Journal.create(tmp_path / "a.db", ORDER, IDS[:50]) as journal:
            tasks = [asyncio.create_task(journal.begin([one], 0, None)) for one in IDS[:50]]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(one) for one in done[1::2]} == {type(None)}
            begun = {row.agent_id for row in await journal.in_flight()}
            assert set(IDS[1:50:2]) <= begun
