"""Assembles `trmm`: its commands, and the options that all of them take.

Below: everything else in this folder. Above: `main`.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import import_module
from typing import Annotated, Any, Final

import typer

from trmm_async._version import __version__
from trmm_async.cli.exits import guarded
from trmm_async.cli.streams import is_terminal, size_of, without_colour
from trmm_async.effective_settings import DIALECTS, GlobalOptions
from trmm_async.errors import TRMMError
from trmm_async.hidden import hide
from trmm_async.profiles import read_profile_file

__all__ = ["MODULES", "assembled", "command_tree", "hoisted", "run"]

_SERVER: Final = "Which server"
_WITH_VALUE: Final = frozenset(
    {"--url", "--profile", "--dialect", "--rate-limit", "--proxy", "--ca", "--cert"}
)
_FLAGS: Final = frozenset({"--allow-http", "--debug"})

MODULES: Final = {
    "agents": "agents", "agent": "agents", "scripts": "scripts", "clients": "clients", "checks": "checks",
    "tasks": "tasks", "history": "inventory", "software": "inventory", "updates": "inventory",
    "watch": "watch", "relay": "relay", "webhooks": "relay", "exporter": "exporter",
    "run": "run", "resume": "journals", "results": "journals", "runs": "journals", "cmd": "cmd",
    "patch": "patch", "reboot": "upkeep", "maintenance": "upkeep", "services": "upkeep",
    "alerts": "alerts", "deploy": "deploy", "export": "export", "call": "call", "api": "call",
    "login": "profiles", "profiles": "profiles", "doctor": "doctor", "explain": "explain",
    "pull": "configuration", "plan": "configuration", "apply": "configuration", "mcp": "mcp",
    "simulator": "simulator", "demo": "simulator",
}  # fmt: skip
"""The modules in `commands/` by the commands that they add, in the order of `trmm --help`."""


def run(words: list[str]) -> int:
    """Run the command line. Returns the exit code."""
    front, rest = hoisted([*words[1:], "--help"] if words[:1] == ["help"] else words)
    ordered = front + rest

    def work() -> object:
        if not ordered or {"-h", "--help"} & set(ordered):
            _have_help_fit()
        tree = command_tree(rest[0] if rest else "")
        return tree(ordered or ["--help"], prog_name="trmm", standalone_mode=False)

    return guarded(work, debug="--debug" in front)


def command_tree(word: str = "") -> Callable[..., Any]:
    """The command line, ready to be called. If the word is a command, only its module is imported.

    To import all modules and to make all commands takes longer than the rest of a start.
    """
    if word in {"--version", "-V"}:
        return _tree()
    return _tree(*([MODULES[word]] if word in MODULES else MODULES.values()))


@cache
def _tree(*modules: str) -> Callable[..., Any]:
    tree = typer.main.get_command(assembled(modules))
    _flow(tree)
    return tree


def assembled(modules: Iterable[str] = MODULES.values()) -> typer.Typer:
    """The application with the commands of these modules."""
    app = typer.Typer(
        name="trmm",
        help="Tactical RMM from the terminal: agents, scripts on a fleet, alerts, live events.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_for_all)
    for name in dict.fromkeys(modules):
        import_module(f"trmm_async.cli.commands.{name}").add_to(app)
    return app


def _flow(command: Any) -> None:
    """Make each paragraph of the help one line, which the terminal's width then breaks."""
    if command.help:
        command.help = "\n\n".join(" ".join(one.split("\n")) for one in command.help.split("\n\n"))
    for one in getattr(command, "commands", {}).values():
        _flow(one)


def _have_help_fit() -> None:
    """Have typer print the pages of --help as wide as stdout is, and in colour on a terminal only."""
    from typer import rich_utils

    rich_utils.FORCE_TERMINAL = is_terminal(sys.stdout)
    rich_utils.MAX_WIDTH = size_of(sys.stdout).columns
    rich_utils.COLOR_SYSTEM = None if without_colour() else "auto"


def hoisted(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take the options for all commands out of the words. Returns them, and the other words.

    They are understood in front of the command only; so `trmm agents --profile lab` works as `trmm --profile
    lab agents` does. What follows a lone `--` stays there.
    """
    front: list[str] = []
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            return front, [*rest, word, *left]
        if word in _FLAGS or (word.partition("=")[0] in _WITH_VALUE and "=" in word):
            front.append(word)
        elif word in _WITH_VALUE:
            front += [word, *left[:1]]
            del left[:1]
        else:
            rest.append(word)
    return front, rest


def _profile_names() -> list[str]:
    try:
        return sorted(read_profile_file().profiles)
    except TRMMError:
        return []  # an error message would end up in the line that is being typed


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"trmm {__version__}")
        raise typer.Exit


def _for_all(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="The server's address.", rich_help_panel=_SERVER),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="A profile that `trmm login` wrote.",
            autocompletion=_profile_names,
            rich_help_panel=_SERVER,
        ),
    ] = None,
    dialect: Annotated[
        str | None,
        typer.Option(
            "--dialect",
            metavar="DIALECT",
            help="gateway, stock, or auto, which detects it (the default).",
            autocompletion=lambda: DIALECTS,
            rich_help_panel=_SERVER,
        ),
    ] = None,
    rate_limit: Annotated[
        str | None,
        typer.Option(
            "--rate-limit",
            metavar="COUNT/SECONDS",
            help="The key's rate limit, if it is not the usual one; or none.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    allow_http: Annotated[
        bool,
        typer.Option("--allow-http", help="Allow plain http to another machine.", rich_help_panel=_SERVER),
    ] = False,
    proxy: Annotated[
        str | None,
        typer.Option(
            "--proxy",
            metavar="URL",
            help="An HTTP proxy, as http://proxy:3128, for events as well; '' for none.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    ca: Annotated[
        str | None,
        typer.Option(
            "--ca",
            metavar="FILE",
            help="A PEM file of an authority to trust, in addition to the system's.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    cert: Annotated[
        str | None,
        typer.Option(
            "--cert",
            metavar="FILE[:KEY]",
            help="A client certificate (PEM), with its key in the same file or another.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", "-V", help="Print the version.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    context.obj = GlobalOptions(
        url=url,
        profile=profile,
        dialect=dialect,
        rate_limit=rate_limit,
        allow_http=allow_http or None,
        debug=debug,
        proxy=hide(proxy),
        ca=ca,
        cert=cert,
        as_others_do=True,
    )
