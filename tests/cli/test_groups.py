"""Groups of commands with a default."""

from typing import Any

import pytest
import typer
from typer.main import get_command

from tests.cli.conftest import Cli
from trmm_async.cli.groups import ListAgents, ListFirst, ListOrName


def test_an_agent_where_a_command_belongs(cli: Cli) -> None:
    assert "One agent is shown by: trmm agent JADE-PC" in cli("agents", "JADE-PC").error
    assert "Did you mean 'list'?" in cli("agents", "lst").error


def _app(group: type[ListFirst]) -> tuple[Any, list[Any]]:
    """A group with `list` and `get`, and what is run of it."""
    app = typer.Typer(cls=group)
    ran: list[Any] = []

    @app.command("list")
    def listing(name: str = typer.Argument(""), wide: bool = typer.Option(False, "--wide")) -> None:
        ran.append(("list", name, wide))

    @app.command()
    def get(name: str) -> None:
        ran.append(("get", name))

    return get_command(app), ran


@pytest.mark.parametrize(
    ("group", "words", "ran"),
    [
        (ListFirst, [], ("list", "", False)),
        (ListFirst, ["--wide"], ("list", "", True)),
        (ListFirst, ["list", "x"], ("list", "x", False)),
        (ListFirst, ["get", "x"], ("get", "x")),
        (ListAgents, ["--wide"], ("list", "", True)),
        (ListOrName, [], ("list", "", False)),
        (ListOrName, ["JADE-PC", "--wide"], ("list", "JADE-PC", True)),
        (ListOrName, ["get", "JADE-PC"], ("get", "JADE-PC")),
    ],
)
def test_what_is_run_where_list_is_left_out(
    group: type[ListFirst], words: list[str], ran: tuple[Any]
) -> None:
    command, found = _app(group)
    command.main(words, standalone_mode=False)
    assert found == [ran]


@pytest.mark.parametrize("group", [ListFirst, ListAgents])
def test_a_word_that_is_no_command_is_none(group: type[ListFirst]) -> None:
    command, found = _app(group)
    with pytest.raises(
        Exception, match=r"^No such command 'JADE PC'"
    ) as caught:  # typer may have its own click
        command.main(["JADE PC"], standalone_mode=False)
    assert type(caught.value).__name__ == "UsageError"
    assert ("trmm agent 'JADE PC'" in str(caught.value)) is (group is ListAgents)
    assert found == []


@pytest.mark.parametrize(("begun", "offered"), [("", {"list", "get"}), ("--w", {"--wide"}), ("g", {"get"})])
def test_the_shell_offers_commands_and_the_options_of_list(begun: str, offered: set[str]) -> None:
    command, _ = _app(ListOrName)
    with command.make_context("trmm", [], resilient_parsing=True) as context:
        assert {item.value for item in command.shell_complete(context, begun)} >= offered
