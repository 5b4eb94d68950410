"""`trmm tasks`."""

from typing import Any

import typer

from trmm_async.cli.options import LOOK, Json, JsonLines, OptionalAgent, examples
from trmm_async.cli.picking import agents_named, host_names
from trmm_async.cli.printing import Column, Output
from trmm_async.cli.session import connected, runs
from trmm_async.cli.text import ago

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tasks", rich_help_panel=LOOK, epilog=examples("trmm tasks", "trmm tasks JADE-PC --json"))(
        tasks
    )


@runs
async def tasks(
    context: typer.Context, agent: OptionalAgent = None, as_json: Json = False, as_jsonl: JsonLines = False
) -> None:
    """List automated tasks. A stock server tells how the last run went with one agent's only."""
    output = Output(as_json=as_json, as_jsonl=as_jsonl)
    async with connected(context) as trmm:
        chosen = await agents_named(trmm, [agent] if agent else [])
        found = await trmm.tasks.list(agent=chosen[0] if chosen else None)
        names = await host_names(trmm, chosen, needed=output.for_people)
    output.rows(found, _columns(names), none="there is no task")


def _columns(names: dict[str, str]) -> tuple[Column[Any], ...]:
    return (
        Column("Id", lambda task: task.id, keep=True),
        Column("Task", lambda task: task.name, keep=True),
        Column("Agent", lambda task: names.get(task.agent_id or "", task.agent_id)),
        Column("Script", lambda task: task.script),
        Column("Schedule", lambda task: task.schedule or task.schedule_text),
        Column("Enabled", lambda task: {True: "yes", False: "no"}.get(task.enabled, "")),
        Column("Status", lambda task: task.status, styled=True, wide=True),
        Column("Run", lambda task: ago(task.last_run), wide=True),
    )
