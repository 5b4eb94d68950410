"""A file for each host: whole, private, and with a safe name of its own."""

import ntpath
import os
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trmm_async.cli.exits import CommandError
from trmm_async.cli.forms import OUTCOME
from trmm_async.cli.host_files import HostFiles, file_names


def _row(agent_id: str) -> dict[str, object]:
    told = dict.fromkeys(OUTCOME)
    return {**told, "agent_id": agent_id, "outcome": "done", "stdout": "said\ud800\n"}


ODD = st.text(max_size=300) | st.sampled_from(
    ["..", ".", "con", "COM1.x", "a", "A", "a~1", "ß", "SS", "K", "k"]
)


def is_reserved(name: str) -> bool:
    """Whether Windows has something else of this name, by what each version of Python has for that."""
    known = getattr(ntpath, "isreserved", None)
    return bool(known(name) if known else PureWindowsPath(name).is_reserved())


@given(st.dictionaries(ODD, ODD, max_size=8))
def test_names_of_files_are_safe_and_each_is_another(hosts: dict[str, str]) -> None:
    names = file_names(hosts)
    assert names.keys() == hosts.keys()
    assert len({name.upper().casefold() for name in names.values()}) == len(hosts)
    for name in names.values():
        whole = f"{name}.txt"
        assert PurePosixPath(whole).parts == PureWindowsPath(whole).parts == (whole,)
        assert not is_reserved(whole)
        assert not whole.startswith((".", "-"))
        assert len(whole.encode()) < 200
        assert whole.isprintable()


class TestAFileForEachHost:
    @pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
    def test_takes_the_place_of_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "other").write_text("of somebody else")
        (tmp_path / "HOST.txt").symlink_to(tmp_path / "other")
        HostFiles(tmp_path, {"a": "HOST"}).write(_row("a"))
        assert (tmp_path / "other").read_text() == "of somebody else"
        assert not (tmp_path / "HOST.txt").is_symlink()

    def test_of_hosts_with_hostile_names(self, tmp_path: Path) -> None:
        hosts = {"a": "../../etc/cron.d/x", "b": "con", "c": "", "d": "\x00\n/", "e": ".bashrc", "f": "-rf"}
        files = HostFiles(tmp_path / "here", hosts)
        written = [files.write(_row(who)) for who in (*hosts, "../up", "/")]
        assert {path.parent for path in written} == {tmp_path / "here"}
        assert len(set(written)) == len(written) == len(list((tmp_path / "here").iterdir()))
        assert [path.name for path in tmp_path.iterdir()] == ["here"]
        assert os.path.realpath(tmp_path / "here") == str(tmp_path / "here")

    def test_two_of_one_name_have_two(self, tmp_path: Path) -> None:
        names = file_names({"id-1": "PC", "id-2": "pc", "id-3": "PC-3"})
        assert names == {"id-1": "PC~id-1", "id-2": "pc~id-2", "id-3": "PC-3"}

    def test_is_whole_or_not_there(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").mkdir()
        with pytest.raises(CommandError, match="can't be written"):
            HostFiles(tmp_path, {}).write(_row("a"))
        assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]
