"""`trmm checks`."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from trmm_async.cli.options import LOOK, Json, JsonLines, OptionalAgent, examples
from trmm_async.cli.picking import agents_named, host_names
from trmm_async.cli.printing import Column, Output
from trmm_async.cli.session import connected, runs
from trmm_async.cli.text import ago
from trmm_async.cli.values import choice

if TYPE_CHECKING:
    import trmm_async as sdk

__all__ = ["add_to"]

STATUSES: Final = ("passing", "failing", "pending")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "checks", rich_help_panel=LOOK, epilog=examples("trmm checks JADE-PC", "trmm checks --status failing")
    )(checks)


@runs
async def checks(
    context: typer.Context,
    agent: OptionalAgent = None,
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            metavar="STATUS",
            help="Those that stand so: passing, failing, pending.",
            autocompletion=lambda: STATUSES,
        ),
    ] = None,
    as_json: Json = False,
    as_jsonl: JsonLines = False,
) -> None:
    """List checks and their last results.

    A stock server's list of all has no results, and takes it minutes on a large fleet: name an agent there.
    """
    output = Output(as_json=as_json, as_jsonl=as_jsonl)
    status = None if status is None else choice(status, "--status", STATUSES)
    async with connected(context) as trmm:
        chosen = await agents_named(trmm, [agent] if agent else [])
        listed = await trmm.checks.list(agent=chosen[0] if chosen else None)
        names = await host_names(trmm, chosen, needed=output.for_people)
    found = [check for check in listed if status in {None, check.status}]
    output.rows(found, _columns(names), none="no check matches")


def _columns(names: dict[str, str]) -> tuple[Column[Any], ...]:
    columns: Final[tuple[Column[sdk.Check], ...]] = (
        Column("Id", lambda check: check.id, keep=True),
        Column("Agent", lambda check: names.get(check.agent_id or "", check.agent_id)),
        Column("Check", lambda check: check.name),
        Column("Status", lambda check: check.status, keep=True, styled=True),
        Column("Run", lambda check: ago(check.last_run), keep=True),
        Column("Says", lambda check: check.more_info),
        Column("Type", lambda check: check.check_type, wide=True),
    )
    return columns
