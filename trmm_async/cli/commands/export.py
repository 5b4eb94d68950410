"""`trmm export`: whole tables, as files."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer

import trmm_async as sdk
from trmm_async.cli.exits import usage
from trmm_async.cli.files import output_file
from trmm_async.cli.options import DO, examples
from trmm_async.cli.output import say
from trmm_async.cli.rows import fields_of, plain
from trmm_async.cli.selection import Where, check_missing, of_each, picks
from trmm_async.cli.session import connected, require_stock, runs
from trmm_async.cli.tables import FORMATS, row_of, writer
from trmm_async.cli.values import choice
from trmm_async.cli.waits import noted

__all__ = ["add_to"]

_KINDS: Final = {
    "agents": "Agent", "alerts": "Alert", "checks": "Check", "clients": "Client", "deployments": "Deployment",
    "history": "HistoryEntry", "scripts": "Script", "services": "Service", "software": "Software",
    "tasks": "Task", "updates": "WindowsUpdate",
}  # fmt: skip
_OF_STOCK: Final = {
    "history": "agents.history", "services": "agents.services", "software": "agents.software.list",
    "updates": "agents.windows_updates.list",
}  # fmt: skip
_WITHOUT_AGENTS: Final = frozenset({"clients", "deployments", "scripts"})
_TOGETHER: Final = 100
"""Agents that are asked before their rows are written."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    hint = examples(
        "trmm export agents checks software --to export/",
        "trmm export agents history --client Acme --to acme/ --format sqlite",
        "trmm export software updates --to lake/ --format parquet",
    )
    app.command("export", rich_help_panel=DO, epilog=hint)(export)


@runs
@picks
async def export(
    context: typer.Context,
    what: Annotated[list[str], typer.Argument(metavar="WHAT", help=f"Some of {', '.join(_KINDS)}.")],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder; it is created if needed.")],
    form: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT", help=f"{', '.join(FORMATS)}.", autocompletion=lambda: FORMATS
        ),
    ] = "csv",
    *,
    where: Where,
) -> None:
    """Write whole tables as files: DIR/agents.csv, or all of them into DIR/trmm.sqlite.

    Rows that belong to agents have the host's name. A file has all rows; an existing one is replaced only
    when the new one is complete. Tables that need a request for each agent take a while on a large fleet.
    Agents that could not be asked are listed at the end, and the exit code is 1.
    """
    nouns = [choice(one, "export", tuple(_KINDS)) for one in dict.fromkeys(what)]
    form = choice(form, "--format", FORMATS)
    if where and (odd := _WITHOUT_AGENTS & set(nouns)):
        raise usage(f"{', '.join(sorted(odd))} are not of agents: the filters of agents are not for them")
    missing: dict[str, str] = {}
    async with connected(context) as trmm:
        hosts: dict[str, str] = {}
        if set(nouns) - _WITHOUT_AGENTS - {"agents"}:
            hosts = await (await where.selector(trmm)).hostnames()
        for noun in nouns:
            if noun in _OF_STOCK:
                require_stock(trmm, _OF_STOCK[noun])
        with _database(to, form) as database:
            for noun in nouns:
                count = await _write(trmm, noun, where, hosts, to, form, database, missing)
                say(f"{noun}: {count} rows")
    check_missing(list(missing), hosts)


@contextmanager
def _database(folder: Path, form: str) -> Iterator[Path | None]:
    """The database file for all tables; None if each table has a file of its own."""
    if form != "sqlite":
        yield None
        return
    with output_file(folder / "trmm.sqlite") as aside:
        yield aside


async def _write(
    trmm: "sdk.TRMM",
    noun: str,
    where: Where,
    hosts: Mapping[str, str],
    folder: Path,
    form: str,
    database: Path | None,
    missing: dict[str, str],
) -> int:
    hosted = noun not in _WITHOUT_AGENTS and noun != "agents"
    fields = fields_of(getattr(sdk, _KINDS[noun]), hosted=hosted)
    count = 0
    with writer(folder, form, noun, fields, database) as write, noted(lambda: f"{noun}: {count} rows"):
        async for thing in _things(trmm, noun, where, hosts, missing):
            write(row_of(thing, fields, hosts if hosted else None))
            count += 1
    return count


async def _things(
    trmm: "sdk.TRMM", noun: str, where: Where, hosts: Mapping[str, str], missing: dict[str, str]
) -> AsyncIterator[Any]:
    """All things of this noun, as they come."""
    if noun == "agents":
        async with (await where.selector(trmm)).iter() as agents:
            async for agent in agents:
                yield agent
        return
    lists: dict[str, Callable[[], Awaitable[list[Any]]]] = {
        "alerts": trmm.alerts.list, "clients": trmm.clients.list, "deployments": trmm.deployments.list,
        "history": trmm.agents.history, "scripts": trmm.scripts.list, "tasks": trmm.tasks.list,
    }  # fmt: skip
    if noun in lists:
        for thing in await lists[noun]():
            if not where or thing.agent_id in hosts:
                yield thing
        return
    left = iter(hosts)
    while some := list(islice(left, _TOGETHER)):
        found, lost = await of_each(trmm, some, _asking(trmm, noun))
        missing.update(dict.fromkeys(lost, noun))
        for thing in found:
            yield thing


def _asking(trmm: "sdk.TRMM", noun: str) -> Callable[[str], Awaitable[list[Any]]]:
    """Make a function that asks one agent for its things. Each row has the agent's id."""
    asks: dict[str, Callable[[str], Awaitable[list[Any]]]] = {
        "checks": lambda who: trmm.checks.list(agent=who),
        "services": trmm.agents.services,
        "software": trmm.agents.software.list,
        "updates": trmm.agents.windows_updates.list,
    }

    async def ask(who: str) -> list[Any]:
        return [{**plain(thing), "agent_id": who} for thing in await asks[noun](who)]

    return ask
