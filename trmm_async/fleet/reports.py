"""The outcomes of a run for people and for programs: groups of equal outcomes, JSON Lines, CSV. Pure.

Everything takes any iterable of outcomes: those of a run, or of a journal.
"""

import csv
import hashlib
import io
import math
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from trmm_async import codec
from trmm_async.errors import AgentSilentError, APIError, RecordedError, TRMMError
from trmm_async.models import CommandResult, ScriptResult
from trmm_async.outcomes import Done, Failed, Outcome, Skipped, Unknown
from trmm_async.plaintext import clean, comparable, one_line, set_apart, without_formulas

__all__ = ["Group", "Grouping", "as_csv", "as_jsonl", "as_row", "groups_of", "report"]

_KINDS: Final = {Done: "done", Failed: "failed", Unknown: "unknown", Skipped: "skipped"}
_COLUMNS: Final = ("agent_id", "outcome", "retcode", "execution_time", "stdout", "stderr", "error", "reason")
_HELD_MOST: Final = 16_000_000
_NOT_HELD: Final = "(what they printed is not kept here: the outcomes differ too much, and are too long)"
_Key: TypeAlias = tuple[str, int | None, str]
_CELL_START: Final = re.compile(
    r'(?m)(?:^|(?<=[\t,;|]))(?=[ "]*[=+@\-\uff1d\uff0b\uff20\uff0d])(?![-=+]+$)'  # dashes are no formula
)


@dataclass(slots=True)
class Group:
    """Targets with the same outcome: for those that ran, the same return code and the same output.

    Attributes:
        kind: "done", "failed", "unknown" or "skipped".
        retcode: the return code of targets that ran.
        output: the output of targets that ran, stdout and then stderr; for others, the reason. If the texts
            of all groups have more than 16 million characters, those of later groups are not kept.
        agent_ids: the targets, in the order of completion.
        kept: whether `output` was kept; otherwise it only says that it was not.
        seconds: the execution time of each target, in the order of `agent_ids`; NaN if it is not known.
    """

    kind: str
    retcode: int | None
    output: str
    agent_ids: list[str] = field(default_factory=list)
    kept: bool = True
    seconds: "array[float]" = field(default_factory=lambda: array("d"), repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.agent_ids)


class Grouping:
    """Groups outcomes as they arrive. It keeps each text once, and only the id of each target.

    Texts are kept up to `room` characters in all, and later ones only as digests. Otherwise, if each target
    prints something different, a run would hold all of it in memory.
    """

    def __init__(self, room: int = _HELD_MOST) -> None:
        self._kept: dict[_Key, Group] = {}
        self._digests: dict[bytes, Group] = {}
        self._room = room

    def add(self, outcome: Outcome[Any]) -> None:
        """Add an outcome to its group."""
        took: float | None = None
        if not isinstance(outcome, Done):
            key = _key(outcome)
        elif type(result := outcome.result) is ScriptResult:
            key = "done", result.retcode, result.stdout + result.stderr
            took = result.execution_time
        elif type(result) is CommandResult:
            key = "done", result.exit_code, result.output
        else:
            key = "done", None, _short(result)
        group = self._kept.get(key)
        if group is None:
            group = self._begin(*key)
        group.agent_ids.append(outcome.agent_id)
        group.seconds.append(math.nan if took is None else took)

    def _begin(self, kind: str, retcode: int | None, output: str) -> Group:
        if len(output) <= self._room:
            self._room -= len(output)
            group = self._kept[kind, retcode, output] = Group(kind, retcode, output)
            return group
        digest = _digest(kind, retcode, output)
        if digest not in self._digests:
            self._digests[digest] = Group(kind, retcode, _NOT_HELD, kept=False)
        return self._digests[digest]

    def groups(self) -> list[Group]:
        """The groups, the largest first; groups of equal size always have the same order."""
        kept = [(group, b"") for group in self._kept.values()]
        ordered = sorted(
            [*kept, *((group, digest) for digest, group in self._digests.items())],
            key=lambda pair: (-len(pair[0]), pair[0].kind, pair[0].retcode or 0, pair[0].output, pair[1]),
        )
        return [group for group, _ in ordered]

    @property
    def worst(self) -> int | None:
        """The return code that is farthest from 0; None if no target has a return code."""
        groups = (*self._kept.values(), *self._digests.values())
        codes = [group.retcode for group in groups if group.retcode is not None]
        return max(codes, key=abs, default=None)


def groups_of(outcomes: Iterable[Outcome[Any]]) -> list[Group]:
    """Group outcomes by identical output and return code, the largest group first."""
    grouping = Grouping()
    for outcome in outcomes:
        grouping.add(outcome)
    return grouping.groups()


