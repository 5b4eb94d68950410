"""Standard output and error: whether they are terminals, and what happens if they can't be written.

The disk may be full, the reader gone, or the stream closed. A failure of stdout is raised once, and whatever
is printed after it is dropped: Python would write it again at the end, fail again, and set the exit code by
it. A failure of stderr is not raised: nobody is left to be told.

Below: nothing of the command line. Above: `console`, `exits`, `run_follower`, `waits`.
"""

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Final, TextIO

__all__ = ["FLEETING", "is_terminal", "size_of", "sturdy", "unfailing", "without_colour"]

_OUT: Final = 1
_ERROR: Final = 2
_ERASE: Final = b"\r\x1b[K"
_USUAL: Final = os.terminal_size((80, 25))


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether the stream is a terminal. One that is closed is not."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def size_of(stream: IO[str]) -> os.terminal_size:
    """Columns and lines of a stream: 80 and 25 if it has none, or says that they are 0."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return _USUAL
    return os.terminal_size((size.columns or _USUAL.columns, size.lines or _USUAL.lines))


def without_colour() -> bool:
    """Whether the user wants no colour, see https://no-color.org."""
    return bool(os.environ.get("NO_COLOR"))


class _Fleeting:
    """A line on the terminal of stderr, which is erased before anything else is written there.

    A terminal that can't erase (`TERM=dumb`) gets each kind of text once; the kind is what precedes its first
    colon.
    """

    def __init__(self) -> None:
        self._is_shown = False
        self._written_at = time.monotonic()
        self._told = ""

    def show(self, text: str) -> None:
        """Show this text in the line."""
        if os.environ.get("TERM") == "dumb":
            if (kind := text.partition(":")[0]) != self._told:
                self._told = kind
                self._write(f"{text}\n".encode())
            return
        dim, usual = ("", "") if without_colour() else ("\x1b[2m", "\x1b[0m")
        self._is_shown = True
        self._write(_ERASE + f"{dim}{text}{usual}".encode(sys.stderr.encoding or "utf-8", "replace"))

    def clear(self) -> None:
        """Erase the line, if it is shown."""
        if self._is_shown:
            self._is_shown = False
            self._write(_ERASE)

    def quiet_for(self) -> float:
        """Seconds since something else was written on a terminal."""
        return time.monotonic() - self._written_at

    def written(self) -> None:
        """Note that something else is about to be written on a terminal."""
        self.clear()
        self._written_at = time.monotonic()

    @staticmethod
    def _write(data: bytes) -> None:
        with suppress(OSError):
            os.write(_ERROR, data)


FLEETING: Final = _Fleeting()


class _Descriptor(io.FileIO):
    """The descriptor of stdout or stderr.

    Attributes:
        fails: whether the first failure is raised.
        trouble: the first failure.
    """

    def __init__(self, number: int, *, fails: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self.fails = fails
        self.trouble: OSError | None = None
        self._on_terminal = self.isatty()

    def write(self, data: Any) -> int:
        if self._on_terminal:
            FLEETING.written()
        if self.trouble is None:
            try:
                return super().write(data)
            except OSError as error:
                self.trouble = error
                if self.fails:
                    raise
        return memoryview(data).nbytes


@contextmanager
def sturdy() -> Iterator[None]:
    """Replace stdout and stderr by streams that fail as the module says. A caller's own streams stay."""
    _occupy()
    before = sys.stdout, sys.stderr
    if sys.stdout is sys.__stdout__:
        sys.stdout = _stream(_OUT, sys.stdout, fails=True)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _stream(_ERROR, sys.stderr, fails=False)
    ours = sys.stdout, sys.stderr
    try:
        yield
    finally:
        for stream in ours:
            with suppress(OSError):
                stream.flush()
        sys.stdout, sys.stderr = before


@contextmanager
def unfailing() -> Iterator[Callable[[], OSError | None]]:
    """In the block, printing never fails: for work that must go on.

    Gives a function that writes out what was printed, and returns why some of it is lost; None if nothing is.
    """
    descriptor = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(descriptor, _Descriptor):
        yield lambda: None
        return

    def trouble() -> OSError | None:
        sys.stdout.flush()
        return descriptor.trouble

    descriptor.fails = False
    try:
        yield trouble
    finally:
        descriptor.fails = True


def _stream(number: int, earlier: TextIO | None, *, fails: bool) -> TextIO:
    descriptor = _Descriptor(number, fails=fails)
    if earlier is not None:
        earlier.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(descriptor),
        encoding=earlier.encoding if earlier is not None else "utf-8",
        errors="backslashreplace",
        line_buffering=number == _ERROR or descriptor.isatty(),
        write_through=number == _ERROR,
    )


def _occupy() -> None:
    """Open something for each closed stream: a file of ours with its number would get what is printed."""
    for number in range(_ERROR + 1):
        try:
            os.fstat(number)
        except OSError:
            # `open` gives the lowest free number. For reading only: printing fails, so the loss is noticed.
            os.open(os.devnull, os.O_RDONLY)
