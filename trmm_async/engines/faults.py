"""The two errors of an engine, by what can be done about them; and cancellations that a library swallowed."""

import asyncio

from trmm_async.errors import TRMMError

__all__ = ["EngineAwayError", "EngineRefusedError", "cancellations", "check_swallowed"]


class EngineAwayError(TRMMError):
    """The engine can't be reached, or does not work at present: asking again later may help."""


class EngineRefusedError(TRMMError):
    """The engine refuses, and will go on to: its settings, or ours, are wrong."""


def cancellations() -> int:
    """How many cancellations of this task are pending."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def check_swallowed(before: int) -> None:
    """Raise `CancelledError` if there were more cancellations than before: the library has swallowed one.

    Libraries send and connect by `wait_for`. Before Python 3.12 it swallows a cancellation that comes in the
    moment when the bytes are sent or the connection breaks. The task would then go on for seconds.
    """
    if cancellations() > before:
        raise asyncio.CancelledError
