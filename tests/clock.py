"""Event loops whose time is in the hands of the tests.

The one is a loop whose time is a number: it never waits, it turns its clock to the next timer.

What it runs is deterministic, and takes as long as its computing does. It is for code that waits on timers,
events and locks alone. Code that waits for a socket or a thread has nothing to do with a clock of its own: a
loop with nothing to run and no timer left raises `DeadlockError` in place of waiting for ever. The other is
for those: it waits as any loop does, and a test can `skip` what it would wait for.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple, cast

from hypothesis import strategies as st

__all__ = [
    "MOMENT",
    "TICK",
    "DeadlockError",
    "SkippingLoop",
    "SkippingLoops",
    "VirtualLoop",
    "in_steps",
    "live_timers",
    "now",
    "run",
    "skip",
    "soon",
]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

TICK = 2.0**-30
"""Seconds (about a nanosecond) that each turn of the loop takes.

A clock that stood still would be one that no code ever met: aiolimiter spins on it for ever. A power of two,
so that sums of such times and of other dyadic ones are exact.
"""

MOMENT = 2.0**-12
"""Long for a loop that takes a nanosecond a turn, short for everything that is asserted about seconds."""


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


def now() -> float:
    """The running loop's time."""
    return asyncio.get_running_loop().time()


async def soon(awaitable: Coroutine[Any, Any, T]) -> T:
    """What `awaitable` comes to, which must be at once."""
    begun = now()
    result = await awaitable
    assert now() - begun < MOMENT
    return result


def live_timers() -> int:
    """How many timers are set on the running loop."""
    timers = cast("list[asyncio.TimerHandle]", vars(asyncio.get_running_loop())["_scheduled"])
    return sum(not timer.cancelled() for timer in timers)


def skip(seconds: float) -> None:
    """Move the running loop's clock on: what was to happen by then happens now, in the order of its times.

    It is for tests over real sockets, which take the time they take: a limit of seconds need not be waited
    out, and no slow machine passes it by itself. It moves the bounds of waits round about, too.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SkippingLoop)
    loop.ahead += seconds


class SkippingLoop(asyncio.SelectorEventLoop):
    """The loop of all asynchronous tests: an ordinary one, whose clock `skip` can move on."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


class SkippingLoops(asyncio.DefaultEventLoopPolicy):
    _loop_factory = SkippingLoop


def in_steps(least: int, most: int) -> st.SearchStrategy[float]:
    """Seconds in 64ths: sums of them are exact, so that 'W seconds ago' is too."""
    return st.integers(least, most).map(lambda ticks: ticks / 64)
