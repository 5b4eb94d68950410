"""`trmm reboot`, `trmm maintenance`, `trmm services`: upkeep of a stock server's agents."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import typer

import trmm_async as sdk
from trmm_async.cli.columns import Column
from trmm_async.cli.fleet_actions import Chosen, Mild, chosen, launch, mild
from trmm_async.cli.forms import host_column
from trmm_async.cli.groups import ListOrName
from trmm_async.cli.known_names import offer_agents
from trmm_async.cli.listing import Found, Listing, lists
from trmm_async.cli.options import DO, OptionalAgent, Yes, examples
from trmm_async.cli.outcome_form import OutcomeForm, tells
from trmm_async.cli.rows import plain
from trmm_async.cli.run_options import Everywhere, File
from trmm_async.cli.selection import Where, agents_where, check_missing, labels, of_each, picks
from trmm_async.cli.session import connected, runs
from trmm_async.cli.values import choice

__all__ = ["add_to"]

_SWITCH: Final = ("on", "off")
_STATES: Final = (
    "running", "stopped", "paused", "start_pending", "stop_pending", "pause_pending", "continue_pending",
    "unknown",
)  # fmt: skip
"""The states of Windows services, in the agent's words."""
Act = Callable[["sdk.TRMM", "sdk.Agent"], Awaitable[Any]]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="AGENT", help="Host names or ids, if no option selects agents.", autocompletion=offer_agents
    ),
]
ServiceName = Annotated[
    str, typer.Argument(metavar="SERVICE", help="The service's name, as the list has it.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    hint = examples(
        "trmm reboot JADE-PC", "trmm reboot --where needs_reboot=true --kind workstation --batch 10"
    )
    app.command("reboot", rich_help_panel=DO, epilog=hint)(reboot)
    hint = examples("trmm maintenance on --client Acme --site Office", "trmm maintenance off JADE-PC")
    app.command("maintenance", rich_help_panel=DO, epilog=hint)(maintenance)
    group = typer.Typer(
        cls=ListOrName, help="List the services of Windows agents; start, stop, restart them."
    )
    hint = examples(
        "trmm services JADE-PC --state running", "trmm services --client Acme --kind server -o csv"
    )
    group.command("list", epilog=hint)(list_services)
    for action in ("start", "stop", "restart"):
        hint = examples(
            f"trmm services {action} Spooler JADE-PC", f"trmm services {action} Spooler --client Acme"
        )
        group.command(action, epilog=hint)(_control(action))
    app.add_typer(group, rich_help_panel=DO, name="services")


async def _on_all(
    context: typer.Context,
    whom: Chosen,
    act: Act,
    doing: str,
    method: str,
    *,
    settings: Mild,
    yes: bool,
    form: OutcomeForm,
) -> int:
    """Do it to all of them, by this method of the client."""
    async with connected(context) as trmm:

        async def begin(targets: list["sdk.Agent"]) -> tuple["sdk.FleetRun[Any]", str]:
            return trmm.fleet.map(targets, lambda one: act(trmm, one), **settings.settings), doing

        return await launch(trmm, form, whom, begin, settings, good=(None,), yes=yes, stock=method)


@runs
@picks
@mild
@tells
async def reboot(
    context: typer.Context,
    agents: Names = None,
    file: File = None,
    everywhere: Everywhere = False,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait", metavar="SECONDS", min=1, help="Wait until each agent has rebooted, at most this long."
        ),
    ] = None,
    *,
    where: Where,
    settings: Mild,
    yes: Yes = False,
    form: OutcomeForm,
) -> int:
    """Reboot agents, now. A stock server only.

    Without --wait, success means that the agent has accepted the order.
    """
    whom = chosen(agents, file, where, everywhere=everywhere)

    async def act(trmm: "sdk.TRMM", agent: "sdk.Agent") -> None:
        if wait is None:
            await trmm.agents.reboot(agent)
        else:
            await trmm.agents.reboot(agent, wait=wait)

    return await _on_all(context, whom, act, "reboot", "agents.reboot", settings=settings, yes=yes, form=form)


@runs
@picks
@mild
@tells
async def maintenance(
    context: typer.Context,
    switch: Annotated[
        str, typer.Argument(metavar="on|off", help="on or off.", autocompletion=lambda: _SWITCH)
    ],
    agents: Names = None,
    file: File = None,
    everywhere: Everywhere = False,
    *,
    where: Where,
    settings: Mild,
    yes: Yes = False,
    form: OutcomeForm,
) -> int:
    """Switch maintenance mode on or off. A stock server only, which then raises no alerts."""
    is_on = choice(switch, "maintenance", _SWITCH) == "on"
    whom = chosen(agents, file, where, everywhere=everywhere)

    async def act(trmm: "sdk.TRMM", agent: "sdk.Agent") -> None:
        await trmm.agents.set_maintenance(is_on, agent=agent)

    doing, method = f"switch maintenance {'on' if is_on else 'off'} for", "agents.set_maintenance"
    return await _on_all(context, whom, act, doing, method, settings=settings, yes=yes, form=form)


@runs
@picks
@lists
async def list_services(
    context: typer.Context,
    agent: OptionalAgent = None,
    state: Annotated[
        str | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help="Only services in this state: running, stopped, paused, start_pending, ….",
            autocompletion=lambda: _STATES,
        ),
    ] = None,
    *,
    where: Where,
    form: Listing,
) -> None:
    """List the services of Windows agents; each agent is asked. A stock server only."""
    state = None if state is None else choice(state, "--state", _STATES)
    missing: list[str] = []
    hosts: dict[str, str] = {}
    async with connected(context) as trmm:

        async def of_one(one: "sdk.Agent") -> list[dict[str, Any]]:
            return [{"agent_id": one.agent_id, **plain(each)} for each in await trmm.agents.services(one)]

        async def read() -> Found:
            asked = await agents_where(trmm, where, [agent] if agent else ())
            windows = [one for one in asked if agent or one.plat in {None, "windows"}]
            hosts.update(labels(windows, for_people=form.for_people))
            rows, missing[:] = await of_each(trmm, windows, of_one)
            return Found([row for row in rows if state in {None, row["status"]}], hosts)

        await form.show(read, _of_services, sdk.Service, none="no service matches", hosted=True)
    check_missing(missing, hosts)


def _of_services(names: Mapping[str, str]) -> Sequence[Column[Any]]:
    return (
        host_column(names),
        Column("Service", lambda row: row["name"], names=True),
        Column("Name", lambda row: row["display_name"]),
        Column("Status", lambda row: row["status"], keep=True),
        Column("Start", lambda row: row["start_type"], keep=True),
        Column("User", lambda row: row["username"], wide=True),
    )


def _control(action: Literal["start", "stop", "restart"]) -> Any:
    async def control(
        context: typer.Context,
        service: ServiceName,
        agents: Names = None,
        file: File = None,
        everywhere: Everywhere = False,
        *,
        where: Where,
        settings: Mild,
        yes: Yes = False,
        form: OutcomeForm,
    ) -> int:
        whom = chosen(agents, file, where, everywhere=everywhere)

        async def act(trmm: "sdk.TRMM", agent: "sdk.Agent") -> None:
            await trmm.agents.services.control(agent, service, action)

        doing, method = f"{action} {service} on", "agents.services.control"
        return await _on_all(context, whom, act, doing, method, settings=settings, yes=yes, form=form)

    control.__doc__ = (
        f"{action.capitalize()} a service of Windows agents. A stock server only. Never sent twice."
    )
    return runs(picks(mild(tells(control))))
