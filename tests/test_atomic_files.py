"""A file is replaced completely or not at all, and leaves nothing beside it."""

import os
import stat
import sys
from pathlib import Path

import pytest

from trmm_async.atomic_files import replace_file, replacing

posix = pytest.mark.skipif(sys.platform == "win32", reason="modes and links of POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "kept.txt"
    path.write_bytes(b"before")
    return path


def test_the_old_file_stands_until_the_end_of_the_block(path: Path) -> None:
    with replacing(path) as aside:
        aside.write_bytes(b"after")
        assert path.read_bytes() == b"before"
        assert aside.parent == path.parent
    assert path.read_bytes() == b"after"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_the_old_file_is_left_alone(path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        with replacing(path) as aside:
            aside.write_bytes(b"half")
            raise error
    assert path.read_bytes() == b"before"
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_can_not_be_taken_leaves_nothing(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    (taken / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"):
        replace_file(taken, b"data")
    assert list(tmp_path.iterdir()) == [taken]


@posix
@pytest.mark.parametrize(("mode", "kept"), [(0o600, 0o600), (0o644, 0o640), (0o666, 0o640)])
def test_the_mode_is_that_of_the_caller_without_the_umask(path: Path, mode: int, kept: int) -> None:
    before = os.umask(0o027)
    try:
        replace_file(path, b"after", mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == kept


@posix
def test_a_link_is_replaced_and_not_followed(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    replace_file(link, b"after")
    assert not link.is_symlink()
    assert path.read_bytes() == b"before"
