"""Bars on a terminal: how far a run and a download are, and what is printed beside them."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.stage import ESCAPE, HOSTS, Backstage, program, terminal
from trmm_async.cli.progress import bytes_bar, run_bar


def test_a_run_shows_how_far_it_is(gateway: Backstage) -> None:
    with terminal(["run", "3", "--client", "34", "--yes"], gateway.environment, 100) as screen:
        assert screen.finish() == 0, screen.shown
    assert re.search(r"\d+/\d+ +\d+\.\d/s", ESCAPE.sub("", screen.shown))
    assert re.search(r"\d+ done", screen.shown)


def test_a_download_shows_how_far_it_is(gateway: Backstage, tmp_path: Path) -> None:
    made = program(["deploy", "create", "--client", "34", "--site", "41", "--json"], gateway.environment).data
    words = ["deploy", "download", str(made["id"]), str(tmp_path)]
    with terminal(words, gateway.environment) as screen:
        assert screen.finish() == 0, screen.shown
    assert re.search(r"installer .*(kB|bytes)", ESCAPE.sub("", screen.shown))


def test_rows_get_into_a_file_while_a_bar_is_drawn(gateway: Backstage, tmp_path: Path) -> None:
    for name, words in (("lines", ["--jsonl"]), ("text", ["--live"])):
        path = tmp_path / name
        with terminal(["run", "3", *HOSTS, *words], gateway.environment, output=path) as screen:
            assert screen.finish() == 0, screen.shown
        assert len(re.findall("JADE-PC|DESKTOP-001", path.read_text())) >= 2
        assert "JADE-PC" not in screen.shown
    lines = (tmp_path / "lines").read_text().splitlines()
    assert sorted(json.loads(line)["hostname"] for line in lines) == ["DESKTOP-001", "JADE-PC"]


@pytest.mark.parametrize("words", [["--live"], ["-o", "csv"], ["--jsonl"]], ids=" ".join)
def test_what_comes_while_a_bar_is_drawn_stands_above_it(gateway: Backstage, words: list[str]) -> None:
    with terminal(["run", "3", *HOSTS, *words, "--width", "1"], gateway.environment, 120) as screen:
        assert screen.finish() == 0, screen.shown
    shown = re.sub(r"\x1b\[[0-9;]*m", "", screen.shown)
    begun = {
        "--live": r"(?:JADE-PC|DESKTOP-001): [A-Z]",
        "-o": r"[A-Za-z]\w{39},",
        "--jsonl": r'{"agent_id"',
    }[words[0]]
    places = [found.start() for found in re.finditer(begun, shown)]
    assert len(places) >= 2
    assert {shown[:place].endswith(("\n", "\x1b[2K")) for place in places} == {True}


def test_a_bar_on_stderr_is_drawn_where_stdout_is_none(gateway: Backstage, tmp_path: Path) -> None:
    words = ["run", "5", "--client", "34", "--yes", "--jsonl"]
    with terminal(words, gateway.environment, output=tmp_path / "outcomes") as screen:
        assert screen.finish() == 0, screen.shown
    assert re.search(r"\d+/\d+", ESCAPE.sub("", screen.shown))
    assert "\x1b" not in (tmp_path / "outcomes").read_text()


def test_without_a_terminal_there_is_no_bar(
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = "an agent with a long name is waited for, since the server answers slowly, " * 3 + "today"
    with run_bar(3) as bar:
        bar.advance("1 done")
        bar.say(message)
    with bytes_bar("installer") as update:
        update(5, 10)
    assert capsys.readouterr() == ("", f"{message}\n")
