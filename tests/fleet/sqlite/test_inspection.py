"""A journal is believed if all of it is what was written."""

import asyncio
import os
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fleet.stores import AGENTS, ORDER, crash, read, resumed, side
from tests.properties import many
from trmm_async import Done, JournalError, ScriptResult
from trmm_async.fleet.journal import Journal


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

    @pytest.mark.parametrize(
        ("sql", "says"),
        [("CREATE TABLE x (y)", "it has table x"), ("PRAGMA user_version = 1", "it lacks by_state, meta, ")],
    )
    async def test_is_none_that_has_other_tables_or_none(self, sql: str, says: str, tmp_path: Path) -> None:
        path = tmp_path / "a.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute(sql)
        with pytest.raises(JournalError, match=f"is no journal of a run, or was tampered with: {says}"):
            await Journal.read(path)

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
