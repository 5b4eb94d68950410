"""`trmm scripts`."""

from fnmatch import fnmatchcase
from typing import Annotated, Any, Final

import typer

from trmm_async.cli.options import LOOK, Json, JsonLines, examples
from trmm_async.cli.printing import Column, Output
from trmm_async.cli.session import connected, runs
from trmm_async.plaintext import comparable

__all__ = ["add_to"]

_COLUMNS: Final[tuple[Column[Any], ...]] = (
    Column("Id", lambda script: script.id, keep=True),
    Column("Script", lambda script: script.name, keep=True),
    Column("Shell", lambda script: script.shell),
    Column("Category", lambda script: script.category, wide=True),
    Column("Description", lambda script: script.description),
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "scripts", rich_help_panel=LOOK, epilog=examples("trmm scripts", "trmm scripts '*disk*' --json")
    )(scripts)


@runs
async def scripts(
    context: typer.Context,
    pattern: Annotated[
        str, typer.Argument(metavar="PATTERN", help="Those of such a name, case ignored.")
    ] = "*",
    as_json: Json = False,
    as_jsonl: JsonLines = False,
) -> None:
    """List the scripts of the server's library."""
    output = Output(as_json=as_json, as_jsonl=as_jsonl)
    async with connected(context) as trmm:
        listed = await trmm.scripts.list()
    found = [script for script in listed if fnmatchcase(comparable(script.name), comparable(pattern))]
    output.rows(sorted(found, key=lambda script: script.id), _COLUMNS, none="no script matches")
