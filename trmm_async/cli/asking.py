"""What is asked of whoever sits at the terminal.

Below: `text`. Above: `keys`, `picking`, and the commands.
"""

import getpass
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from trmm_async.cli.text import code_page, decoded

__all__ = ["ask", "ask_secretly", "read_stdin", "somebody_is_here"]


def somebody_is_here() -> bool:
    """Whether there is anybody to be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def read_stdin(*, line: bool = False) -> str:
    """All that is piped in, or its first line: as text, in whatever encoding the other side writes it.

    Raises:
        UnicodeDecodeError: that can't be told.
    """
    piped = getattr(sys.stdin, "buffer", None)
    if piped is None:
        return "" if sys.stdin is None else sys.stdin.readline() if line else sys.stdin.read()
    data: bytes = piped.readline() if line else piped.read()
    if line and b"\0" in data:
        data += piped.read()  # a letter has several bytes, and a line was not what ended there
    text = decoded(data, code_page())
    return text.partition("\n")[0] if line else text


def ask(question: str) -> str:
    """The answer to a question, on stderr: stdout is for data."""
    with _interruptible():
        print(question, end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip()


def ask_secretly(question: str) -> str:
    """The same, without showing what is typed."""
    with _interruptible():
        try:
            return getpass.getpass(question).strip()
        except EOFError:
            return ""


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends the wait at once; asyncio's own handler would first wait for the line."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
