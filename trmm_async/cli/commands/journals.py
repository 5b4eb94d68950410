"""`trmm resume`, `trmm results`, `trmm runs`: what to do with the journals of runs."""

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

import trmm_async as sdk
from trmm_async.addresses import same_server
from trmm_async.cli.columns import Column
from trmm_async.cli.exits import CommandError, Exit, usage
from trmm_async.cli.files import output_file
from trmm_async.cli.fleet_actions import place_of
from trmm_async.cli.listing import Found, Listing, lists
from trmm_async.cli.options import DO, LOOK, SuccessOfRun, Yes, examples
from trmm_async.cli.outcome_form import OutcomeForm, tells
from trmm_async.cli.output import say
from trmm_async.cli.report import Tally, print_groups, print_outcome, row, summary, verdict
from trmm_async.cli.run_follower import RunFollower
from trmm_async.cli.selection import confirm, labels
from trmm_async.cli.session import client_of, connected, login_of, runs
from trmm_async.cli.text import ago
from trmm_async.cli.values import choice, codes

__all__ = ["add_to"]

_WITH_CODES: Final = frozenset({"script", "code"})
"""The kinds of runs whose results have return codes."""
RETRIES: Final = ("failed", "unknown", "skipped")
File = Annotated[
    str,
    typer.Argument(
        metavar="JOURNAL", help="The file, or postgresql://HOST/DATABASE?run=NAME, as of --journal."
    ),
]
_RUNS: Final[tuple[Column[Any], ...]] = (
    Column("Run", lambda run: run.run, names=True, differs=True),
    Column("Kind", lambda run: run.kind),
    Column("Begun", lambda run: ago(run.created)),
    Column("Targets", lambda run: run.counts.total),
    Column("Done", lambda run: run.counts.done),
    Column("Failed", lambda run: run.counts.failed),
    Column("Unknown", lambda run: run.counts.unknown),
    Column("Skipped", lambda run: run.counts.skipped),
    Column("Pending", lambda run: run.counts.pending),
    Column("In progress", lambda run: run.under_way),
    Column("Server", lambda run: run.server, wide=True),
    Column("Stopped", lambda run: run.stopped, wide=True),
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    hint = examples("trmm resume tuesday.db", "trmm resume tuesday.db --retry failed --retry skipped")
    app.command("resume", rich_help_panel=DO, epilog=hint)(resume)
    hint = examples(
        "trmm results tuesday.db",
        "trmm results tuesday.db -o csv > tuesday.csv",
        "trmm results tuesday.db --html tuesday.html",
    )
    app.command("results", rich_help_panel=LOOK, epilog=hint)(results)
    hint = examples("trmm runs postgresql://db.internal/trmm")
    app.command("runs", rich_help_panel=LOOK, epilog=hint)(list_runs)


@runs
@tells
async def resume(
    context: typer.Context,
    journal: File,
    retry: Annotated[
        list[str] | None,
        typer.Option(
            "--retry",
            metavar="KIND",
            help="Also run again those that failed, are unknown, or skipped; may be repeated.",
            autocompletion=lambda: RETRIES,
        ),
    ] = None,
    success: SuccessOfRun = None,
    forgive: Annotated[
        bool,
        typer.Option(
            "--forgive",
            help="Continue although a canary failed, or more than --max-failures.",
            rich_help_panel="How carefully",
        ),
    ] = False,
    yes: Yes = False,
    *,
    form: OutcomeForm,
) -> int:
    """Continue a run from its journal: after a crash, or to retry some targets.

    Any number of hosts may continue a run in a database at once; they share the work. No target is run
    twice unless --retry says so. Targets that were in progress are looked up, if the server can tell. A run
    that its canary or --max-failures has stopped stays stopped, without --retry failed or --forgive.
    --success applies to what is run now. What ran before keeps its judgement, for --retry as well.
    """
    kinds, place = _kinds(retry or ()), place_of(journal)
    async with await sdk.Journal.read(place) as book, book.still():
        is_shared = book.shared is not None
        order, again = book.order, await book.to_run(kinds)
        before = set(await book.successes())
    given = _success_of(order, success)
    if is_shared and given is not None:
        raise usage("--success: all hosts judge by the --success that this run was begun with")
    judge = given
    if judge is None and order.kind in _WITH_CODES and not is_shared:
        judge = frozenset(code for code in _codes_of(order) | before if code is not None)
    good = {*before, *(judge if isinstance(judge, frozenset) else _codes_of(order))}
    async with connected(context) as trmm:
        agents = await trmm.agents.list()
        names, files = labels(agents, for_people=form.in_words), form.files(labels(agents, for_people=False))
        if len(again) > 1 and not yes:
            doing = await _doing(trmm, order)
            confirm(doing, [names.get(each, each) for each in again], yes=yes)
        job = trmm.fleet.resume(place, retry=kinds, success=judge, forgive=forgive)
        code = await RunFollower(form, names, good, place, files, live=order.kind == "command").follow(job)
    if job.stopped and code in {Exit.FAILED, Exit.UNKNOWN} and not forgive:
        say("--retry failed tries those again that failed; --forgive goes on without them")
    return code


async def _doing(trmm: "sdk.TRMM", order: Any) -> str:
    """What the run does, for the question."""
    match order.kind:
        case "command":
            return f"run {order.command!r} on"
        case "code":
            return f"run {order.shell} code on"
        case "patches":
            return "look for updates on" if order.patches == "scan" else "install approved updates on"
    return f"run {await _script_name(trmm, order.script)} on"


async def _script_name(trmm: "sdk.TRMM", script: int) -> str:
    """The name of the script, for the question; or its id, if the name can't be read."""
    try:
        found = [each.name for each in await trmm.scripts.list() if each.id == script]
    except sdk.TRMMError:
        found = []
    return found[0] if found else f"script {script}"


def _kinds(names: Collection[str]) -> Any:
    return tuple(choice(name, "--retry", RETRIES) for name in names)


def _success_of(order: Any, text: str | None) -> frozenset[int] | str | None:
    """The value of --success for a run of this kind: return codes, or a text that a command prints."""
    if text is None:
        return None
    if order.kind in _WITH_CODES:
        return codes(text, "--success")
    if order.kind == "command":
        return text
    raise usage("--success can't be given for patches: the server answers only that it accepted the order")


def _codes_of(order: Any) -> set[int | None]:
    """The return codes that are successes, as the run was started; {None} for a run without return codes."""
    if order.kind not in _WITH_CODES:
        return {None}
    return {*order.success} if isinstance(order.success, tuple) else {0}


@runs
@tells
async def results(
    context: typer.Context,
    journal: File,
    success: Annotated[
        str | None,
        typer.Option(
            "--success",
            metavar="CODE,…|TEXT",
            help="Judge by these return codes, or by what a command printed, and not as the run did.",
            rich_help_panel="How carefully",
        ),
    ] = None,
    ids: Annotated[
        bool, typer.Option("--ids", help="Show agents' ids, and don't ask the server for their names.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="PATH",
            help="Write a self-contained HTML report, for a browser or a mail.",
            rich_help_panel="Output",
        ),
    ] = None,
    *,
    form: OutcomeForm,
) -> int:
    """Show the results of a run from its journal; also while it is in progress.

    The exit code is that of the run; pending agents count as unknown.
    """
    if html is not None and not form.in_words:
        raise usage("--html writes a file, and is a format too: choose one")
    from trmm_async.fleet.reports import Grouping

    async with await sdk.Journal.read(place_of(journal)) as book:
        given = _success_of(book.order, success)
        agents = [] if ids else await _agents(context, book.order.server)
        names = labels(agents, for_people=form.in_words)
        files = form.files(labels(agents, for_people=False))
        async with book.still():
            counts, in_flight = await book.counts(), len(await book.in_flight())
            successes, tally = await book.successes(), Tally(given if isinstance(given, str) else "")
            kinds = given if isinstance(given, frozenset) else frozenset(successes)
            grouping = Grouping() if html is not None or (form.in_words and not form.as_they_come) else None
            with form.stream() as emit:
                async for outcome in book.outcomes():
                    tally.add(outcome)
                    if grouping is not None:
                        grouping.add(outcome)
                    if grouping is None or files is not None:
                        line = row(outcome, names)
                        emit(line)
                        if form.in_words and form.as_they_come:
                            print_outcome(line, kinds)
                        if files is not None:
                            files.write(line)
            if html is not None and grouping is not None:
                _write_page(html, grouping.groups(), counts, agents, book.order, kinds)
            elif grouping is not None:
                print_groups(grouping.groups(), names, kinds)
    if isinstance(given, frozenset):
        successes = {code: count for code, count in tally.codes.items() if code in given}
    succeeded = tally.printed if isinstance(given, str) else sum(successes.values())
    say(summary(counts, succeeded, tally.worst, in_flight=in_flight))
    code = verdict(counts, succeeded, refused=tally.refused)
    return Exit.UNKNOWN if counts.pending else code


@runs
@lists
async def list_runs(
    url: Annotated[str, typer.Argument(metavar="URL", help="The database: postgresql://HOST/DATABASE.")],
    *,
    form: Listing,
) -> None:
    """List the runs in a PostgreSQL database, newest first."""

    async def read() -> Found:
        return Found(await sdk.Journal.runs(url))

    await form.show(read, lambda _: _RUNS, sdk.StoredRun, none="no runs", name=lambda run: run.run)


def _write_page(
    path: Path,
    groups: "list[sdk.Group]",
    counts: "sdk.Counts",
    agents: "list[sdk.Agent]",
    order: Any,
    good: frozenset[int | None],
) -> None:
    from trmm_async.fleet.page import page

    what = order.command or (f"{order.patches} patches" if order.patches else f"script {order.script}")
    now = datetime.now().astimezone()
    text = page(groups, counts, agents, title=what, when=now, good=good | {None})
    with output_file(path) as aside:
        aside.write_text(text, encoding="utf-8")
    say(f"{path} is written: open it in a browser")


async def _agents(context: typer.Context, server: str) -> "list[sdk.Agent]":
    """The agents, if the server can be asked without asking the user for a key. Else none, with a message."""
    try:
        login = login_of(context, may_ask=False)
        if not same_server(login.settings.url, server):
            raise usage(f"the run was on {server}")
        async with client_of(login.settings, login.key.value, retries=0) as trmm:
            return await trmm.agents.list()
    except (CommandError, sdk.TRMMError) as error:
        say(f"without host names: {error}")
        return []
