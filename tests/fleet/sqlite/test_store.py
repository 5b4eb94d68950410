"""A journal's file: believed if it is whole and ours; one file in the end; whatever is sent goes in."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fleet.stores import AGENTS, ORDER, read, resumed, side
from tests.fleet.test_journal import KILLED, fleet
from tests.forked import killed_in_the_end
from tests.recorded import FOLDER
from tests.servers import until
from trmm_async import Done, Failed, JournalError, ScriptResult, Skipped, Unknown
from trmm_async.fleet.journal import Journal, Order
from trmm_async.fleet.sqlite.rows import COLUMNS, Seal, sum_of, wrapped


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
