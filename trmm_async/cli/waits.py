"""Shows on a terminal why a command waits, and until when. It reads the statistics of the command's client.

Below: `streams`. Above: `session`, which does it for every client; `progress`, which shows it below its bars;
and the commands that know more than the client does.
"""

import asyncio
import math
import re
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from trmm_async.cli.streams import FLEETING, is_terminal, size_of

if TYPE_CHECKING:
    from trmm_async.limits import RateLimit
    from trmm_async.observing import Stats

__all__ = ["Attendant", "attendant", "attended", "fitting", "limited_seconds", "noted"]

_QUIET: Final = 1.0
"""Seconds without output, after which the reason is shown."""

_TICK: Final = 0.2


class Attendant:
    """Finds out why one client waits. A task calls `look` five times a second; progress bars read the result.

    Args:
        stats: gives the client's statistics, as `TRMM.stats`.
        clock: a monotonic clock, in seconds.

    Attributes:
        text: why the client waits, and until when; empty if it doesn't.
        note: gives what the command itself adds.
    """

    def __init__(self, stats: "Callable[[], Stats]", clock: Callable[[], float] = time.monotonic) -> None:
        self._stats = stats
        self._clock = clock
        self._reasons: dict[int, str] = {}
        self._again: dict[int, tuple[float, str]] = {}
        self._answered = 0
        self._samples: deque[tuple[float, int]] = deque()
        self._last = stats()
        self._asked_at: float | None = None
        self.text: str = ""
        self.note: Callable[[], str] = str

    def take(self, observation: Any) -> None:
        """Take an observation of `TRMM.observe`."""
        kind, call = type(observation).__name__, getattr(observation, "call", 0)
        if kind == "Waiting":
            self._reasons[call] = observation.reason
        elif kind == "Waited":
            self._reasons.pop(call, None)
        elif kind == "Retry":
            self._again[call] = self._clock() + observation.delay, observation.reason
        elif kind == "Attempt":
            self._answered += 1
            self._asked_at = None
        elif kind == "CallEnded":
            self._reasons.pop(call, None)
            self._again.pop(call, None)

    def look(self) -> str:
        """Find out why the client waits. Returns the text; empty if it doesn't wait."""
        now, stats = self._clock(), self._stats()
        self._last = stats
        self._samples.append((now, stats.sent))
        if stats.rate_limit is not None:
            while len(self._samples) > 2 and self._samples[1][0] <= now - stats.rate_limit.per:
                self._samples.popleft()
        if not stats.in_flight:
            self._asked_at = None
        elif self._asked_at is None:
            self._asked_at = now
        self.text = "; ".join(filter(None, (self.note(), self._why(now, stats))))
        return self.text

    def _why(self, now: float, stats: "Stats") -> str:
        again = min((one for one in self._again.values() if one[0] > now), default=None)
        other = [reason for reason in self._reasons.values() if reason != "limit"]
        if again is not None and again[1] == "answered 429":
            return f"rate limit: used up, says the server; goes on in {_seconds(again[0] - now)}"
        if stats.waiting > len(other) and stats.rate_limit is not None:
            why = _of_limit(stats, stats.rate_limit)
        elif again is not None:
            return f"{again[1]}{_AGAIN}{_seconds(again[0] - now)}"
        elif stats.in_flight and self._asked_at is not None:
            why = f"waiting for the server's answer, {_seconds(now - self._asked_at)} so far"
        elif other:
            what = "a connection" if "connection" in other else "a worker of the server"
            why = f"waiting for {what}: all are in use"
        else:
            return ""
        return why + self._progress(stats)

    def _progress(self, stats: "Stats") -> str:
        if self.note() or self._answered + stats.waiting + stats.in_flight < 3:
            return ""
        waiting = f", {stats.waiting} waiting" if stats.waiting else ""
        return f" ({self._answered} answered, {stats.in_flight} in progress{waiting})"

    def least(self, calls: int) -> float | None:
        """The least seconds that so many more calls take by the rate limit; None without a limit.

        It uses what the last `look` found, since another thread may call it.
        """
        stats, limit = self._last, self._last.rate_limit
        if limit is None:
            return None
        samples = list(self._samples)
        used = samples[-1][1] - samples[0][1] if samples else 0
        free_in = stats.next_free_in
        if free_in is None or free_in > 0:
            used = limit.count
        return limited_seconds(calls - stats.in_flight, limit, used, free_in or 0.0)


