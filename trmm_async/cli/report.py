"""What became of a run, for people and for programs.

Below: `printing`. Above: the commands. Identical output is put together, the largest group first, as
`clush -b` does.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import trmm_async as sdk
from trmm_async.cli.exits import Exit
from trmm_async.cli.printing import plain, say, screen
from trmm_async.cli.text import clean, folded

__all__ = ["counted", "print_groups", "row", "summarise", "verdict"]

_RULE: Final = "-" * 15
_REFUSALS: Final = ("AuthenticationError", "PermissionDeniedError")


@dataclass(frozen=True)
class _Kind:
    """What a group has in common: which end it came to, and what was said."""

    rank: int
    title: str
    style: str
    text: str


def row(outcome: Any, names: Mapping[str, str]) -> dict[str, Any]:
    """One outcome for programs."""
    told = {
        "agent_id": outcome.agent_id,
        "hostname": names.get(outcome.agent_id),
        "outcome": type(outcome).__name__.lower(),
    }
    return told | {name: plain(getattr(outcome, name, None)) for name in ("result", "error", "reason")}


def print_groups(outcomes: Iterable[Any], names: Mapping[str, str]) -> None:
    """The groups of hosts that said the same, the largest first; those with trouble after the others."""
    groups: dict[_Kind, list[str]] = defaultdict(list)
    for outcome in outcomes:
        groups[_kind(outcome)].append(names.get(outcome.agent_id, outcome.agent_id))
    ordered = sorted(groups.items(), key=lambda group: (group[0].rank, -len(group[1]), min(group[1])))
    for kind, hosts in ordered:
        _print_group(kind, hosts)


def _print_group(kind: _Kind, hosts: Sequence[str]) -> None:
    from rich.text import Text

    terminal = screen()
    head = Text(clean(folded(hosts)), style="bold", end="")
    terminal.print(_RULE)
    terminal.print(head + Text(f" ({len(hosts)}) ", style="not bold") + Text(kind.title, style=kind.style))
    terminal.print(_RULE)
    if kind.text:
        terminal.print(Text(kind.text.rstrip("\n")))


def _kind(outcome: Any) -> _Kind:
    match outcome:
        case sdk.Done(result=result):
            said = "\n".join(part.rstrip() for part in (result.stdout, result.stderr) if part.strip())
            style = "green" if result.ok else "yellow"
            return _Kind(0 if result.ok else 1, f"return code {result.retcode}", style, clean(said))
        case sdk.Failed(error=error):
            return _Kind(2, "did not run", "red", clean(_without_agent(error, outcome.agent_id)))
        case sdk.Unknown(error=error):
            return _Kind(3, "may have run", "magenta", clean(_without_agent(error, outcome.agent_id)))
    return _Kind(4, "not tried", "dim", clean(outcome.reason))


def _without_agent(error: Exception, agent_id: str) -> str:
    """The error's words without the agent's id, which would keep the same words apart."""
    return str(error).replace(agent_id, "…")


def counted(counts: "sdk.Counts") -> str:
    """The counts while a run is under way."""
    told = {"failed": counts.failed, "unknown": counts.unknown, "skipped": counts.skipped}
    return ", ".join([f"{counts.done} done", *(f"{count} {name}" for name, count in told.items() if count)])


def summarise(outcomes: Sequence[Any]) -> None:
    """One line on stderr: how many came to which end."""
    words = [f"{count} {name}" for name, count in _tally(outcomes).items() if count]
    say(f"{len(outcomes)} agent{'s' * (len(outcomes) != 1)}: {', '.join(words) or 'nothing to do'}")


def _tally(outcomes: Sequence[Any]) -> dict[str, int]:
    tally = dict.fromkeys(("succeeded", "with another return code", "failed", "unknown", "skipped"), 0)
    for outcome in outcomes:
        name = type(outcome).__name__.lower()
        if name == "done":
            name = "succeeded" if outcome.result.ok else "with another return code"
        tally[name] += 1
    return tally


def verdict(outcomes: Sequence[Any]) -> Exit:
    """The exit code: what is unknown goes before what was refused, and that before what failed."""
    tally = _tally(outcomes)
    if tally["unknown"]:
        return Exit.UNKNOWN
    refusals = tuple(getattr(sdk, name) for name in _REFUSALS)
    if any(isinstance(getattr(outcome, "error", None), refusals) for outcome in outcomes):
        return Exit.REFUSED
    return Exit.OK if tally["succeeded"] == len(outcomes) else Exit.FAILED
