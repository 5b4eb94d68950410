"""The results of a run, for people and for programs.

Hosts with identical output are grouped, the largest group first, as `clush -b` does.

Below: `output`. Above: `run_follower` and the commands.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import trmm_async as sdk
from trmm_async.cli.exits import Exit
from trmm_async.cli.output import screen
from trmm_async.cli.text import clean, folded, one_line, wrapped
from trmm_async.plaintext import MARGIN, set_apart

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Tally", "counted", "is_refusal", "print_groups", "print_outcome", "row", "summary", "verdict"]

_RULE: Final = "-" * 15
_REFUSALS: Final = ("AuthenticationError", "PermissionDeniedError")
_TITLES: Final = {
    "failed": ("did not run", "red"),
    "unknown": ("may have run", "magenta"),
    "skipped": ("not tried", "yellow"),
}


def row(outcome: "sdk.Outcome", names: Mapping[str, str]) -> dict[str, Any]:
    """One outcome as a row for programs: as the SDK exports it, with the host's name."""
    from trmm_async.fleet.reports import as_row

    told = as_row(outcome)
    return {"agent_id": told["agent_id"], "hostname": names.get(told["agent_id"]), **told}


class Tally:
    """Counts outcomes that are not kept in memory.

    Args:
        text: a text that is counted in what commands print.

    Attributes:
        codes: how many outcomes have each return code.
        printed: how many commands have printed the text.
        refused: whether the server refused the key.
    """

    def __init__(self, text: str = "") -> None:
        self._text = text
        self.codes: Counter[int | None] = Counter()
        self.printed: int = 0
        self.refused: bool = False

    def add(self, outcome: "sdk.Outcome") -> None:
        """Count an outcome."""
        if isinstance(outcome, sdk.Done):
            self.codes[code_of(outcome)] += 1
            self.printed += self._text in getattr(outcome.result, "output", "")
        self.refused = self.refused or is_refusal(outcome)

    @property
    def worst(self) -> int | None:
        """The return code with the largest absolute value; None if there is none."""
        return max((code for code in self.codes if code is not None), key=abs, default=None)


def code_of(done: "sdk.Done[Any]") -> int | None:
    """The return code of a script or a command; None for results without one."""
    return getattr(done.result, "retcode", getattr(done.result, "exit_code", None))


def is_refusal(outcome: "sdk.Outcome") -> bool:
    """Whether the server refused the key."""
    error = getattr(outcome, "error", None)
    return getattr(error, "kind", type(error).__name__) in _REFUSALS


def print_groups(
    groups: Iterable["sdk.Group"], names: Mapping[str, str], codes: Collection[int | None] = (0,)
) -> None:
    """Print the groups of hosts with the same output, the largest first.

    Args:
        groups: see `FleetRun.groups`.
        names: host names, by agents' ids.
        codes: the return codes that are successes.
    """
    named = [(sorted(names.get(each, each) for each in group.agent_ids), group) for group in groups]
    for hosts, group in sorted(named, key=lambda pair: (-len(pair[0]), pair[0])):
        _print_group(hosts, group, codes)


def _print_group(hosts: list[str], group: "sdk.Group", codes: Collection[int | None]) -> None:
    from rich.text import Text

    code_style = "green" if group.retcode in codes else "yellow"
    code = "done" if group.retcode is None else f"return code {group.retcode}"
    title, style = _TITLES.get(group.kind, (code, code_style))
    terminal = screen()
    names = clean(folded(hosts))
    if terminal.is_terminal:
        names = wrapped(names, terminal.width)
    terminal.print(_RULE)
    head = Text(names, style="bold", end="") + Text(f" ({len(hosts)}) ", style="not bold")
    terminal.print(head + Text(title, style=style), soft_wrap=not terminal.is_terminal)
    terminal.print(_RULE)
    if group.output.strip():
        _print_output(terminal, set_apart(group.output))


def print_outcome(line: Mapping[str, Any], codes: Collection[int | None] = (0,)) -> None:
    """Print one outcome when it comes. Its host is before each line, so that no output can pass as another's.

    Args:
        line: the outcome as a row.
        codes: the return codes that are successes.
    """
    from rich.text import Text

    terminal = screen()
    host = one_line(clean(str(line["hostname"] or line["agent_id"])))
    output = clean(f"{line['stdout'] or ''}{line['stderr'] or ''}").rstrip()
    said = [(each, "") for each in output.split("\n")] if output else []
    if line["outcome"] != "done":
        title, style = _TITLES[line["outcome"]]
        why = one_line(clean(": ".join(filter(None, (line["error"], line["reason"])))))
        said.append((f"{title}: {why}", style))
    elif line["retcode"] not in codes and line["retcode"] is not None:
        said.append((f"return code {line['retcode']}", "yellow"))
    elif not said:
        said.append(("done", "green"))
    head = Text(f"{host}: ", style="bold", end="")
    with terminal.capture() as shown:
        for text, style in said:
            terminal.print(head + Text(text, style=style or "not bold"))
    # By `print`, since a progress bar only leaves room for that, and not for what rich's consoles write.
    print(shown.get(), end="", flush=True)


def _print_output(terminal: "Console", output: str) -> None:
    """Print an output. One with a margin is wrapped here: a terminal would wrap it without the margin."""
    from rich.cells import chop_cells
    from rich.text import Text

    if terminal.is_terminal and output.startswith(MARGIN):
        room = max(terminal.width - len(MARGIN), 1)
        lines = (line.removeprefix(MARGIN).expandtabs() for line in output.split("\n"))
        output = "\n".join(f"{MARGIN}{part}" for line in lines for part in chop_cells(line, room) or [""])
    terminal.print(Text(output))


def counted(counts: "sdk.Counts") -> str:
    """The counts of a run in progress, in a few words."""
    told = {"failed": counts.failed, "unknown": counts.unknown, "skipped": counts.skipped}
    return ", ".join([f"{counts.done} done", *(f"{count} {name}" for name, count in told.items() if count)])


def summary(counts: "sdk.Counts", succeeded: int, worst: int | None, *, in_flight: int = 0) -> str:
    """The counts of a run, in one line.

    Args:
        counts: the counts.
        succeeded: how many of those that are done.
        worst: the worst return code; None if there are no return codes.
        in_flight: how many of the pending ones were started, and have no outcome.
    """
    # Commands on many agents have no return codes: they are judged by what they print.
    otherwise = "without success" if worst is None else f"with another return code (the worst is {worst})"
    ends = {
        "succeeded": succeeded,
        otherwise: counts.done - succeeded,
        "failed": counts.failed,
        "unknown": counts.unknown,
        "skipped": counts.skipped,
        "pending": counts.pending - in_flight,
        "in flight": in_flight,
    }
    words = ", ".join(f"{count} {name}" for name, count in ends.items() if count)
    return f"{counts.total} agent{'s' * (counts.total != 1)}: {words or 'nothing to do'}"


def verdict(counts: "sdk.Counts", succeeded: int, *, refused: bool = False) -> Exit:
    """The exit code. Unknown outcomes take precedence over a refused key, and that over failures."""
    if counts.unknown:
        return Exit.UNKNOWN
    if refused:
        return Exit.REFUSED
    return Exit.OK if succeeded == counts.total else Exit.FAILED
