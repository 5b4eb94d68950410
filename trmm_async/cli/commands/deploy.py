"""`trmm deploy`: create, list, revoke, download."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

import trmm_async as sdk
from trmm_async.cli.columns import Column
from trmm_async.cli.exits import printed
from trmm_async.cli.forms import Showing, shows
from trmm_async.cli.groups import ListFirst
from trmm_async.cli.listing import Found, Listing, lists
from trmm_async.cli.options import DO, KINDS, examples
from trmm_async.cli.output import say
from trmm_async.cli.progress import bytes_bar
from trmm_async.cli.selection import client_named, site_named
from trmm_async.cli.session import connected, runs
from trmm_async.cli.text import ago, clean, one_line
from trmm_async.cli.values import choice, moment

__all__ = ["add_to"]

ARCHES: Final = ("amd64", "arm64", "amd64-mac", "arm64-mac")
Id = Annotated[int, typer.Argument(metavar="ID", help="The deployment's id, as the list has it.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(cls=ListFirst, help="Deployments: one-time URLs that install new agents.")
    group.command("list", epilog=examples("trmm deploy", "trmm deploy --json"))(list_deployments)
    group.command("create", epilog=examples("trmm deploy create --client Acme --site Office --expires 7d"))(
        create
    )
    group.command("revoke", epilog=examples("trmm deploy revoke 3"))(revoke)
    group.command("download", epilog=examples("trmm deploy download 3 installers/"))(download)
    app.add_typer(group, rich_help_panel=DO, name="deploy")


@runs
@lists
async def list_deployments(context: typer.Context, *, form: Listing) -> None:
    """List active deployments."""
    clients: list[sdk.Client] = []
    async with connected(context) as trmm:

        async def read() -> Found:
            found = await trmm.deployments.list()
            clients[:] = await trmm.clients.list() if form.for_people and found else []
            return Found(found)

        await form.show(
            read, lambda _: _columns(clients), sdk.Deployment, none="no deployment is active", name=_id
        )


def _id(each: Any) -> object:
    return each.id


def _columns(clients: "list[sdk.Client]") -> tuple[Column[Any], ...]:
    of_client = {client.id: client.name for client in clients}
    of_site = {site.id: site.name for client in clients for site in client.sites}
    return (
        Column("Id", lambda each: each.id, keep=True),
        Column("Client", lambda each: of_client.get(each.client, each.client)),
        Column("Site", lambda each: of_site.get(each.site, each.site)),
        Column("Expires", lambda each: ago(each.expiry), keep=True),
        Column("Flags", lambda each: each.install_flags, wide=True),
        Column("URL", lambda each: each.download_url),
    )


@runs
@shows
async def create(
    context: typer.Context,
    client: Annotated[str, typer.Option("--client", metavar="NAME", help="For this client, by name or id.")],
    site: Annotated[str, typer.Option("--site", metavar="NAME", help="For this site of it, by name or id.")],
    expires: Annotated[
        str,
        typer.Option(
            "--expires", metavar="WHEN", help="When it expires: 12h, 7d, 2w, or as 2030-01-31T18:00+01:00."
        ),
    ] = "7d",
    arch: Annotated[
        str,
        typer.Option("--arch", metavar="ARCH", help=f"{', '.join(ARCHES)}.", autocompletion=lambda: ARCHES),
    ] = "amd64",
    flags: Annotated[str, typer.Option("--flags", metavar="FLAGS", help="The installer's flags.")] = "",
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KIND", help="server or workstation; a stock server only.")
    ] = None,
    *,
    form: Showing,
) -> None:
    """Create a deployment and print its URL."""
    form.paths(sdk.Deployment)
    until = moment(expires, "--expires", datetime.now(UTC))
    chosen_arch: Any = choice(arch, "--arch", ARCHES)
    chosen_kind: Any = None if kind is None else choice(kind, "--kind", KINDS)
    async with connected(context) as trmm:
        clients = await trmm.clients.list()
        owner = client_named(client, clients)
        made = await trmm.deployments.create(
            client=owner,
            site=site_named(site, clients, owner),
            expires=until,
            arch=chosen_arch,
            install_flags=flags,
            monitoring_type=chosen_kind,
        )
    with printed("the deployment is made"):
        form.one(made, _show)


def _show(made: "sdk.Deployment") -> None:
    say(f"deployment {made.id}, for {owner_words(made)}; it expires {ago(made.expiry)}")
    print(one_line(clean(made.download_url)))


def owner_words(made: "sdk.Deployment") -> str:
    """For whom a deployment is."""
    return f"client {made.client}, site {made.site}"


@runs
async def revoke(context: typer.Context, deployment: Id) -> None:
    """Revoke a deployment before it expires."""
    async with connected(context) as trmm:
        await trmm.deployments.delete(deployment)
    say(f"deployment {deployment} is revoked")


@runs
@shows
async def download(
    context: typer.Context,
    deployment: Id,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder for the file; default: the current one.")
    ] = Path(),
    *,
    form: Showing,
) -> None:
    """Download a deployment's installer and print the path of the file."""
    async with connected(context) as trmm:
        with bytes_bar("installer") as progress:
            path = await trmm.deployments.download(deployment, folder, progress=progress)
    form.one({"path": str(path), "bytes": path.stat().st_size}, lambda made: print(made["path"]))
