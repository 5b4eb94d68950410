"""The options of `trmm run`: which agents, what is run, how carefully.

Below: `options`. Above: its command.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from trmm_async.cli.known_names import offer_agents, offer_scripts

__all__ = [
    "Agents",
    "Arguments",
    "AsUser",
    "Batch",
    "Canary",
    "CodeShell",
    "DryRun",
    "Everywhere",
    "File",
    "JournalFile",
    "MaxFailures",
    "ScriptFile",
    "ScriptName",
    "SkipOffline",
    "Splay",
    "Timeout",
    "Variables",
    "WhenOnline",
    "Width",
]

_PICK: Final = "Which agents"
_POLICY: Final = "How carefully"

ScriptName = Annotated[
    str | None,
    typer.Argument(metavar="SCRIPT", help="The script's name or id.", autocompletion=offer_scripts),
]
ScriptFile = Annotated[
    Path | None,
    typer.Option(
        "--script-file",
        metavar="PATH",
        help="In place of SCRIPT: a file that is not in the library; a stock server only.",
    ),
]
CodeShell = Annotated[
    str | None,
    typer.Option("--shell", metavar="SHELL", help="What runs that file; by the ending of its name without."),
]
Arguments = Annotated[
    list[str] | None,
    typer.Argument(metavar="ARG", help="Its arguments; behind -- if they begin with a dash."),
]
Agents = Annotated[
    list[str] | None,
    typer.Option(
        "--agent",
        metavar="AGENT",
        help="This one; may be repeated.",
        autocompletion=offer_agents,
        rich_help_panel=_PICK,
    ),
]
File = Annotated[
    str | None,
    typer.Option(
        "--file",
        metavar="PATH",
        help="Those of a file, a name or id a line; - is stdin.",
        rich_help_panel=_PICK,
    ),
]
Everywhere = Annotated[bool, typer.Option("--all", help="All there are.", rich_help_panel=_PICK)]
Timeout = Annotated[
    int,
    typer.Option(
        "--timeout", metavar="SECONDS", min=1, max=300, help="Seconds that it may take on each agent."
    ),
]
Variables = Annotated[
    list[str] | None,
    typer.Option("--env", metavar="NAME=VALUE", help="An environment variable; a stock server only."),
]
AsUser = Annotated[bool, typer.Option("--as-user", help="As the user who is logged in; a stock server only.")]
Width = Annotated[
    int | None,
    typer.Option(
        "--width",
        metavar="N",
        min=1,
        help="How many at once; what suits the server without.",
        rich_help_panel=_POLICY,
    ),
]
Canary = Annotated[
    int | None,
    typer.Option(
        "--canary",
        metavar="N",
        min=1,
        help="So many first; the others only if all of these succeed.",
        rich_help_panel=_POLICY,
    ),
]
Batch = Annotated[
    str | None,
    typer.Option(
        "--batch",
        metavar="N|N%",
        help="So many at a time, one batch after the other; 100% is all in one.",
        rich_help_panel=_POLICY,
    ),
]
MaxFailures = Annotated[
    str | None,
    typer.Option(
        "--max-failures",
        metavar="N|N%",
        help="How many failures are put up with; one more stops the run.",
        rich_help_panel=_POLICY,
    ),
]
Splay = Annotated[
    float,
    typer.Option(
        "--splay",
        metavar="SECONDS",
        min=0,
        help="Each sending waits a random time up to this.",
        rich_help_panel=_POLICY,
    ),
]
SkipOffline = Annotated[
    bool,
    typer.Option("--skip-offline", help="Skip those that are offline.", rich_help_panel=_POLICY),
]
WhenOnline = Annotated[
    str | None,
    typer.Option(
        "--when-online",
        metavar="TIME",
        help="Run it on those that are offline when they come back within this time, as 8h.",
        rich_help_panel=_POLICY,
    ),
]
JournalFile = Annotated[
    str | None,
    typer.Option(
        "--journal",
        metavar="PATH|URL",
        help="Keep the run in this file, or in PostgreSQL (postgresql://HOST/DATABASE?run=NAME), "
        "for trmm resume and trmm results.",
        rich_help_panel=_POLICY,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen to whom, and run nothing.")]
