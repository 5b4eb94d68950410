"""Files that commands write: complete or not there."""

import os
import stat
from pathlib import Path

import pytest

from trmm_async.cli.exits import CommandError, Exit
from trmm_async.cli.files import output_file, reporting


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "out.txt"
    for text in ("one", "two"):
        before = path.read_text() if path.exists() else None
        with output_file(path) as aside:
            aside.write_text(text)
            assert (path.read_text() if path.exists() else None) == before
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_after_an_error_it_is_as_it_was_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), output_file(path) as aside:
            aside.write_text("half")
            raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("private", "modes"), [(True, (0o600, 0o700)), (False, (0o640, 0o750))])
def test_a_private_one_and_its_folder_are_for_the_owner_alone(
    tmp_path: Path, private: bool, modes: tuple[int, int]
) -> None:
    path = tmp_path / "mine" / "out.txt"
    before = os.umask(0o027)
    try:
        with output_file(path, private=True) if private else output_file(path) as aside:
            aside.write_text("x")
    finally:
        os.umask(before)
    assert (_mode(path), _mode(path.parent)) == modes


def test_a_link_stays_or_is_replaced(tmp_path: Path) -> None:
    other, link = tmp_path / "other.txt", tmp_path / "link.txt"
    other.write_text("old")
    link.symlink_to(other)
    with output_file(link) as aside:
        aside.write_text("through")
    assert (link.is_symlink(), other.read_text()) == (True, "through")
    with output_file(link, through_link=False) as aside:
        aside.write_text("instead")
    assert (link.is_symlink(), link.read_text(), other.read_text()) == (False, "instead", "through")


def test_what_can_not_be_written_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "out.txt"
    with pytest.raises(CommandError) as caught, output_file(path):
        pytest.fail("there is nowhere to write to")
    assert caught.value.code is Exit.FAILED
    assert str(caught.value).startswith(f"{path} can't be written: ")
    with (
        pytest.raises(CommandError, match=r"^there can't be written: No space left$"),
        reporting(Path("there")),
    ):
        raise OSError(28, "No space left")
    with pytest.raises(CommandError, match=r"^there can't be written: odd$"), reporting(Path("there")):
        raise OSError("odd")
