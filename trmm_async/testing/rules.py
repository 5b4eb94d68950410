"""The base of a test's rules: how often a rule may apply, how often it has, and how it is removed.

Below: nothing, this module is pure. Above: `faults.py` and `stock/losses.py` say what a rule means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Rule"]


class Rule:
    """A rule that applies `times` times (None: for ever), or until `remove()` is called; `hits` counts.

    Usable as a context manager, which removes it at the end of the block.
    """

    def __init__(self, times: int | None) -> None:
        if times is not None and times < 1:
            msg = f"times must be at least 1, or None for ever, got {times}"
            raise ValueError(msg)
        self.times = times
        self.hits = 0
        self._removed = False

    @property
    def over(self) -> bool:
        """Whether it applies no more."""
        return self._removed or self.hits == self.times

    @property
    def state(self) -> str:
        """How often it has applied, and still may, in words."""
        left = "for ever" if self.times is None else f"{self.times - self.hits} left"
        return f"hits={self.hits} {left}"

    def remove(self) -> None:
        """Remove it; twice is harmless."""
        self._removed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()
