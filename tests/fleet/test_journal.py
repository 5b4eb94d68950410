"""A run's journal: on disk before anything is sent, whole after a crash, one process at a time."""

import asyncio
import json
import os
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.fleet.stores import IDS, ORDER, database_of
from tests.forked import killed_in_the_end
from tests.servers import count, served
from trmm_async import (
    TRMM,
    Counts,
    Done,
    Failed,
    InvalidRequestError,
    JournalError,
    Outcome,
    OutcomeUnknownError,
    RecordedError,
    ScriptResult,
    Skipped,
    Unknown,
)
from trmm_async.fleet.journal import Journal
from trmm_async.testing import Simulator


def fleet(dialect: str, agents: int = 12) -> AbstractAsyncContextManager[tuple[Simulator, TRMM]]:
    return served(
        dialect, agents=agents, script_seconds=(0.001, 0.02), client={"report_grace": 0.5}, longest=60
    )


class TestTheFile:
    async def test_keeps_the_order_and_the_targets(self, tmp_path: Path) -> None:
        async with await Journal.create(tmp_path / "a.db", ORDER, IDS) as journal:
            assert await journal.counts() == Counts(pending=1200)
        async with await Journal.read(tmp_path / "a.db") as journal:
            assert journal.order == ORDER
            assert [one async for one in journal.agent_ids()] == IDS
            pages, place = [], 0
            while page := await journal.pending(place):
                pages.append(len(page))
                place = page[-1][0]
            assert sum(pages) == 1200
            assert len(pages) > 1

    async def test_is_not_taken_for_whole_while_its_targets_are_written(self, tmp_path: Path) -> None:
        async def targets() -> AsyncIterator[str]:
            for agent_id in IDS:
                yield agent_id
            with pytest.raises(JournalError, match="was not begun"):
                await Journal.read(tmp_path / "a.db")

        await (await Journal.create(tmp_path / "a.db", ORDER, targets())).aclose()
        async with await Journal.read(tmp_path / "a.db") as journal:
            assert (await journal.counts()).total == len(IDS)

    async def test_may_have_any_name(self, tmp_path: Path) -> None:
        path = tmp_path / "50% é #1?mode=ro&x.db"
        await (await Journal.create(path, ORDER, IDS[:1])).aclose()
        async with await Journal.read(path) as journal:
            assert journal.order == ORDER
        assert path.exists()
        assert all(name.startswith(path.name) for name in os.listdir(tmp_path))

    async def test_keeps_every_kind_of_outcome(self, tmp_path: Path) -> None:
        outcomes: list[Outcome] = [
            Done("a", ScriptResult(retcode=3, stdout="out\0\n", stderr="é", execution_time=0.5)),
            Failed("b", InvalidRequestError("no good")),
            Unknown("c", OutcomeUnknownError("lost")),
            Skipped("d", "it is offline"),
        ]
        async with await Journal.create(tmp_path / "a.db", ORDER, "abcd") as journal:
            await journal.begin("abc", 7, None)
            assert [row.agent_id for row in await journal.in_flight()] == ["a", "b", "c"]
            assert (await journal.in_flight())[0].mark == 7
            for outcome in outcomes:
                await journal.settle(outcome, ok=False)
        async with await Journal.read(tmp_path / "a.db") as journal:
            read = [outcome async for outcome in journal.outcomes()]
            assert await journal.counts() == Counts(done=1, failed=1, unknown=1, skipped=1)
        assert read[0] == outcomes[0]
        assert read[3] == outcomes[3]
        for outcome, kind, text in (
            (read[1], "InvalidRequestError", "no good"),
            (read[2], "OutcomeUnknownError", "lost"),
        ):
            assert isinstance(outcome, Failed | Unknown)
            assert isinstance(outcome.error, RecordedError)
            assert (outcome.error.kind, str(outcome.error)) == (kind, text)

    async def test_stands_still_for_a_reader_while_it_is_written(self, tmp_path: Path) -> None:
        async with await Journal.create(tmp_path / "a.db", ORDER, IDS) as journal:
            with pytest.raises(JournalError, match="open for writing"):
                async with journal.still():
                    pass
            for agent_id in IDS[:5]:
                await journal.settle(Done(agent_id, ScriptResult(retcode=0)), ok=True)
            async with await Journal.read(tmp_path / "a.db") as reader:
                async with reader.still():
                    assert len([one async for one in reader.outcomes()]) == 5
                    await journal.settle(Done(IDS[6], ScriptResult(retcode=0)), ok=True)
                    assert await reader.counts() == Counts(done=5, pending=1195)
                    assert await reader.successes() == {0: 5}
                assert await reader.successes() == {0: 6}

    async def test_begins_and_withdraws(self, tmp_path: Path) -> None:
        async with await Journal.create(tmp_path / "a.db", ORDER, "ab") as journal:
            await journal.begin(["a"], 0, None)
            await journal.withdraw(["a", "b"])
            assert await journal.in_flight() == []
            assert await journal.counts() == Counts(pending=2)

    @pytest.mark.parametrize(
        ("kinds", "pending"),
        [((), 0), (("failed",), 2), (("unknown",), 1), (("skipped",), 1), (("failed", "unknown"), 3)],
    )
    async def test_what_is_tried_again(self, kinds: tuple[str, ...], pending: int, tmp_path: Path) -> None:
        async with await Journal.create(tmp_path / "a.db", ORDER, "abcde") as journal:
            await journal.settle(Done("a", ScriptResult(retcode=0)), ok=True)
            await journal.settle(Done("b", ScriptResult(retcode=1)), ok=False)
            await journal.settle(Failed("c", InvalidRequestError("x")), ok=False)
            await journal.settle(Unknown("d", OutcomeUnknownError("x")), ok=False)
            await journal.settle(Skipped("e", "x"), ok=False)
            again = await journal.to_run(kinds)
            assert await journal.to_run() == []
            await journal.retry(kinds)
            assert (await journal.counts()).pending == pending
            assert again == await journal.to_run() == [each for _, each in await journal.pending(0)]

    async def test_what_succeeded_is_told_by_the_rule_of_its_run(self, tmp_path: Path) -> None:
        async with await Journal.create(tmp_path / "a.db", ORDER, "abcde") as journal:
            for agent_id, retcode in (("a", 0), ("b", 3010), ("c", 3010), ("d", None)):
                await journal.settle(Done(agent_id, ScriptResult(retcode=retcode)), ok=agent_id != "a")
            await journal.settle(Skipped("e", "x"), ok=False)
            assert await journal.successes() == {3010: 2, None: 1}


