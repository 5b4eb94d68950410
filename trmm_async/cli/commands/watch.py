"""`trmm watch`."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

import trmm_async as sdk
from trmm_async.cli.forms import Showing, shows
from trmm_async.cli.known_names import offer_agents
from trmm_async.cli.options import LOOK, examples
from trmm_async.cli.picking import Where, agents_where, labels, picks
from trmm_async.cli.printing import plain, say, screen
from trmm_async.cli.session import connected, runs
from trmm_async.cli.text import clean, local, named, one_line
from trmm_async.cli.values import seconds
from trmm_async.cli.waits import noted

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    hint = examples(
        "trmm watch --client Acme", "trmm watch JADE-PC SRV-002", "trmm watch --jsonl | jq -r .event"
    )
    app.command("watch", rich_help_panel=LOOK, epilog=hint)(watch)


@runs
@picks
@shows
async def watch(
    context: typer.Context,
    agents: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="AGENT", help="Host names or ids; all agents without.", autocompletion=offer_agents
        ),
    ] = None,
    *,
    where: Where,
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", min=1, help="End after so many events.")
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option("--for", metavar="SECONDS", help="End after so many seconds, from the start on."),
    ] = None,
    form: Showing,
) -> None:
    """Show events as they come: agents on- and offline, alerts, scripts' output. Ctrl-C ends it.

    Each agent's events come from its connection on, while others are still being connected. A stock server
    is looked at again and again, so that its events come some seconds late. --json prints all of them at the
    end.
    """
    end_after = seconds(duration, "--for")
    with form.stream() as emit, _until(limit := asyncio.timeout(end_after)):
        async with limit, connected(context) as trmm:
            chosen = await agents_where(trmm, where, agents or ())
            names = labels(chosen, for_people=form.in_words)
            if not chosen:
                say("no agent matches")
                return
            count_told = f"{len(chosen)} agent{'s' * (len(chosen) != 1)}"
            events = trmm.events(chosen, settings=sdk.StreamSettings(wait_for_all=False))
            with noted(lambda: _connected(events)):
                async with events:
                    say(f"watching {count_told}: {named(list(names.values()))}")
                    if form.in_words:
                        await _follow(events, count, lambda event: screen().print(_told(event, names)))
                    else:
                        await _follow(events, count, lambda event: emit(_row(event, names)))


def _connected(events: "sdk.Subscription") -> str:
    """How many agents' streams stand, while some do not."""
    states = list(events.state.values())
    waiting = states.count(sdk.StreamState.CONNECTING)
    return f"connected {len(states) - waiting} of {len(states)}" if waiting else ""


@contextmanager
def _until(limit: asyncio.Timeout) -> Iterator[None]:
    """Time that is over is no error here; a server that took too long is one."""
    try:
        yield
    except TimeoutError:
        if not limit.expired():
            raise


async def _follow(events: Any, count: int | None, show: Callable[[Any], None]) -> None:
    seen = 0
    async for event in events:
        show(event)
        seen += 1
        if seen == count:
            break


def _row(event: Any, names: dict[str, str]) -> dict[str, Any]:
    """The event for programs: what kind it is, its agent's host name, and its fields."""
    row = {"event": type(event).__name__, **plain(event)}
    return {**row, "hostname": event.hostname or names.get(event.agent_id)}


def _told(event: Any, names: dict[str, str]) -> "Text":
    from rich.text import Text

    style, words = _words(event)
    when = getattr(event, "time", None) or datetime.now(UTC)
    who = clean(names.get(event.agent_id) or event.agent_id)
    head = Text(f"{local(when):%H:%M:%S}  {who}  ", end="")
    return head + Text(one_line(clean(words)), style=style)


def _words(event: Any) -> tuple[str, str]:
    match event:
        case sdk.AgentOnline():
            told = ("green", "came online")
        case sdk.AgentOffline():
            told = ("red", "went offline")
        case sdk.AlertEvent(alert=alert):
            state = "resolved" if alert.resolved else "snoozed" if alert.snoozed else alert.severity
            told = ("yellow", f"alert {alert.id}, {state}: {alert.message}")
        case sdk.ScriptOutput(output=output, done=True, exit_code=code):
            told = ("cyan", f"script ended with {code}{output and ': '}{output}")
        case sdk.ScriptOutput(output=output):
            told = ("cyan", f"script says {output}")
        case sdk.Gap(since=since, until=until, dropped=dropped):
            lost = f", {dropped} events lost" if dropped else ""
            told = ("magenta", f"out of sight from {local(since):%X} to {local(until):%X}{lost}")
        case sdk.Live():
            told = ("dim", "up to date again")
        case sdk.Ended(error=error):
            told = ("red", f"no more events: {error}")
        case _:
            told = ("dim", str(plain(event)))
    return told
