"""`trmm relay` and `trmm webhooks`, which run until they are stopped."""

import asyncio
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trmm_async.cli.event_form import EventForm, tells_events
from trmm_async.cli.event_lines import shown
from trmm_async.cli.exits import Exit, usage
from trmm_async.cli.options import LOOK, examples
from trmm_async.cli.output import say
from trmm_async.cli.selection import Where, picks
from trmm_async.cli.services import Health, healthy_at, host_and_port, logged, relay_url, stoppable
from trmm_async.cli.session import connected, require_stock, runs
from trmm_async.effective_settings import VARIABLES
from trmm_async.hidden import hide

if TYPE_CHECKING:
    import trmm_async as sdk

__all__ = ["add_to"]

_WEBHOOKS = "127.0.0.1:8080"

Listen = Annotated[
    str | None,
    typer.Option(
        "--webhooks",
        metavar="HOST:PORT",
        help="Receive a stock server's alert webhooks there, so that alerts come at once.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    hint = examples(
        "trmm relay --to redis://bus.internal:6379/1 --name acme",
        "TRMM_RELAY=rediss://:…@bus/1 trmm relay --name acme --health 127.0.0.1:9183",
    )
    app.command("relay", rich_help_panel=LOOK, epilog=hint)(relay)
    hint = examples("trmm webhooks --jsonl", "trmm webhooks --listen 0.0.0.0:8080 --client Acme")
    app.command("webhooks", rich_help_panel=LOOK, epilog=hint)(webhooks)


@runs
@picks
async def relay(
    context: typer.Context,
    *,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="URL", help="Where to write, redis://… or nats://…; or in TRMM_RELAY."),
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The name by which readers follow it.")],
    where: Where,
    scripts: Annotated[bool, typer.Option("--scripts", help="Relay the output of scripts, too.")] = False,
    length: Annotated[
        int, typer.Option("--length", metavar="N", min=1, help="About how many events are kept.")
    ] = 100_000,
    lease: Annotated[
        float,
        typer.Option(
            "--lease",
            metavar="SECONDS",
            help="After this time without a sign of the leader, another relay leads.",
        ),
    ] = 10.0,
    listen: Listen = None,
    health: Health = None,
) -> int:
    """Read the server's events once, for any number of readers: `trmm watch --from URL`, or `follow`.

    If several relays have one name, one of them leads, and the others stand by until it is gone. A relay
    runs until it is stopped: after the first signal it writes what it has read, and ends with 0.
    """
    url = relay_url(to, "--to")
    async with connected(context) as trmm, AsyncExitStack() as stack:
        receiver, _ = await _receiver(stack, listen)
        agents = await where.selector(trmm) if where else None
        relaying = trmm.relay(
            to=url, name=name, agents=agents, output=scripts, length=length, lease=lease, webhooks=receiver
        )
        async with relaying as work, healthy_at(health, lambda: repr(work), lambda: work.trouble) as at:
            say(f"relay {name} to {work.where}" + (f"; {at}" if at else ""))
            with logged(), stoppable(work.stop):
                await work.run()
            say(f"relay {name} has ended: {work.written} events written, {work.dropped} dropped")
    return Exit.OK


@runs
@picks
@tells_events
async def webhooks(
    context: typer.Context,
    *,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="The address to which the server posts.")
    ] = _WEBHOOKS,
    where: Where,
    health: Health = None,
    form: EventForm,
) -> int:
    """Receive a stock server's alert webhooks, and show the present state of each alert.

    It runs until it is stopped. The secret that the server sends is in TRMM_WEBHOOK_SECRET;
    `WebhookReceiver.install` sets the server up. A webhook is not trusted: the alert itself is read from the
    server. Polling finds alerts that a webhook missed.
    """
    import trmm_async as sdk

    stopped = asyncio.Event()
    with form.stream() as emit:
        async with connected(context) as trmm, AsyncExitStack() as stack:
            receiver, heard = await _receiver(stack, listen)
            settings = sdk.StreamSettings(wait_for_all=False)
            events = trmm.events(await where.selector(trmm), webhooks=receiver, settings=settings)
            at = await stack.enter_async_context(healthy_at(health, lambda: repr(receiver), _well(events)))
            async with events:
                require_stock(trmm, "webhooks")
                say(f"{len(events.state)} agents; webhooks at {heard}" + (f"; {at}" if at else ""))
                handler = events.on(sdk.AlertEvent, shown(form, emit, {}))
                with logged(), stoppable(stopped.set):
                    await _until(stopped, events)
                say(f"{receiver!r}".strip("<>") + f", {handler.calls} alerts")
    return Exit.OK


async def _until(stopped: asyncio.Event, events: "sdk.Subscription") -> None:
    tasks = [asyncio.ensure_future(stopped.wait()), asyncio.ensure_future(events.run())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _well(events: "sdk.Subscription") -> Any:
    def trouble() -> str:
        states = list(events.state.values())
        away = sum(state == "connecting" for state in states)
        return f"{away} of {len(states)} agents are out of sight" if states and away == len(states) else ""

    return trouble


async def _receiver(stack: AsyncExitStack, listen: str | None) -> "tuple[sdk.WebhookReceiver | None, str]":
    """The receiver of webhooks, and its address."""
    if listen is None:
        return None, ""
    import trmm_async as sdk

    host, port = host_and_port(listen, "--listen")
    secret = hide(os.environ.get(VARIABLES["webhook_secret"], ""))
    if not secret:
        raise usage(f"the secret that the server sends is missing: set {VARIABLES['webhook_secret']}")
    receiver = sdk.WebhookReceiver(secret)
    return receiver, await stack.enter_async_context(receiver.serving(host, port))
