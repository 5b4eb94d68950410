"""`trmm simulator`, `trmm demo`."""

from typing import Annotated

import typer

from trmm_async.cli.options import SET_UP, examples
from trmm_async.cli.session import given_of
from trmm_async.effective_settings import known_dialect

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    hint = examples("trmm simulator --agents 200 --port 8080", "trmm simulator --dialect stock --chaos")
    app.command("simulator", rich_help_panel=SET_UP, epilog=hint)(simulator)
    app.command("demo", rich_help_panel=SET_UP, epilog=examples("trmm demo"))(demo)


def simulator(
    context: typer.Context,
    agents: Annotated[int, typer.Option("--agents", metavar="N", min=0, help="How many agents it has.")] = 20,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="PORT", min=0, max=65_535, help="The port to listen on; 0: any free one."
        ),
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another seed makes another fleet.")] = 0,
    no_limits: Annotated[bool, typer.Option("--no-limits", help="No rate limit.")] = False,
    chaos: Annotated[
        bool, typer.Option("--chaos", help="Let agents go offline and come back, and calls fail.")
    ] = False,
) -> int:
    """Run a fake server on this machine until Ctrl-C: a gateway, or with --dialect stock a stock server.

    It prints its address and its key, which is valid nowhere else.
    """
    from trmm_async.testing.__main__ import main

    dialect = known_dialect(given_of(context).dialect or "auto")
    words = [f"--agents={agents}", f"--host={host}", f"--port={port}", f"--seed={seed}"]
    words += ["--dialect=stock"] if dialect == "stock" else []
    words += ["--no-limits"] if no_limits else []
    words += ["--chaos"] if chaos else []
    return main(words)


def demo(
    agents: Annotated[
        int, typer.Option("--agents", metavar="N", min=20, help="How many agents to simulate.")
    ] = 300,
) -> None:
    """Show the main job in ten seconds, against the simulator. It needs no server."""
    from trmm_async.cli.demo import main

    main([f"--agents={agents}"])
