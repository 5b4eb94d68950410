"""`trmm clients`."""

from typing import Any, Final

import typer

import trmm_async as sdk
from trmm_async.cli.columns import Column
from trmm_async.cli.listing import Found, Listing, lists
from trmm_async.cli.options import LOOK, examples
from trmm_async.cli.session import connected, runs

__all__ = ["add_to"]

_COLUMNS: Final[tuple[Column[Any], ...]] = (
    Column("Id", lambda client: client.id, keep=True),
    Column("Client", lambda client: client.name, names=True, differs=True),
    Column("Sites", lambda client: ", ".join(f"{site.name} ({site.id})" for site in client.sites)),
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("clients", rich_help_panel=LOOK, epilog=examples("trmm clients", "trmm clients --json"))(
        clients
    )


@runs
@lists
async def clients(context: typer.Context, *, form: Listing) -> None:
    """List clients with their sites; ids in parentheses."""
    async with connected(context) as trmm:

        async def read() -> Found:
            return Found(await trmm.clients.list())

        await form.show(read, lambda _: _COLUMNS, sdk.Client, none="there is no client", sort="name")
