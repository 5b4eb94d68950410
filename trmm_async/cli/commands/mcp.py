"""`trmm mcp`: a server for language models."""

import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from trmm_async.cli.exits import usage
from trmm_async.cli.options import SET_UP, examples
from trmm_async.cli.output import say
from trmm_async.cli.services import host_and_port
from trmm_async.cli.session import client_of, connected, login_of, runs

__all__ = ["add_to"]

_SECOND_KEY: Final = "TRMM_MCP_CHANGE_KEY"
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    hint = examples(
        "trmm mcp --log calls.jsonl", "trmm mcp --log calls.jsonl --allow run_script --max-targets 3"
    )
    app.command("mcp", rich_help_panel=SET_UP, epilog=hint)(mcp)


@runs
async def mcp(
    context: typer.Context,
    log: Annotated[
        Path, typer.Option("--log", metavar="FILE", help="A file to which each call is appended.")
    ],
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="CHANGE",
            help="Allow a change: run_script, reboot, set_maintenance, resolve_alerts. May be repeated.",
        ),
    ] = None,
    max_targets: Annotated[
        int,
        typer.Option(
            "--max-targets", metavar="N", min=1, help="How many agents or alerts one change may affect."
        ),
    ] = 10,
    http: Annotated[
        str | None,
        typer.Option(
            "--http", metavar="HOST:PORT", help="Serve over HTTP on this machine only, in place of stdio."
        ),
    ] = None,
) -> None:
    """Serve language models by the Model Context Protocol: read-only, unless changes are allowed.

    A change needs a second key, in TRMM_MCP_CHANGE_KEY, a dry run, and an approval by the client's user.
    """
    address = None if http is None else _address(http)
    if address and allow:
        raise usage("--allow is for stdio: over HTTP anybody on this machine could approve")
    key = os.environ.get(_SECOND_KEY, "")
    if allow and key in {"", login_of(context).key.value}:
        raise usage(f"--allow needs a second key in {_SECOND_KEY}, other than the one that reads")
    try:
        from trmm_async.mcp_server import mcp_server
    except ModuleNotFoundError as error:
        raise usage(str(error)) from error
    from trmm_async.cli.client_methods import methods

    async with AsyncExitStack() as stack:
        trmm = await stack.enter_async_context(connected(context))
        changes = None
        if allow:
            changes = await stack.enter_async_context(client_of(login_of(context).settings, key))
        server = mcp_server(
            trmm,
            log=log,
            allow=allow or (),
            changes=changes,
            max_targets=max_targets,
            docs={name: method.help for name, method in methods().items()},
        )
        if address is None:
            await server.run_stdio_async()
        else:
            say(f"serving on http://{http}/mcp")
            await server.run_streamable_http_async(host=address[0], port=address[1])


def _address(text: str) -> tuple[str, int]:
    host, port = host_and_port(text, "--http")
    if host not in _LOOPBACK:
        raise usage(f"--http is HOST:PORT on loopback, as 127.0.0.1:8765; not {text!r}")
    return host, port