class TestRefusals:
    async def test_a_file_that_is_there(self, tmp_path: Path) -> None:
        (tmp_path / "a.db").write_text("precious")
        with pytest.raises(JournalError, match="is there already"):
            await Journal.create(tmp_path / "a.db", ORDER, IDS)
        assert (tmp_path / "a.db").read_text() == "precious"

    async def test_a_folder_that_is_not(self, tmp_path: Path) -> None:
        with pytest.raises(JournalError, match="can't be made"):
            await Journal.create(tmp_path / "no" / "a.db", ORDER, IDS)
        with pytest.raises(JournalError, match="no journal"):
            await Journal.resume(tmp_path / "a.db")

    async def test_a_target_twice(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidRequestError, match="more than once"):
            await Journal.create(tmp_path / "a.db", ORDER, ["a", "b", "a"])
        assert not (tmp_path / "a.db").exists()

    @pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0 not really"])
    async def test_a_file_that_is_no_journal(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "a.db").write_bytes(content)
        for opening in (Journal.resume, Journal.read):
            with pytest.raises(JournalError):
                await opening(tmp_path / "a.db")

    async def test_a_journal_of_a_newer_version(self, tmp_path: Path) -> None:
        await (await Journal.create(tmp_path / "a.db", ORDER, IDS[:1])).aclose()
        with sqlite3.connect(tmp_path / "a.db") as database:
            database.execute("UPDATE meta SET value = '3' WHERE name = 'version'")
        database.close()
        with pytest.raises(JournalError, match="version 3"):
            await Journal.resume(tmp_path / "a.db")

    async def test_two_at_once(self, tmp_path: Path) -> None:
        async with await Journal.create(tmp_path / "a.db", ORDER, IDS[:5]) as journal:
            with pytest.raises(JournalError, match="another process"):
                await Journal.resume(tmp_path / "a.db")
            async with await Journal.read(tmp_path / "a.db") as reader:
                await journal.settle(Skipped(IDS[0], "x"), ok=False)
                assert (await reader.counts()).skipped == 1
        await (await Journal.resume(tmp_path / "a.db")).aclose()

    async def test_a_run_of_another_server(self, tmp_path: Path, dialect: str) -> None:
        await (await Journal.create(tmp_path / "a.db", ORDER, IDS[:5])).aclose()
        async with fleet(dialect) as (server, trmm):
            with pytest.raises(JournalError, match=r"https://x\.example"):
                await trmm.fleet.resume(tmp_path / "a.db")
            assert server.requests == []
        await (await Journal.resume(tmp_path / "a.db")).aclose()


