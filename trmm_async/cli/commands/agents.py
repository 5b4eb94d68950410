"""`trmm agents`, `trmm agent`."""

from collections.abc import Mapping
from typing import Any, Final

import typer

import trmm_async as sdk
from trmm_async.cli.columns import Column
from trmm_async.cli.forms import Showing, shows
from trmm_async.cli.groups import ListAgents
from trmm_async.cli.listing import Found, Listing, lists
from trmm_async.cli.options import LOOK, AgentName, examples
from trmm_async.cli.output import hanging
from trmm_async.cli.rows import words_of
from trmm_async.cli.selection import Where, agents_named, agents_where, labels, picks
from trmm_async.cli.session import connected, runs
from trmm_async.cli.text import ago, clean, one_line

__all__ = ["add_to"]

_MORE: Final[tuple[Column[Any], ...]] = (
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
    group = typer.Typer(cls=ListAgents, help="List agents, or show one: list, get.")
    group.command(
        "list",
        epilog=examples(
            "trmm agents --client Acme --status offline",
            "trmm agents --where needs_reboot=true --plat windows -o name",
            "trmm agents --hostname 'WEB-*' --fields hostname,public_ip,last_seen --sort -last_seen",
            "trmm agents --kind server --jq '.[].hostname'",
            "trmm agents --status offline --watch",
        ),
    )(agents)
    group.command("get", epilog=examples("trmm agents get JADE-PC -o yaml"))(agent)
    app.add_typer(group, rich_help_panel=LOOK, name="agents")
    app.command(
        "agent", rich_help_panel=LOOK, epilog=examples("trmm agent JADE-PC", "trmm agent JADE-PC --json")
    )(agent)


@runs
@picks
@lists
async def agents(context: typer.Context, *, where: Where, form: Listing) -> None:
    """List agents."""
    async with connected(context) as trmm:

        async def read() -> Found:
            found = await agents_where(trmm, where)
            return Found(found, labels(found) if form.for_people else None)

        await form.show(read, _columns, sdk.Agent, none="no agent matches", name=_host, sort="hostname")


def _columns(names: Mapping[str, str]) -> tuple[Column[Any], ...]:
    return (Column("Agent", lambda agent: names[agent.agent_id], names=True, differs=True), *_MORE)


def _host(agent: Any) -> str:
    return str(agent.hostname)


@runs
@shows
async def agent(context: typer.Context, name: AgentName, *, form: Showing) -> None:
    """Show everything that is known about one agent."""
    async with connected(context) as trmm:
        (found,) = await agents_named(trmm, [name])
        whole = await trmm.agents.get(found)
    form.one(whole, _show)


def _show(agent: "sdk.Agent") -> None:
    names: tuple[str, ...] = sdk.Agent.__struct_fields__
    facts = {name: words_of(getattr(agent, name)) for name in names if name != "extra"}
    more = {one_line(clean(name)): value for name, value in agent.extra.items()}
    facts |= {name: words_of(value) for name, value in more.items() if not isinstance(value, list | dict)}
    from rich.text import Text

    widest = max(len(name) for name in facts)
    for name, value in facts.items():
        if value:
            hanging(Text(f"{name:{widest}}  ", style="bold", end=""), one_line(clean(value)))
