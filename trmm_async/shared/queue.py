"""The calls of this process that wait for one shared window, and the task that asks the window for them.

Over `store`. Each window has one task while there is something to do: it asks for slots for the head of the
queue, reports the slots that have ended, renews those that are still in use, and waits. So a cancelled call
never interrupts a command, and a client needs one connection.

If the window can't be asked, nothing is sent. A slot is valid for a lease by this machine's own clock,
counted from before it was asked for (the fence). The window holds it for longer.
"""

import asyncio
import logging
import math
import random
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from trmm_async.engines.redis_link import RedisAwayError
from trmm_async.errors import ClosedError, LimiterUnavailableError, TRMMError
from trmm_async.plaintext import log_of
from trmm_async.shared.store import WindowStore
from trmm_async.shared.window import Window, WindowReply, WindowRequest

__all__ = ["SharedLease", "WindowQueue", "clock"]

_LOG: Final = log_of("limits")
_SLOTS_AT_ONCE: Final = 10
"""How many slots are asked for at once. More would be unfair to other processes."""

_POLL: Final = 0.15
"""Seconds after which a full window is asked again if nobody knows when it has room: when other processes
give slots and workers back."""

_GATHER: Final = 0.008
"""Seconds during which slots that become due are gathered, so that one script serves them, and not ten."""

_REPORT_WITHIN: Final = 0.5
"""Seconds within which the window learns that a request was counted, which ends its slot a window later."""

_BACKOFF: Final = (0.05, 1.0)
_ANSWER_WITHIN_LEAST: Final = 0.2
_STEP_LEAST: Final = 0.25
"""Seconds by which the server's clock must run ahead of ours to have been set, and not to be drifting."""

_CLOSING: Final = 1.0
_NEVER: Final = math.inf
_REPORTS_MOST: Final = 10_000
"""So many ended slots are kept to be reported while the server is away. Others end there by their leases."""

_LOST: Final = {
    1: "has no state yet, or has lost it",
    2: "was restarted or replaced",
    3: "has evicted or deleted what was held",
    4: "has had its clock set back",
}


def _best_clock() -> Callable[[], float]:
    # Linux stops the monotonic clock while the machine sleeps. A lease does not stop.
    number = getattr(time, "CLOCK_BOOTTIME", None)
    if number is None:
        return time.monotonic
    return lambda: time.clock_gettime(number)


clock: Final = _best_clock()
"""Seconds by a clock of this machine that never goes back, and goes on while the machine sleeps."""


class SharedLease:
    """A slot or a worker from the shared window: an `admission.Slot` and an `admission.WorkerLease`.

    Attributes:
        name: of the slot in the window.
        key: of the window.
        has_begun: its request may have been sent.
        renewed_at: when the lease began, by `clock`.
        good_until: until when a request may begin.
    """

    __slots__ = ("_counted_at", "_queue", "good_until", "has_begun", "key", "name", "renewed_at")

    def __init__(self, queue: "WindowQueue", name: str, key: str, asked_at: float) -> None:
        self._queue: WindowQueue | None = queue
        self.name: str = name
        self.key: str = key
        self.has_begun: bool = False
        self._counted_at = _NEVER
        self.renewed_at: float = asked_at
        self.good_until: float = asked_at + queue.window.lease

    def may_begin(self) -> bool:
        if self._queue is None or clock() >= self.good_until:
            return False
        self.has_begun = True
        return True

    def written(self) -> None:
        if self._queue is not None and self._counted_at == _NEVER:
            self._counted_at = clock() + self._queue.window.grace
            self._queue.counted(self, self._counted_at)

    def settle(self) -> None:
        queue, self._queue = self._queue, None
        if queue is not None and (now := clock()) < self._counted_at:
            queue.counted(self, now)

    def give_back(self) -> None:
        queue, self._queue = self._queue, None
        if queue is not None:
            queue.given_back(self)

    release = give_back


