"""`trmm exporter`: the fleet for Prometheus."""

from typing import Annotated

import typer

from trmm_async.cli.exits import usage
from trmm_async.cli.options import LOOK, Client, Site, examples
from trmm_async.cli.output import say
from trmm_async.cli.services import host_and_port
from trmm_async.cli.session import connected, runs

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    hint = examples("trmm exporter", "trmm exporter --client Acme --listen 0.0.0.0:9182")
    app.command("exporter", rich_help_panel=LOOK, epilog=hint)(exporter)


@runs
async def exporter(
    context: typer.Context,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen; port 0: any free one.")
    ] = "127.0.0.1:9182",
    max_clients: Annotated[
        int,
        typer.Option(
            "--max-clients",
            metavar="N",
            min=1,
            help='How many clients have metrics of their own; the rest are "other".',
        ),
    ] = 100,
    client: Client = None,
    site: Site = None,
) -> None:
    """Serve metrics of the fleet for Prometheus until it is stopped: agents, checks, alerts, patches.

    A scrape sends no request to the server: it reads a live mirror of the fleet.
    """
    try:
        from trmm_async.exporter import export
    except ModuleNotFoundError as error:
        raise usage(str(error)) from error
    host, port = host_and_port(listen, "--listen")
    async with (
        connected(context) as trmm,
        trmm.mirror(client=client, site=site) as mirror,
        export(trmm, mirror, host=host, port=port, max_clients=max_clients) as url,
    ):
        say(f"{len(mirror)} agents; metrics at {url}")
        await mirror.wait_until(lambda _: False)
