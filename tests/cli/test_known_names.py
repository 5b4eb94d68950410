"""Names for the shell's completion: from a cache that is private, silent, and never waited for long."""

import json
import shlex
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.stage import LONGEST, Backstage, program
from trmm_async.cli.exits import guarded
from trmm_async.cli.known_names import _harmless, _path, _quoted, _read
from trmm_async.effective_settings import Settings


def tab(line: str, extra: dict[str, str]) -> list[str]:
    """What the shell is offered there."""
    words = line.split()
    asked = {
        "_TRMM_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - (not line.endswith(" "))),
    }
    said = program([], {**extra, **asked})
    assert said.error == ""
    return [line for line in said.out.splitlines() if line]


def kept(url: str, cache: Path, monkeypatch: pytest.MonkeyPatch, **told: Any) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    path = _path(Settings(url))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told))


def test_names_are_read_once_and_kept_for_their_owner_alone(gateway: Backstage, tmp_path: Path) -> None:
    extra = {**gateway.environment, "XDG_CACHE_HOME": str(tmp_path), "TRMM_CONFIG": str(tmp_path / "none")}
    deadline = time.monotonic() + LONGEST
    while not (found := tab("trmm run --agent jade", extra)):  # the other process may be slower than Tab
        assert time.monotonic() < deadline
    assert found == ["JADE-PC"]
    before = gateway.do(lambda server: len(server.requests))
    assert tab("trmm agents --client herm", extra) == [r"Hermes\ Network\ Inc."]
    assert tab("trmm agents --client 'herm", extra) == ["Hermes Network Inc."]
    assert "Jakarta\\ Office" in tab("trmm agents --site ", extra)
    assert tab("trmm run Get-D", extra) == ["Get-DiskInfo"]
    assert "JADE-PC" in tab("trmm agent ", extra)
    assert gateway.do(lambda server: len(server.requests)) == before
    (path,) = (tmp_path / "trmm").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert gateway.api_key not in path.read_text()


def test_a_tab_that_is_interrupted_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> object:
        raise KeyboardInterrupt

    assert guarded(interrupted, debug=False) == 130
    assert capsys.readouterr().err == "trmm: interrupted\n"
    monkeypatch.setenv("_TRMM_COMPLETE", "complete_fish")
    assert guarded(interrupted, debug=False) == 130
    assert capsys.readouterr() == ("", "")


def test_what_is_old_is_offered_where_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://127.0.0.1:9"
    kept(url, tmp_path, monkeypatch, at=0, names={"agents": ["OLD-PC"]})
    extra = {"TRMM_URL": url, "TRMM_API_KEY": "k", "XDG_CACHE_HOME": str(tmp_path)}
    assert tab("trmm agent ", {**extra, "TRMM_CONFIG": str(tmp_path / "none")}) == ["OLD-PC"]


@pytest.mark.parametrize("told", [b"", b"[]", b'{"at": "x"}', b'{"at": 1e99, "names": {}}', b"\xff"])
def test_a_cache_that_is_broken_is_old(tmp_path: Path, told: bytes) -> None:
    path = tmp_path / "names"
    path.write_bytes(told)
    assert _read(path) == ({}, 3600.0)


def test_without_a_server_nothing_is_offered_and_nothing_said(tmp_path: Path) -> None:
    assert tab("trmm agent ", {"TRMM_CONFIG": str(tmp_path / "none"), "XDG_CACHE_HOME": str(tmp_path)}) == []


@given(
    st.lists(
        st.text() | st.sampled_from(["a; rm -rf ~", "$(id)", "`id`", "a'b", 'a"b', "-rf", "R&D (x)", "a b"])
    )
)
def test_no_name_that_is_offered_is_more_than_a_word(names: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("_TRMM_COMPLETE", "complete_bash")
        for name in _harmless(names):
            assert shlex.split(_quoted(name), posix=True) == [name]
            assert not set(name) & set("\"'`$;|<>\\\n\t*?[]{}!#~%=")
