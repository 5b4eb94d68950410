"""A stop reaches all that were not sent, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.careful import kinds
from tests.servers import count, served, until
from trmm_async import TRMM, Counts, Done, Outcome, RateLimit, Skipped, Unknown
from trmm_async.fleet.guards import UnsentGuard, UnsentGuards
from trmm_async.fleet.journal import Journal, Order
from trmm_async.pacing import WindowLimiter


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


def all_wait(trmm: TRMM) -> bool:
    """Whether nothing is on its way, and nothing may be: a 429 has been taken note of."""
    transport = trmm._api.transport
    pool = transport._pool
    limiter = pool.limiter
    assert isinstance(limiter, WindowLimiter)
    return pool.in_flight == 0 and limiter.window.wait(limiter.now()) > 0


async def collected(run: Any) -> list[Outcome]:
    return list(await run)


# The guards themselves.


async def guarded(guards: UnsentGuards, end: asyncio.Event, *calls: Callable[[UnsentGuard], None]) -> str:
    """A task that waits in a guarded block, and what came of it."""
    guard = guards.guard()
    with guard:
        for call in calls:
            call(guard)
        await end.wait()
        return "came to its end"
    return "was shut" if guard.was_shut else "was not shut"


async def stopped(*calls: Callable[[UnsentGuard], None]) -> str:
    """What becomes of such a task when the run is stopped while it waits."""
    guards, end = UnsentGuards(), asyncio.Event()
    task = asyncio.create_task(guarded(guards, end, *calls))
    await asyncio.sleep(0)
    guards.shut()
    guards.shut()
    await asyncio.sleep(0)
    end.set()
    assert guards.are_shut
    result = await task
    assert not task.cancelling()
    return result


@pytest.mark.parametrize(
    ("calls", "became"),
    [
        ([], "was shut"),
        ([lambda guard: guard.sent(True)], "came to its end"),
        ([lambda guard: guard.busy(True)], "came to its end"),
        ([lambda guard: guard.sent(True), lambda guard: guard.sent(False)], "was shut"),
        ([lambda guard: guard.busy(True), lambda guard: guard.busy(False)], "was shut"),
        ([lambda guard: guard.sent(True), lambda guard: guard.busy(False)], "came to its end"),
    ],
    ids=["waits", "sent", "busy", "refused", "idle", "sent and idle"],
)
async def test_only_what_is_not_sent_is_cut_short(
    calls: list[Callable[[UnsentGuard], None]], became: str
) -> None:
    assert await stopped(*calls) == became


async def test_what_is_refused_after_the_stop_is_cut_short_once_it_waits() -> None:
    guards, refused = UnsentGuards(), asyncio.Event()

    async def work() -> bool:
        guard = guards.guard()
        with guard:
            guard.sent(True)
            await refused.wait()
            guard.sent(False)
            await asyncio.Event().wait()
        return guard.was_shut

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    guards.shut()
    refused.set()
    assert await asyncio.wait_for(task, 30)


async def test_a_cancellation_by_somebody_else_is_not_swallowed() -> None:
    guards = UnsentGuards()
    task = asyncio.create_task(guarded(guards, asyncio.Event()))
    await asyncio.sleep(0)
    guards.shut()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_outside_of_its_block_and_from_within_a_task_is_left_alone() -> None:
    guards, end = UnsentGuards(), asyncio.Event()

    async def work() -> str:
        guard = guards.guard()
        with guard:
            guards.shut()  # by itself
        await end.wait()
        with guard:  # entered again: the stop came before
            await asyncio.sleep(0)
        return "came to its end"

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    guards.shut()
    end.set()
    assert await task == "came to its end"
