"""Rows of a journal: whatever a server sends goes in, and comes out the same."""

import asyncio
import sqlite3
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fleet.stores import AGENTS, IDS, ORDER, database_of, resumed
from tests.fleet.test_journal import fleet
from tests.properties import many
from trmm_async import Counts, Done, Outcome, ScriptResult, Skipped, Unknown
from trmm_async.fleet.journal import Journal

TEXTS = st.text(st.characters(codec=None), max_size=20)


class TestWhateverIsSent:
    def test_goes_in(self, tmp_path: Path) -> None:
        @settings(max_examples=many(25), suppress_health_check=list(HealthCheck))
        @given(
            st.one_of(st.none(), st.integers(), st.sampled_from([2**64 - 1, -(2**63), 2**63, 10**5000])),
            *(TEXTS, TEXTS, TEXTS),
            st.one_of(st.none(), st.floats(allow_nan=False)),
        )
        def outcomes(
            retcode: int | None, stdout: str, stderr: str, reason: str, seconds: float | None
        ) -> None:
            result = ScriptResult(retcode=retcode, stdout=stdout, stderr=stderr, execution_time=seconds)
            asyncio.run(kept([Done("a", result), Skipped("b", reason)]))

        async def kept(outcomes: list[Outcome]) -> None:
            path = tmp_path / "a.db"
            path.unlink(missing_ok=True)
            async with await Journal.create(path, ORDER, "ab") as journal:
                for outcome in outcomes:
                    await journal.settle(outcome, ok=True)
            assert [outcome for outcome, _ in (await resumed(path)).ended] == outcomes

        outcomes()

    async def test_no_number_is_none(self, tmp_path: Path) -> None:
        async with await Journal.create(tmp_path / "a.db", ORDER, "a") as journal:
            await journal.settle(Done("a", ScriptResult(retcode=0, execution_time=float("nan"))), ok=True)
        ((outcome, _),) = (await resumed(tmp_path / "a.db")).ended
        assert outcome == Done("a", ScriptResult(retcode=0))

    async def test_or_costs_its_own_row_alone(self, tmp_path: Path) -> None:
        async with await Journal.create(tmp_path / "a.db", ORDER, AGENTS) as journal:
            await journal.begin(AGENTS, 0, None)
            database_of(journal).setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
            await asyncio.gather(
                *(
                    journal.settle(Done(each, ScriptResult(retcode=0, stdout="x" * 3_000 * place)), ok=True)
                    for place, each in enumerate(AGENTS[:5])
                )
            )
            assert await journal.counts() == Counts(done=4, unknown=1, pending=3)
        lost = (await resumed(tmp_path / "a.db")).ended[4][0]
        assert isinstance(lost, Unknown)
        assert "ended as done, but that can't be written down" in str(lost.error)

    async def test_a_number_too_large_costs_no_other_target(self, tmp_path: Path) -> None:
        async with fleet("gateway", agents=8) as (server, trmm):
            server.script(1, agent_id=server.agent_ids[3], retcode=2**64 - 1)
            outcomes = await trmm.fleet.run_script(server.agent_ids, 1, journal=tmp_path / "a.db", width=4)
            assert [type(outcome) for outcome in outcomes] == [Done] * 8
            assert await trmm.fleet.resume(tmp_path / "a.db") == outcomes
            assert len(server.runs) == 8

    async def test_is_read_back_by_its_size(self, tmp_path: Path) -> None:
        async with await Journal.create(tmp_path / "a.db", ORDER, IDS[:30]) as journal:
            for each in IDS[:30]:
                await journal.settle(Done(each, ScriptResult(retcode=0, stdout="x" * 300_000)), ok=True)
            page = await journal._store.ended(0)
            assert len(page) == 4
            assert len([each async for each in journal.outcomes()]) == 30