def report(groups: Iterable[Group], names: Mapping[str, str] | None = None) -> str:
    """The groups as text, as `clush -b` shows them: which hosts, and what all of them printed.

    Control characters are left out: they could rewrite the terminal that shows it. An output that has a line
    like our rules stands behind a margin, and a line or cell that a spreadsheet would take for a formula
    behind an apostrophe.

    Args:
        groups: see `groups_of`.
        names: what to call an agent, by its id; its id where there is none. A name that several have is told
            with the id.
    """
    told = {agent_id: one_line(clean(name)) for agent_id, name in (names or {}).items()}
    times = Counter(map(comparable, told.values()))
    called = {who: name if times[comparable(name)] == 1 else f"{name} ({who})" for who, name in told.items()}
    return "\n".join(_paragraph(group, called) for group in groups)


def as_row(outcome: Outcome[Any]) -> dict[str, Any]:
    """An outcome as a flat row, with None where it has no value. A result of `map` is in `stdout`."""
    row: dict[str, Any] = dict.fromkeys(_COLUMNS)
    row |= {"agent_id": outcome.agent_id, "outcome": _KINDS[type(outcome)]}
    match outcome:
        case Done(result=ScriptResult() as result):
            row |= {"retcode": result.retcode, "execution_time": result.execution_time}
            row |= {"stdout": result.stdout, "stderr": result.stderr}
        case Done(result=CommandResult() as result):
            row |= {"retcode": result.exit_code, "stdout": result.output}
        case Done(result=result):
            row["stdout"] = _text(result)
        case Failed(error=error) | Unknown(error=error):
            row |= {"error": _class_of(error), "reason": str(error)}
        case Skipped(reason=reason):
            row["reason"] = reason
    return row


def as_jsonl(outcomes: Iterable[Outcome[Any]]) -> Iterator[str]:
    """One line of JSON for each outcome, with its line end."""
    for outcome in outcomes:
        yield codec.encode(as_row(outcome)).decode() + "\n"


def as_csv(outcomes: Iterable[Outcome[Any]]) -> Iterator[str]:
    """Lines of CSV with a header, each with its line end; an output of several lines is one field.

    Whatever a spreadsheet could take for a formula gets an apostrophe before it. That is also done within a
    field, since cells begin there if the spreadsheet uses another list separator. `as_jsonl` changes no text.
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
    # A spreadsheet that opens the table must not run what a script printed.
    if not isinstance(value, str):
        return value
    head = "'" if value.startswith(("\t", "\r")) else ""
    return head + without_formulas(value)


def _key(outcome: Failed | Unknown | Skipped) -> _Key:
    kind = _KINDS[type(outcome)]
    match outcome:
        case Failed(error=error) | Unknown(error=error):
            return kind, None, _words(error).replace(outcome.agent_id, "<agent>")
        case Skipped(reason=reason):
            return kind, None, reason


def _short(result: object) -> str:
    """A short text of a result, by which results are grouped: a text or a number, otherwise only its type.

    It is made for each target during a run, so it must be cheap.
    """
    if result is None or isinstance(result, str | int | float):
        return _text(result)
    return f"({type(result).__name__})"


def _text(result: object) -> str:
    """A result as text: a text as it is, anything else as JSON if possible, otherwise its repr."""
    if result is None or isinstance(result, str):
        return result or ""
    try:
        return codec.encode(result).decode()
    except (TypeError, ValueError):
        return repr(result)


def _digest(kind: str, retcode: int | None, output: str) -> bytes:
    head = f"{kind} {retcode}\n{output}"
    return hashlib.blake2b(head.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _class_of(error: TRMMError) -> str:
    """The name of an error's class; for a `RecordedError`, of the class that was recorded."""
    return (error.kind if isinstance(error, RecordedError) else "") or type(error).__name__


def _words(error: TRMMError) -> str:
    """The part of an error that is the same for all agents with this error."""
    name = _class_of(error)
    if isinstance(error, AgentSilentError):
        return f"{name}: {error.reason}"
    if isinstance(error, APIError):
        return f"{name}: {error.status} {error.detail}"
    return f"{name}: {getattr(error, 'message', error)}"


def _paragraph(group: Group, names: Mapping[str, str]) -> str:
    hosts = ", ".join(sorted(names.get(agent_id) or clean(agent_id) for agent_id in group.agent_ids))
    code = "" if group.retcode is None else f", return code {group.retcode}"
    rule, output = "-" * 15, set_apart(_CELL_START.sub("'", clean(group.output)))
    return f"{rule}\n{hosts} ({len(group)}: {group.kind}{code})\n{rule}\n{output}\n"
