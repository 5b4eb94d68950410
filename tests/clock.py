"""An event loop whose time is a number: it never waits, it turns its clock to the next timer.

What it runs is deterministic, and takes as long as its computing does. It is for code that waits on timers,
events and locks alone. Code that waits for a socket or a thread has nothing to do with a clock of its own: a
loop with nothing to run and no timer left raises `DeadlockError` in place of waiting for ever.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple

__all__ = ["TICK", "DeadlockError", "VirtualLoop", "run"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

TICK = 2.0**-30
"""Seconds (about a nanosecond) that each turn of the loop takes.

A clock that stood still would be one that no code ever met: aiolimiter spins on it for ever. A power of two,
so that sums of such times and of other dyadic ones are exact.
"""


class DeadlockError(RuntimeError):
    """Everything waits, and nothing is left that could end it."""


class _Selector(selectors.SelectSelector):
    """Answers at once, and moves time on by what it was allowed to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise DeadlockError("every task waits, and no timer is set")
        self.now += max(timeout, TICK)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. `handles` counts all callbacks and timers that were ever set on it: its work, in steps."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        self.handles = 0
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        self.handles += 1
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        self.handles += 1
        return super().call_at(when, callback, *args, context=context)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` in virtual time. Tasks that it leaves behind are an `AssertionError`."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_alone(main))


async def _alone(main: Coroutine[Any, Any, T]) -> T:
    result = await main
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"left behind: {left}"
    return result
