"""`trmm cmd`."""

from typing import TYPE_CHECKING, Annotated

import typer

from trmm_async.cli.exits import Exit, printed
from trmm_async.cli.options import DO, AgentName, Json, JsonLines, examples
from trmm_async.cli.picking import agents_named
from trmm_async.cli.printing import Output
from trmm_async.cli.session import connected, runs
from trmm_async.cli.text import clean

if TYPE_CHECKING:
    import trmm_async as sdk

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    hint = examples('trmm cmd JADE-PC "ipconfig /all"', "trmm cmd SRV-002 'Get-Service' --shell powershell")
    app.command("cmd", rich_help_panel=DO, epilog=hint)(cmd)


@runs
async def cmd(
    context: typer.Context,
    agent: AgentName,
    command: Annotated[str, typer.Argument(metavar="COMMAND", help="The command line, in quotes.")],
    shell: Annotated[
        str | None,
        typer.Option(
            "--shell",
            metavar="SHELL",
            help="cmd, powershell, or a path as /bin/bash; the agent's own without.",
        ),
    ] = None,
    timeout: Annotated[
        int, typer.Option("--timeout", metavar="SECONDS", min=1, help="Seconds that it may take.")
    ] = 30,
    as_user: Annotated[bool, typer.Option("--as-user", help="As the user who is logged in.")] = False,
    as_json: Json = False,
    as_jsonl: JsonLines = False,
) -> int:
    """Run a command on one agent and print its output. A stock server only; it tells no return code."""
    output = Output(as_json=as_json, as_jsonl=as_jsonl)
    async with connected(context) as trmm:
        (target,) = await agents_named(trmm, [agent])
        result = await trmm.agents.run_command(
            target,
            command,
            shell=shell,
            timeout=timeout,
            run_as_user=as_user,
        )
    with printed("the command has run"):
        output.one(result, _show)
    return Exit.OK


def _show(result: "sdk.CommandResult") -> None:
    print(clean(result.output), end="" if result.output.endswith("\n") else "\n")
