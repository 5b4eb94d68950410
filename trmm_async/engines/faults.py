"""What goes wrong with an engine, whatever it is: two kinds, by what may be done about it. And with us.

Over `errors`; the links raise these.
"""

import asyncio

from trmm_async.errors import TRMMError

__all__ = ["EngineAwayError", "EngineRefusedError", "cancellations", "check_swallowed"]


class EngineAwayError(TRMMError):
    """It can't be reached, or does not work at present: asking again later may help."""


class EngineRefusedError(TRMMError):
    """It refuses, and will go on to: its settings, or ours, are wrong."""


def cancellations() -> int:
    """How often this task was cancelled, and is to end."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def check_swallowed(before: int) -> None:
    """End here if there were more cancellations than before: the library has swallowed one.

    Libraries send and connect by `wait_for`, which does so before Python 3.12 in the moment that the bytes
    are out, or that the connection breaks; an answer may be seconds away, or the next try succeed.
    """
    if cancellations() > before:
        raise asyncio.CancelledError
