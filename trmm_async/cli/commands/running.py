"""`trmm run`."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from trmm_async.cli.exits import CommandError, Exit, usage
from trmm_async.cli.options import (
    DO,
    Client,
    Host,
    Json,
    JsonLines,
    Kind,
    Site,
    Status,
    Yes,
    examples,
)
from trmm_async.cli.picking import Where, agents_where, confirm, script_named
from trmm_async.cli.printing import Output
from trmm_async.cli.progress import run_bar
from trmm_async.cli.report import counted, print_groups, row, summarise, verdict
from trmm_async.cli.session import connected, runs

__all__ = ["add_to"]

_PICK = "Which agents"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    hint = examples(
        "trmm run Get-DiskInfo C: --client Acme --kind server",
        "trmm run 5 --hostname 'WEB-*' --status online --width 10",
        "trmm run Clear-TempFiles --file hosts.txt --yes --jsonl > outcomes.jsonl",
        "trmm agents --status online --jsonl | jq -r .agent_id | trmm run 5 --file - --yes",
    )
    app.command("run", rich_help_panel=DO, epilog=hint)(run)


@runs
async def run(
    context: typer.Context,
    script: Annotated[str, typer.Argument(metavar="SCRIPT", help="The script's name or id.")],
    args: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARG", help="Its arguments; behind -- if they begin with a dash."),
    ] = None,
    agent: Annotated[
        list[str] | None,
        typer.Option("--agent", metavar="AGENT", help="This one; may be repeated.", rich_help_panel=_PICK),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            metavar="PATH",
            help="Those of a file, a name or id a line; - is stdin.",
            rich_help_panel=_PICK,
        ),
    ] = None,
    everywhere: Annotated[bool, typer.Option("--all", help="All there are.", rich_help_panel=_PICK)] = False,
    client: Client = None,
    site: Site = None,
    kind: Kind = None,
    hostname: Host = None,
    status: Status = None,
    timeout: Annotated[
        int,
        typer.Option(
            "--timeout", metavar="SECONDS", min=1, max=300, help="Seconds that it may take on each agent."
        ),
    ] = 90,
    width: Annotated[
        int | None,
        typer.Option("--width", metavar="N", min=1, help="How many at once; what suits the server without."),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option("--env", metavar="NAME=VALUE", help="An environment variable; a stock server only."),
    ] = None,
    as_user: Annotated[
        bool, typer.Option("--as-user", help="As the user who is logged in; a stock server only.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
    as_jsonl: JsonLines = False,
) -> int:
    """Run a script on agents, once on each, and print what they said.

    Agents that said the same are put together, the largest group first. --jsonl prints each outcome as it
    comes.
    """
    output = Output(as_json=as_json, as_jsonl=as_jsonl)
    where = Where(client, site, kind, hostname, status)
    names = [*(agent or ()), *_names_of(file)]
    if not (names or file or where or everywhere):
        raise usage("on which agents? --agent, --file, --client, --hostname, …, or --all")
    variables = dict(_variable(text) for text in env or ())
    async with connected(context) as trmm:
        chosen = await script_named(trmm, script)
        targets = [] if file and not names else await agents_where(trmm, where, names)
        if not targets:
            raise CommandError(Exit.FAILED, "no agent matches; nothing was run")
        confirm(f"run {chosen.name} on", [each.hostname for each in targets], yes=yes)
        job = trmm.fleet.run_script(
            targets,
            chosen,
            args=args or (),
            timeout=timeout,
            width=width,
            env_vars=variables or None,
            run_as_user=as_user,
        )
        return await _follow(job, {each.agent_id: each.hostname for each in targets}, output)


def _names_of(file: str | None) -> list[str]:
    """The lines of the file, without blank ones and comments."""
    if file is None:
        return []
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise usage(f"--env is NAME=VALUE, not {text!r}")
    return name, value


async def _follow(job: "Any", names: dict[str, str], output: Output) -> int:
    """Show the run while it goes on, and what came of it."""
    outcomes: list[Any] = []
    with run_bar(len(names)) as advance, output.stream() as emit:
        async with job as underway:
            async for outcome in underway:
                outcomes.append(outcome)
                advance(counted(underway.counts))
                if not output.for_people:
                    emit(row(outcome, names))
    if output.for_people:
        print_groups(outcomes, names)
    summarise(outcomes)
    return verdict(outcomes)
