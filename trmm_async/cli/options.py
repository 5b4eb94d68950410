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
    typer.Option("--jsonl", help="Print JSON Lines, one object a line.", rich_help_panel=FORM),
]
Success = Annotated[
    str,
    typer.Option(
        "--success",
        metavar="CODE,…",
        help="The return codes that count as success.",
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
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")]
Client = Annotated[
    str | None,
    typer.Option(
        "--client",
        metavar="NAME",
        help="Only agents of this client, by name or id.",
        autocompletion=offer_clients,
        rich_help_panel=_PICK,
    ),
]
Site = Annotated[
    str | None,
    typer.Option(
        "--site",
        metavar="NAME",
        help="Only agents of this site, by name, CLIENT/SITE, or id.",
        autocompletion=offer_sites,
        rich_help_panel=_PICK,
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        help="Only servers or only workstations: server, workstation.",
        autocompletion=lambda: KINDS,
        rich_help_panel=_PICK,
    ),
]
Plat = Annotated[
    str | None,
    typer.Option(
        "--plat",
        metavar="PLATFORM",
        help="Only this platform: windows, linux or darwin.",
        autocompletion=lambda: PLATFORMS,
        rich_help_panel=_PICK,
    ),
]
System = Annotated[
    str | None,
    typer.Option(
        "--os",
        metavar="PATTERN",
        help="Only this operating system, as '*Server 2019*', in upper or lower case.",
        rich_help_panel=_PICK,
    ),
]
Host = Annotated[
    str | None,
    typer.Option(
        "--hostname",
        metavar="PATTERN",
        help="Only matching host names, as 'WEB-*', in upper or lower case.",
        rich_help_panel=_PICK,
    ),
]
Status = Annotated[
    str | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help="Only this status, as the server last knew it: online, offline or overdue.",
        autocompletion=lambda: STATUSES,
        rich_help_panel=_PICK,
    ),
]
Conditions = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="FIELD=VALUE",
        help="Only agents with this value of a field, as needs_reboot=true or 'last_seen<-7d'. "
        "May be repeated: all must match.",
        rich_help_panel=_PICK,
    ),
]
FieldValues = Annotated[
    list[str] | None,
    typer.Option(
        "--field",
        metavar="NAME=VALUE",
        help="Only agents with this value of a custom field; a stock server only. "
        "May be repeated: all must match.",
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
        help="A host name or an agent's id; default: all agents.",
        autocompletion=offer_agents,
    ),
]


def examples(*lines: str) -> str:
    """The examples below a command's help. typer would join lines without blank lines between them."""
    return "\n\n".join(("Examples:", *(line.replace("[", r"\[") for line in lines)))
