"""`trmm cmd`."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

import trmm_async as sdk
from trmm_async.cli.exits import CommandError, Exit, printed, usage
from trmm_async.cli.fleet_actions import Careful, careful, chosen, launch
from trmm_async.cli.known_names import offer_agents
from trmm_async.cli.options import DO, Yes, examples
from trmm_async.cli.outcome_form import OutcomeForm, tells
from trmm_async.cli.output import say
from trmm_async.cli.report import row
from trmm_async.cli.run_options import (
    Agents,
    Everywhere,
    File,
)
from trmm_async.cli.selection import Where, agents_named, picks
from trmm_async.cli.session import connected, runs
from trmm_async.cli.text import clean

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    hint = examples(
        'trmm cmd JADE-PC "ipconfig /all"',
        "trmm cmd SRV-002 'Get-Service' --shell powershell",
        "trmm cmd 'ipconfig /flushdns' --client Acme --kind workstation --journal flush.db",
        "trmm cmd 'sfc /verifyonly' --all --canary 3 --success 'no integrity violations'",
    )
    app.command("cmd", rich_help_panel=DO, epilog=hint)(cmd)


@runs
@picks
@careful
@tells
async def cmd(
    context: typer.Context,
    agent_or_command: Annotated[
        str,
        typer.Argument(
            metavar="[AGENT]",
            help="A host name or an agent's id, if no option selects agents.",
            autocompletion=offer_agents,
        ),
    ],
    command: Annotated[
        str | None, typer.Argument(metavar="COMMAND", help="The command line, in quotes.")
    ] = None,
    agent: Agents = None,
    file: File = None,
    everywhere: Everywhere = False,
    *,
    where: Where,
    shell: Annotated[
        str | None,
        typer.Option(
            "--shell",
            metavar="SHELL",
            help="cmd, powershell, or a path as /bin/bash; default: the agents' own.",
        ),
    ] = None,
    timeout: Annotated[
        int, typer.Option("--timeout", metavar="SECONDS", min=1, help="Seconds that it may take.")
    ] = 30,
    as_user: Annotated[bool, typer.Option("--as-user", help="Run as the logged-in user.")] = False,
    settings: Careful,
    success: Annotated[
        str | None,
        typer.Option(
            "--success",
            metavar="TEXT",
            help="What a successful command prints; the server sends no return codes.",
            rich_help_panel="How carefully",
        ),
    ] = None,
    yes: Yes = False,
    form: OutcomeForm,
) -> int:
    """Run a command on one agent, or on many, and print its output. A stock server only.

    The server sends no return code. With several agents, output is shown as it comes, with the host before
    each line; --grouped groups the agents that printed the same.
    """
    many = bool(agent or file or everywhere or where)
    if command is not None and not many:
        if success is not None or settings:
            raise usage("for one agent by its name alone there is no such option: name it by --agent")
        return await _one(context, form, agent_or_command, command, shell, timeout, as_user=as_user)
    if command is not None:
        raise usage("give AGENT, or options that say whom, and not both; the command in quotes")
    if success is None and (careful_ones := settings.judging):
        raise usage(
            f"{' and '.join(careful_ones)}: on many there are no return codes: say by --success TEXT what a "
            "success prints"
        )
    whom = chosen(agent, file, where, everywhere=everywhere)
    async with connected(context) as trmm:

        async def begin(targets: list["sdk.Agent"]) -> tuple["sdk.FleetRun[Any]", str]:
            job = trmm.fleet.run_command(
                targets,
                agent_or_command,
                shell=shell or _shell_of(targets),
                timeout=timeout,
                run_as_user=as_user,
                success=success,
                **settings.settings,
            )
            return job, f"run {agent_or_command!r} on"

        return await launch(
            trmm, form, whom, begin, settings, good=(None,), yes=yes, live=True, stock="fleet.run_command"
        )


def _shell_of(targets: list["sdk.Agent"]) -> str:
    """The default shell of the agents, which must be the same for all of them."""
    shells = {"cmd" if agent.plat in {None, "windows"} else "/bin/bash" for agent in targets}
    if len(shells) > 1:
        raise usage(
            "some of these agents run Windows and some don't: select one platform by --plat, or give a "
            "--shell that all have"
        )
    return shells.pop()


async def _one(
    context: typer.Context,
    form: OutcomeForm,
    name: str,
    command: str,
    shell: str | None,
    timeout: int,
    *,
    as_user: bool,
) -> int:
    async with connected(context) as trmm:
        (target,) = await agents_named(trmm, [name])
        files = form.files({target.agent_id: target.hostname})
        result = await trmm.agents.run_command(
            target,
            command,
            shell=shell,
            timeout=timeout,
            run_as_user=as_user,
        )
    outcome: sdk.Done[Any] = sdk.Done(target.agent_id, result)
    told = row(outcome, {target.agent_id: target.hostname})
    with printed("the command has run"):
        form.one(told, _show)
    if files is not None:
        try:
            files.write(told)
        except CommandError as error:
            say(str(error))  # the command has run: with an exit code of failure it might be repeated
    return Exit.OK


def _show(told: Mapping[str, Any]) -> None:
    output = clean(told["stdout"])
    print(output, end="" if output.endswith("\n") else "\n")
