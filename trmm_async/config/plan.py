"""A plan as a value, and in words. Pure."""

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from trmm_async.config.names import Name
from trmm_async.config.objects import Row
from trmm_async.config.specs import plain
from trmm_async.config.table import KINDS
from trmm_async.plaintext import clean, one_line

__all__ = ["ConfigPlan", "Step", "in_words"]

_SIGNS: Final = {"create": "+", "change": "~", "delete": "-"}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do: to create, to change or to delete an object.

    Attributes:
        action: "create", "change" or "delete".
        kind, name: which object; `owner` is the name of what it belongs to.
        id: the server's number for it; None of one that is to be created.
        before, after: how it is, and how it is to be; None where it is not.
        changes: the names of what differs between the two.
        handle: the file that says so.
    """

    action: Literal["create", "change", "delete"]
    kind: str
    name: str
    handle: str
    id: int | None = None
    before: Any = field(default=None, repr=False)
    after: Any = field(default=None, repr=False)
    changes: tuple[str, ...] = ()
    owner: str | None = None
    seen: Row | None = field(default=None, repr=False)
    owner_handle: str | None = field(default=None, repr=False)
    alike: frozenset[int] = field(default=frozenset(), repr=False)

    @property
    def title(self) -> str:
        """The step on one line, as "~ script 'Clear-Temp'"."""
        of = f" of {self.owner!r}" if self.owner is not None else ""
        return one_line(clean(f"{_SIGNS[self.action]} {KINDS[self.kind].word} {self.name!r}{of}"))

    def to_dict(self) -> dict[str, Any]:
        """The step in the types of JSON. What is secret is not in it."""
        return {
            "action": self.action,
            "kind": self.kind,
            "name": self.name,
            "owner": self.owner,
            "id": self.id,
            "file": self.handle,
            "changes": list(self.changes),
            "before": plain(self.before),
            "after": plain(self.after),
        }


@dataclass(frozen=True, kw_only=True)
class Match:
    """What a file is about by its handle: the object's id, and its name on the server."""

    id: int
    name: str


@dataclass(frozen=True, kw_only=True)
class ConfigPlan:
    """What `apply` would do, in this order. `str(plan)` shows it, with what differs; nothing secret is in it.

    Attributes:
        server: its address.
        steps: what is to be done. Nothing: the server is as the folder says.
        would_delete: what `apply` made, and no file is about any more: it stays, since nobody asked for that.
        findings: what is odd on the server: objects without a name, those that refer to what is not there,
            those that no file can say.
        unmanaged: how many objects there are that no file is about, by their kinds. They are left alone.
    """

    server: str
    steps: tuple[Step, ...] = ()
    would_delete: tuple[Step, ...] = ()
    findings: tuple[str, ...] = ()
    unmanaged: Mapping[str, int] = field(default_factory=dict)
    ids: Mapping[str, Mapping[Name, int]] = field(default_factory=dict, repr=False)
    matches: Mapping[str, "Match"] = field(default_factory=dict, repr=False)
    places: Mapping[str, int] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __str__(self) -> str:
        return in_words(self)

    def to_dict(self) -> dict[str, Any]:
        """The plan in the types of JSON."""
        return {
            "server": self.server,
            "steps": [step.to_dict() for step in self.steps],
            "would_delete": [step.to_dict() for step in self.would_delete],
            "findings": list(self.findings),
            "unmanaged": dict(self.unmanaged),
        }


# -- in words ------------------------------------------------------------------------------------------------


def in_words(plan: ConfigPlan) -> str:
    """A plan as people read it, with what differs; safe for a terminal."""
    lines: list[str] = []
    for step in plan.steps:
        lines += [step.title, *_differences(step)]
    lines += [f"{step.title}: would delete" for step in plan.would_delete]
    lines += [f"! {one_line(clean(finding))}" for finding in plan.findings]
    if plan.unmanaged:
        told = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in plan.unmanaged.items())
        lines.append(f"left alone: {told}")
    counts = Counter(step.action for step in plan.steps)
    total = ", ".join(f"{counts[action]} to {action}" for action in ("create", "change", "delete"))
    nothing = (
        "nothing to do without --delete"
        if plan.would_delete
        else "nothing to do: the server is as the folder says"
    )
    lines.append(total if plan.steps else nothing)
    return "\n".join(lines)


def _differences(step: Step) -> Iterable[str]:
    names = step.changes or (step.after.__struct_fields__ if step.action == "create" else ())
    for name in names:
        before = None if step.before is None else plain(getattr(step.before, name))
        after = plain(getattr(step.after, name))
        if step.action == "create" and after in (None, "", [], {}, False):
            continue
        if (
            isinstance(after, str)
            and (isinstance(before, str) or step.before is None)
            and "\n" in f"{before}{after}"
        ):
            yield f"    {name}:"
            old, new = (before or "").splitlines(), after.splitlines()
            for line in list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]:
                yield f"      {clean(line)}"
            if old == new:
                yield "      (line ends differ)"
        elif step.action == "create":
            yield f"    {name}: {_short(after)}"
        else:
            yield f"    {name}: {_short(before)} -> {_short(after)}"


def _short(value: Any) -> str:
    text = one_line(clean(repr(value)))
    return text if len(text) <= 200 else f"{text[:200]}…"
