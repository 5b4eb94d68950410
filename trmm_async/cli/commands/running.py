"""`trmm run`."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict

import typer

from trmm_async.cli.asking import read_stdin
from trmm_async.cli.exits import CommandError, Exit, usage
from trmm_async.cli.following import Following
from trmm_async.cli.options import (
    DO,
    Client,
    Host,
    Json,
    JsonLines,
    Kind,
    Site,
    Status,
    Success,
    Yes,
    examples,
)
from trmm_async.cli.picking import Where, agents_where, confirm, labels, script_named
from trmm_async.cli.printing import Output, say
from trmm_async.cli.run_options import (
    Agents,
    Arguments,
    AsUser,
    Batch,
    Canary,
    DryRun,
    Everywhere,
    File,
    JournalFile,
    MaxFailures,
    ScriptName,
    SkipOffline,
    Splay,
    Timeout,
    Variables,
    WhenOnline,
    Width,
)
from trmm_async.cli.session import connected, runs
from trmm_async.cli.text import code_page, decoded
from trmm_async.cli.values import batch_size, codes, failures, length

__all__ = ["add_to"]


class _Careful(TypedDict):
    """What `fleet.run_script` takes besides the targets and the script."""

    timeout: int
    env_vars: dict[str, str] | None
    run_as_user: bool
    width: int | None
    canary: int | None
    batch: int | float | None
    max_failures: int | float | None
    success: Callable[[Any], bool]
    splay: float
    skip_offline: bool
    when_online: timedelta | None
    dry_run: bool
    journal: Path | None


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    hint = examples(
        "trmm run Get-DiskInfo C: --client Acme --kind server",
        "trmm run 5 --hostname 'WEB-*' --status online --width 10",
        "trmm run Clear-TempFiles --all --canary 3 --batch 10% --max-failures 5 --journal tuesday.db",
        "trmm run Clear-TempFiles --file hosts.txt --when-online 8h --yes --jsonl > outcomes.jsonl",
        "trmm agents --status online --jsonl | jq -r .agent_id | trmm run 5 --file - --yes",
    )
    app.command("run", rich_help_panel=DO, epilog=hint)(run)


@runs
async def run(
    context: typer.Context,
    script: ScriptName,
    args: Arguments = None,
    agent: Agents = None,
    file: File = None,
    everywhere: Everywhere = False,
    client: Client = None,
    site: Site = None,
    kind: Kind = None,
    hostname: Host = None,
    status: Status = None,
    timeout: Timeout = 90,
    env: Variables = None,
    as_user: AsUser = False,
    width: Width = None,
    canary: Canary = None,
    batch: Batch = None,
    max_failures: MaxFailures = None,
    success: Success = "0",
    splay: Splay = 0.0,
    skip_offline: SkipOffline = False,
    when_online: WhenOnline = None,
    journal: JournalFile = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    as_jsonl: JsonLines = False,
) -> int:
    """Run a script on agents, once on each, and print what they said.

    Agents that said the same are put together, the largest group first. --jsonl prints outcomes as they come.

    Ctrl-C once: nothing more is sent, and what is under way is waited for. Twice: it ends at once.
    """
    output = Output(as_json=as_json, as_jsonl=as_jsonl)
    where = Where(client, site, kind, hostname, status)
    names = [*(agent or ()), *_names_of(file)]
    if not (names or file or where or everywhere):
        raise usage("on which agents? --agent, --file, --client, --hostname, …, or --all")
    if journal is not None and journal.exists():
        raise CommandError(
            Exit.FAILED, f"{journal} is there already: `trmm resume {journal}` goes on with it"
        )
    good = codes(success, "--success")
    settings = _Careful(
        timeout=timeout,
        env_vars=dict(_variable(text) for text in env or ()) or None,
        run_as_user=as_user,
        width=width,
        canary=canary,
        batch=None if batch is None else batch_size(batch, "--batch"),
        max_failures=None if max_failures is None else failures(max_failures, "--max-failures"),
        success=lambda result: result.retcode in good,
        splay=splay,
        skip_offline=skip_offline,
        when_online=None if when_online is None else length(when_online, "--when-online"),
        dry_run=dry_run,
        journal=journal,
    )
    async with connected(context) as trmm:
        chosen = await script_named(trmm, script)
        targets = [] if file and not names else await agents_where(trmm, where, names)
        if not targets:
            raise CommandError(Exit.FAILED, "no agent matches; nothing was run")
        # What is wrong with the settings is said here, and not once the question was answered.
        job = trmm.fleet.run_script(targets, chosen, args=args or (), **settings)
        confirm(f"run {chosen.name} on", list(labels(targets).values()), yes=yes or dry_run)
        hosts = labels(targets, for_people=output.for_people)
        following = Following(output, hosts, good, None if dry_run else journal)
        code = await following.follow(job)
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


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise usage(f"--env is NAME=VALUE, not {text!r}")
    return name, value
