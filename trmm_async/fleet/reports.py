"""What came of a run, for people and for programs: groups of like outcomes, JSON Lines, CSV. Pure.

Over `outcomes`. Everything works on any iterable of outcomes: a run's, or a journal's.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from trmm_async import codec
from trmm_async.errors import AgentSilentError, APIError, TRMMError
from trmm_async.outcomes import Done, Failed, Outcome, Skipped, Unknown

__all__ = ["Group", "Grouping", "as_csv", "as_jsonl", "as_row", "groups_of", "report"]

_KINDS: Final = {Done: "done", Failed: "failed", Unknown: "unknown", Skipped: "skipped"}
_COLUMNS: Final = ("agent_id", "outcome", "retcode", "execution_time", "stdout", "stderr", "error", "reason")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(slots=True)
class Group:
    """Targets with the same outcome: for those that ran, the same return code and the same output.

    Attributes:
        kind: "done", "failed", "unknown" or "skipped".
        retcode: of those that ran.
        output: what they printed, stdout and then stderr; for others, why in words.
        agent_ids: who they are, in the order of completion.
    """

    kind: str
    retcode: int | None
    output: str
    agent_ids: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.agent_ids)


class Grouping:
    """Folds outcomes into groups as they come: keeps each text once, and of a target only its id."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, int | None, str], Group] = {}

    def add(self, outcome: Outcome) -> None:
        """Put one outcome to its like."""
        kind, retcode, output = _key(outcome)
        group = self._groups.setdefault((kind, retcode, output), Group(kind, retcode, output))
        group.agent_ids.append(outcome.agent_id)

    def groups(self) -> list[Group]:
        """The groups, the largest first; those of one size in an order that is the same each time."""
        return sorted(
            self._groups.values(),
            key=lambda group: (-len(group), group.kind, group.retcode or 0, group.output),
        )

    @property
    def worst(self) -> int | None:
        """The return code of the worst kind: the largest by size; None if nothing has ended with one."""
        codes = [code for _, code, _ in self._groups if code is not None]
        return max(codes, key=abs, default=None)


def groups_of(outcomes: Iterable[Outcome]) -> list[Group]:
    """Outcomes folded into groups of the same output and return code, the largest first."""
    grouping = Grouping()
    for outcome in outcomes:
        grouping.add(outcome)
    return grouping.groups()


def report(groups: Iterable[Group], names: Mapping[str, str] | None = None) -> str:
    """The groups as text, as `clush -b` shows them: which hosts, and what all of them printed.

    Control characters in what they printed are left out: they could rewrite the terminal that shows it.

    Args:
        groups: see `groups_of`.
        names: what to call an agent, by its id; its id where there is none.
    """
    return "\n".join(_paragraph(group, names or {}) for group in groups)


def as_row(outcome: Outcome) -> dict[str, Any]:
    """An outcome as one flat row; what it has not is None."""
    row: dict[str, Any] = dict.fromkeys(_COLUMNS)
    row |= {"agent_id": outcome.agent_id, "outcome": _KINDS[type(outcome)]}
    match outcome:
        case Done(result=result):
            row |= {"retcode": result.retcode, "execution_time": result.execution_time}
            row |= {"stdout": result.stdout, "stderr": result.stderr}
        case Failed(error=error) | Unknown(error=error):
            row |= {"error": type(error).__name__, "reason": str(error)}
        case Skipped(reason=reason):
            row["reason"] = reason
    return row


def as_jsonl(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """One line of JSON for each outcome, with its line end."""
    for outcome in outcomes:
        yield codec.encode(as_row(outcome)).decode() + "\n"


def as_csv(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Lines of CSV with a header, each with its line end; an output of several lines is one field.

    A field that a spreadsheet would take for a formula begins with an apostrophe.
    """
    yield _csv_line(_COLUMNS)
    for outcome in outcomes:
        row = as_row(outcome)
        yield _csv_line(_harmless(row[column]) for column in _COLUMNS)


def _csv_line(values: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()


def _harmless(value: object) -> object:
    # What a script printed is not to be run by whoever opens the table.
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _key(outcome: Outcome) -> tuple[str, int | None, str]:
    kind = _KINDS[type(outcome)]
    match outcome:
        case Done(result=result):
            return kind, result.retcode, result.stdout + result.stderr
        case Failed(error=error) | Unknown(error=error):
            return kind, None, _words(error).replace(outcome.agent_id, "<agent>")
        case Skipped(reason=reason):
            return kind, None, reason


def _words(error: TRMMError) -> str:
    """What is the same for all agents that it happened to."""
    name = type(error).__name__
    if isinstance(error, AgentSilentError):
        return f"{name}: {error.reason}"
    if isinstance(error, APIError):
        return f"{name}: {error.status} {error.detail}"
    return f"{name}: {getattr(error, 'message', error)}"


def _paragraph(group: Group, names: Mapping[str, str]) -> str:
    hosts = ", ".join(sorted(names.get(agent_id, agent_id) for agent_id in group.agent_ids))
    code = "" if group.retcode is None else f", return code {group.retcode}"
    rule, output = "-" * 15, _CONTROL.sub("", group.output).rstrip()
    return f"{rule}\n{hosts} ({len(group)}: {group.kind}{code})\n{rule}\n{output}\n"