class TestRuns:
    async def test_a_whole_run_stands_in_it(self, tmp_path: Path, dialect: str) -> None:
        async with fleet(dialect) as (server, trmm):
            server.script(1, agent_id=server.agent_ids[3], retcode=7, stdout="seven")
            outcomes = await trmm.fleet.run_script(server.agent_ids, 1, journal=tmp_path / "a.db")
            again = await trmm.fleet.resume(tmp_path / "a.db")
            assert again == outcomes
            assert [outcome.agent_id for outcome in outcomes] == server.agent_ids
            assert len(server.runs) == 12
            failed = await trmm.fleet.resume(tmp_path / "a.db", retry="failed")
            assert len(server.runs) == 13
            assert [type(outcome) for outcome in failed] == [Done] * 12

    async def test_a_run_that_was_left_goes_on(self, tmp_path: Path, dialect: str) -> None:
        async with fleet(dialect, agents=30) as (server, trmm):
            async with trmm.fleet.run_script(server.agent_ids, 1, journal=tmp_path / "a.db", width=3) as run:
                async for _ in run:
                    if run.counts.done >= 5:
                        break
            assert run.counts.total == 30
            outcomes = await trmm.fleet.resume(tmp_path / "a.db")
            assert [outcome.agent_id for outcome in outcomes] == server.agent_ids
            assert max(Counter(one.agent_id for one in server.runs).values()) == 1
            kinds = Counter(type(outcome) for outcome in outcomes)
            assert kinds[Done] + kinds[Unknown] == 30
            if dialect == "stock":
                # What was in flight is settled by the history.
                assert kinds == {Done: 30}

    async def test_a_run_that_was_stopped_goes_on(self, tmp_path: Path, dialect: str) -> None:
        async with fleet(dialect, agents=20) as (server, trmm):
            async with trmm.fleet.run_script(server.agent_ids, 1, journal=tmp_path / "a.db", width=2) as run:
                async for _ in run:
                    run.stop()
            assert run.stopped == "the run was stopped"
            assert run.counts.skipped >= 15
            assert run.counts.total == 20
            assert run.counts.unknown == 0
            outcomes = await trmm.fleet.resume(tmp_path / "a.db")
            assert [type(outcome) for outcome in outcomes] == [Done] * 20
            assert len(server.runs) == 20

    async def test_nothing_is_sent_that_does_not_stand_in_it(self, tmp_path: Path, dialect: str) -> None:
        async with fleet(dialect, agents=5) as (server, trmm):
            run = trmm.fleet.run_script(server.agent_ids, 1, journal=tmp_path / "a.db", width=1)
            with pytest.raises(JournalError, match="can't be written"):
                async with run:
                    async for _ in run:
                        assert run._running is not None
                        database_of(run._running.journal).execute("PRAGMA query_only = 1")
            assert len(server.runs) == 1

    async def test_a_stream_of_targets_is_written_before_anything_is_sent(
        self, tmp_path: Path, dialect: str
    ) -> None:
        async with fleet(dialect, agents=20) as (server, trmm):

            async def targets() -> AsyncIterator[str]:
                for agent_id in server.agent_ids:
                    assert [one for one in server.requests if one.method == "POST"] == []
                    yield agent_id

            outcomes = await trmm.fleet.run_script(targets(), 1, journal=tmp_path / "a.db", batch=0.5)
            assert [outcome.agent_id for outcome in outcomes] == server.agent_ids