class _Waiter:
    """One call that waits, and since when."""

    __slots__ = ("future", "since")

    def __init__(self, since: float) -> None:
        self.future: asyncio.Future[SharedLease] = asyncio.get_running_loop().create_future()
        self.since = since


@dataclass(frozen=True, slots=True)
class _Report:
    """How a slot has ended: its request was counted at this time, or (None) was never sent."""

    key: str
    counted_at: float | None
    since: float


class WindowQueue:
    """The calls of this process that wait for one window. Belongs to one event loop."""

    def __init__(self, store: WindowStore, lane: str, window: Window) -> None:
        self._store = store
        self._lane = lane
        self.window = window
        self._waiters: deque[_Waiter] = deque()
        self._leases: dict[str, SharedLease] = {}
        self._reports: dict[str, _Report] = {}
        self._report_at = _NEVER
        self._pause = 0.0
        self._ask_at = 0.0
        self._away_since: float | None = None
        self._backoff = _BACKOFF[0]
        self._anchor: tuple[float, float] | None = None
        self._logged_limit: tuple[int, float] | None = None
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._is_full = False
        self._free_at = 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._lane} {self._store.address}, {len(self._leases)} held>"

    async def _acquire(self) -> SharedLease:
        if self._is_closed:
            raise ClosedError("this TRMM is closed")
        waiter = _Waiter(clock())
        if self._away_since is not None and not self._has_waiters:
            # The back-off has grown while nobody waited. This call needs to know soon.
            self._backoff = _BACKOFF[0]
            self._ask_at = min(self._ask_at, waiter.since + self._backoff)
        self._waiters.append(waiter)
        self._wake()
        try:
            return await waiter.future
        except BaseException:
            future = waiter.future
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().give_back()
            raise

    @property
    def _has_waiters(self) -> bool:
        while self._waiters and self._waiters[0].future.done():
            self._waiters.popleft()
        return bool(self._waiters)

    def _alive(self) -> Iterator[_Waiter]:
        return (one for one in self._waiters if not one.future.done())

    # -- what leases report ----------------------------------------------------------------------------------

    def counted(self, lease: SharedLease, when: float) -> None:
        """The RMM server has counted the lease's request, or will have by then."""
        self._leases.pop(lease.name, None)
        self._reports[lease.name] = _Report(lease.key, when, clock())
        self._report(_REPORT_WITHIN)

    def given_back(self, lease: SharedLease) -> None:
        """No byte of the lease's request was sent."""
        self._leases.pop(lease.name, None)
        self._reports[lease.name] = _Report(lease.key, None, clock())
        self._report(0.0)

    def _report(self, within: float) -> None:
        # A longer delay than this share of the window would hold up the calls that wait for it.
        within = min(within, self.window.per / 8) if self.window.per else within
        at = clock() + within
        if at < self._report_at:
            self._report_at = at
            self._wake()

    def pause(self, seconds: float) -> None:
        """The RMM server asked all processes with this key to wait; see `admission.Limiter.pause`."""
        self._pause = max(self._pause, seconds)
        self._ask_at = max(self._ask_at, clock() + seconds)
        self._report(0.0)

    def _wake(self) -> None:
        self._woken.set()
        if self._task is None and not self._is_closed:
            self._task = asyncio.create_task(self._work(), name=f"trmm_async shared limit {self._lane}")

    # -- the task --------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        try:
            while not self._is_closed and (at := self._next_at()) < _NEVER:
                self._woken.clear()
                delay = at - clock()
                if delay > 0:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(delay):
                            await self._woken.wait()
                    self._expire()
                else:
                    await self._ask()
        except Exception as error:  # noqa: BLE001
            # A bug of ours must not leave calls waiting for ever.
            _LOG.exception("the shared limits at %s", self._store.address)
            self._refuse(
                LimiterUnavailableError(
                    f"the shared limits: {type(error).__name__}: {error}; nothing was sent"
                )
            )
        finally:
            self._task = None

    def _next_at(self) -> float:
        """When there is something to do; never, if nothing is held and nobody waits."""
        at = min(self._report_at, self._renew_at())
        if self._has_waiters:
            at = min(at, self._ask_at)
        if self._away_since is not None and at < _NEVER:
            at = max(at, self._ask_at)
            if self._has_waiters:
                at = min(at, self._deadline())
        return at

    def _renew_at(self) -> float:
        return (
            min((lease.renewed_at for lease in self._leases.values()), default=_NEVER) + self.window.lease / 3
        )

    def _deadline(self) -> float:
        """When the first waiting call has waited for the absent server as long as it may."""
        away_since = self._away_since or 0.0
        return max(self._waiters[0].since, away_since) + self._store.timeout

    def _expire(self) -> None:
        """Fail the calls that have waited for the absent server as long as they may."""
        while self._away_since is not None and self._has_waiters and clock() >= self._deadline():
            self._waiters.popleft().future.set_exception(self._store.unavailable())

    async def _ask(self) -> None:
        key = self._store.key(self._lane)
        asked_at = clock()
        first = islice(self._alive(), _SLOTS_AT_ONCE) if asked_at >= self._ask_at else ()
        wanted = [secrets.token_hex(8) for _ in first]
        due_at = asked_at - self.window.lease / 3 + _GATHER
        due = [one for one in self._leases.values() if one.renewed_at <= due_at]
        # A lease under another key belongs to one that has been replaced since. It is left to end.
        renewed = [one for one in due if one.key == key]
        reports, self._reports, self._report_at = self._reports, {}, _NEVER
        pause, self._pause = self._pause, 0.0
        request = WindowRequest(
            **_reported(reports, key, asked_at),
            renewed=[(one.name, one.has_begun) for one in renewed],
            wanted=wanted,
            pause=pause,
        )
        try:
            reply = await self._store.ask(key, self.window, request, self._answer_within())
        except TRMMError as error:
            # Without an answer, the wanted slots may be held there now: they are given back.
            held = wanted if isinstance(error, RedisAwayError) else ()
            self._reports = {**dict.fromkeys(held, _Report(key, None, asked_at)), **reports, **self._reports}
            self._pause = max(self._pause, pause)
            self._failed(error)
            return
        self._away_since, self._backoff = None, _BACKOFF[0]
        for other in {one.key for one in reports.values()} - {key}:
            with suppress(TRMMError):
                request = WindowRequest(**_reported(reports, other, clock()))
                await self._store.ask(other, self.window, request, None)
        for lease in due:
            lease.renewed_at = asked_at
        for lease, is_held in zip(renewed, reply.renewed, strict=True):
            lease.good_until = asked_at + self.window.lease if is_held else 0.0
        if self._clock_was_set(asked_at, reply):
            _LOG.warning(
                "%s: its clock was set forward; nothing is sent for %.1f s",
                self._store.address,
                self.window.hold,
            )
            self._reports |= dict.fromkeys(wanted[: reply.granted], _Report(key, None, asked_at))
            self.pause(self.window.hold)
            return
        self._log(reply)
        self._grant(key, wanted[: reply.granted], asked_at)
        if wanted:
            self._ask_again(reply, is_full=reply.granted < len(wanted))

    def _ask_again(self, reply: WindowReply, *, is_full: bool) -> None:
        self._is_full = is_full
        self._free_at = clock() + reply.wait
        if is_full:
            # Ask soon if it is not known when there is room, and never all processes at the same moment.
            wait = min(reply.wait, max(_POLL, reply.wait / 2)) if reply.wait else _POLL
            jitter = random.random()  # noqa: S311
            self._ask_at = clock() + wait + jitter * max(_GATHER, _POLL / 2 if not reply.wait else 0.0)

    def _answer_within(self) -> float | None:
        """Seconds that the next script may take; None: as long as usual."""
        if self._away_since is None or not self._has_waiters:
            return None
        return min(max(self._deadline() - clock(), _ANSWER_WITHIN_LEAST), self._store.answer_within)

    def _grant(self, key: str, names: list[str], asked_at: float) -> None:
        # After a late answer too little of the lease would be left to begin a request.
        is_late = clock() - asked_at > self.window.lease / 2
        for name in names:
            lease = SharedLease(self, name, key, asked_at)
            waiter = self._waiters.popleft() if not is_late and self._has_waiters else None
            if waiter is None:
                lease.give_back()
                continue
            self._leases[name] = lease
            waiter.future.set_result(lease)

    def _failed(self, error: TRMMError) -> None:
        now = clock()
        if isinstance(error, LimiterUnavailableError):  # the server refuses, so waiting changes nothing
            self._refuse(error)
            self._away_since = None
        elif self._away_since is None:
            self._away_since = now
            _LOG.warning(
                "the shared limits at %s can't be asked: %s; nothing is sent", self._store.address, error
            )
        self._drop_old_reports()
        self._ask_at = now + self._backoff * (0.5 + random.random())  # noqa: S311
        self._backoff = min(self._backoff * 2, _BACKOFF[1])
        self._report_at = self._ask_at if self._reports or self._pause else _NEVER
        self._expire()

    def _refuse(self, error: LimiterUnavailableError) -> None:
        while self._has_waiters:
            # An exception for each task, since each adds its own traceback.
            self._waiters.popleft().future.set_exception(LimiterUnavailableError(str(error)))

    def _drop_old_reports(self) -> None:
        """Forget the slots that have ended in the window by their lease meanwhile."""
        now = clock()
        kept = [(name, one) for name, one in self._reports.items() if one.since + self.window.hold > now]
        self._reports = dict(kept[-_REPORTS_MOST:])

    def _clock_was_set(self, asked_at: float, reply: WindowReply) -> bool:
        """Whether the Redis server's clock has gone on by more than time has."""
        before, self._anchor = self._anchor, (reply.now, asked_at)
        if before is None or reply.lost:
            return False
        ran = clock() - before[1]
        return reply.now - before[0] > ran * 1.001 + _STEP_LEAST

    def _log(self, reply: WindowReply) -> None:
        """Log lost state, and a smaller limit of another client."""
        if reply.lost:
            level = logging.INFO if reply.lost == 1 else logging.WARNING
            said = "the server of the shared limits at %s %s: nothing is sent for %.1f s"
            _LOG.log(level, said, self._store.address, _LOST[reply.lost], reply.wait or self.window.hold)
        limit = reply.count, reply.per
        if limit == self._logged_limit:
            return
        self._logged_limit = limit
        if reply.count < self.window.count or reply.per > self.window.per * 1.01 + 0.01:
            _LOG.warning(
                "another client of this key has a smaller limit, which holds: %d%s, not %d%s",
                reply.count,
                f" per {reply.per:g} s" if reply.per else " waiting",
                self.window.count,
                f" per {self.window.per:g} s" if self.window.per else " waiting",
            )

    async def aclose(self) -> None:
        """Report what has ended, for a second at most. Waiting calls fail with a `ClosedError`."""
        self._is_closed = True
        while self._has_waiters:
            self._waiters.popleft().future.set_exception(ClosedError("this TRMM is closed"))
        self._woken.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING):
                if self._task is not None:
                    await self._task
                if self._reports and self._away_since is None:
                    await self._ask()


def _reported(reports: Mapping[str, _Report], key: str, now: float) -> dict[str, Any]:
    """The reports about slots under this key, as `WindowRequest` takes them."""
    ours = [(name, one.counted_at) for name, one in reports.items() if one.key == key]
    return {
        "settled": [(name, now - when) for name, when in ours if when is not None],
        "back": [name for name, when in ours if when is None],
    }
