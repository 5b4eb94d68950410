"""A journal's file: believed if it is whole and ours; one file in the end; whatever is sent goes in."""

import asyncio
import gc
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fleet.stores import database_of
from tests.fleet.test_journal import IDS, KILLED, ORDER, fleet
from tests.forked import killed_in_the_end
from tests.properties import many
from tests.recorded import FOLDER
from tests.servers import until
from trmm_async import Counts, Done, Failed, JournalError, Outcome, ScriptResult, Skipped, Unknown
from trmm_async.fleet.journal import InFlight, Journal, Order
from trmm_async.fleet.sqlite.rows import COLUMNS, Seal, sum_of, wrapped

AGENTS = [f"agent{number:02}" for number in range(8)]


@dataclass
class State:
    order: Order
    in_flight: list[InFlight]
    pending: list[str]
    ended: list[tuple[Outcome, bool]]


async def state_of(journal: Journal) -> State:
    ended = [each async for each in journal.judged()]
    return State(journal.order, await journal.in_flight(), await journal.to_run(), ended)


async def read(path: Path) -> State:
    async with await Journal.read(path) as journal:
        return await state_of(journal)


async def resumed(path: Path) -> State:
    async with await Journal.resume(path) as journal:
        return await state_of(journal)


async def crash(folder: Path) -> State:
    """What lies in the folder of a run whose process was killed: all was written, nothing closed."""
    folder.mkdir()
    (source := folder.with_name(f"{folder.name}.live")).mkdir()
    async with await Journal.create(source / "run.db", ORDER, AGENTS) as journal:
        await journal.begin(AGENTS[:3], 5, None)
        await journal.settle(Done(AGENTS[0], ScriptResult(retcode=0, stdout="one")), ok=True)
        await journal.withdraw([AGENTS[2]])
        await journal.begin(AGENTS[3:4], 6, None)
        truth = await state_of(journal)
        for name in os.listdir(source):
            if not name.startswith("run.db.lock"):
                shutil.copy2(source / name, folder / name)
    return truth


