"""`trmm patch scan`, `trmm patch install`."""

from typing import TYPE_CHECKING, Any, Literal

import typer

from trmm_async.cli.fleet_actions import Careful, careful, chosen, launch
from trmm_async.cli.options import DO, Yes, examples
from trmm_async.cli.outcome_form import OutcomeForm, tells
from trmm_async.cli.run_options import (
    Agents,
    Everywhere,
    File,
)
from trmm_async.cli.selection import Where, picks
from trmm_async.cli.session import connected, runs

if TYPE_CHECKING:
    import trmm_async as sdk

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Have Windows agents scan for updates, or install approved ones.",
        no_args_is_help=True,
    )
    group.command("scan", epilog=examples("trmm patch scan --client Acme"))(_command("scan"))
    hint = examples("trmm patch install --client Acme --kind server --batch 10 --journal patches.db")
    group.command("install", epilog=hint)(_command("install"))
    app.add_typer(group, rich_help_panel=DO, name="patch")


def _command(mode: Literal["scan", "install"]) -> Any:
    async def act(
        context: typer.Context,
        agent: Agents = None,
        file: File = None,
        everywhere: Everywhere = False,
        *,
        where: Where,
        settings: Careful,
        yes: Yes = False,
        form: OutcomeForm,
    ) -> int:
        whom = chosen(agent, file, where, everywhere=everywhere)
        async with connected(context) as trmm:

            async def begin(targets: list["sdk.Agent"]) -> tuple["sdk.FleetRun[Any]", str]:
                if mode == "scan":
                    return trmm.fleet.scan_patches(targets, **settings.settings), "look for updates on"
                return trmm.fleet.install_patches(targets, **settings.settings), "install approved updates on"

            return await launch(
                trmm, form, whom, begin, settings, good=(None,), yes=yes, stock=f"fleet.{mode}_patches"
            )

    act.__doc__ = _DOCS[mode]
    return runs(picks(careful(tells(act))))


_DOCS = {
    "scan": """Have Windows agents of a stock server scan for updates.

    The server only reports that it has accepted the order; its dashboard shows the updates.
    """,
    "install": """Have Windows agents of a stock server install the approved updates now.

    The server only reports that it has accepted the order, not that anything was installed.
    """,
}
