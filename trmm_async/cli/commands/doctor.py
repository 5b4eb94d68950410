"""`trmm doctor`."""

import typer

from trmm_async.cli.doctor import Finding, examine
from trmm_async.cli.exits import Exit
from trmm_async.cli.forms import Showing, shows
from trmm_async.cli.options import SET_UP, examples
from trmm_async.cli.output import STYLES, hanging
from trmm_async.cli.session import login_of, runs
from trmm_async.cli.text import clean, one_line

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    hint = examples("trmm doctor", "trmm doctor --profile lab --json")
    app.command("doctor", rich_help_panel=SET_UP, epilog=hint)(doctor)


@runs
@shows
async def doctor(context: typer.Context, *, form: Showing) -> int:
    """Check whether the server answers, which kind it is, and what the key may do.

    It also checks the certificate, the clock, the Redis server of shared limits, and the server of a relay,
    if TRMM_RELAY names one. It only reads, with about ten requests.
    """
    findings = []
    with form.stream(("what", "state", "text")) as emit:
        async for finding in examine(login_of(context)):
            findings.append(finding)
            if form.in_words:
                _show(finding)
            emit({"what": finding.what, "state": finding.state, "text": finding.text})
    return _verdict(findings)


def _verdict(findings: list[Finding]) -> Exit:
    if any(finding.refused for finding in findings):
        return Exit.REFUSED
    return Exit.FAILED if any(finding.state == "bad" for finding in findings) else Exit.OK


def _show(finding: Finding) -> None:
    from rich.text import Text

    head = Text(f"{finding.what:<9}", style="bold", end="")
    mark = Text(f"{finding.state:<8}", style=STYLES[finding.state], end="")
    hanging(head + mark, one_line(clean(finding.text)))