KILLED = """
import asyncio, sys
from trmm_async import TRMM

async def main() -> None:
    url, key, dialect, journal, ids = sys.argv[1:6]
    async with TRMM(url, api_key=key, dialect=dialect, rate_limit=None) as trmm:
        async with trmm.fleet.run_script(ids.split(","), 1, journal=journal, width=int(sys.argv[6])) as run:
            async for outcome in run:
                print(outcome.agent_id, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("width", [4, 100])
async def test_after_kill_9_in_mid_run_nothing_is_lost_and_nothing_runs_twice(
    tmp_path: Path, dialect: str, width: int
) -> None:
    async with fleet(dialect, agents=40) as (server, trmm):
        for place, agent_id in enumerate(server.agent_ids):
            server.script(1, agent_id=agent_id, seconds=0.05 + 0.02 * place)
        words = [
            server.url,
            server.api_key,
            dialect,
            str(tmp_path / "a.db"),
            ",".join(server.agent_ids),
            str(width),
        ]
        async with killed_in_the_end(KILLED, words) as printed:
            for _ in range(6):
                assert await asyncio.to_thread(printed.readline)

        async with await Journal.read(tmp_path / "a.db") as journal:
            assert (await journal.counts()).total == 40
        outcomes = await trmm.fleet.resume(tmp_path / "a.db")
        assert [outcome.agent_id for outcome in outcomes] == server.agent_ids
        ran = Counter(run.agent_id for run in server.runs)
        assert max(ran.values()) == 1
        kinds = Counter(type(outcome) for outcome in outcomes)
        assert kinds[Failed] == kinds[Skipped] == 0
        for outcome in outcomes:
            if isinstance(outcome, Done):
                assert ran[outcome.agent_id] == 1
        assert kinds[Done] >= 6
        if dialect == "stock":
            assert kinds[Unknown] <= width


WAITING = """
import asyncio, sys
from trmm_async import TRMM, RateLimit

async def main() -> None:
    url, key, dialect, journal, ids, count = sys.argv[1:7]
    limit = RateLimit(int(count), per=600) if int(count) else None
    async with TRMM(url, api_key=key, dialect=dialect, rate_limit=limit) as trmm:
        await trmm.fleet.run_script(ids.split(","), 1, journal=journal, width=10)

asyncio.run(main())
"""


async def killed_while_waiting(server: Simulator, dialect: str, path: Path, limit: int, done: int) -> None:
    """Have a run killed that has `done` targets behind it, and waits before it may send to the others.

    They are 10. In its journal none is in flight by then.
    """
    words = [server.url, server.api_key, dialect, str(path), ",".join(server.agent_ids), str(limit)]
    async with killed_in_the_end(WAITING, words):
        async with asyncio.timeout(30):
            while not path.exists() or not count(server, "POST"):
                await asyncio.sleep(0.01)
            while True:
                async with await Journal.read(path) as journal, journal.still():
                    if (await journal.counts()).done == done and not await journal.in_flight():
                        break
                await asyncio.sleep(0.01)


async def test_what_waits_out_a_429_is_not_in_flight_when_it_is_killed(tmp_path: Path, dialect: str) -> None:
    path = tmp_path / "a.db"
    async with fleet(dialect, agents=10) as (server, trmm):
        server.fail("POST", "/", status=429, times=None, retry_after=100)
        await killed_while_waiting(server, dialect, path, 0, 0)
        server.clear_faults()
        outcomes = await trmm.fleet.resume(path)
        assert [type(outcome) for outcome in outcomes] == [Done] * 10
        assert len(server.runs) == 10


async def test_nor_is_what_waits_for_the_rate_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with fleet("gateway", agents=10) as (server, trmm):
        await killed_while_waiting(server, "gateway", path, 3, 3)
        outcomes = await trmm.fleet.resume(path)
        assert [type(outcome) for outcome in outcomes] == [Done] * 10
        assert len(server.runs) == 10


def test_the_order_can_be_read_by_others() -> None:
    from trmm_async import codec

    told = json.loads(codec.encode(ORDER))
    assert told["script"] == 1
    assert told["batch"] == 0.25
