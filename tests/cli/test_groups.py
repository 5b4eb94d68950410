"""Groups of commands with a default."""

from tests.cli.conftest import Cli


def test_an_agent_where_a_command_belongs(cli: Cli) -> None:
    assert "One agent is shown by: trmm agent JADE-PC" in cli("agents", "JADE-PC").error
    assert "Did you mean 'list'?" in cli("agents", "lst").error
