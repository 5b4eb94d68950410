"""`trmm agents`, `trmm agent`."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final

import typer

import trmm_async as sdk
from trmm_async.cli.exits import usage
from trmm_async.cli.options import (
    LOOK,
    AgentName,
    Json,
    JsonLines,
    examples,
)
from trmm_async.cli.picking import Where, agents_named, agents_where, labels, picks
from trmm_async.cli.printing import Column, Output, hanging, plain
from trmm_async.cli.session import connected, runs
from trmm_async.cli.text import ago, alike, clean, local, one_line

__all__ = ["add_to"]

_USUAL: Final[tuple[Column[Any], ...]] = (
    Column("Agent", lambda agent: agent.hostname, keep=True),
    Column("Client", lambda agent: agent.client.name),
    Column("Site", lambda agent: agent.site.name),
    Column("Status", lambda agent: agent.status, keep=True, styled=True),
    Column("Seen", lambda agent: ago(agent.last_seen), keep=True),
    Column("System", lambda agent: agent.operating_system),
    Column("Kind", lambda agent: agent.monitoring_type, wide=True),
    Column("Version", lambda agent: agent.version, wide=True),
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "agents",
        rich_help_panel=LOOK,
        epilog=examples(
            "trmm agents --client Acme --status offline",
            "trmm agents --where needs_reboot=true --plat windows",
            "trmm agents --hostname 'WEB-*' --columns hostname,public_ip,last_seen --sort -last_seen",
            "trmm agents --kind server --jsonl | jq -r .hostname",
        ),
    )(agents)
    app.command(
        "agent", rich_help_panel=LOOK, epilog=examples("trmm agent JADE-PC", "trmm agent JADE-PC --json")
    )(agent)


def _field_names() -> tuple[str, ...]:
    names: tuple[str, ...] = sdk.Agent.__struct_fields__
    return names


@runs
@picks
async def agents(
    context: typer.Context,
    *,
    where: Where,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="NAME,…",
            help="Which columns, by the names of an agent's fields.",
            autocompletion=_field_names,
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="NAME",
            help="The field to sort by; -NAME turns it round.",
            autocompletion=_field_names,
        ),
    ] = "hostname",
    as_json: Json = False,
    as_jsonl: JsonLines = False,
) -> None:
    """List agents."""
    output = Output(as_json=as_json, as_jsonl=as_jsonl)
    shown = _columns(columns) if columns else _USUAL
    order = _order(sort or "hostname")
    async with connected(context) as trmm:
        found = await agents_where(trmm, where)
    found.sort(key=order, reverse=(sort or "").startswith("-"))
    names = labels(found)
    apart = {"Agent", "hostname"}
    told = [
        replace(column, text=lambda agent: names[agent.agent_id]) if column.title in apart else column
        for column in shown
    ]
    output.rows(found, told, none="no agent matches")


def _columns(names: str) -> tuple[Column[Any], ...]:
    return tuple(
        Column(name, _shown(_checked(name.strip())), styled=name == "status") for name in names.split(",")
    )


def _checked(name: str) -> str:
    if name not in _field_names():
        hint = alike(name, _field_names())
        raise usage(f"agents have no field {name!r}; there is {', '.join(_field_names())}{hint}")
    return name


def _shown(name: str) -> Callable[[Any], object]:
    return lambda agent: _text(getattr(agent, name))


def _order(name: str) -> Callable[[Any], tuple[bool, Any]]:
    field = _checked(name.removeprefix("-"))

    def key(agent: Any) -> tuple[bool, Any]:
        value = getattr(agent, field)
        if isinstance(value, int | float | datetime):
            return (False, value)
        return (value is None, "" if value is None else _text(value).casefold())

    return key


def _text(value: Any) -> str:
    """A field's value in a few words."""
    match value:
        case None:
            words = ""
        case datetime():
            words = f"{local(value):%Y-%m-%d %H:%M:%S}"
        case sdk.ClientRef(name=name) | sdk.SiteRef(name=name):
            words = name
        case sdk.CheckCounts(passing=passing, total=total):
            words = f"{passing} of {total} passing"
        case tuple():
            words = ", ".join(_text(each) for each in value)
        case sdk.Disk(device=device, percent=percent, free=free, total=size):
            used = "" if percent is None else f" {percent:g}% used"
            words = f"{device}{used} ({free} of {size} free)"
        case sdk.CustomFieldValue(field=field, value=content):
            words = f"{field}={content}"
        case _:
            words = str(plain(value))
    return words


@runs
async def agent(
    context: typer.Context, name: AgentName, as_json: Json = False, as_jsonl: JsonLines = False
) -> None:
    """Show all that is known of one agent."""
    output = Output(as_json=as_json, as_jsonl=as_jsonl)
    async with connected(context) as trmm:
        (found,) = await agents_named(trmm, [name])
        whole = await trmm.agents.get(found)
    output.one(whole, _show)


def _show(agent: "sdk.Agent") -> None:
    facts = {name: _text(getattr(agent, name)) for name in _field_names() if name != "extra"}
    more = {one_line(clean(name)): value for name, value in agent.extra.items()}
    facts |= {name: _text(value) for name, value in more.items() if not isinstance(value, list | dict)}
    from rich.text import Text

    widest = max(len(name) for name in facts)
    for name, value in facts.items():
        if value:
            hanging(Text(f"{name:{widest}}  ", style="bold", end=""), one_line(clean(value)))
