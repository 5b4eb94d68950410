"""A journal's files: whose they are, what may lie beside them, and who has the lock."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from tests.fleet.stores import AGENTS, IDS, ORDER, crash, resumed, side
from trmm_async import JournalError
from trmm_async.fleet.journal import Journal
from trmm_async.fleet.sqlite.files import as_uri


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


class TestTheFile:
    async def test_is_locked_by_whatever_name(self, tmp_path: Path) -> None:
        (tmp_path / "b.db").symlink_to(tmp_path / "a.db")
        async with await Journal.create(tmp_path / "a.db", ORDER, IDS):
            with pytest.raises(JournalError, match="another process works on"):
                await Journal.resume(tmp_path / "b.db")

    @pytest.mark.parametrize(
        ("path", "uri"),
        [
            (PurePosixPath("/srv/a b.db"), "file:///srv/a%20b.db"),
            (PureWindowsPath(r"C:\runs\a?.db"), "file:///C:/runs/a%3F.db"),
            (PureWindowsPath(r"\\server\share\a.db"), "file:////server/share/a.db"),
        ],
    )
    def test_is_named_without_a_host(self, path: PurePath, uri: str) -> None:
        assert as_uri(path) == uri

    async def test_is_for_the_eyes_of_its_owner(self, tmp_path: Path) -> None:
        await (await Journal.create(tmp_path / "a.db", ORDER, IDS[:1])).aclose()
        for name in os.listdir(tmp_path):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name


class TestRefusals:
    @pytest.mark.parametrize("opening", ["create", "resume"])
    async def test_a_lock_that_is_none(self, opening: str, tmp_path: Path) -> None:
        path, lock = tmp_path / "a.db", tmp_path / "a.db.lock"
        if opening == "resume":
            await (await Journal.create(path, ORDER, IDS[:1])).aclose()
        lock.write_text("no database, and longer than the head of one " * 20)

        async def opened() -> None:
            being = Journal.resume(path) if opening == "resume" else Journal.create(path, ORDER, IDS[:1])
            await (await being).aclose()

        for _ in range(2):
            with pytest.raises(JournalError, match=r"a\.db\.lock can't be locked: file is not a database"):
                await opened()
            assert path.exists() == (opening == "resume")
        lock.unlink()
        await opened()

    async def test_a_lock_that_is_held_before_there_is_a_file(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "a.db.lock", isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            with pytest.raises(JournalError, match="another process works on"):
                await Journal.create(tmp_path / "a.db", ORDER, IDS[:1])
        assert not (tmp_path / "a.db").exists()
