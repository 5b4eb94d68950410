"""The words in which replays are told: an operation, and why our request is another than the recorded one."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.recorded import Recording

Ask = Callable[..., Any]
"""(the recording, the groups of its path) -> what our dialect makes of the same intent."""


def has(told: Recording) -> dict[str, Any]:
    """What a recorded body has; of a body that is no object nothing."""
    return told.sent if isinstance(told.sent, dict) else {}


def whole(value: Any) -> int | None:
    return int(value) if re.fullmatch("[0-9]+", str(value)) else None


def texts(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, list) else ()


def names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@dataclass(frozen=True)
class Operation:
    """One request of an operation, which may make several.

    `path` is a pattern; `into` is what its answer becomes, a type or the name of one, or several.
    """

    name: str
    method: str
    path: str
    ask: Ask
    into: object
    names: tuple[str, ...] = field(default=())


def op(name: str, request: str, ask: Ask, into: object, recorded: str = "") -> Operation:
    """An operation; `request` is "METHOD /path/", where `<agent>` and `<id>` are groups of the pattern."""
    method, _, path = request.partition(" ")
    where = path.replace("<agent>", "([A-Za-z0-9]{40}|short)").replace("<id>", "([0-9]+)")
    return Operation(name, method, where, ask, into, names(recorded))


@dataclass(frozen=True)
class But:
    """Why our request is another than the recorded one, and how.

    Attributes:
        body: what our body has in place of the recorded.
        without: what of the recorded body ours has not.
        more: ours has keys besides.
        never: it is a request that we never make of it; only method and path are compared.
    """

    why: str
    body: Mapping[str, Any] | None = None
    without: tuple[str, ...] = ()
    more: bool = False
    never: bool = False

    def fits(self, ours: Any, recorded: Any) -> bool:
        if self.never:
            return True
        wanted = {**(recorded or {}), **(self.body or {})}
        wanted = {key: value for key, value in wanted.items() if key not in self.without}
        if self.more:
            return all(key in ours and ours[key] == value for key, value in wanted.items())
        return bool(ours == wanted)


def never(why: str, recorded: str) -> dict[str, But]:
    return {name: But(why, never=True) for name in names(recorded)}


def differs(why: str, body: Mapping[str, Any], recorded: str) -> dict[str, But]:
    return {name: But(why, body=body) for name in names(recorded)}


def spared(rows: Mapping[str, str]) -> dict[str, str]:
    """Recordings by their names, each with the reason why it is not replayed."""
    reasons: dict[str, str] = {}
    for why, recorded in rows.items():
        for name in names(recorded):
            assert name not in reasons, name
            reasons[name] = why
    return reasons
