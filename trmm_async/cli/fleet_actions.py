"""Actions on many agents: which agents, how carefully, and the run itself.

Below: `selection`, `run_follower`, `run_options`, `values`. Above: the commands that act on many agents.
"""

import dataclasses
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trmm_async as sdk
from trmm_async.cli.exits import CommandError, Exit, usage
from trmm_async.cli.outcome_form import OutcomeForm
from trmm_async.cli.output import say
from trmm_async.cli.prompts import read_stdin
from trmm_async.cli.report import row
from trmm_async.cli.run_follower import RunFollower
from trmm_async.cli.run_options import (
    Batch,
    Canary,
    DryRun,
    JournalFile,
    MaxFailures,
    SkipOffline,
    Splay,
    WhenOnline,
    Width,
)
from trmm_async.cli.selection import Where, agents_where, confirm, labels
from trmm_async.cli.session import require_stock
from trmm_async.cli.shared_options import folding
from trmm_async.cli.text import code_page, decoded, folded
from trmm_async.cli.values import batch_size, failures, length

__all__ = ["Careful", "Chosen", "Mild", "careful", "chosen", "launch", "mild", "place_of", "read_text"]


@dataclass(frozen=True)
class Chosen:
    """Which agents the options select, by names and filters. `nobody`: a file of names is empty."""

    names: list[str]
    where: Where
    nobody: bool

    async def agents(self, trmm: "sdk.TRMM") -> list["sdk.Agent"]:
        """The agents. A `CommandError` if there is none."""
        targets = [] if self.nobody else await agents_where(trmm, self.where, self.names)
        if not targets:
            raise CommandError(Exit.FAILED, "no agent matches; nothing was run")
        return targets


def chosen(agent: Sequence[str] | None, file: str | None, where: Where, *, everywhere: bool) -> Chosen:
    """Which agents are meant. A `CommandError` without any option: all agents need --all."""
    names = [*(agent or ()), *_names_of(file)]
    if not (names or file or where or everywhere):
        raise usage("on which agents? --agent, --file, --client, --hostname, …, or --all")
    return Chosen(names, where, nobody=bool(file) and not names)


@dataclass(frozen=True, kw_only=True)
class Mild:
    """How carefully something is done to many agents. Its fields are the options, which are checked."""

    width: Width = None
    canary: Canary = None
    batch: Batch = None
    max_failures: MaxFailures = None
    splay: Splay = 0.0
    skip_offline: SkipOffline = False
    when_online: WhenOnline = None
    dry_run: DryRun = False

    def __post_init__(self) -> None:
        _ = self.settings

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) for one in dataclasses.fields(self))

    @property
    def judging(self) -> list[str]:
        """The options that were given and depend on what a success is."""
        return [
            f"--{name.replace('_', '-')}"
            for name in ("canary", "batch", "max_failures")
            if self.settings[name] is not None
        ]

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of `fleet.map`."""
        return {
            "width": self.width,
            "canary": self.canary,
            "batch": None if self.batch is None else batch_size(self.batch, "--batch"),
            "max_failures": (
                None if self.max_failures is None else failures(self.max_failures, "--max-failures")
            ),
            "splay": self.splay,
            "skip_offline": self.skip_offline,
            "when_online": None if self.when_online is None else length(self.when_online, "--when-online"),
        }


@dataclass(frozen=True, kw_only=True)
class Careful(Mild):
    """As `Mild`, for a run that can have a journal."""

    journal: JournalFile = None

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the methods of `fleet` that write a journal."""
        place = self.place
        if isinstance(place, Path) and place.exists():
            raise CommandError(
                Exit.FAILED, f"{place} is there already: `trmm resume {place}` goes on with it"
            )
        return {**super().settings, "dry_run": self.dry_run, "journal": place}

    @property
    def place(self) -> "sdk.PostgresJournal | Path | None":
        """Where the journal is; None without one."""
        return None if self.journal is None else place_of(self.journal)


def place_of(journal: str) -> "sdk.PostgresJournal | Path":
    """Where a journal is: a file, or a run in a database, whose password is never shown."""
    from trmm_async.fleet.postgres import postgres_journal

    return postgres_journal(journal) or Path(journal)


careful = folding("settings", Careful)
"""Decorates a command that takes `settings: Careful`: it gets the fields of that as options."""

mild = folding("settings", Mild)
"""As `careful`, with `settings: Mild`, for runs that can't have a journal."""


async def launch(
    trmm: "sdk.TRMM",
    output: OutcomeForm,
    whom: Chosen,
    begin: Callable[[list["sdk.Agent"]], Awaitable[tuple["sdk.FleetRun[Any]", str]]],
    settings: Mild,
    *,
    good: Collection[int | None],
    yes: bool,
    live: bool = False,
    stock: str = "",
) -> int:
    """Ask for confirmation, then run it and show it. Returns the exit code.

    Args:
        trmm: the client.
        output: how outcomes are shown.
        whom: on which agents.
        begin: makes the run from the agents, and returns it with what it does, as in "run Get-DiskInfo on".
        settings: how carefully.
        good: the return codes that are successes.
        yes: whether not to ask.
        live: see `RunFollower`.
        stock: the method of the client, if a gateway doesn't have it.
    """
    targets = await whom.agents(trmm)
    if stock:
        require_stock(trmm, stock)
    dry_run, journal = settings.dry_run, settings.place if isinstance(settings, Careful) else None
    # Before the question: an error in the settings must not come after the answer.
    job, doing = await begin(targets)
    files = None if dry_run else output.files(labels(targets, for_people=False))
    confirm(doing, list(labels(targets).values()), yes=yes or dry_run)
    hosts = labels(targets, for_people=output.in_words)
    if dry_run and "dry_run" not in settings.settings:
        return _only_tell(output, hosts, doing)
    code = await RunFollower(output, hosts, good, None if dry_run else journal, files, live=live).follow(job)
    if journal is not None and code not in {Exit.OK, Exit.PIPE_CLOSED} and not dry_run:
        where = journal if isinstance(journal, Path) else f"'{journal}'"
        say(f"`trmm resume {where}` goes on, and tries some again with --retry")
    return Exit.OK if dry_run and code == Exit.FAILED else code


def _only_tell(output: OutcomeForm, hosts: Mapping[str, str], doing: str) -> int:
    """Show a dry run, for methods that have no dry run themselves."""
    if output.in_words:
        say(f"would {doing} {len(hosts)} agents: {folded(hosts.values())}")
        return Exit.OK
    with output.stream() as emit:
        for agent_id in hosts:
            emit(row(sdk.Skipped(agent_id=agent_id, reason="a dry run"), hosts))
    return Exit.OK


def read_text(path: Path, option: str) -> str:
    """The text of a file, or of stdin for `-`. A `CommandError` that names the option if it can't be read."""
    is_stdin = str(path) == "-"
    try:
        return read_stdin() if is_stdin else decoded(path.read_bytes(), code_page())
    except FileNotFoundError:
        raise usage(f"{option}: there is no file {path}; - is stdin") from None
    except OSError as error:
        raise usage(f"{option}: {path} can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        what = "stdin" if is_stdin else path
        raise usage(
            f"{option}: {what} is no text in UTF-8, see byte {error.start}: save it as such"
        ) from error


def _names_of(file: str | None) -> list[str]:
    """The lines of the file, without blank lines and comments."""
    if file is None:
        return []
    lines = (line.strip() for line in read_text(Path(file), "--file").splitlines())
    return [line for line in lines if line and not line.startswith("#")]
