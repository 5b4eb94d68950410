"""Fault rules: which request meets which failure, and how often.

Below: `rules.py`. Pure. Above: `front.py` asks it twice about every request, on arrival and before
the answer goes out; `switches.py` is how a test writes the rules.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .rules import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Cut", "Delay", "Effect", "Failure", "Fault", "Faults", "Garbage", "Refusal"]

PROXY_STATUSES = frozenset({502, 503, 504})

CutPoint = Literal["answer", "body", "reset"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Answer with an error status, as a web page (`html`) or in the server's own JSON."""

    status: int
    html: bool
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Garbage:
    """Answer with these very bytes."""

    status: int
    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Cut:
    """Close the connection: before the answer, in the middle of its body, or before it with a reset."""

    at: CutPoint


@dataclass(frozen=True, slots=True)
class Delay:
    """Let time pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """Turn a subscriber away: with an HTTP status, or with a close code after accepting."""

    status: int
    close_code: int | None = None


Effect = Failure | Garbage | Cut | Delay | Refusal


class Fault(Rule):
    """A rule that has been written down, and how often it has struck.

    `hits` counts that. `remove()` takes the rule back; so does leaving the block where it is used as a
    context manager. A rule that has struck `times` times is over.
    """

    def __init__(self, method: str, path: str, effect: Effect, *, times: int | None, after: bool) -> None:
        super().__init__(times)
        self.method: str = method.upper()
        self.path = path
        self.effect = effect
        self.after = after

    def __repr__(self) -> str:
        return f"<Fault {self.method} {self.path} {self.effect} {self.state}>"

    def matches(self, method: str, path: str) -> bool:
        """Tell whether a request is meant: by a part of its path or, with a `*`, by a pattern for it all."""
        if self.method not in {"*", method.upper()}:
            return False
        return fnmatch.fnmatchcase(path, self.path) if "*" in self.path else self.path in path


class Faults:
    """The rules in the order of their writing: the first that matches strikes, the others wait their turn."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Put a rule at the end of the queue and return it."""
        self._rules.append(fault)
        return fault

    def pending(self) -> tuple[Fault, ...]:
        """The rules that are not over."""
        return tuple(rule for rule in self._rules if not rule.over)

    def clear(self) -> None:
        """Take every rule back."""
        for rule in self._rules:
            rule.remove()
        self._rules.clear()

    def take_delay(self, method: str, path: str, *, after: bool) -> float:
        """Return the seconds that a request has to wait at this point, 0.0 for none."""
        effect = self._take(method, path, (Delay,), after=after)
        return effect.seconds if isinstance(effect, Delay) else 0.0

    def take(self, method: str, path: str, *, after: bool) -> Effect | None:
        """Return what a request meets at this point instead of its answer, if anything."""
        return self._take(method, path, (Failure, Garbage, Cut, Refusal), after=after)

    def _take(self, method: str, path: str, kinds: tuple[type[Effect], ...], *, after: bool) -> Effect | None:
        self._rules = [rule for rule in self._rules if not rule.over]
        for rule in self._rules:
            if rule.after is after and isinstance(rule.effect, kinds) and rule.matches(method, path):
                rule.hits += 1
                return rule.effect
        return None
