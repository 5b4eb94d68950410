"""`trmm checks`."""

from typing import Annotated, Any, Final, get_args

import typer

import trmm_async as sdk
from trmm_async.cli.exits import CommandError, Exit
from trmm_async.cli.options import LOOK, Client, Json, JsonLines, Kind, OptionalAgent, Site, examples
from trmm_async.cli.picking import Where, agents_named, filters_of, host_names
from trmm_async.cli.printing import Column, Output
from trmm_async.cli.session import connected, runs
from trmm_async.cli.text import ago, named
from trmm_async.cli.values import choice
from trmm_async.words import CheckStatus

__all__ = ["add_to"]

_NAMED: Final = 5
STATUSES: Final[tuple[str, ...]] = get_args(CheckStatus)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "checks",
        rich_help_panel=LOOK,
        epilog=examples("trmm checks JADE-PC", "trmm checks --status failing --client Acme"),
    )(checks)


@runs
async def checks(
    context: typer.Context,
    agent: OptionalAgent = None,
    client: Client = None,
    site: Site = None,
    kind: Kind = None,
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

    Each agent is asked for its own, a few at a time: that takes a while on a large fleet. With --status
    failing a stock server's agents are asked only if they have failing checks. Agents that could not be asked
    are named in the end, and the exit code is 1.
    """
    output = Output(as_json=as_json, as_jsonl=as_jsonl)
    wanted: Any = None if status is None else choice(status, "--status", STATUSES)
    where = Where(client=client, site=site, kind=kind)
    missing: list[str] = []
    async with connected(context) as trmm:
        chosen = await agents_named(trmm, [agent] if agent else [])
        places = await filters_of(trmm, where)
        try:
            found = await trmm.checks.list(agent=chosen[0] if chosen else None, status=wanted, **places)
        except sdk.IncompleteError as error:
            found, missing = list(error.found), list(error.failed)
        names = await host_names(trmm, chosen, needed=output.for_people or bool(missing))
    output.rows(found, _columns(names), none="no check matches")
    if missing:
        unasked = named([names.get(agent_id, agent_id) for agent_id in missing], _NAMED)
        raise CommandError(Exit.FAILED, f"{len(missing)} agents could not be asked: {unasked}")


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
