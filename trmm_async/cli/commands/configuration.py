"""`trmm pull`, `trmm plan`, `trmm apply`: a server's configuration as files."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trmm_async.cli.exits import Exit, usage
from trmm_async.cli.forms import Showing, shows
from trmm_async.cli.options import SET_UP, Yes, examples
from trmm_async.cli.output import say
from trmm_async.cli.prompts import go_on
from trmm_async.cli.session import connected, runs

if TYPE_CHECKING:
    from trmm_async import TRMM
    from trmm_async.config import ConfigPlan

__all__ = ["add_to"]

Folder = Annotated[str, typer.Argument(metavar="DIR", help="The folder of the files.")]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="KIND", help="Only this kind of object, as scripts. May be repeated."),
]
Community = Annotated[
    bool,
    typer.Option(
        "--community", help="Include `favorite` and `hidden` of the scripts that came with Tactical RMM."
    ),
]
Delete = Annotated[
    bool, typer.Option("--delete", help="Also delete what apply created and no file describes any more.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command, hints in (
        (pull, ("trmm pull server/", "trmm pull server/ --only scripts --only snippets")),
        (plan, ("trmm plan server/", "trmm plan server/ --exit-code")),
        (apply, ("trmm apply server/", "trmm apply server/ --yes")),
    ):
        app.command(command.__name__, rich_help_panel=SET_UP, epilog=examples(*hints))(command)


@runs
@shows
async def pull(
    context: typer.Context,
    folder: Folder,
    only: Only = None,
    community: Community = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that differ from the server.")
    ] = False,
    *,
    form: Showing,
) -> None:
    """Write a stock server's scripts, policies, templates and the like into files. The server is not changed.

    The values of key store entries are not written.
    """
    config = _config()
    async with connected(context) as trmm:
        pulled = await config.pull(trmm, folder, kinds=only, community=community, overwrite=overwrite)
    form.one(pulled, _show_pulled)


def _show_pulled(pulled: Any) -> None:
    for name, count in sorted(Counter(each.partition("/")[0] for each in pulled.written).items()):
        print(f"{name}: {count} written")
    print(f"{len(pulled.written)} written, {len(pulled.unchanged)} as they were")
    for handle in pulled.gone:
        say(f"{handle}: the server has nothing of it")
    for finding in pulled.findings:
        say(f"! {finding}", "yellow")


@runs
@shows
async def plan(
    context: typer.Context,
    folder: Folder,
    only: Only = None,
    community: Community = False,
    delete: Delete = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 5 if the server is not as the files say.")
    ] = False,
    *,
    form: Showing,
) -> int:
    """Show what `trmm apply` would do so that a stock server is as the files say. It changes nothing."""
    async with _planned(context, folder, only, community, delete, form) as (_, found):
        different = bool(found or found.would_delete)
    return Exit.DIFFERENT if exit_code and different else Exit.OK


@runs
@shows
async def apply(
    context: typer.Context,
    folder: Folder,
    only: Only = None,
    community: Community = False,
    delete: Delete = False,
    yes: Yes = False,
    *,
    form: Showing,
) -> None:
    """Change a stock server so that it is as the files say: show the plan, ask, and do exactly that.

    Each object is read again before it is written. The first failure stops it, and says what was done.
    """
    async with _planned(context, folder, only, community, delete, form) as (trmm, found):
        if found and not yes:
            steps = len(found.steps)
            go_on(f"refusing to carry out {steps} steps without confirmation: no terminal. Add --yes")
        # Also if there is nothing to do: it records in the folder which objects the files describe.
        await _config().apply(trmm, found, folder, tell=lambda step: say(f"{step.title}: done"))


@asynccontextmanager
async def _planned(
    context: typer.Context, folder: str, only: list[str] | None, community: bool, delete: bool, form: Showing
) -> AsyncIterator["tuple[TRMM, ConfigPlan]"]:
    """Make the plan and show it. Gives the client and the plan."""
    config = _config()
    async with connected(context) as trmm:
        found = await config.plan(trmm, folder, kinds=only, community=community, delete=delete)
        form.one(found if form.in_words else found.to_dict(), print)
        yield trmm, found


def _config() -> Any:
    try:
        from trmm_async import config
    except ModuleNotFoundError as error:
        raise usage(str(error)) from error
    return config
