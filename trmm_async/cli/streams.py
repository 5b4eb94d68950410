"""Standard output and error, where the disk is full, the reader is gone, or nothing is open at all.

Below: nothing of the command line. Above: `exits`, `following`, `waits`. A failure of stdout is an error
once, and what comes after it is dropped: Python would write it again at the end, fail again, and make the
exit code of it. A failure of stderr is none: there is nobody left to be told.
"""

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TextIO

__all__ = ["FLEETING", "sturdy", "unfailing"]

_OUT: Final = 1
_ERROR: Final = 2
_ERASE: Final = b"\r\x1b[K"


class _Fleeting:
    """A line on the terminal of stderr, which goes before anything else is written there.

    On a terminal that can't take it back (`TERM=dumb`) each kind of text, told by its first words, stands
    there once.
    """

    def __init__(self) -> None:
        self._is_shown = False
        self._written_at = time.monotonic()
        self._told = ""

    def show(self, text: str) -> None:
        """Have the line say this."""
        if os.environ.get("TERM") == "dumb":
            if (kind := text.partition(":")[0]) != self._told:
                self._told = kind
                self._write(f"{text}\n".encode())
            return
        dim, usual = ("", "") if os.environ.get("NO_COLOR") else ("\x1b[2m", "\x1b[0m")
        self._is_shown = True
        self._write(_ERASE + f"{dim}{text}{usual}".encode(sys.stderr.encoding or "utf-8", "replace"))

    def clear(self) -> None:
        """Take the line back, if there is one."""
        if self._is_shown:
            self._is_shown = False
            self._write(_ERASE)

    def quiet_for(self) -> float:
        """Seconds since something else was written on a terminal."""
        return time.monotonic() - self._written_at

    def written(self) -> None:
        """Something else is about to be written on a terminal."""
        self.clear()
        self._written_at = time.monotonic()

    @staticmethod
    def _write(data: bytes) -> None:
        with suppress(OSError):
            os.write(_ERROR, data)


FLEETING: Final = _Fleeting()


class _Descriptor(io.FileIO):
    """Where the bytes go.

    Attributes:
        fails: whether the first failure is raised.
        trouble: what it was.
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
    """Have the process's stdout and stderr so. Those that somebody has put in their place stay."""
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
    """Inside, nothing that is printed fails: for work that has to go on.

    Gives what tells, after writing all that was printed, why some of it is lost, if it is.
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
    """No file of ours may get the number of a stream that is closed: what is printed would go into it."""
    for number in range(_ERROR + 1):
        try:
            os.fstat(number)
        except OSError:
            # The lowest that is free. Not to be written to: that something is lost must be found out.
            os.open(os.devnull, os.O_RDONLY)
