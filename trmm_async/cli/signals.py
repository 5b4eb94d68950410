"""The signals that stop a command: Ctrl-C, SIGTERM (a container is stopped), SIGHUP (the terminal is gone).

A signal that was ignored when the program started stays ignored, so that `nohup` works, and so do background
jobs of scripts.

Below: nothing of the command line. Above: `exits`, `run_follower`.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["like_ctrl_c", "on_stop"]

_OTHERS: Final = ("SIGTERM", "SIGHUP")
"""By name: Windows has no SIGHUP."""

_TICK: Final = 0.25
"""Seconds between two wake-ups of the main thread."""

_Handler = Callable[[int, FrameType | None], object]


@contextmanager
def like_ctrl_c() -> Iterator[None]:
    """Have SIGTERM and SIGHUP call the handler that SIGINT has at that moment."""
    with _handled(_OTHERS, _as_ctrl_c), _ticking():
        yield


@contextmanager
def on_stop(act: Callable[[], object]) -> Iterator[None]:
    """Have each of the three signals call this function in the main thread."""
    with _handled(("SIGINT", *_OTHERS), lambda *_: act()):
        yield


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    del number
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):  # Ctrl-C is ignored, and this was not
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)


@contextmanager
def _handled(names: tuple[str, ...], handler: _Handler) -> Iterator[None]:
    before: dict[signal.Signals, object] = {}
    try:
        # Python allows signal handlers in the main thread only.
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name, None) for name in names):
                if number is not None and signal.getsignal(number) not in {signal.SIG_IGN, None}:
                    before[number] = signal.signal(number, handler)
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)  # type: ignore[arg-type] # what `signal.signal` gave


@contextmanager
def _ticking() -> Iterator[None]:
    """Wake the main thread regularly, so that no system call of it delays a signal.

    Python runs a handler between two bytecodes, or when the signal interrupts a system call. A signal that
    comes between the last bytecode and the call would have to wait until the call ends: for a line from a
    terminal, perhaps for ever. The timer's signal interrupts the call.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    with _handled(("SIGALRM",), lambda *_: None):
        before = signal.setitimer(signal.ITIMER_REAL, _TICK, _TICK)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, *before)
