"""Options and arguments that several commands share.

Below: `settings`. Above: the commands.
"""

from typing import Annotated, Final, get_args

import typer

from trmm_async.cli.known_names import offer_agents, offer_clients, offer_sites
from trmm_async.words import AgentStatus, CheckStatus, MonitoringType, Platform

__all__ = [
    "DO",
    "FORM",
    "KINDS",
    "LOOK",
    "PLATFORMS",
    "RESULTS",
    "SET_UP",
    "STATUSES",
    "AgentName",
    "Client",
    "Conditions",
    "FieldValues",
    "Host",
    "Json",
    "JsonLines",
    "Kind",
    "OptionalAgent",
    "Plat",
    "Site",
    "Status",
    "Success",
    "SuccessOfRun",
    "System",
    "Yes",
    "examples",
]

KINDS: Final[tuple[str, ...]] = get_args(MonitoringType)
LOOK: Final = "Look"
DO: Final = "Do"
PLATFORMS: Final[tuple[str, ...]] = get_args(Platform)
RESULTS: Final[tuple[str, ...]] = get_args(CheckStatus)
SET_UP: Final = "Set up"
STATUSES: Final[tuple[str, ...]] = get_args(AgentStatus)
_PICK: Final = "Which agents"
FORM: Final = "Output"

Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document, and nothing else on stdout.", rich_help_panel=FORM),
]
JsonLines = Annotated[
    bool,
    typer.Option("--jsonl", help="Print JSON Lines, one thing a line.", rich_help_panel=FORM),
]
Success = Annotated[
    str,
    typer.Option(
        "--success",
        metavar="CODE,…",
        help="The return codes that are successes.",
        rich_help_panel="How carefully",
    ),
]
SuccessOfRun = Annotated[
    str | None,
    typer.Option(
        "--success",
        metavar="CODE,…|TEXT",
        help="Return codes of a script, what a command prints; without, as the journal has it.",
        rich_help_panel="How carefully",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask before several are touched.")]
Client = Annotated[
    str | None,
    typer.Option(
        "--client",
        metavar="NAME",
        help="Those of this client, by name or id.",
        autocompletion=offer_clients,
        rich_help_panel=_PICK,
    ),
]
Site = Annotated[
    str | None,
    typer.Option(
        "--site",
        metavar="NAME",
        help="Those of this site, by name, CLIENT/SITE, or id.",
        autocompletion=offer_sites,
        rich_help_panel=_PICK,
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        help="server or workstation.",
        autocompletion=lambda: KINDS,
        rich_help_panel=_PICK,
    ),
]
Plat = Annotated[
    str | None,
    typer.Option(
        "--plat",
        metavar="PLATFORM",
        help="windows, linux or darwin.",
        autocompletion=lambda: PLATFORMS,
        rich_help_panel=_PICK,
    ),
]
System = Annotated[
    str | None,
    typer.Option(
        "--os",
        metavar="PATTERN",
        help="Of such an operating system, as '*Server 2019*', case ignored.",
        rich_help_panel=_PICK,
    ),
]
Host = Annotated[
    str | None,
    typer.Option(
        "--hostname", metavar="PATTERN", help="A pattern as 'WEB-*', case ignored.", rich_help_panel=_PICK
    ),
]
Status = Annotated[
    str | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help="online, offline or overdue, as the server last knew.",
        autocompletion=lambda: STATUSES,
        rich_help_panel=_PICK,
    ),
]
Conditions = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="FIELD=VALUE",
        help="Whose field is this, as needs_reboot=true or 'last_seen<-7d'. May be repeated: all must fit.",
        rich_help_panel=_PICK,
    ),
]
FieldValues = Annotated[
    list[str] | None,
    typer.Option(
        "--field",
        metavar="NAME=VALUE",
        help="Whose custom field is this; a stock server only. May be repeated: all must fit.",
        rich_help_panel=_PICK,
    ),
]
AgentName = Annotated[
    str,
    typer.Argument(metavar="AGENT", help="A host name or an agent's id.", autocompletion=offer_agents),
]
OptionalAgent = Annotated[
    str | None,
    typer.Argument(
        metavar="AGENT",
        help="A host name or an agent's id; all agents without.",
        autocompletion=offer_agents,
    ),
]


def examples(*lines: str) -> str:
    """What stands below a command's help. Blank lines keep the lines apart."""
    return "\n\n".join(("Examples:", *(line.replace("[", r"\[") for line in lines)))
