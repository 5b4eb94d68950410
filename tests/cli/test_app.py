"""The command line as a whole: help, version, the order of words, completion, the simulator, events."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from typer.main import get_command

import trmm_async.cli.commands
from tests.cli.conftest import Cli
from tests.cli.stage import Backstage, environment, program, started, terminal
from trmm_async import __version__
from trmm_async.cli.app import MODULES, assembled, hoisted


def test_help_is_shown_without_a_word_and_with_help(cli: Cli) -> None:
    for words in ([], ["--help"], ["-h"]):
        said = cli(*words)
        assert said.code == 0
        assert "Usage: trmm" in said.out
        assert "doctor" in said.out
    assert "Usage: trmm alerts" in cli("alerts", "--help").out
    assert cli("--version").out == f"trmm {__version__}\n"


def last_line_of(code: str) -> str:
    """What a fresh interpreter prints last that runs this."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.splitlines()[-1]


def test_help_loads_neither_the_client_nor_its_libraries() -> None:
    code = (
        "import sys; from trmm_async.cli import main; main(['--help']); "
        "print([n for n in ('aiohttp', 'aiosqlite', 'msgspec', 'websockets') if n in sys.modules])"
    )
    assert last_line_of(code) == "[]"


@pytest.mark.parametrize(
    ("words", "ordered"),
    [
        (["agents", "--profile", "lab"], ["--profile", "lab", "agents"]),
        (["agents", "--url=u", "--json", "--debug"], ["--url=u", "--debug", "agents", "--json"]),
        (["run", "1", "--", "--debug"], ["run", "1", "--", "--debug"]),
        (["agents", "--url"], ["--url", "agents"]),
        (["--version"], ["--version"]),
    ],
)
def test_options_for_all_commands_stand_anywhere(words: list[str], ordered: list[str]) -> None:
    front, rest = hoisted(words)
    assert front + rest == ordered


def test_every_command_is_in_the_module_that_is_imported_for_it() -> None:
    made: dict[str, str] = {}
    for module in iter_modules(trmm_async.cli.commands.__path__):
        group: Any = get_command(assembled([module.name]))
        made |= dict.fromkeys(group.commands, module.name)
    assert made == MODULES


def test_a_command_is_run_without_the_others() -> None:
    code = (
        "import sys; from trmm_async.cli import main; main(['scripts', '--help']); "
        "print(*(n.rpartition('.')[2] for n in sys.modules if n.startswith('trmm_async.cli.commands.')))"
    )
    assert last_line_of(code) == "scripts"


def test_without_its_packages_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['typer'] = None; from trmm_async.cli import main; sys.exit(main(['agents']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert 'pip install "trmm-async[cli]"' in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("trmm agents --ki", {"--kind"}),
        ("trmm agents --kind ", {"server", "workstation"}),
        ("trmm agents --sort last", {"last_seen"}),
        ("trmm --dialect ", {"auto", "gateway", "stock"}),
        ("trmm alerts ", {"list", "ack", "resolve", "snooze"}),
        ("trmm --profile ", {"lab"}),
    ],
)
def test_words_are_completed(line: str, offered: set[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    config = tmp_path_factory.mktemp("config") / "config.toml"
    config.write_text('[profiles.lab]\nurl = "https://lab.example"\n')
    extra = {
        "_TRMM_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - (not line.endswith(" "))),
        "TRMM_CONFIG": str(config),
    }
    said = program([], extra)
    assert offered <= set(said.out.split())


def test_completion_can_be_shown() -> None:
    said = program(["--show-completion", "bash"], {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    assert said.code == 0
    assert "_TRMM_COMPLETE" in said.out


@pytest.mark.parametrize("dialect", ["gateway", "stock"])
def test_the_simulator_runs_until_it_is_interrupted(dialect: str) -> None:
    with terminal(["simulator", "--agents", "3", "--dialect", dialect, "--no-limits"], {}) as screen:
        screen.wait_for("Ctrl-C ends it.")
        found = re.search(r"export TRMM_URL=(\S+) TRMM_API_KEY=(\S+)", screen.shown)
        assert found
        said = program(["agents", "--jsonl"], {"TRMM_URL": found[1], "TRMM_API_KEY": found[2]})
        screen.process.send_signal(signal.SIGINT)
        assert screen.finish() == 0
    assert len(said.lines) == 3
    assert "0 scripts were run. Bye." in screen.shown


def test_the_demonstration_can_be_started(cli: Cli) -> None:
    assert cli("demo", "--agents", "3").code == 2
    assert "--agents" in cli("demo", "--help").out


class TestWatch:
    @pytest.mark.parametrize(("which", "count"), [("gateway", 2), ("stock", 1)])
    def test_events_are_data(self, request: pytest.FixtureRequest, which: str, count: int) -> None:
        stage: Backstage = request.getfixturevalue(which)
        words = ["watch", "JADE-PC", "--jsonl", "--count", str(count)]
        with started(words, stage.environment) as process:
            assert process.stderr is not None
            assert process.stderr.readline() == "watching 1 agent: JADE-PC\n"
            stage.do(lambda server: server.go_offline(server.agent_ids[0]))
            if count == 2:
                stage.do(lambda server: server.come_online(server.agent_ids[0]))
            out, _ = process.communicate()
            assert process.wait() == 0
        events = [re.search(r'"event": "(\w+)", "hostname": "(JADE-PC)"', line) for line in out.splitlines()]
        assert [found[1] for found in events if found] == ["AgentOffline", "AgentOnline"][:count]

    def test_for_a_time(self, cli: Cli, gateway: Backstage) -> None:
        said = cli("watch", "--for", "0.3", "--json")
        assert (said.code, said.data) == (0, [])


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_letters_that_cannot_be_shown_are_no_failure(gateway: Backstage, encoding: str) -> None:
    extra = {**gateway.environment, "PYTHONIOENCODING": encoding}
    said = program(["clients", "--json"], extra)
    assert "Ostermann & S\u00f6hne GmbH" in [row["name"] for row in said.data]
    said = program(["clients"], {**extra, "PYTHONIOENCODING": "ascii"})
    assert said.code == 0
    assert "Ostermann & S\\xf6hne GmbH" in said.out


def test_completion_is_silent_about_a_broken_file(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("default = ")
    extra = {"_TRMM_COMPLETE": "complete_bash", "COMP_WORDS": "trmm --profile ", "COMP_CWORD": "2"}
    said = program([], {**extra, "TRMM_CONFIG": str(config)})
    assert (said.out.strip(), said.error) == ("", "")
