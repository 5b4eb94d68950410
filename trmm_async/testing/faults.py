"""Fault rules: which request meets which failure, and how often.

Below: nothing, this room is pure. Above: `front.py` asks it twice about every request, on arrival and before
the answer goes out; `switches.py` is how a test writes the rules.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

__all__ = ["Cut", "Delay", "Effect", "Failure", "Fault", "Faults", "Refusal", "Unreadable"]

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
class Unreadable:
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


Effect = Failure | Unreadable | Cut | Delay | Refusal


class Fault:
    """A rule that has been written down, and how often it has struck.

    `hits` counts that. `remove()` takes the rule back; so does leaving the block where it is used as a
    context manager. A rule that has struck `times` times is over.
    """

    def __init__(self, method: str, path: str, effect: Effect, *, times: int | None, after: bool) -> None:
        if times is not None and times < 1:
            msg = f"times must be at least 1, or None for ever, got {times}"
            raise ValueError(msg)
        self.method = method.upper()
        self.path = path
        self.effect = effect
        self.times = times
        self.after = after
        self.hits = 0
        self._removed = False

    def __repr__(self) -> str:
        left = "for ever" if self.times is None else f"{self.times - self.hits} left"
        return f"<Fault {self.method} {self.path} {self.effect} hits={self.hits} {left}>"

    @property
    def over(self) -> bool:
        """Whether it will strike no more."""
        return self._removed or self.hits == self.times

    def matches(self, method: str, path: str) -> bool:
        """Tell whether a request is meant: by a part of its path or, with a `*`, by a pattern for it all."""
        if self.method not in {"*", method.upper()}:
            return False
        return fnmatch.fnmatchcase(path, self.path) if "*" in self.path else self.path in path

    def remove(self) -> None:
        """Take the rule back; twice is harmless."""
        self._removed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


class Faults:
    """The rules in the order of their writing: the first that matches strikes, the others wait their turn."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Put a rule at the end of the queue and return it."""
        self._rules.append(fault)
        return fault

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
        return self._take(method, path, (Failure, Unreadable, Cut, Refusal), after=after)

    def _take(self, method: str, path: str, kinds: tuple[type[Effect], ...], *, after: bool) -> Effect | None:
        self._rules = [rule for rule in self._rules if not rule.over]
        for rule in self._rules:
            if rule.after is after and isinstance(rule.effect, kinds) and rule.matches(method, path):
                rule.hits += 1
                return rule.effect
        return None
