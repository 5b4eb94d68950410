"""On a real terminal: tables that fit, colour, help, and events as they come."""

import os
import re
import signal
from itertools import pairwise
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.cli.stage import Backstage, ended, lines, program, started, terminal
from trmm_async.testing import Simulator

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]")


@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize(
    "words",
    [
        ["agents"],
        ["agent", "JADE-PC"],
        ["checks", "JADE-PC"],
        ["scripts"],
        ["clients"],
        ["tasks"],
        ["doctor"],
    ],
)
def test_tables_fit(gateway: Backstage, width: int, words: list[str]) -> None:
    with terminal(words, gateway.environment, width) as screen:
        assert screen.finish() == 0, screen.shown
    shown = lines(screen.shown)
    assert len(shown) > 2
    assert max(len(line) for line in shown) <= width


@pytest.mark.parametrize("width", [40, 60])
@pytest.mark.parametrize("words", [["agents"], ["checks"]], ids=" ".join)
def test_hosts_are_told_apart_on_a_narrow_terminal(words: list[str], width: int) -> None:
    names = [
        "WEB-PRODUCTION-FRANKFURT-0001",
        "WEB-PRODUCTION-FRANKFURT-0002",
        "サーバー一号機",
        "サーバー二号機",
    ]
    with Backstage(agents=5, dialect="stock", rate_limit=None) as stage:

        def rename(server: Simulator) -> None:
            for agent, name in zip(server.agents[1:], names, strict=True):
                agent.hostname = name

        stage.do(rename)
        with terminal(words, stage.environment, width) as screen:
            assert screen.finish() == 0, screen.shown
    shown = lines(screen.shown)
    assert max(cell_len(line) for line in shown) <= width
    assert "JADE-PC" in " ".join(shown)
    assert (
        len({end for end in ("0001", "0002", "一号機", "二号機") if any(end in line for line in shown)}) == 4
    )


def test_a_wide_terminal_shows_more(gateway: Backstage) -> None:
    heads = {}
    for width in (80, 160):
        with terminal(["agents"], gateway.environment, width) as screen:
            assert screen.finish() == 0, screen.shown
        heads[width] = lines(screen.shown)[0].split()
    assert set(heads[80]) < set(heads[160])
    assert heads[160] == ["Agent", "Client", "Site", "Status", "Seen", "System", "Version"]


def test_colour_is_for_terminals_and_not_with_no_color(gateway: Backstage) -> None:
    with terminal(["agents"], gateway.environment) as screen:
        assert screen.finish() == 0, screen.shown
    assert COLOUR.search(screen.shown)
    with terminal(["agents"], {**gateway.environment, "NO_COLOR": "1"}) as screen:
        assert screen.finish() == 0, screen.shown
    assert not COLOUR.search(screen.shown)
    assert "\x1b" not in program(["agents"], gateway.environment).out


WIDE = ["agents", "--columns", "hostname,operating_system,public_ip,last_seen,client"]
MISLEADING = [
    {"COLUMNS": "0"},
    {"COLUMNS": "30"},
    {"FORCE_COLOR": "1"},
    {"FORCE_COLOR": "0"},
    {"TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1"},
    {"FORCE_COLOR": "1", "NO_COLOR": "1"},
    {"GITHUB_ACTIONS": "true", "PY_COLORS": "1"},
]


class TestTheStreamIsAskedAndNotTheEnvironment:
    @pytest.mark.parametrize("misleading", MISLEADING, ids="-".join)
    def test_into_a_pipe_all_is_whole_and_plain(self, gateway: Backstage, misleading: dict[str, str]) -> None:
        extra = {**gateway.environment, **misleading}
        for words in (WIDE, ["run", "5", "--client", "34", "--yes"], ["run", "--help"]):
            expected, said = program(words, gateway.environment), program(words, extra)
            assert (said.code, said.out, said.error) == (0, expected.out, expected.error)
            assert said.out
            assert "\x1b" not in said.out + said.error

    @pytest.mark.parametrize("misleading", MISLEADING[:2], ids=["0", "30"])
    def test_a_terminal_is_as_wide_as_it_says(self, gateway: Backstage, misleading: dict[str, str]) -> None:
        with terminal(["agents"], {**gateway.environment, **misleading}, 100) as screen:
            assert screen.finish() == 0, screen.shown
        assert 80 < max(len(line) for line in lines(screen.shown)) <= 100

    def test_a_terminal_without_a_width_has_the_usual(self, gateway: Backstage) -> None:
        for words in (["agents"], ["--help"]):
            with terminal(words, gateway.environment, 0) as screen:
                assert screen.finish() == 0, screen.shown
            assert 40 < max(len(line) for line in lines(screen.shown)) <= 80

    def test_no_color_leaves_no_style_at_all(self, gateway: Backstage) -> None:
        for words in (["agents"], ["--help"]):
            with terminal(words, {**gateway.environment, "NO_COLOR": "1", "FORCE_COLOR": "1"}) as screen:
                assert screen.finish() == 0, screen.shown
            assert not re.search(r"\x1b\[[0-9;]*m", screen.shown)


PRINTING = [
    ["agents"],
    ["agents", "--json"],
    ["agents", "--jsonl"],
    ["agent", "JADE-PC"],
    ["doctor"],
    ["checks", "JADE-PC"],
    ["profiles"],
    ["--help"],
    ["--version"],
    ["--show-completion", "bash"],
]


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_a_reader_that_goes_away_is_141_everywhere(gateway: Backstage, words: list[str], bare: Path) -> None:
    bare.parent.mkdir()
    bare.write_text('[profiles.lab]\nurl = "https://lab.example"\n')
    config = {"TRMM_CONFIG": str(bare), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    reading, writing = os.pipe()
    os.close(reading)
    with started(words, {**gateway.environment, **config}, stdout=writing) as process:
        os.close(writing)
        said = ended(process)
    assert (said.code, said.error) == (141, "")


def test_help_is_for_narrow_terminals_too(gateway: Backstage) -> None:
    for words in ([], ["--help"], ["run", "-h"], ["alerts", "snooze", "--help"]):
        with terminal(words, gateway.environment) as screen:
            assert screen.finish() == 0, screen.shown
        shown = lines(screen.shown)
        assert max(len(line) for line in shown) <= 80
        assert any("Usage: trmm" in line for line in shown)


def test_a_paragraph_of_help_is_broken_only_where_the_terminal_ends(gateway: Backstage) -> None:
    with terminal(["webhooks", "--help"], gateway.environment) as screen:
        assert screen.finish() == 0
    shown = [line.strip() for line in lines(screen.shown)]
    start = next(number for number, line in enumerate(shown) if line.startswith("It runs until"))
    paragraph = shown[start : shown.index("", start)]
    assert len(paragraph) > 2
    for line, following in pairwise(paragraph):
        assert len(line) + len(following.split()[0]) >= 76, line


class TestWatch:
    def test_shows_events_until_it_is_interrupted(self, gateway: Backstage) -> None:
        with terminal(["watch", "jade-pc"], gateway.environment) as screen:
            screen.wait_for("watching 1 agent: JADE-PC")
            gateway.do(lambda server: server.go_offline(server.agent_ids[0]))
            screen.wait_for("went offline")
            gateway.do(lambda server: server.come_online(server.agent_ids[0]))
            screen.wait_for("came online")
            gateway.do(lambda server: server.raise_alert(server.agent_ids[0], message="C: \x1b[2J97% used"))
            screen.wait_for("C: [2J97% used")
            screen.process.send_signal(signal.SIGINT)
            assert screen.finish() == 130
        assert "Traceback" not in screen.shown
