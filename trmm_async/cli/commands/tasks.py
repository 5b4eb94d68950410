"""`trmm tasks`: list, create."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

import trmm_async as sdk
from trmm_async.cli.columns import Column
from trmm_async.cli.exits import usage
from trmm_async.cli.fleet_actions import Mild, chosen, launch, mild
from trmm_async.cli.forms import host_column
from trmm_async.cli.groups import ListOrName
from trmm_async.cli.known_names import offer_scripts
from trmm_async.cli.listing import Found, Listing, lists
from trmm_async.cli.options import LOOK, OptionalAgent, Yes, examples
from trmm_async.cli.outcome_form import OutcomeForm, tells
from trmm_async.cli.run_options import Agents, Everywhere, File
from trmm_async.cli.selection import Where, agents_where, labels, picks, script_named
from trmm_async.cli.session import connected, runs
from trmm_async.cli.text import ago
from trmm_async.cron import cron_expression

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(cls=ListOrName, help="List automated tasks, or create one on each of some agents.")
    group.command("list", epilog=examples("trmm tasks", "trmm tasks JADE-PC --json"))(list_tasks)
    hint = "trmm tasks create 'Weekly cleanup' Clear-TempFiles --schedule '0 3 * * 0' --client Acme"
    group.command("create", epilog=examples(hint))(create)
    app.add_typer(group, rich_help_panel=LOOK, name="tasks")


@runs
@picks
@lists
async def list_tasks(
    context: typer.Context, agent: OptionalAgent = None, *, where: Where, form: Listing
) -> None:
    """List automated tasks. A stock server sends last results only with the tasks of one agent."""
    async with connected(context) as trmm:

        async def read() -> Found:
            chosen = await agents_where(trmm, where, [agent] if agent else ())
            hosts = labels(chosen, for_people=form.for_people)
            found = await trmm.tasks.list(agent=chosen[0] if agent and chosen else None)
            if agent or where:
                found = [task for task in found if task.agent_id in hosts]
            return Found(found, hosts)

        await form.show(read, _columns, sdk.Task, none="there is no task", hosted=True)


@runs
@picks
@mild
@tells
async def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The task's name.")],
    script: Annotated[
        str, typer.Argument(metavar="SCRIPT", help="The script's name or id.", autocompletion=offer_scripts)
    ],
    schedule: Annotated[
        str,
        typer.Option("--schedule", metavar="CRON", help="The schedule: five cron fields, as '0 3 * * 0'."),
    ],
    agent: Agents = None,
    file: File = None,
    everywhere: Everywhere = False,
    disabled: Annotated[bool, typer.Option("--disabled", help="Create it disabled.")] = False,
    *,
    where: Where,
    settings: Mild,
    yes: Yes = False,
    form: OutcomeForm,
) -> int:
    """Create a task that runs a script by a schedule, on each agent that the options pick."""
    whom = chosen(agent, file, where, everywhere=everywhere)
    try:
        cron_expression(schedule)
    except sdk.InvalidRequestError as error:
        raise usage(f"--schedule: {error}") from error
    async with connected(context) as trmm:
        found = await script_named(trmm, script)

        async def one(target: "sdk.Agent") -> "sdk.Task":
            return await trmm.tasks.create(
                name=name, agent=target, script=found, schedule=schedule, enabled=not disabled
            )

        async def begin(targets: list["sdk.Agent"]) -> tuple["sdk.FleetRun[Any]", str]:
            return trmm.fleet.map(targets, one, **settings.settings), f"create the task {name!r} on"

        return await launch(trmm, form, whom, begin, settings, good=(None,), yes=yes)


def _columns(names: Mapping[str, str]) -> tuple[Column[Any], ...]:
    return (
        Column("Id", lambda task: task.id, keep=True),
        Column("Task", lambda task: task.name, names=True),
        host_column(names),
        Column("Script", lambda task: task.script),
        Column("Schedule", lambda task: task.schedule or task.schedule_text),
        Column("Enabled", lambda task: {True: "yes", False: "no"}.get(task.enabled, "")),
        Column("Status", lambda task: task.status, styled=True, wide=True),
        Column("Run", lambda task: ago(task.last_run), wide=True),
    )