def limited_seconds(calls: int, limit: "RateLimit", used: int, free_in: float) -> float:
    """Seconds until the last of so many calls may be sent. Pure.

    Args:
        calls: how many calls have not been sent.
        limit: the rate limit.
        used: how many calls count at present.
        free_in: seconds until the first of these counts no more; 0 if that isn't known.
    """
    left = calls - max(limit.count - used, 0)
    further = math.ceil(left / limit.count) - 1
    windows = 0.0 if left <= 0 else (free_in or limit.per) + further * limit.per
    smooth = 0.0 if limit.burst is None else (calls - limit.burst) * limit.per / limit.count
    return max(windows, smooth, 0.0)


_SHORTER: Final = (
    (re.compile(r" \([^()]*\)$"), ""),
    (re.compile(r"(?<=rate limit:)[^:;]*[,;] (?=goes on)"), " "),
    (re.compile(r"(?<=waiting for )the server's (?=answer)"), "an "),
    (re.compile(r"(?<=; )rate limit: "), ""),
)
"""What is removed for a narrow terminal, one after the other. How long it takes, at the end, stays."""

_AGAIN: Final = ": tried again in "


def fitting(text: str, width: int) -> str:
    """The text, shortened for a line of so many columns. Pure."""
    for pattern, short in _SHORTER:
        if len(text) >= width:
            text = pattern.sub(short, text)
    reason, again, when = text.rpartition(_AGAIN)
    if len(text) >= width and again:
        room = width - 2 - len(again + when)
        text = f"{reason[:room]}…{again}{when}" if room > 0 else f"{again[2:]}{when}"
    return text if len(text) < width else f"{text[: max(width - 2, 0)]}…"


def _of_limit(stats: "Stats", limit: "RateLimit") -> str:
    if stats.next_free_in == 0.0 and limit.burst is not None:
        return f"rate limit: spread, {limit.count} in {limit.per:g} s"
    return f"rate limit: {limit.count} of {limit.count} used, goes on {_until_free(stats)}"


def _until_free(stats: "Stats") -> str:
    """When the limit allows the next call, in words."""
    if stats.next_free_in is None:
        return "when an answer has come"
    return f"in {_seconds(stats.next_free_in)}"


def _seconds(number: float) -> str:
    return f"{max(math.ceil(number), 1)} s"


_CURRENT: Final[ContextVar[Attendant | None]] = ContextVar("trmm_attendant", default=None)


def attendant() -> Attendant | None:
    """The attendant of this command's client; None without a terminal."""
    return _CURRENT.get()


@asynccontextmanager
async def attended(trmm: Any) -> AsyncIterator[None]:
    """Show on the terminal why this client waits, in the block. Without a terminal it does nothing."""
    if not is_terminal(sys.stderr):
        yield
        return
    attending = Attendant(lambda: trmm.stats)
    detach = trmm.observe(attending.take)
    task = asyncio.create_task(_show(attending), name="trmm: why it waits")
    token = _CURRENT.set(attending)
    try:
        yield
    finally:
        _CURRENT.reset(token)
        detach()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        FLEETING.clear()


async def _show(attending: Attendant) -> None:
    while True:
        text = attending.look()
        if text and FLEETING.quiet_for() >= _QUIET:
            FLEETING.show(fitting(text, size_of(sys.stderr).columns))
        else:
            FLEETING.clear()
        await asyncio.sleep(_TICK)


@contextmanager
def noted(note: Callable[[], str]) -> Iterator[None]:
    """In the block, also show this note while the client waits: the command knows more than the client."""
    if (attending := attendant()) is None:
        yield
        return
    attending.note = note
    try:
        yield
    finally:
        attending.note = str
