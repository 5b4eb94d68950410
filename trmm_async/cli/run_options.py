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
        help="Run this file in place of a SCRIPT of the library; a stock server only.",
    ),
]
CodeShell = Annotated[
    str | None,
    typer.Option("--shell", metavar="SHELL", help="The shell for that file; default: by its extension."),
]
Arguments = Annotated[
    list[str] | None,
    typer.Argument(metavar="ARG", help="Its arguments; put them after -- if they begin with a dash."),
]
Agents = Annotated[
    list[str] | None,
    typer.Option(
        "--agent",
        metavar="AGENT",
        help="This agent; may be repeated.",
        autocompletion=offer_agents,
        rich_help_panel=_PICK,
    ),
]
File = Annotated[
    str | None,
    typer.Option(
        "--file",
        metavar="PATH",
        help="The agents in this file, one name or id a line; - is stdin.",
        rich_help_panel=_PICK,
    ),
]
Everywhere = Annotated[bool, typer.Option("--all", help="All agents.", rich_help_panel=_PICK)]
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
AsUser = Annotated[bool, typer.Option("--as-user", help="Run as the logged-in user; a stock server only.")]
Width = Annotated[
    int | None,
    typer.Option(
        "--width",
        metavar="N",
        min=1,
        help="How many agents at once; default: what suits the server.",
        rich_help_panel=_POLICY,
    ),
]
Canary = Annotated[
    int | None,
    typer.Option(
        "--canary",
        metavar="N",
        min=1,
        help="Run on this many agents first, and on the others only if all of these succeed.",
        rich_help_panel=_POLICY,
    ),
]
Batch = Annotated[
    str | None,
    typer.Option(
        "--batch",
        metavar="N|N%",
        help="Run in batches of this many; 100% is all in one batch.",
        rich_help_panel=_POLICY,
    ),
]
MaxFailures = Annotated[
    str | None,
    typer.Option(
        "--max-failures",
        metavar="N|N%",
        help="Stop the run after more than this many failures.",
        rich_help_panel=_POLICY,
    ),
]
Splay = Annotated[
    float,
    typer.Option(
        "--splay",
        metavar="SECONDS",
        min=0,
        help="Wait a random time up to this before each agent.",
        rich_help_panel=_POLICY,
    ),
]
SkipOffline = Annotated[
    bool,
    typer.Option("--skip-offline", help="Skip agents that are offline.", rich_help_panel=_POLICY),
]
WhenOnline = Annotated[
    str | None,
    typer.Option(
        "--when-online",
        metavar="TIME",
        help="Run it on offline agents, too, if they come back within this time, as 8h.",
        rich_help_panel=_POLICY,
    ),
]
JournalFile = Annotated[
    str | None,
    typer.Option(
        "--journal",
        metavar="PATH|URL",
        help="Record the run in this file, or in PostgreSQL (postgresql://HOST/DATABASE?run=NAME), "
        "for trmm resume and trmm results.",
        rich_help_panel=_POLICY,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would happen to each agent, and run nothing.")
]
