"""`trmm checks`."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

import trmm_async as sdk
from trmm_async.cli.columns import Column
from trmm_async.cli.forms import host_column
from trmm_async.cli.listing import Found, Listing, lists
from trmm_async.cli.options import LOOK, RESULTS, OptionalAgent, examples
from trmm_async.cli.selection import Where, agents_where, check_missing, labels, of_each, picks
from trmm_async.cli.session import connected, runs
from trmm_async.cli.text import ago
from trmm_async.cli.values import choice

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "checks",
        rich_help_panel=LOOK,
        epilog=examples("trmm checks JADE-PC", "trmm checks --result failing --client Acme"),
    )(checks)


@runs
@picks
@lists
async def checks(
    context: typer.Context,
    agent: OptionalAgent = None,
    result: Annotated[
        str | None,
        typer.Option(
            "--result",
            metavar="RESULT",
            help="Only these results: passing, failing, pending.",
            autocompletion=lambda: RESULTS,
        ),
    ] = None,
    *,
    where: Where,
    form: Listing,
) -> None:
    """List checks and their last results.

    Each agent's checks are read separately, a few agents at a time, which takes a while on a large fleet.
    With --result failing, a stock server is asked only about agents that have failing checks. Agents that
    could not be asked are listed at the end, and the exit code is 1.
    """
    wanted: Any = None if result is None else choice(result, "--result", RESULTS)
    missing: list[str] = []
    hosts: dict[str, str] = {}
    async with connected(context) as trmm:

        async def read() -> Found:
            chosen = await agents_where(trmm, where, [agent] if agent else ())
            hosts.update(labels(chosen, for_people=form.for_people))
            if wanted == "failing" and trmm.dialect == "stock":
                chosen = [one for one in chosen if one.checks is None or one.checks.failing]
            found, missing[:] = await of_each(
                trmm, chosen, lambda one: trmm.checks.list(agent=one, status=wanted)
            )
            return Found(found, hosts)

        await form.show(read, _columns, sdk.Check, none="no check matches", hosted=True)
    check_missing(missing, hosts)


def _columns(names: Mapping[str, str]) -> tuple[Column[Any], ...]:
    return (
        Column("Id", lambda check: check.id, keep=True),
        host_column(names),
        Column("Check", lambda check: check.name, names=True),
        Column("Status", lambda check: check.status, keep=True, styled=True),
        Column("Run", lambda check: ago(check.last_run), keep=True),
        Column("Says", lambda check: check.more_info),
        Column("Type", lambda check: check.check_type, wide=True),
    )
