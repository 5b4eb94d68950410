"""What came of a run, for people and for programs: groups of like outcomes, JSON Lines, CSV. Pure.

Over `outcomes`. Everything works on any iterable of outcomes: a run's, or a journal's.
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
    r'(?m)(?:^|(?<=[\t,;|]))(?=[ "]*[=+@\-\uff1d\uff0b\uff20\uff0d])(?![-=+]+$)'  # a rule is no formula
)


@dataclass(slots=True)
class Group:
    """Targets with the same outcome: for those that ran, the same return code and the same output.

    Attributes:
        kind: "done", "failed", "unknown" or "skipped".
        retcode: of those that ran.
        output: what they printed, stdout and then stderr; for others, why in words. Where the texts of all
            groups are more than 16 million letters, those that came last say only that they are not kept.
        agent_ids: who they are, in the order of completion.
        kept: whether `output` is what they printed.
        seconds: how long it took each of them, in the order of `agent_ids`; not a number where it isn't told.
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
    """Folds outcomes into groups as they come: keeps each text once, and of a target only its id.

    Texts are kept up to `room` letters in all, those that came later only as digests: where each target
    prints something else, a run would otherwise hold all of it in memory.
    """

    def __init__(self, room: int = _HELD_MOST) -> None:
        self._kept: dict[_Key, Group] = {}
        self._digests: dict[bytes, Group] = {}
        self._room = room

    def add(self, outcome: Outcome[Any]) -> None:
        """Put one outcome to its like."""
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
        """The groups, the largest first; those of one size in an order that is the same each time."""
        kept = [(group, b"") for group in self._kept.values()]
        ordered = sorted(
            [*kept, *((group, digest) for digest, group in self._digests.items())],
            key=lambda pair: (-len(pair[0]), pair[0].kind, pair[0].retcode or 0, pair[0].output, pair[1]),
        )
        return [group for group, _ in ordered]

    @property
    def worst(self) -> int | None:
        """The return code of the worst kind: the largest by size; None if nothing has ended with one."""
        groups = (*self._kept.values(), *self._digests.values())
        codes = [group.retcode for group in groups if group.retcode is not None]
        return max(codes, key=abs, default=None)


def groups_of(outcomes: Iterable[Outcome[Any]]) -> list[Group]:
    """Outcomes folded into groups of the same output and return code, the largest first."""
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
    """An outcome as one flat row; what it has not is None. What a call of `map` returned is `stdout`."""
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

    Whatever a spreadsheet could take for a formula has an apostrophe before it, in the middle of a
    field, too: with another list separator than the comma cells begin there. `as_jsonl` leaves texts alone.
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
    """What a call returned, to hold it against what others did: a word or a number, else only its type.

    The texts of all targets of a run are looked at while it goes on: none is made for that.
    """
    if result is None or isinstance(result, str | int | float):
        return _text(result)
    return f"({type(result).__name__})"


def _text(result: object) -> str:
    """What a call returned, as text: as it is if it is one, else as JSON; else as Python shows it."""
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
    """The name of an error's class; of one that a journal has, of what it was then."""
    return (error.kind if isinstance(error, RecordedError) else "") or type(error).__name__


def _words(error: TRMMError) -> str:
    """What is the same for all agents that it happened to."""
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
