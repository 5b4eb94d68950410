"""A terminal, by what the stream itself says: whether it is one, and how wide it is.

rich asks the environment (`FORCE_COLOR`, `TTY_COMPATIBLE`, `COLUMNS`, and others), which in a pipe of a CI
workflow says that there is a terminal of 80 columns, or of none. What a pipe gets is then cut.

Below: nothing of the command line. Above: `printing`, and whatever else prints. Loaded when something is.
"""

import os
from typing import IO, Any, Final

from rich.console import Console, ConsoleDimensions

__all__ = ["Screen", "is_terminal", "size_of", "without_colour"]

_USUAL: Final = ConsoleDimensions(80, 25)


class Screen(Console):
    """rich's console on stdout, or on stderr. Colour only on a terminal, and none with `NO_COLOR`."""

    def __init__(self, *, stderr: bool = False, **settings: Any) -> None:
        super().__init__(stderr=stderr, color_system=None if without_colour() else "auto", **settings)
        self.is_interactive: bool = self.is_terminal and not self.is_dumb_terminal

    @property
    def is_terminal(self) -> bool:
        """Whether the stream is one."""
        return is_terminal(self.file)

    @property
    def size(self) -> ConsoleDimensions:
        """The stream's; the usual where it has none, or says that it is 0."""
        return size_of(self.file)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        raise AttributeError(f"the size is the stream's, not {new_size}")

    def on_broken_pipe(self) -> None:
        """The reader went away: that is an error like any other, and not the end of the process at once."""
        raise BrokenPipeError


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether the stream is a terminal; one that is closed is none."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def size_of(stream: IO[str]) -> ConsoleDimensions:
    """Columns and lines of a stream; the usual where it has none, or says that they are 0."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return _USUAL
    return ConsoleDimensions(size.columns or _USUAL.width, size.lines or _USUAL.height)


def without_colour() -> bool:
    """Whether whoever reads wants none, see https://no-color.org."""
    return bool(os.environ.get("NO_COLOR"))
