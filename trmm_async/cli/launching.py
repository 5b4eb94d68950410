"""What is done to many agents: whom it means, how carefully, and the run itself.

Below: `picking`, `following`, `values`. Above: the commands that do something to many.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from trmm_async.cli.asking import read_stdin
from trmm_async.cli.exits import CommandError, Exit, usage
from trmm_async.cli.following import Following
from trmm_async.cli.picking import Where, agents_where, confirm, labels
from trmm_async.cli.printing import Output, say
from trmm_async.cli.text import code_page, decoded
from trmm_async.cli.values import batch_size, failures, length

if TYPE_CHECKING:
    import trmm_async as sdk

__all__ = ["Careful", "Chosen", "careful", "chosen", "launch"]


@dataclass(frozen=True)
class Chosen:
    """Whom the options mean: those that are named, in a file too, and have something in common."""

    names: list[str]
    where: Where
    nobody: bool

    async def agents(self, trmm: "sdk.TRMM") -> list["sdk.Agent"]:
        """The agents; at least one."""
        targets = [] if self.nobody else await agents_where(trmm, self.where, self.names)
        if not targets:
            raise CommandError(Exit.FAILED, "no agent matches; nothing was run")
        return targets


def chosen(agent: Sequence[str] | None, file: str | None, where: Where, *, everywhere: bool) -> Chosen:
    """Whom it means; to mean all has to be said."""
    names = [*(agent or ()), *_names_of(file)]
    if not (names or file or where or everywhere):
        raise usage("on which agents? --agent, --file, --client, --hostname, …, or --all")
    return Chosen(names, where, nobody=bool(file) and not names)


class Careful(TypedDict):
    """How carefully a run goes on, as the methods of `fleet` take it."""

    width: int | None
    canary: int | None
    batch: int | float | None
    max_failures: int | float | None
    splay: float
    skip_offline: bool
    when_online: timedelta | None
    dry_run: bool
    journal: Path | None


def careful(
    *,
    width: int | None,
    canary: int | None,
    batch: str | None,
    max_failures: str | None,
    splay: float,
    skip_offline: bool,
    when_online: str | None,
    dry_run: bool,
    journal: Path | None,
) -> Careful:
    """The same, of what the options say. What can't be is a wrong use."""
    if journal is not None and journal.exists():
        raise CommandError(
            Exit.FAILED, f"{journal} is there already: `trmm resume {journal}` goes on with it"
        )
    return Careful(
        width=width,
        canary=canary,
        batch=None if batch is None else batch_size(batch, "--batch"),
        max_failures=None if max_failures is None else failures(max_failures, "--max-failures"),
        splay=splay,
        skip_offline=skip_offline,
        when_online=None if when_online is None else length(when_online, "--when-online"),
        dry_run=dry_run,
        journal=journal,
    )


async def launch(
    trmm: "sdk.TRMM",
    output: Output,
    whom: Chosen,
    begin: Callable[[list["sdk.Agent"]], Awaitable[tuple["sdk.FleetRun[Any]", str]]],
    settings: Careful,
    *,
    good: Collection[int | None],
    yes: bool,
) -> int:
    """Ask, run it, show it; the exit code. `begin` makes the run of the targets, and says what it does."""
    targets = await whom.agents(trmm)
    dry_run, journal = settings["dry_run"], settings["journal"]
    # What is wrong with the settings is said here, and not once the question was answered.
    job, doing = await begin(targets)
    confirm(doing, list(labels(targets).values()), yes=yes or dry_run)
    hosts = labels(targets, for_people=output.for_people)
    code = await Following(output, hosts, good, None if dry_run else journal).follow(job)
    if journal is not None and code not in {Exit.OK, Exit.PIPE_CLOSED} and not dry_run:
        say(f"`trmm resume {journal}` goes on, and tries some again with --retry")
    return Exit.OK if dry_run and code == Exit.FAILED else code


def _names_of(file: str | None) -> list[str]:
    """The lines of the file, without blank ones and comments."""
    if file is None:
        return []
    try:
        text = read_stdin() if file == "-" else decoded(Path(file).read_bytes(), code_page())
    except FileNotFoundError:
        raise usage(f"--file: there is no file {file}; - is stdin") from None
    except OSError as error:
        raise usage(f"--file: {file} can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        what = "stdin" if file == "-" else file
        raise usage(f"--file: {what} is no text in UTF-8, see byte {error.start}: save it as such") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
