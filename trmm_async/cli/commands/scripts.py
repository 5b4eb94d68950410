"""`trmm scripts`."""

from fnmatch import fnmatchcase
from typing import Annotated, Any, Final

import typer

import trmm_async as sdk
from trmm_async.cli.columns import Column
from trmm_async.cli.listing import Found, Listing, lists
from trmm_async.cli.options import LOOK, examples
from trmm_async.cli.session import connected, runs
from trmm_async.plaintext import comparable

__all__ = ["add_to"]

_COLUMNS: Final[tuple[Column[Any], ...]] = (
    Column("Id", lambda script: script.id, keep=True),
    Column("Script", lambda script: script.name, names=True, differs=True),
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
@lists
async def scripts(
    context: typer.Context,
    pattern: Annotated[
        str, typer.Argument(metavar="PATTERN", help="Only those whose name matches, in upper or lower case.")
    ] = "*",
    *,
    form: Listing,
) -> None:
    """List the scripts of the server's library."""
    async with connected(context) as trmm:

        async def read() -> Found:
            listed = await trmm.scripts.list()
            return Found([one for one in listed if fnmatchcase(comparable(one.name), comparable(pattern))])

        await form.show(read, lambda _: _COLUMNS, sdk.Script, none="no script matches", sort="id")
