"""rich's console, which asks the stream itself whether it is a terminal, and how wide.

rich asks environment variables (`FORCE_COLOR`, `TTY_COMPATIBLE`, `COLUMNS`, and others). In a CI workflow
they say of a pipe that it is a terminal of 80 columns, so that rich would cut what the pipe gets.

Below: `streams`. Above: `output`, and whatever else prints. Imported when something is printed: rich takes
as long to load as asyncio.
"""

from typing import Any

from rich.console import Console, ConsoleDimensions

from trmm_async.cli.streams import is_terminal, size_of, without_colour

__all__ = ["Screen"]


class Screen(Console):
    """rich's console on stdout, or on stderr. Colour only on a terminal, and none with `NO_COLOR`."""

    def __init__(self, *, stderr: bool = False, **settings: Any) -> None:
        super().__init__(stderr=stderr, color_system=None if without_colour() else "auto", **settings)
        self.is_interactive: bool = self.is_terminal and not self.is_dumb_terminal

    @property
    def is_terminal(self) -> bool:
        """Whether the stream is a terminal."""
        return is_terminal(self.file)

    @property
    def size(self) -> ConsoleDimensions:
        """The size of the stream, see `size_of`."""
        return ConsoleDimensions(*size_of(self.file))

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        raise AttributeError(f"the size is the stream's, not {new_size}")

    def on_broken_pipe(self) -> None:
        """Raise an error like any other; rich would end the process at once."""
        raise BrokenPipeError
