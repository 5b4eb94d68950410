"""How a run ends: stopped, left, broken. Nothing is sent after it, nothing is lost, nothing runs twice."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.servers import count, served, until
from trmm_async import (
    TRMM,
    Counts,
    Done,
    JournalError,
    Outcome,
    RateLimit,
    ScriptResult,
    ServerError,
    Skipped,
    Unknown,
)
from trmm_async.fleet.journal import Journal, Order
from trmm_async.pacing import WindowLimiter
from trmm_async.testing import Simulator


def kinds(outcomes: list[Outcome]) -> Counter[type[Outcome]]:
    return Counter(type(outcome) for outcome in outcomes)


class TestAStop:
    """Whatever is not sent by then is not sent any more."""

    @pytest.mark.parametrize("journal", [None, "run.db"])
    async def test_reaches_those_that_wait_for_a_rate_limit(
        self, journal: str | None, tmp_path: Path
    ) -> None:
        settings = {"rate_limit": RateLimit(5, per=60)}
        async with served("gateway", agents=30, client=settings) as (server, trmm):
            place = tmp_path / journal if journal else None
            run = trmm.fleet.run_script(server.agent_ids, 1, width=20, journal=place)
            waiting = asyncio.ensure_future(collected(run))
            await until(lambda: run.counts.done == 5)
            run.stop()
            assert kinds(await waiting) == {Done: 5, Skipped: 25}
            assert run.counts == Counts(done=5, skipped=25)
            assert count(server, "POST") == 5
            if place is not None:
                async with await Journal.read(place) as read:
                    assert await read.counts() == Counts(done=5, pending=25)
                    assert await read.in_flight() == []

    async def test_reaches_a_call_for_all_of_them_too(self, tmp_path: Path) -> None:
        settings = {"rate_limit": RateLimit(2, per=60)}
        async with served("stock", agents=9, client=settings) as (server, trmm):
            await trmm.request("GET", "/scripts/")
            run = trmm.fleet.run_script(server.agent_ids, 1, journal=tmp_path / "run.db")
            waiting = asyncio.ensure_future(collected(run))
            await until(lambda: count(server, "GET") == 2)
            run.stop()
            assert kinds(await waiting) == {Skipped: 9}
            assert count(server, "POST") == 0

    async def test_by_failures_reaches_them_as_well(self) -> None:
        settings = {"rate_limit": RateLimit(5, per=60)}
        async with served("gateway", agents=30, client=settings) as (server, trmm):
            server.script(1, retcode=1)
            run = trmm.fleet.run_script(server.agent_ids, 1, width=20, max_failures=0)
            assert kinds(await run) == {Done: 5, Skipped: 25}
            assert count(server, "POST") == 5

    async def test_does_not_wait_for_a_splay(self, dialect: str) -> None:
        async with served(dialect, agents=9) as (server, trmm):
            async with trmm.fleet.run_script(server.agent_ids, 1, splay=36_000) as run:
                for _ in range(50):
                    await asyncio.sleep(0)
                run.stop()
                assert kinds([outcome async for outcome in run]) == {Skipped: 9}
            assert server.runs == []

    async def test_may_come_before_the_run(self, dialect: str) -> None:
        async with served(dialect, agents=9) as (server, trmm):
            run = trmm.fleet.run_script(server.agent_ids, 1)
            run.stop()
            assert kinds(await run) == {Skipped: 9}
            assert server.runs == []

    async def test_does_not_wait_for_a_stream_that_stalls(self, dialect: str) -> None:
        async def targets() -> AsyncIterator[str]:
            yield server.agent_ids[0]
            await asyncio.sleep(36_000)

        async with served(dialect, agents=2) as (server, trmm):
            run = trmm.fleet.run_script(targets(), 1)
            waiting = asyncio.ensure_future(collected(run))
            await until(lambda: run.counts.done)
            run.stop()
            assert kinds(await waiting) == {Done: 1}

    @pytest.mark.parametrize("width", [None, 2])
    @pytest.mark.parametrize("journal", [None, "run.db"])
    @pytest.mark.parametrize("how", ["stopped", "left"])
    async def test_reaches_those_that_were_refused_and_wait_to_be_sent_again(
        self, how: str, width: int | None, journal: str | None, tmp_path: Path, dialect: str
    ) -> None:
        async with served(dialect, agents=6, client={"retries": 3}) as (server, trmm):
            server.fail("POST", "/agents/", status=429, times=None, retry_after=60)
            place = tmp_path / journal if journal else None
            run = trmm.fleet.run_script(server.agent_ids, 1, width=width, journal=place)
            async with run:
                await until(lambda: count(server, "POST"))
                await until(lambda: all_wait(trmm))
                server.clear_faults()
                sent = count(server, "POST")
                if how == "stopped":
                    run.stop()
                    assert kinds([outcome async for outcome in run]) == {Skipped: 6}
            assert run.counts == Counts(skipped=6)
            assert (server.runs, count(server, "POST")) == ([], sent)
            if place is not None:
                async with await Journal.read(place) as read:
                    assert await read.counts() == Counts(pending=6)
                    assert await read.in_flight() == []

    @pytest.mark.parametrize("width", [None, 1])
    async def test_reaches_one_that_is_refused_after_it(self, width: int | None, dialect: str) -> None:
        async with served(dialect, agents=3, client={"retries": 3}) as (server, trmm):
            server.slow("POST", "/agents/", 0.3, times=None, after=False)
            server.fail("POST", "/agents/", status=429, times=None, retry_after=60)
            async with trmm.fleet.run_script(server.agent_ids, 1, width=width) as run:
                await until(lambda: count(server, "POST") == (1 if width or dialect == "stock" else 3))
                run.stop()
                assert kinds([outcome async for outcome in run]) == {Skipped: 3}
            assert server.runs == []

    async def test_reaches_those_that_wait_for_a_connection(self) -> None:
        async with served("gateway", agents=9, client={"max_connections": 1}) as (server, trmm):
            server.script(1, seconds=0.3)
            async with trmm.fleet.run_script(server.agent_ids, 1, width=5) as run:
                await until(lambda: server.runs)
                run.stop()
                assert kinds([outcome async for outcome in run]) == {Done: 1, Skipped: 8}
            assert len(server.runs) == 1

    async def test_reaches_a_server_that_is_away(self) -> None:
        async with served("gateway", agents=1) as (server, _):
            away = server.url
        settings: dict[str, Any] = {"dialect": "gateway", "retries": 1000, "patience": 3600}
        async with asyncio.timeout(60), TRMM(away, api_key="key", **settings) as trmm:
            async with trmm.fleet.run_script(["a", "b", "c"], 1) as run:
                for _ in range(20):
                    await asyncio.sleep(0.01)
                run.stop()
                assert kinds([outcome async for outcome in run]) == {Skipped: 3}

    @pytest.mark.parametrize("asking", [{"skip_offline": True}, {"when_online": timedelta(hours=1)}])
    async def test_reaches_what_is_asked_before_the_first(
        self, asking: dict[str, Any], tmp_path: Path, dialect: str
    ) -> None:
        place = tmp_path / "run.db"
        async with served(dialect, agents=3, client={"retries": 3}) as (server, trmm):
            server.fail("GET", "/agents/", status=429, times=None, retry_after=60)
            async with trmm.fleet.run_script(server.agent_ids, 1, journal=place, **asking) as run:
                await until(lambda: count(server, "GET"))
                run.stop()
                assert kinds([outcome async for outcome in run]) == {Skipped: 3}
            assert server.runs == []
            async with await Journal.read(place) as read:
                assert await read.counts() == Counts(pending=3)

    async def test_reaches_those_that_are_waited_for_to_come_back(self, dialect: str) -> None:
        async with served(dialect, agents=3) as (server, trmm):
            server.go_offline(server.agent_ids[1])
            run = trmm.fleet.run_script(server.agent_ids, 1, when_online=timedelta(hours=1))
            waiting = asyncio.ensure_future(collected(run))
            await until(lambda: run.counts.done == 2)
            run.stop()
            assert kinds(await waiting) == {Done: 2, Skipped: 1}

    @pytest.mark.parametrize("how", [{"journal": True}, {"dry_run": True}])
    async def test_does_not_wait_for_the_end_of_a_stream(
        self, how: dict[str, bool], tmp_path: Path, dialect: str
    ) -> None:
        stalled = asyncio.Event()

        async def targets() -> AsyncIterator[str]:
            yield server.agent_ids[0]
            stalled.set()
            await asyncio.sleep(36_000)

        place = tmp_path / "run.db"
        settings: dict[str, Any] = {"journal": place} if "journal" in how else how
        async with served(dialect, agents=2) as (server, trmm):
            run = trmm.fleet.run_script(targets(), 1, **settings)
            waiting = asyncio.ensure_future(collected(run))
            await asyncio.wait_for(stalled.wait(), 5)
            run.stop()
            assert kinds(await waiting).keys() <= {Skipped}
            assert (server.runs, place.exists()) == ([], False)
            stopped_before = trmm.fleet.run_script(targets(), 1, **settings)
            stopped_before.stop()
            assert await stopped_before == []
            assert not place.exists()

    async def test_before_the_server_could_be_asked_leaves_in_flight_what_was(self, tmp_path: Path) -> None:
        place = tmp_path / "run.db"
        async with served("stock", said="auto", agents=3, client={"retries": 3}) as (server, trmm):
            order = Order(server=server.url, script=1)
            async with await Journal.create(place, order, server.agent_ids) as journal:
                await journal.begin(server.agent_ids[:1], 0, None)
            server.fail("GET", "/", status=429, times=None, retry_after=60)
            run = trmm.fleet.resume(place)
            waiting = asyncio.ensure_future(collected(run))
            await until(lambda: count(server, "GET"))
            run.stop()
            assert kinds(await waiting) == {Unknown: 1, Skipped: 2}
            async with await Journal.read(place) as read:
                assert len(await read.in_flight()) == 1
                assert await read.counts() == Counts(pending=3)

    async def test_leaves_a_cancellation_from_outside_what_it_is(self, dialect: str) -> None:
        async with served(dialect, agents=3) as (server, trmm):
            run = trmm.fleet.run_script(server.agent_ids, 1, splay=36_000)
            waiting = asyncio.ensure_future(collected(run))
            for _ in range(50):
                await asyncio.sleep(0)
            run.stop()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert server.runs == []


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

    async def test_a_slow_reader_has_what_had_come_by_then(self) -> None:
        async with served("stock", agents=120) as (server, trmm):
            # The first look comes when all of them have ended: it has all the results.
            server.slow("GET", "/agents/scripthistory/", 0.5, times=None, after=False)
            async with trmm.fleet.run_script(server.agent_ids, 1) as run:
                await anext(run)
            assert run.counts == Counts(done=120)
            assert kinds(run.rest) == {Done: 119}


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


def all_wait(trmm: TRMM) -> bool:
    """Whether nothing is on its way, and nothing may be: a 429 has been taken note of."""
    transport = trmm._api.transport
    pool = transport._pool
    limiter = pool.limiter
    assert isinstance(limiter, WindowLimiter)
    return pool.in_flight == 0 and limiter.window.wait(limiter.now()) > 0


def change(place: Path, sql: str) -> None:
    database = sqlite3.connect(place)
    try:
        database.execute(sql)
        database.commit()
    finally:
        database.close()
