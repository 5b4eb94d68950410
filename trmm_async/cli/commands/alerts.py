"""`trmm alerts`: list, ack, resolve, snooze."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

import typer

import trmm_async as sdk
from trmm_async.cli.columns import Column
from trmm_async.cli.exits import Exit
from trmm_async.cli.forms import host_column
from trmm_async.cli.groups import ListFirst
from trmm_async.cli.listing import Found, Listing, lists
from trmm_async.cli.options import DO, Yes, examples
from trmm_async.cli.output import say
from trmm_async.cli.selection import Where, agents_where, confirm, labels, picks
from trmm_async.cli.session import connected, runs
from trmm_async.cli.text import ago
from trmm_async.cli.values import choice

__all__ = ["add_to"]

SEVERITIES: Final = ("error", "warning", "info")
Ids = Annotated[list[int], typer.Argument(metavar="ID", help="The alerts' ids, as the list has them.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(cls=ListFirst, help="List alerts; acknowledge, resolve, snooze them.")
    group.command("list", epilog=examples("trmm alerts", "trmm alerts --severity error --json"))(list_alerts)
    group.command("ack", epilog=examples("trmm alerts ack 17"))(ack)
    group.command("resolve", epilog=examples("trmm alerts resolve 17 18 --yes"))(resolve)
    group.command("snooze", epilog=examples("trmm alerts snooze 17 --days 3"))(snooze)
    app.add_typer(group, rich_help_panel=DO, name="alerts")


@runs
@picks
@lists
async def list_alerts(
    context: typer.Context,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="AGENT", help="Only alerts of this agent.")
    ] = None,
    severity: Annotated[
        str | None,
        typer.Option(
            "--severity",
            metavar="SEVERITY",
            help="Only this severity: error, warning, info.",
            autocompletion=lambda: SEVERITIES,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Include resolved and snoozed alerts.")] = False,
    *,
    where: Where,
    form: Listing,
) -> None:
    """List alerts, newest first: only open ones, unless you pass --all."""
    severity = None if severity is None else choice(severity, "--severity", SEVERITIES)
    async with connected(context) as trmm:

        async def read() -> Found:
            chosen = await agents_where(trmm, where, [agent] if agent else ())
            hosts = labels(chosen, for_people=form.for_people)
            found = [
                alert
                for alert in await trmm.alerts.list()
                if (everything or not (alert.resolved or alert.snoozed))
                and severity in {None, alert.severity}
                and (alert.agent_id in hosts or not (agent or where))
            ]
            found.sort(key=lambda one: (one.created_at is not None, one.created_at, one.id), reverse=True)
            return Found(found, hosts)

        await form.show(read, _columns, sdk.Alert, none="no alert is open", name=_id, hosted=True)


def _id(alert: Any) -> object:
    return alert.id


def _columns(names: Mapping[str, str]) -> tuple[Column[Any], ...]:
    return (
        Column("Id", lambda alert: alert.id, keep=True),
        Column("Severity", lambda alert: alert.severity, keep=True, styled=True),
        host_column(names),
        Column("Message", lambda alert: alert.message),
        Column("Raised", lambda alert: ago(alert.created_at), keep=True),
        Column("State", _state),
        Column("Type", lambda alert: alert.alert_type, wide=True),
    )


def _state(alert: "sdk.Alert") -> str:
    return "resolved" if alert.resolved else "snoozed" if alert.snoozed else "open"


@runs
async def ack(context: typer.Context, ids: Ids, yes: Yes = False) -> int:
    """Mark alerts as seen; they stay open. A gateway only: on a stock server, snooze them."""
    async with connected(context) as trmm:
        return await _each(ids, "acknowledge", "acknowledged", trmm.alerts.acknowledge, yes=yes)


@runs
async def resolve(context: typer.Context, ids: Ids, yes: Yes = False) -> int:
    """Mark alerts as resolved."""
    async with connected(context) as trmm:
        return await _each(ids, "resolve", "resolved", trmm.alerts.resolve, yes=yes)


@runs
async def snooze(
    context: typer.Context,
    ids: Ids,
    days: Annotated[int, typer.Option("--days", metavar="N", min=1, help="For how many days.")] = 1,
    yes: Yes = False,
) -> int:
    """Silence alerts for some days. A stock server only: on a gateway, acknowledge them."""
    async with connected(context) as trmm:
        return await _each(
            ids, "snooze", "snoozed", lambda alert: trmm.alerts.snooze(alert, days=days), yes=yes
        )


async def _each(
    ids: list[int], verb: str, done: str, act: Callable[[int], Awaitable[None]], *, yes: bool
) -> int:
    """Do it to all of these alerts. A failure is printed, and the others are done all the same."""
    alerts = list(dict.fromkeys(ids))
    confirm(verb, [str(alert) for alert in alerts], yes=yes, word="alerts")
    if len(alerts) == 1:
        await act(alerts[0])
    results = [] if len(alerts) == 1 else await asyncio.gather(*map(act, alerts), return_exceptions=True)
    errors = {alert: error for alert, error in zip(alerts, results, strict=False) if error is not None}
    unsupported = [error for error in errors.values() if isinstance(error, sdk.UnsupportedError)]
    if unsupported and len(unsupported) == len(alerts):
        raise unsupported[0]
    for alert, error in errors.items():
        if not isinstance(error, sdk.TRMMError):
            raise error
        say(f"alert {alert}: {error}", "red")
    say(f"{len(alerts) - len(errors)} {done}" + (f", {len(errors)} not" if errors else ""))
    return Exit.FAILED if errors else Exit.OK
