"""How a run ends: stopped, left, broken. Nothing is sent after it, nothing is lost, nothing runs twice."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.careful import kinds
from tests.servers import served, until
from trmm_async import TRMM, Counts, Done, JournalError, Outcome, ScriptResult, ServerError, Skipped, Unknown
from trmm_async.fleet.journal import Journal, Order
from trmm_async.testing import Simulator


class TestAStreamOfTargets:
    async def test_that_breaks_ends_the_run_when_what_is_in_flight_has_ended(self, dialect: str) -> None:
        async def targets() -> AsyncIterator[str]:
            for agent_id in server.agent_ids[:3]:
                yield agent_id
            await until(lambda: len(server.runs) == 3)
            raise ValueError("the database went away")

        async with served(dialect, agents=4) as (server, trmm):
            server.script(1, seconds=0.3)
            told: list[Outcome] = []
            with pytest.raises(ValueError, match="went away"):
                async with trmm.fleet.run_script(targets(), 1) as run:
                    async for outcome in run:
                        told.append(outcome)  # noqa: PERF401 - what came before the error
            assert kinds(told) == {Done: 3}

    async def test_is_closed_when_the_block_is_left(self, dialect: str) -> None:
        closed = asyncio.Event()

        async def targets() -> AsyncIterator[str]:
            try:
                for agent_id in server.agent_ids:
                    yield agent_id
            finally:
                closed.set()

        async with served(dialect, agents=4) as (server, trmm):
            async with trmm.fleet.run_script(targets(), 1, width=1) as run:
                await anext(run)
            assert closed.is_set()

    async def test_of_a_server_that_can_not_be_asked_is_an_error(self, dialect: str) -> None:
        async def targets() -> AsyncIterator[str]:
            yield server.agent_ids[0]

        async with served(dialect, agents=1) as (server, trmm):
            server.fail("GET", "/agents/", status=502, times=None)
            with pytest.raises(ServerError):
                await trmm.fleet.run_script(targets(), 1, skip_offline=True)
            assert server.runs == []


class TestAJournalThatCanNotBeWritten:
    async def test_ends_the_run_and_makes_nothing_run_twice(self, tmp_path: Path, dialect: str) -> None:
        place = tmp_path / "run.db"
        async with served(dialect, agents=9) as (server, trmm):
            told: list[Outcome] = []
            async with trmm.fleet.run_script(server.agent_ids, 1, journal=place) as run:
                change(place, "CREATE TRIGGER full BEFORE UPDATE ON targets WHEN NEW.settled_at > 0 "
                              "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")  # fmt: skip
                with pytest.raises(JournalError, match="the disk is full"):
                    async for outcome in run:
                        told.append(outcome)  # noqa: PERF401 - what came before the error
            ran = {one.agent_id for one in server.runs}
            # What has run is told, though it can't be written down.
            assert ran <= {one.agent_id for one in told if isinstance(one, Done)}
            assert not ran & {one.agent_id for one in run.rest if isinstance(one, Skipped)}
            assert run.counts.total == 9
            assert run.counts.skipped <= 9 - len(ran)
            change(place, "DROP TRIGGER full")
            outcomes = await trmm.fleet.resume(place, retry="failed")
            assert kinds(outcomes).keys() <= {Done, Unknown}
            assert max(Counter(one.agent_id for one in server.runs).values()) == 1


class TestLeaving:
    @pytest.mark.parametrize("after", [1, 7, 20])
    async def test_early_agrees_with_the_journal(self, after: int, tmp_path: Path, dialect: str) -> None:
        place = tmp_path / "run.db"
        async with served(dialect, agents=60) as (server, trmm):
            told: list[Outcome] = []
            async with trmm.fleet.run_script(server.agent_ids, 1, width=10, journal=place) as run:
                async for outcome in run:
                    told.append(outcome)
                    if len(told) == after:
                        break
            ran = {one.agent_id for one in server.runs}
            async with await Journal.read(place) as read:
                stands = await read.counts()
                flying = {row.agent_id for row in await read.in_flight()}
            known = {one.agent_id for one in (*told, *run.rest) if not isinstance(one, Skipped)}
            assert ran <= known
            assert run.counts.total == 60
            assert (run.counts.done, run.counts.skipped) >= (stands.done, 0)
            assert run.counts.skipped == 60 - len(known)
            assert flying <= known

    async def test_a_finished_run_again_early_says_how_it_ended(self, tmp_path: Path, dialect: str) -> None:
        place = tmp_path / "run.db"
        async with served(dialect, agents=200) as (server, trmm):
            await trmm.fleet.run_script(server.agent_ids, 1, journal=place)
            async with trmm.fleet.resume(place) as run:
                await anext(run)
            assert run.counts == Counts(done=200)

    async def test_can_not_be_disturbed(self, tmp_path: Path, dialect: str) -> None:
        place = tmp_path / "run.db"
        async with served(dialect, agents=9) as (server, trmm):
            server.script(1, seconds=20)
            run = trmm.fleet.run_script(server.agent_ids, 1, journal=place)
            waiting = asyncio.ensure_future(collected(run))
            await until(lambda: server.runs)
            for _ in range(9):
                waiting.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await waiting
            async with await Journal.resume(place) as journal:
                assert (await journal.counts()).total == 9


class TestAPredicateThatBreaks:
    @pytest.mark.parametrize("wave", [{"batch": 2}, {"canary": 2}, {}])
    async def test_ends_the_run(self, wave: dict[str, Any], dialect: str) -> None:
        async with served(dialect, agents=9) as (server, trmm):
            with pytest.raises(ZeroDivisionError):
                await trmm.fleet.run_script(server.agent_ids, 1, success=lambda _: 1 / 0 > 1, **wave)


class TestResuming:
    """The policy goes on as well."""

    async def crashed(
        self, server: Simulator, place: Path, *ok: bool, flying: int = 0, **policy: Any
    ) -> None:
        """A journal of a process that was killed when so many had ended, and others were in flight."""
        ids = server.agent_ids
        order = Order(server=server.url, script=1, **policy)
        async with await Journal.create(place, order, ids) as journal:
            await journal.begin(ids[: len(ok) + flying], 0, None)
            for agent_id, good in zip(ids, ok, strict=False):
                await journal.settle(Done(agent_id, ScriptResult(retcode=int(not good))), ok=good)

    @pytest.mark.parametrize("policy", [{"canary": 2}, {"max_failures": 2}])
    async def test_what_a_crash_left_unknown_is_no_failure(
        self, policy: dict[str, Any], tmp_path: Path
    ) -> None:
        async with served("gateway", agents=20) as (server, trmm):
            await self.crashed(server, tmp_path / "run.db", True, True, flying=4, **policy)
            run = trmm.fleet.resume(tmp_path / "run.db")
            assert kinds(await run) == {Done: 16, Unknown: 4}
            assert len(server.runs) == 14

    async def test_a_canary_in_flight_is_no_success_either(self, tmp_path: Path) -> None:
        async with served("gateway", agents=20) as (server, trmm):
            await self.crashed(server, tmp_path / "run.db", True, flying=1, canary=2)
            run = trmm.fleet.resume(tmp_path / "run.db")
            assert kinds(await run) == {Done: 1, Unknown: 1, Skipped: 18}
            assert run.stopped == "a canary did not succeed"

    @pytest.mark.parametrize("policy", [{"canary": 2}, {"max_failures": 0}])
    async def test_a_run_that_was_stopped_stays_so(
        self, policy: dict[str, Any], tmp_path: Path, dialect: str
    ) -> None:
        async with served(dialect, agents=20) as (server, trmm):
            await self.crashed(server, tmp_path / "run.db", True, False, **policy)
            run = trmm.fleet.resume(tmp_path / "run.db")
            assert kinds(await run) == {Done: 2, Skipped: 18}
            assert run.stopped
            assert server.runs == []

    @pytest.mark.parametrize("how", [{"forgive": True}, {"retry": "failed"}])
    async def test_unless_it_is_said_otherwise(
        self, how: dict[str, Any], tmp_path: Path, dialect: str
    ) -> None:
        async with served(dialect, agents=20) as (server, trmm):
            await self.crashed(server, tmp_path / "run.db", True, False, canary=2)
            assert kinds(await trmm.fleet.resume(tmp_path / "run.db", **how)) == {Done: 20}
            assert len(server.runs) == (19 if "retry" in how else 18)

    async def test_finds_what_was_in_flight_by_our_name(self, tmp_path: Path) -> None:
        async with served("stock", agents=3, client={"report_grace": 0.0}) as (server, trmm):
            first, second, _ = server.agent_ids
            await trmm.fleet.run_script(server.agent_ids, 1, journal=tmp_path / "old.db")
            async with await Journal.read(tmp_path / "old.db") as journal:
                assert journal.username == server.username
            await self.crashed(server, tmp_path / "run.db", True, flying=1, timeout=1)
            async with await Journal.resume(tmp_path / "run.db") as journal:
                await journal.remember_user(server.username)
            server.add_history(second, 1, username="eve", stdout="hers")
            async with TRMM(server.url, api_key=server.api_key, dialect="stock", report_grace=0.0) as other:
                outcomes = {one.agent_id: one for one in await other.fleet.resume(tmp_path / "run.db")}
            assert isinstance(outcomes[first], Done)
            match outcomes[second]:
                case Done(result=result):
                    assert result.stdout != "hers"


async def collected(run: Any) -> list[Outcome]:
    return list(await run)


def change(place: Path, sql: str) -> None:
    database = sqlite3.connect(place)
    try:
        database.execute(sql)
        database.commit()
    finally:
        database.close()
