"""Every command and option is on the page, and what the pages show is what the program does."""

import re

import pytest

from tests.cli import pages
from trmm_async.cli.exits import Exit

CLI_PAGE = (pages.ROOT / "docs" / "cli.md").read_text()
REFERENCE = (pages.ROOT / "docs" / "cli-commands.md").read_text()
COMMANDS = dict(pages.commands())


def test_there_are_the_commands_that_people_were_promised() -> None:
    promised = (
        "agents agent run resume results watch alerts checks tasks scripts clients deploy cmd doctor "
        "simulator demo login profiles"
    )
    assert {f"trmm {name}" for name in promised.split()} <= set(COMMANDS)
    for name in ("alerts list", "alerts ack", "alerts resolve", "alerts snooze"):
        assert f"trmm {name}" in COMMANDS
    for name in ("deploy list", "deploy create", "deploy revoke", "deploy download"):
        assert f"trmm {name}" in COMMANDS


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_is_on_the_page(path: str) -> None:
    _, found, section = REFERENCE.partition(f"\n## `{path}`\n")
    assert found, path
    section = section.partition("\n## ")[0]
    for option in pages.options(COMMANDS[path]):
        for word in option.opts if option.param_type_name == "option" else [option.metavar]:
            assert re.search(rf"`{re.escape(word)}[` ]", section), word


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_help_and_examples(path: str) -> None:
    command = COMMANDS[path]
    assert command.help
    assert all(option.help for option in pages.options(command))
    if not hasattr(command, "commands"):
        assert f"trmm {path.split()[1]}" in command.epilog


@pytest.mark.parametrize(
    "path", [path for path, command in COMMANDS.items() if not hasattr(command, "commands")]
)
def test_what_prints_data_prints_json_too(path: str) -> None:
    quiet = {
        "login",
        "use",
        "remove",
        "ack",
        "resolve",
        "snooze",
        "revoke",
        "simulator",
        "demo",
        "export",
        "exporter",
        "relay",
        "mcp",
    }
    words = {word for option in pages.options(COMMANDS[path]) for word in option.opts}
    assert ({"--json", "--jsonl"} <= words) == (path.rsplit(maxsplit=1)[-1] not in quiet)


def test_every_exit_code_is_on_the_page() -> None:
    table = CLI_PAGE.partition("### Exit codes")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == set(Exit)


def test_the_reference_is_the_programs_own() -> None:
    assert pages.replaced(REFERENCE, "reference", pages.reference()) == REFERENCE


def test_the_recorded_session_is_what_happens() -> None:
    recorded = CLI_PAGE.partition("<!-- session")[2].partition("<!-- end of session")[0]
    assert pages.session() in recorded
