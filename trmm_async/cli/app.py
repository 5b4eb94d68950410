"""`trmm`, put together: the commands, and the options that all of them take.

Below: everything else in this folder. Above: `main`.
"""

import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, Final

import typer

from trmm_async._version import __version__
from trmm_async.cli.commands import (
    agents,
    alerts,
    assisting,
    calling,
    checks,
    clients,
    command,
    configuring,
    deployments,
    examination,
    explaining,
    exporting,
    exports,
    inventory,
    journals,
    patches,
    profiles,
    relaying,
    running,
    scripts,
    simulated,
    tasks,
    upkeep,
    watch,
)
from trmm_async.cli.exits import guarded
from trmm_async.errors import TRMMError
from trmm_async.hidden import hide
from trmm_async.profiles import DIALECTS, Given, read_book

__all__ = ["app", "command_tree", "hoisted", "run"]

_SERVER: Final = "Which server"
_WITH_VALUE: Final = frozenset(
    {"--url", "--profile", "--dialect", "--rate-limit", "--proxy", "--ca", "--cert"}
)
_FLAGS: Final = frozenset({"--allow-http", "--debug"})

app: typer.Typer = typer.Typer(
    name="trmm",
    help="Tactical RMM from the terminal: agents, scripts on a fleet, alerts, live events.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(words: list[str]) -> int:
    """Run the command line; the exit code."""
    ordered = hoisted([*words[1:], "--help"] if words[:1] == ["help"] else words)

    def work() -> object:
        if not ordered or {"-h", "--help"} & set(ordered):
            _have_help_fit()
        return command_tree()(ordered or ["--help"], prog_name="trmm", standalone_mode=False)

    return guarded(
        work,
        debug="--debug" in ordered[: _hoisted_count(words)],
    )


@cache
def command_tree() -> Callable[..., Any]:
    """All commands, as what runs them. Typer makes them anew at each call of `app`, which takes 0.1 s."""
    tree = typer.main.get_command(app)
    _flow(tree)
    return tree


def _flow(command: Any) -> None:
    """Make each paragraph of the help one line, which is broken where the terminal ends."""
    if command.help:
        command.help = "\n\n".join(" ".join(one.split("\n")) for one in command.help.split("\n\n"))
    for one in getattr(command, "commands", {}).values():
        _flow(one)


def _have_help_fit() -> None:
    """The pages of --help, which typer prints, ask stdout how wide they are, too."""
    from typer import rich_utils

    from trmm_async.cli.console import is_terminal, size_of, without_colour

    rich_utils.FORCE_TERMINAL = is_terminal(sys.stdout)
    rich_utils.MAX_WIDTH = size_of(sys.stdout).width
    rich_utils.COLOR_SYSTEM = None if without_colour() else "auto"


def hoisted(words: Sequence[str]) -> list[str]:
    """The words with the options for all commands in front, where they are understood.

    So `trmm agents --profile lab` works as `trmm --profile lab agents` does. What stands behind a lone `--`
    stays there.
    """
    front, rest = _split(words)
    return front + rest


def _hoisted_count(words: Sequence[str]) -> int:
    return len(_split(words)[0])


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
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
        return sorted(read_book().profiles)
    except TRMMError:
        return []  # nobody wants to read of it while they press Tab


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"trmm {__version__}")
        raise typer.Exit


@app.callback()
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
    context.obj = Given(
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


_LOOKING = (agents, scripts, clients, checks, tasks, inventory, watch, relaying, exporting)
_DOING = (running, journals, command, patches, upkeep, alerts, deployments, exports, calling)
_SETTING_UP = (profiles, examination, explaining, configuring, assisting, simulated)
for _noun in (*_LOOKING, *_DOING, *_SETTING_UP):
    _noun.add_to(app)
