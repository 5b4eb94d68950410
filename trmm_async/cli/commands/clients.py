"""`trmm clients`."""

from typing import Any, Final

import typer

from trmm_async.cli.options import LOOK, Json, JsonLines, examples
from trmm_async.cli.printing import Column, Output
from trmm_async.cli.session import connected, runs

__all__ = ["add_to"]

_COLUMNS: Final[tuple[Column[Any], ...]] = (
    Column("Id", lambda client: client.id, keep=True),
    Column("Client", lambda client: client.name, keep=True),
    Column("Sites", lambda client: ", ".join(f"{site.name} ({site.id})" for site in client.sites)),
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("clients", rich_help_panel=LOOK, epilog=examples("trmm clients", "trmm clients --json"))(
        clients
    )


@runs
async def clients(context: typer.Context, as_json: Json = False, as_jsonl: JsonLines = False) -> None:
    """List clients with their sites; ids in parentheses."""
    output = Output(as_json=as_json, as_jsonl=as_jsonl)
    async with connected(context) as trmm:
        found = await trmm.clients.list()
    output.rows(sorted(found, key=lambda client: client.name.casefold()), _COLUMNS, none="there is no client")
