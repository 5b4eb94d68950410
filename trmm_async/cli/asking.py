"""What is asked of whoever sits at the terminal.

Below: nothing of the command line. Above: `keys`, `picking`, and the commands.
"""

import getpass
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ask", "ask_secretly", "somebody_is_here"]


def somebody_is_here() -> bool:
    """Whether there is anybody to be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


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
