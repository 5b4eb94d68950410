"""The server's cache of what policies give its agents. An entry is valid for ten minutes.

Below: nothing, the clock is handed in. Above: `reach.py` asks it, the views forget what they have changed.
Its names, and what forgets which of them, are those of the real server's cache (`get_checks_from_policies`,
the `save` of its models): so a policy that is set on an agent, a block, or an exclusion shows late.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .table import Row

__all__ = ["PolicyCache"]

SECONDS = 600.0


class PolicyCache:
    """Lists of checks and tasks by the names of the cache; each is valid for ten minutes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, list[Row]]] = {}

    def get(self, name: str, make: Callable[[], list[Row]]) -> list[Row]:
        """Return what is cached under a name, or else what `make` returns, which is then cached."""
        until, rows = self._kept.get(name, (0.0, []))
        now = self._clock()
        if now >= until:
            rows = make()
            self._kept[name] = now + SECONDS, rows
        return rows

    def forget(self, *patterns: str) -> None:
        """Forget the entries whose names match; `*` stands for anything."""
        for pattern in patterns:
            for name in [each for each in self._kept if fnmatchcase(each, pattern)]:
                del self._kept[name]

    def forget_all(self) -> None:
        """Forget everything, as where a policy was switched, or the cache is cleared."""
        self._kept.clear()
