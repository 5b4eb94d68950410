"""`ConfigPlan`: the steps that `apply` would do, as a value and as text. Pure."""

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
    """One step of a plan: create, change or delete an object.

    Attributes:
        action: "create", "change" or "delete".
        kind: the kind of the object.
        name: its name.
        handle: the file that it comes from.
        id: its id on the server; None for an object that is to be created.
        before: its content now; None for an object that is to be created.
        after: its content afterwards; None for an object that is to be deleted.
        changes: the names of the fields that differ.
        owner: the name of the object that it belongs to.
        seen: the row of the server that the plan is based on.
        owner_handle: the file of the object that it belongs to.
        alike: the ids of other objects that had the same name already.
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
        """The step on one line, such as "~ script 'Clear-Temp'"."""
        of = f" of {self.owner!r}" if self.owner is not None else ""
        return one_line(clean(f"{_SIGNS[self.action]} {KINDS[self.kind].word} {self.name!r}{of}"))

    def to_dict(self) -> dict[str, Any]:
        """The step in the types of JSON, without secrets."""
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
    """The object of a file: its id, and its name on the server."""

    id: int
    name: str


@dataclass(frozen=True, kw_only=True)
class ConfigPlan:
    """What `apply` would do, in this order. `str(plan)` shows it with all differences, and without secrets.

    Attributes:
        server: the server's address.
        steps: the steps. If there are none, the server is as the folder says.
        would_delete: objects that `apply` created and that have no file any more. They are only deleted with
            `delete=True`.
        findings: oddities on the server: objects without a name, references to missing objects, objects that
            no file can describe.
        unmanaged: how many objects have no file, by their kinds. They are left alone.
        ids: the ids of objects by their names, by kinds.
        matches: the objects that the files describe, by their handles.
        places: the position of each object among those of its kind, by its handle.
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
    """The plan as text for people, with all differences. Safe for a terminal."""
    lines: list[str] = []
    for step in plan.steps:
        lines += [step.title, *_differences(step)]
    lines += [f"{step.title}: would delete" for step in plan.would_delete]
    lines += [f"! {one_line(clean(finding))}" for finding in plan.findings]
    if plan.unmanaged:
        unmanaged = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in plan.unmanaged.items())
        lines.append(f"left alone: {unmanaged}")
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
