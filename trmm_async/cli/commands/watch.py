"""`trmm watch`."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

import trmm_async as sdk
from trmm_async.cli.event_form import EventForm, tells_events
from trmm_async.cli.event_lines import shown
from trmm_async.cli.exits import usage
from trmm_async.cli.known_names import offer_agents
from trmm_async.cli.options import LOOK, examples
from trmm_async.cli.output import say
from trmm_async.cli.selection import Where, agents_where, labels, picks
from trmm_async.cli.services import relay_url
from trmm_async.cli.session import connected, runs
from trmm_async.cli.text import named
from trmm_async.cli.values import seconds
from trmm_async.cli.waits import noted
from trmm_async.plaintext import comparable

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    hint = examples(
        "trmm watch --client Acme",
        "trmm watch JADE-PC SRV-002",
        "trmm watch --jsonl | jq -r .event",
        "trmm watch --from redis://bus.internal/1 --name acme",
    )
    app.command("watch", rich_help_panel=LOOK, epilog=hint)(watch)


@runs
@picks
@tells_events
async def watch(
    context: typer.Context,
    agents: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="AGENT", help="Host names or ids; default: all agents.", autocompletion=offer_agents
        ),
    ] = None,
    *,
    where: Where,
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", min=1, help="End after this many events.")
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option("--for", metavar="SECONDS", help="End this many seconds after the start."),
    ] = None,
    relay: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="URL",
            help="Read from a relay (`trmm relay`) and not from the server; or in TRMM_RELAY.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="The relay's name.")] = None,
    snapshot: Annotated[
        bool, typer.Option("--snapshot", help="With --from: begin with the state of each agent.")
    ] = False,
    form: EventForm,
) -> None:
    """Show events as they come: agents going online and offline, alerts, scripts' output. Ctrl-C ends it.

    Events of an agent come as soon as it is connected, while others are still being connected. A stock
    server is polled, so its events come some seconds late. In every format, each event is printed as it
    comes; --jq gets one at a time.
    """
    end_after = seconds(duration, "--for")
    if relay is not None or name is not None:
        events = _relayed(relay, name, where, snapshot=snapshot)
        with form.stream() as emit, _until(limit := asyncio.timeout(end_after)):
            async with limit, events:
                unknown = "" if events.state else ": nothing was told under that name so far; waiting for it"
                say(f"watching {len(events.state)} agents of the relay {name}{unknown}")
                await _follow(events, count, shown(form, emit, {}), agents or ())
        return
    if snapshot:
        raise usage("--snapshot goes with --from")
    unseen = "nothing was watched: the server had not answered"
    with form.stream() as emit, _until(limit := asyncio.timeout(end_after), lambda: unseen):
        async with limit, connected(context) as trmm:
            chosen = await agents_where(trmm, where, agents or ())
            names = labels(chosen, for_people=form.in_words)
            if not chosen:
                say("no agent matches")
                return
            count_told = f"{len(chosen)} agent{'s' * (len(chosen) != 1)}"
            unseen = f"nothing was watched: none of {count_told} was connected"
            events = trmm.events(chosen, settings=sdk.StreamSettings(wait_for_all=False))
            with noted(lambda: _connected(events)):
                async with events:
                    unseen = ""
                    say(f"watching {count_told}: {named(list(names.values()))}")
                    with _said_if_over(limit, lambda: _connected(events)):
                        await _follow(events, count, shown(form, emit, names))


def _connected(events: "sdk.Subscription") -> str:
    """How many agents are connected; empty if all are."""
    states = list(events.state.values())
    waiting = states.count(sdk.StreamState.CONNECTING)
    return f"connected {len(states) - waiting} of {len(states)}" if waiting else ""


@contextmanager
def _said_if_over(limit: asyncio.Timeout, unseen: Callable[[], str]) -> Iterator[None]:
    """If the time is over in the block, print what was not watched: events may have been missed."""
    try:
        yield
    except asyncio.CancelledError:
        end = limit.when()
        if end is not None and end <= asyncio.get_running_loop().time():
            _say_unseen(unseen())
        raise


def _say_unseen(text: str) -> None:
    if text:
        say(f"{text} when the time was over")


@contextmanager
def _until(limit: asyncio.Timeout, unseen: Callable[[], str] = str) -> Iterator[None]:
    """Swallow the `TimeoutError` of this limit, and print what was not watched until then, if anything.

    Other ones, of the server, are errors.
    """
    try:
        yield
    except TimeoutError:
        if not limit.expired():
            raise
        _say_unseen(unseen())


def _relayed(url: str | None, name: str | None, where: Where, *, snapshot: bool) -> "sdk.Subscription":
    if name is None:
        raise usage("the relay has a name: --name NAME")
    if where != Where(client=where.client):
        raise usage("with --from, agents are chosen by --client and by name or id alone: no server is asked")
    client = int(where.client) if where.client and where.client.isdecimal() else where.client
    return sdk.follow(relay_url(url, "--from"), name=name, snapshot=snapshot, client=client)


async def _follow(
    events: Any, count: int | None, show: Callable[[Any], None], only: Collection[str] = ()
) -> None:
    wanted = {comparable(name) for name in only}
    seen = 0
    async for event in events:
        if wanted and not wanted & {comparable(event.agent_id), comparable(event.hostname or "")}:
            continue
        show(event)
        seen += 1
        if seen == count:
            break
