"""Questions to the user at the terminal, and what is piped in instead.

Below: `exits`, `output`, `text`. Above: `keys`, `selection`, and the commands.
"""

import getpass
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from trmm_async.cli.exits import refuse
from trmm_async.cli.output import say
from trmm_async.cli.text import code_page, decoded

__all__ = ["ask", "ask_secretly", "go_on", "read_stdin", "somebody_is_here"]


def somebody_is_here() -> bool:
    """Whether stdin is a terminal, so that a user can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def read_stdin(*, line: bool = False) -> str:
    """Read what is piped in, or its first line, as text. The encoding is detected.

    Raises:
        UnicodeDecodeError: it is in no encoding that can be detected.
    """
    piped = getattr(sys.stdin, "buffer", None)
    if piped is None:
        return "" if sys.stdin is None else sys.stdin.readline() if line else sys.stdin.read()
    data: bytes = piped.readline() if line else piped.read()
    if line and b"\0" in data:
        data += (
            piped.read()
        )  # in UTF-16 a letter has several bytes, and the one that ended the line may be half
    text = decoded(data, code_page())
    return text.partition("\n")[0] if line else text


def ask(question: str) -> str:
    """Ask a question, and return the answer. The question is on stderr: stdout is for data."""
    with _interruptible():
        print(question, end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip()


def ask_secretly(question: str) -> str:
    """Ask a question, and return the answer, which is not shown while it is typed."""
    with _interruptible():
        try:
            return getpass.getpass(question).strip()
        except EOFError:
            return ""


def go_on(refusal: str, question: str = "") -> None:
    """Ask whether to go on; the question stands above.

    Raises:
        CommandError: the answer is not yes; or nobody can be asked, and the refusal says so.
    """
    if not somebody_is_here():
        raise refuse(refusal)
    if question:
        say(question)
    if ask("Go on? [y/N] ").casefold() not in {"y", "yes"}:
        raise refuse("not done")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end the wait at once. asyncio's own handler would wait until the line is typed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
