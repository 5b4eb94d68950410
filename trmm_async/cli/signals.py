"""What stops a command: Ctrl-C, SIGTERM (a container is stopped), SIGHUP (the terminal is gone).

Below: nothing of the command line. Above: `exits`, `following`. A signal that was ignored when the program
began stays ignored: so `nohup` works, and so does a job that a script has put into the background.
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
"""Seconds between two looks whether a signal has come."""

_Handler = Callable[[int, FrameType | None], object]


@contextmanager
def like_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP do what Ctrl-C does at that moment, whoever sees to it then."""
    with _handled(_OTHERS, _as_ctrl_c), _ticking():
        yield


@contextmanager
def on_stop(act: Callable[[], object]) -> Iterator[None]:
    """Call that for each of the three signals, between any two steps of the main thread."""
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
        # The main thread alone is told of signals.
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
    """Have no wait of the main thread outlast a signal.

    Python acts on a signal between two of its steps, or when the signal breaks into a wait in the system. One
    that comes after the last step and before the wait has begun would be left until what is waited for comes:
    a line from a terminal, perhaps never. A tick breaks into that wait.
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
