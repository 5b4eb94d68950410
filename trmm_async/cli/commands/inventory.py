"""`trmm history`, `trmm software`, `trmm updates`: what a stock server knows about its agents."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final

import typer

import trmm_async as sdk
from trmm_async.cli.columns import Column
from trmm_async.cli.forms import host_column
from trmm_async.cli.listing import Found, Listing, lists
from trmm_async.cli.options import LOOK, OptionalAgent, examples
from trmm_async.cli.rows import plain
from trmm_async.cli.selection import Where, agents_where, check_missing, labels, of_each, picks
from trmm_async.cli.session import connected, runs
from trmm_async.cli.text import ago
from trmm_async.plaintext import comparable

__all__ = ["add_to"]

_FEW: Final = 50
"""For more agents than this, one call reads the software of all agents of the server."""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    hint = examples("trmm history JADE-PC --limit 20", "trmm history --client Acme --sort -time -o csv")
    app.command("history", rich_help_panel=LOOK, epilog=hint)(history)
    hint = examples("trmm software JADE-PC", "trmm software --name '*chrome*' --client Acme -o csv")
    app.command("software", rich_help_panel=LOOK, epilog=hint)(software)
    hint = examples("trmm updates JADE-PC", "trmm updates --missing --kind server --fields hostname,kb,title")
    app.command("updates", rich_help_panel=LOOK, epilog=hint)(updates)


@runs
@picks
@lists
async def history(
    context: typer.Context, agent: OptionalAgent = None, *, where: Where, form: Listing
) -> None:
    """List what was run on agents, newest last. A stock server only."""
    async with connected(context) as trmm:

        async def read() -> Found:
            chosen = await agents_where(trmm, where, [agent] if agent else ())
            hosts = labels(chosen, for_people=form.for_people)
            found = await trmm.agents.history(chosen[0] if agent and chosen else None)
            return Found([one for one in found if one.agent_id in hosts or not (agent or where)], hosts)

        await form.show(read, _of_history, sdk.HistoryEntry, none="nothing was run", hosted=True)


def _of_history(names: Mapping[str, str]) -> Sequence[Column[Any]]:
    return (
        Column("Id", lambda one: one.id, keep=True),
        host_column(names),
        Column("When", lambda one: ago(one.time), keep=True),
        Column("Who", lambda one: one.username),
        Column("What", lambda one: one.script_name or one.command or one.type),
        Column("Code", lambda one: None if one.result is None else one.result.retcode, keep=True),
        Column("Says", lambda one: one.output if one.result is None else one.result.stdout, wide=True),
    )


@runs
@picks
@lists
async def software(
    context: typer.Context,
    agent: OptionalAgent = None,
    name: Annotated[
        str,
        typer.Option(
            "--name", metavar="PATTERN", help="Only those whose name matches, in upper or lower case."
        ),
    ] = "*",
    *,
    where: Where,
    form: Listing,
) -> None:
    """List what is installed on agents, as they last reported it. A stock server only."""
    missing: list[str] = []
    hosts: dict[str, str] = {}
    async with connected(context) as trmm:

        async def of_one(one: "sdk.Agent") -> list[dict[str, Any]]:
            return [_row(one.agent_id, each) for each in await trmm.agents.software.list(one)]

        async def read() -> Found:
            chosen = await agents_where(trmm, where, [agent] if agent else ())
            hosts.update(labels(chosen, for_people=form.for_people))
            if len(chosen) > _FEW:
                every = await trmm.agents.software.everywhere()
                rows = [_row(who, each) for who in hosts for each in every.get(who, ())]
            else:
                rows, missing[:] = await of_each(trmm, chosen, of_one)
            return Found(
                [row for row in rows if fnmatchcase(comparable(row["name"]), comparable(name))], hosts
            )

        await form.show(read, _of_software, sdk.Software, none="nothing is installed", hosted=True)
    check_missing(missing, hosts)


def _row(agent_id: str, one: "sdk.Software") -> dict[str, Any]:
    return {"agent_id": agent_id, **plain(one)}


def _of_software(names: Mapping[str, str]) -> Sequence[Column[Any]]:
    return (
        host_column(names),
        Column("Name", lambda row: row["name"], names=True),
        Column("Version", lambda row: row["version"]),
        Column("Publisher", lambda row: row["publisher"]),
        Column("Installed", lambda row: row["install_date"], wide=True),
        Column("Size", lambda row: row["size"], wide=True),
    )


@runs
@picks
@lists
async def updates(
    context: typer.Context,
    agent: OptionalAgent = None,
    absent: Annotated[bool, typer.Option("--missing", help="Only updates that are not installed.")] = False,
    *,
    where: Where,
    form: Listing,
) -> None:
    """List the Windows updates of agents, installed or not. A stock server only.

    Each agent's updates are read separately, a few agents at a time. `trmm patch` scans for updates and
    installs them.
    """
    missing: list[str] = []
    hosts: dict[str, str] = {}
    async with connected(context) as trmm:

        async def read() -> Found:
            chosen = await agents_where(trmm, where, [agent] if agent else ())
            hosts.update(labels(chosen, for_people=form.for_people))
            found, missing[:] = await of_each(trmm, chosen, trmm.agents.windows_updates.list)
            return Found([one for one in found if not (absent and one.installed)], hosts)

        await form.show(read, _of_updates, sdk.WindowsUpdate, none="there is no update", hosted=True)
    check_missing(missing, hosts)


def _of_updates(names: Mapping[str, str]) -> Sequence[Column[Any]]:
    return (
        Column("Id", lambda one: one.id, keep=True),
        host_column(names),
        Column("KB", lambda one: one.kb, keep=True),
        Column("Title", lambda one: one.title),
        Column("Severity", lambda one: one.severity, keep=True),
        Column("State", lambda one: "installed" if one.installed else one.action, keep=True),
        Column("Result", lambda one: one.result, wide=True),
    )