def side(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


class TestWhole:
    async def test_is_a_journal_whose_process_was_killed_with_all_that_lies_beside_it(
        self, tmp_path: Path
    ) -> None:
        truth = await crash(tmp_path / "a")
        assert await read(tmp_path / "a" / "run.db") == truth
        assert await resumed(tmp_path / "a" / "run.db") == truth
        assert os.listdir(tmp_path / "a") == ["run.db"]
        assert await resumed(tmp_path / "a" / "run.db") == truth

    @pytest.mark.parametrize("lost", [["-wal"], ["-wal", "-shm"], [".mark"], ["-wal", "-shm", ".mark"]])
    async def test_is_none_that_has_lost_what_lies_beside_it(self, lost: list[str], tmp_path: Path) -> None:
        await crash(tmp_path / "a")
        path = tmp_path / "a" / "run.db"
        for suffix in lost:
            side(path, suffix).unlink()
        for opening in (Journal.resume, Journal.read):
            with pytest.raises(JournalError, match="isn't whole"):
                await opening(path)

    @pytest.mark.parametrize("how", [shutil.copy2, shutil.move])
    async def test_is_not_what_is_taken_of_it_alone(self, how: object, tmp_path: Path) -> None:
        await crash(tmp_path / "a")
        how(tmp_path / "a" / "run.db", tmp_path / "b.db")  # type: ignore[operator]
        for opening in (Journal.resume, Journal.read):
            with pytest.raises(JournalError, match=r"isn't whole.*\.mark is missing"):
                await opening(tmp_path / "b.db")

    async def test_is_none_over_which_an_older_one_was_copied(self, tmp_path: Path) -> None:
        path = tmp_path / "run.db"
        await (await Journal.create(path, ORDER, AGENTS)).aclose()
        shutil.copy2(path, tmp_path / "old.db")
        async with await Journal.resume(path) as journal:
            await journal.begin(AGENTS[:1], 0, None)
            shutil.copy2(side(path, ".mark"), tmp_path / "mark")
        shutil.copy2(tmp_path / "old.db", path)
        shutil.copy2(tmp_path / "mark", side(path, ".mark"))
        with pytest.raises(JournalError, match="isn't whole"):
            await Journal.resume(path)
        await (await Journal.create(tmp_path / "other.db", ORDER, AGENTS)).aclose()
        shutil.copy2(tmp_path / "other.db", path)
        with pytest.raises(JournalError, match="is not the one"):
            await Journal.resume(path)

    async def test_is_what_was_refused_once_all_lies_there_again(self, tmp_path: Path) -> None:
        truth = await crash(tmp_path / "a")
        path = tmp_path / "a" / "run.db"
        log = side(path, "-wal").read_bytes()
        side(path, "-wal").write_bytes(log[:-1])
        with pytest.raises(JournalError, match=r"1 of \d+ commits are missing"):
            await Journal.resume(path)
        side(path, "-wal").write_bytes(log)
        assert await resumed(path) == truth

    def test_is_none_that_was_cut_or_flipped_anywhere(self, tmp_path: Path) -> None:
        """Refused, or nothing of it was changed by that."""
        folder = tmp_path / "a"
        truth = asyncio.run(crash(folder))
        whole = {name: (folder / name).read_bytes() for name in sorted(os.listdir(folder))}
        assert set(whole) == {"run.db", "run.db-wal", "run.db-shm", "run.db.mark"}
        refused = Counter[str]()

        def trial(name: str, damaged: bytes) -> None:
            for opening in (resumed, read):
                shutil.rmtree(folder)
                folder.mkdir(mode=0o700)
                for each, content in {**whole, name: damaged}.items():
                    side(folder / each, "").write_bytes(content)
                    (folder / each).chmod(0o600)
                try:
                    assert asyncio.run(opening(folder / "run.db")) == truth
                except JournalError:
                    refused[name] += 1

        @settings(max_examples=many(60), suppress_health_check=list(HealthCheck))
        @given(st.sampled_from(sorted(whole)), st.floats(0, 1, exclude_max=True), st.integers(0, 255))
        def damage(name: str, where: float, flip: int) -> None:
            content = bytearray(whole[name])
            offset = int(where * len(content))
            if flip:
                content[offset] ^= flip
                trial(name, bytes(content))
            else:
                trial(name, bytes(content[:offset]))

        damage()
        # At each end of a page of the log, where a cut looks like an end; and through the mark.
        log, frame = whole["run.db-wal"], 24 + 4096
        before = refused["run.db-wal"]
        cuts = range(32, len(log), frame)
        for offset in cuts:
            trial("run.db-wal", log[:offset])
        assert refused["run.db-wal"] - before == 2 * len(cuts)
        before = refused["run.db.mark"]
        for offset in range(0, len(whole["run.db.mark"]), 9):
            content = bytearray(whole["run.db.mark"])
            content[offset] ^= 1
            trial("run.db.mark", bytes(content))
        assert refused["run.db.mark"] - before == 2 * len(range(0, len(whole["run.db.mark"]), 9))

    @pytest.mark.parametrize(
        "tampering",
        [
            "UPDATE meta SET value = replace(value, '\"script\":1', '\"script\":2') WHERE name = 'order'",
            "UPDATE targets SET state = 'pending' WHERE state = 'done'",
            "UPDATE targets SET agent_id = 'another' WHERE place = 5",
            "DELETE FROM targets WHERE place = 8",
            "DELETE FROM meta WHERE name = 'seal'",
            "INSERT INTO targets (place, agent_id, state, attempts, sum) VALUES (9, 'more', 'pending', 0, 0)",
            "CREATE TRIGGER t AFTER UPDATE ON targets BEGIN DELETE FROM targets; END",
            "DROP INDEX by_state",
        ],
    )
    async def test_is_none_that_somebody_else_has_written(self, tampering: str, tmp_path: Path) -> None:
        path = tmp_path / "a.db"
        async with await Journal.create(path, ORDER, AGENTS) as journal:
            await journal.settle(Done(AGENTS[0], ScriptResult(retcode=0)), ok=True)
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute(tampering)
        for opening in (Journal.resume, Journal.read):
            with pytest.raises(JournalError, match="was tampered with"):
                await opening(path)

    async def test_one_alone_of_those_in_flight_is_told_by_its_row(self, tmp_path: Path) -> None:
        """Whatever an index says: who isn't pending is not sent to, and that costs the others nothing."""
        async with await Journal.create(tmp_path / "a.db", ORDER, AGENTS) as journal:
            await journal.begin(AGENTS[:1], 0, None)
            told = await asyncio.gather(
                *(journal.begin([each], 0, None) for each in (*AGENTS[:3], "stranger")),
                return_exceptions=True,
            )
            assert [type(each) for each in told] == [JournalError, type(None), type(None), JournalError]
            assert [row.agent_id for row in await journal.in_flight()] == AGENTS[:3]


async def test_after_kill_9_what_is_copied_of_it_alone_sends_nothing(tmp_path: Path) -> None:
    async with fleet("gateway", agents=20) as (server, trmm):
        for place, agent_id in enumerate(server.agent_ids):
            server.script(1, agent_id=agent_id, seconds=0.05 + 0.02 * place)
        path = tmp_path / "a.db"
        words = [server.url, server.api_key, "gateway", str(path), ",".join(server.agent_ids), "4"]
        async with killed_in_the_end(KILLED, words) as printed:
            for _ in range(6):
                assert await asyncio.to_thread(printed.readline)
        # What it had written to its sockets is read yet, and then their ends.
        await until(lambda: server._server is None or not server._server.connections)
        sent = len(server.runs)

        shutil.copy2(path, tmp_path / "copy.db")
        with pytest.raises(JournalError, match="isn't whole"):
            await trmm.fleet.resume(tmp_path / "copy.db")
        log = side(path, "-wal").read_bytes()
        side(path, "-wal").unlink()
        with pytest.raises(JournalError, match="isn't whole"):
            await trmm.fleet.resume(path)
        assert len(server.runs) == sent
        side(path, "-wal").write_bytes(log)
        side(path, "-wal").chmod(0o600)
        assert len(await trmm.fleet.resume(path)) == 20
        assert max(Counter(run.agent_id for run in server.runs).values()) == 1


class TestOurs:
    @pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", ".mark", ".lock"])
    async def test_nothing_may_lie_beside_one_that_is_made(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / "run.db"
        planted = side(path, suffix)
        planted.touch(0o600)
        with pytest.raises(JournalError, match=f"{planted.name} is there already"):
            await Journal.create(path, ORDER, AGENTS)
        assert os.listdir(tmp_path) == [planted.name]

    @pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", ".mark", ".lock"])
    async def test_a_link_is_not_followed(self, suffix: str, tmp_path: Path) -> None:
        await crash(tmp_path / "a")
        path, elsewhere = tmp_path / "a" / "run.db", tmp_path / "elsewhere"
        elsewhere.touch(0o600)
        side(path, suffix).unlink(missing_ok=True)
        side(path, suffix).symlink_to(elsewhere)
        with pytest.raises(JournalError, match="is a link"):
            await Journal.resume(path)
        side(tmp_path / "new.db", suffix).symlink_to(elsewhere)
        with pytest.raises(JournalError, match=r"is a link|is there already"):
            await Journal.create(tmp_path / "new.db", ORDER, AGENTS)
        assert elsewhere.stat().st_size == 0

    @pytest.mark.parametrize("suffix", ["", "-wal", "-shm", ".mark"])
    async def test_what_others_can_write_is_refused(self, suffix: str, tmp_path: Path) -> None:
        truth = await crash(tmp_path / "a")
        path = tmp_path / "a" / "run.db"
        side(path, suffix).chmod(0o620)
        with pytest.raises(JournalError, match="open to other users"):
            await Journal.resume(path)
        side(path, suffix).chmod(0o600)
        assert await resumed(path) == truth

    @pytest.mark.skipif(os.name != "posix", reason="elsewhere a mode says nothing")
    async def test_a_folder_in_which_anybody_may_rename_files_is_refused(self, tmp_path: Path) -> None:
        """They could be swapped between two looks. Where one may rename only one's own (/tmp), they can't."""
        truth = await crash(tmp_path / "a")
        path = tmp_path / "a" / "run.db"
        path.parent.chmod(0o777)
        for opening in (Journal.resume(path), Journal.create(path.with_name("new.db"), ORDER, IDS)):
            with pytest.raises(JournalError, match=r"anybody may rename files \(mode 0777\).* chmod o-w"):
                await opening
        async with await Journal.read(path):
            pass
        assert not list(path.parent.glob("new.db*"))
        path.parent.chmod(0o1777)
        assert await resumed(path) == truth

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a file away")
    @pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal", ".mark", ".lock"])
    async def test_what_is_another_users_is_refused(self, suffix: str, tmp_path: Path) -> None:
        await crash(tmp_path / "a")
        path = tmp_path / "a" / "run.db"
        side(path, suffix).touch(0o600)
        os.chown(side(path, suffix), 65534, -1)
        with pytest.raises(JournalError, match="belongs to another user"):
            await Journal.resume(path)
        if suffix not in {"", ".lock"}:
            with pytest.raises(JournalError, match="belongs to another user"):
                await Journal.read(path)

    @pytest.mark.parametrize("name", ["a\0b", "x" * 300, "ring.db", "."])
    async def test_names_that_are_none(self, name: str, tmp_path: Path) -> None:
        (tmp_path / "ring.db").symlink_to(tmp_path / "ring.db")
        with pytest.raises(JournalError):
            await Journal.create(tmp_path / name, ORDER, AGENTS)
        for opening in (Journal.resume, Journal.read):
            with pytest.raises(JournalError):
                await opening(tmp_path / name)


def write_order(path: Path, order: str) -> None:
    """As somebody would who knows how the sums are made."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("UPDATE meta SET value = ? WHERE name = 'order'", (order,))
        meta = dict(database.execute("SELECT name, value FROM meta").fetchall())
        seal = Seal.decoded(meta["seal"]).encoded(meta)
        database.execute("UPDATE meta SET value = ? WHERE name = 'seal'", (seal,))


class TestAnOrder:
    @pytest.mark.parametrize(
        "change",
        [
            {"script": -1},
            {"timeout": 10**6},
            {"timeout": 0},
            {"args": ["a\ud800"]},
            {"env_vars": ["=x"]},
            {"env_vars": ["no sign"]},
            {"width": 0},
            {"batch": 7.5},
            {"max_failures": -1},
            {"splay": -1},
            {"when_online": 1e300},
            {"when_online": 0},
            {"script": "1"},
        ],
    )
    async def test_is_checked_again(self, change: dict[str, object], tmp_path: Path) -> None:
        import json

        async with fleet("stock") as (server, trmm):
            path = tmp_path / "a.db"
            order = Order(server=trmm.fleet._api.transport.server.base_url, script=1)
            await (await Journal.create(path, order, server.agent_ids)).aclose()
            told = {"server": order.server, "script": 1} | change
            write_order(path, json.dumps(told))
            with pytest.raises(JournalError):
                await trmm.fleet.resume(path)
            assert server.runs == []
            write_order(path, json.dumps(told | {key: getattr(order, key) for key in change}))
            assert len(await trmm.fleet.resume(path)) == 12


class TestOneFile:
    async def test_is_a_finished_journal(self, tmp_path: Path) -> None:
        async with await Journal.create(tmp_path / "a.db", ORDER, AGENTS) as journal:
            await journal.begin(AGENTS, 0, None)
            assert set(os.listdir(tmp_path)) > {"a.db", "a.db-wal", "a.db.mark", "a.db.lock"}
        assert os.listdir(tmp_path) == ["a.db"]
        (tmp_path / "a.db").rename(tmp_path / "b.db")
        assert len((await resumed(tmp_path / "b.db")).in_flight) == 8
        assert os.listdir(tmp_path) == ["b.db"]

    def test_can_be_read_where_nothing_can_be_written(self) -> None:
        async def make(path: Path) -> None:
            await (await Journal.create(path, ORDER, AGENTS)).aclose()

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            asyncio.run(make(folder / "a.db"))
            with unwritable(folder):
                with pytest.raises(PermissionError):
                    (folder / "b").touch()
                assert asyncio.run(read(folder / "a.db")).pending == AGENTS
                with pytest.raises(JournalError, match="can't be made"):
                    asyncio.run(resumed(folder / "a.db"))

    async def test_stays_whole_when_somebody_reads_it_to_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "a.db"
        journal = await Journal.create(path, ORDER, AGENTS)
        async with await Journal.read(path) as reader, reader.still():
            await journal.begin(AGENTS[:2], 0, None)
            await journal.aclose()
            assert (await reader.counts()).pending == 8
            assert await reader.in_flight() == []
        assert [row.agent_id for row in (await read(path)).in_flight] == AGENTS[:2]
        assert [row.agent_id for row in (await resumed(path)).in_flight] == AGENTS[:2]
        assert os.listdir(tmp_path) == ["a.db"]


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """A folder that this process can't write to; root, who can, is somebody else for a while."""
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        for each in folder.iterdir():
            os.chown(each, 65534, -1)
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o700)


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


FULL = """
import asyncio, os, resource, sys
from trmm_async.errors import JournalError
from trmm_async.fleet.journal import Journal, Order

async def main():
    for most in (0, 50, 100, 4096, 8192, 30_000, 60_000, 200_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        ids = [f"{number:040}" for number in range(3000)]
        try:
            await (await Journal.create(sys.argv[1] + "/a.db", Order(server="x", script=1), ids)).aclose()
        except JournalError as error:
            print("refused", os.listdir(sys.argv[1]))
    # What measures coverage in this process writes its own file when it ends.
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there a process has no limit for files")
def test_a_full_disk_while_one_is_made_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout == "refused []\n" * 8


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


OLD = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE targets (
    place INTEGER PRIMARY KEY,
    agent_id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL DEFAULT 'pending',
    attempts INTEGER NOT NULL DEFAULT 0,
    sent_at REAL, mark INTEGER, mark_time TEXT,
    settled_at REAL, ok INTEGER,
    retcode INTEGER, execution_time REAL, stdout TEXT, stderr TEXT, error TEXT, reason TEXT
);
CREATE INDEX by_state ON targets (state, place);
INSERT INTO meta VALUES ('format', 'trmm_async.journal'), ('version', '1'),
    ('created', '2026-01-01T00:00:00Z'), ('order', '{"server":"https://x.example","script":7}'),
    ('username', 'tactical');
INSERT INTO targets (agent_id) VALUES ('a'), ('b'), ('c');
UPDATE targets SET state = 'sending', attempts = 1, sent_at = 5, mark = 3, mark_time = '2026-01-01T00:00:00'
    WHERE agent_id = 'a';
UPDATE targets SET state = 'done', attempts = 1, ok = 1, retcode = 0, stdout = 'out', settled_at = 6
    WHERE agent_id = 'b';
"""


async def test_a_recorded_journal_of_version_1_says_the_same_and_is_gone_on_with(
    tmp_path: Path,
) -> None:
    """The file is what the code of commit 6eab3fc made, as it lay there when the run had been left."""
    path = tmp_path / "version_1.db"
    shutil.copyfile(FOLDER / "journal" / "version_1.db", path)
    path.chmod(0o600)
    ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(1, 9)]
    for state in (await read(path), await resumed(path), await read(path)):
        assert (state.order.script, state.order.args, state.order.splay) == (7, ("-a", "ü"), 1.5)
        assert [one.agent_id for one in state.in_flight] == [ids[4]]
        assert (state.in_flight[0].mark, state.in_flight[0].mark_time) == (
            41,
            datetime(2026, 11, 27, 12, tzinfo=UTC),
        )
        assert state.pending == ids[6:]
        (done, _), (bad, _), (failed, _), (unknown, _), (skipped, _) = state.ended
        assert done == Done(ids[0], ScriptResult(retcode=0, stdout="fine\n", execution_time=0.5))
        assert bad == Done(ids[1], ScriptResult(retcode=3, stderr="bad ü", execution_time=1.0))
        assert isinstance(failed, Failed)
        assert isinstance(unknown, Unknown)
        assert skipped == Skipped(ids[5], "offline")
        assert [ok for _, ok in state.ended] == [True, False, False, False, False]
    async with await Journal.resume(path) as journal:
        assert journal.username == "jane"
        await journal.begin([ids[6]], 50, None)
        with pytest.raises(JournalError, match="not pending"):
            await journal.begin([ids[4]], 50, None)
    with closing(sqlite3.connect(path)) as database:
        meta = dict(database.execute("SELECT name, value FROM meta").fetchall())
        (room,) = database.execute("SELECT DISTINCT owner, fence, lease_until FROM targets").fetchall()
    assert (meta["version"], meta["kind"], room) == ("2", "script", (None, None, None))


async def test_a_journal_of_version_1_can_be_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(OLD)
    path.chmod(0o600)
    before = await read(path)
    assert (before.order.script, before.pending) == (7, ["c"])
    assert before.ended == [(Done("b", ScriptResult(retcode=0, stdout="out")), True)]
    assert await resumed(path) == before == await read(path)
    assert os.listdir(tmp_path) == ["old.db"]
    with closing(sqlite3.connect(path)) as database:
        meta = dict(database.execute("SELECT name, value FROM meta").fetchall())
        rows = database.execute(f"SELECT {', '.join(COLUMNS)}, sum FROM targets").fetchall()
    assert (meta["version"], meta["kind"], meta["username"]) == ("2", "script", "tactical")
    assert all(sum_of(row[:-1]) == row[-1] for row in rows)
    assert Seal.decoded(meta["seal"]).total == wrapped(sum(row[-1] for row in rows))
