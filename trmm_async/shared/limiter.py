"""Asks the shared window, for all who wait in this process; see `admission`.

Over `window`, which says what is asked and answered. Each limit has one task while there is something to do:
it asks for the head of its own queue, tells what has ended, renews what lasts, and waits. So no command is
ever cancelled by a caller, and there is one connection a client.

Fail safe: whoever can't be told that there is room sends nothing. A slot is good for a lease by this
machine's own clock, counted from before it was asked for (the fence); the window holds it for longer.
"""

import asyncio
import hashlib
import hmac
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

from aiolimiter import AsyncLimiter

from trmm_async.admission import Slot
from trmm_async.calls import Lane
from trmm_async.engines.redis_link import RedisAwayError, RedisLink, RedisRefusedError
from trmm_async.errors import ClosedError, LimiterUnavailableError, TRMMError
from trmm_async.hidden import HiddenBytes, hide
from trmm_async.limits import RateLimit
from trmm_async.pacing import WindowLimiter, bucket_of
from trmm_async.plaintext import log_of
from trmm_async.shared.examination import examine
from trmm_async.shared.window import WINDOW, Asked, Window, WindowReply, read, words

__all__ = ["LEASE", "SharedLimiter", "SharedLimiters", "SharedPool", "clock"]

LEASE: Final = 5.0
"""Seconds for which a slot is held of which nothing is told; see `Window`."""

_LOG: Final = log_of("limits")
_AT_ONCE_MOST: Final = 10
"""How many slots are asked for at once: more would be less fair to other processes."""

_POLL: Final = 0.15
"""Seconds after which a full window is looked at again, where it can't be known when it has room: others give
slots and workers back."""

_TOGETHER: Final = 0.008
"""Seconds for which what becomes free is left to gather, so that it takes one script and not ten."""

_TELL_WITHIN: Final = 0.5
"""Seconds within which it is told that a request was counted: that it frees its slot a window after."""

_BACKOFF: Final = (0.05, 1.0)
_LEAST_PATIENCE: Final = 0.2
_STEP_LEAST: Final = 0.25
"""Seconds by which the server's clock must run ahead of ours to have been set, and not to be drifting."""

_CLOSING: Final = 1.0
_NEVER: Final = math.inf
_NEWS_MOST: Final = 10_000
"""So many ends of slots are kept to be told while the server is away; of others it learns by their leases."""

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
"""Seconds by a clock of this machine that never goes back, and goes on while it sleeps."""


class _Lease:
    """See `admission.Slot` and `admission.WorkerLease`."""

    __slots__ = ("_counted_at", "_owner", "good_until", "has_begun", "key", "name", "renewed_at")

    def __init__(self, owner: "_Shared", name: str, key: str, asked_at: float) -> None:
        self._owner: _Shared | None = owner
        self.name: str = name
        self.key: str = key
        self.has_begun: bool = False
        self._counted_at = _NEVER
        self.renewed_at: float = asked_at
        self.good_until: float = asked_at + owner.window.lease

    def may_begin(self) -> bool:
        if self._owner is None or clock() >= self.good_until:
            return False
        self.has_begun = True
        return True

    def written(self) -> None:
        if self._owner is not None and self._counted_at == _NEVER:
            self._counted_at = clock() + self._owner.window.grace
            self._owner.counted(self, self._counted_at)

    def settle(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None and (now := clock()) < self._counted_at:
            owner.counted(self, now)

    def give_back(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.given_back(self)

    def release(self) -> None:
        self.give_back()


class _Waiter:
    """Who waits, since when."""

    __slots__ = ("future", "since")

    def __init__(self, since: float) -> None:
        self.future: asyncio.Future[_Lease] = asyncio.get_running_loop().create_future()
        self.since = since


@dataclass(frozen=True, slots=True)
class _News:
    """What is to be told of a slot: that its request was counted then, or (None) never left."""

    key: str
    counted_at: float | None
    since: float


class _Shared:
    """One window, as this process uses it. Belongs to one event loop."""

    def __init__(self, store: "SharedLimiters", lane: str, window: Window) -> None:
        self._store = store
        self._lane = lane
        self.window = window
        self._waiters: deque[_Waiter] = deque()
        self._leases: dict[str, _Lease] = {}
        self._news: dict[str, _News] = {}
        self._tell_at = _NEVER
        self._pause = 0.0
        self._ask_at = 0.0
        self._away_since: float | None = None
        self._backoff = _BACKOFF[0]
        self._anchor: tuple[float, float] | None = None
        self._told_of: tuple[int, float] | None = None
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._is_full = False
        self._free_at = 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._lane} {self._store.address}, {len(self._leases)} held>"

    async def _acquire(self) -> _Lease:
        if self._is_closed:
            raise ClosedError("this TRMM is closed")
        waiter = _Waiter(clock())
        if self._away_since is not None and not self._waits:
            # Nobody was in a hurry to know whether it is back.
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
    def _waits(self) -> bool:
        while self._waiters and self._waiters[0].future.done():
            self._waiters.popleft()
        return bool(self._waiters)

    def _alive(self) -> Iterator[_Waiter]:
        return (one for one in self._waiters if not one.future.done())

    # -- what leases tell ------------------------------------------------------------------------------------

    def counted(self, lease: _Lease, when: float) -> None:
        """The server has counted its request, or will have by then."""
        self._leases.pop(lease.name, None)
        self._news[lease.name] = _News(lease.key, when, clock())
        self._tell(_TELL_WITHIN)

    def given_back(self, lease: _Lease) -> None:
        """No byte of its request left."""
        self._leases.pop(lease.name, None)
        self._news[lease.name] = _News(lease.key, None, clock())
        self._tell(0.0)

    def _tell(self, within: float) -> None:
        # More than a share of the window would hold up those who wait for it.
        within = min(within, self.window.per / 8) if self.window.per else within
        at = clock() + within
        if at < self._tell_at:
            self._tell_at = at
            self._wake()

    def pause(self, seconds: float) -> None:
        """See `admission.Limiter`: for all processes."""
        self._pause = max(self._pause, seconds)
        self._ask_at = max(self._ask_at, clock() + seconds)
        self._tell(0.0)

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
            # A bug of ours must leave nobody waiting for ever.
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
        at = min(self._tell_at, self._renew_at())
        if self._waits:
            at = min(at, self._ask_at)
        if self._away_since is not None and at < _NEVER:
            at = max(at, self._ask_at)
            if self._waits:
                at = min(at, self._deadline())
        return at

    def _renew_at(self) -> float:
        return (
            min((lease.renewed_at for lease in self._leases.values()), default=_NEVER) + self.window.lease / 3
        )

    def _deadline(self) -> float:
        """When the first who waits has waited for as long as may be for a server that is away."""
        away_since = self._away_since or 0.0
        return max(self._waiters[0].since, away_since) + self._store.timeout

    def _expire(self) -> None:
        """Tell those who have waited long enough that nothing can be known."""
        while self._away_since is not None and self._waits and clock() >= self._deadline():
            self._waiters.popleft().future.set_exception(self._store.unavailable())

    async def _ask(self) -> None:
        key = self._store.key(self._lane)
        asked_at = clock()
        first = islice(self._alive(), _AT_ONCE_MOST) if asked_at >= self._ask_at else ()
        wanted = [secrets.token_hex(8) for _ in first]
        due = asked_at - self.window.lease / 3 + _TOGETHER
        due_leases = [one for one in self._leases.values() if one.renewed_at <= due]
        renewed = [one for one in due_leases if one.key == key]
        news, self._news, self._tell_at = self._news, {}, _NEVER
        pause, self._pause = self._pause, 0.0
        asked = Asked(
            **_told_by(news, key, asked_at),
            renewed=[(one.name, one.has_begun) for one in renewed],
            wanted=wanted,
            pause=pause,
        )
        try:
            told = await self._store.ask(key, self.window, asked, self._patience())
        except TRMMError as error:
            # What was wanted may be held there now.
            held = wanted if isinstance(error, RedisAwayError) else ()
            self._news = {**dict.fromkeys(held, _News(key, None, asked_at)), **news, **self._news}
            self._pause = max(self._pause, pause)
            self._failed(error)
            return
        self._away_since, self._backoff = None, _BACKOFF[0]
        # Of slots that were taken with another key, which has been replaced since.
        for other in {one.key for one in news.values()} - {key}:
            with suppress(TRMMError):
                await self._store.ask(other, self.window, Asked(**_told_by(news, other, clock())), None)
        for lease in due_leases:
            lease.renewed_at = asked_at
        for lease, is_held in zip(renewed, told.renewed, strict=True):
            lease.good_until = asked_at + self.window.lease if is_held else 0.0
        if self._has_stepped(asked_at, told):
            _LOG.warning(
                "%s: its clock was set forward; nothing is sent for %.1f s",
                self._store.address,
                self.window.hold,
            )
            self._news |= dict.fromkeys(wanted[: told.granted], _News(key, None, asked_at))
            self.pause(self.window.hold)
            return
        self._note(told)
        self._give(key, wanted[: told.granted], asked_at)
        if wanted:
            self._is_full = told.granted < len(wanted)
            self._free_at = clock() + told.wait
            if self._is_full:
                # Soon again where it isn't known, and never all processes at the same moment.
                wait = min(told.wait, max(_POLL, told.wait / 2)) if told.wait else _POLL
                jitter = random.random()  # noqa: S311
                self._ask_at = clock() + wait + jitter * max(_TOGETHER, _POLL / 2 if not told.wait else 0.0)

    def _patience(self) -> float | None:
        """Seconds that one script may take; None: as long as usual."""
        if self._away_since is None or not self._waits:
            return None
        return min(max(self._deadline() - clock(), _LEAST_PATIENCE), self._store.patience)

    def _give(self, key: str, names: list[str], asked_at: float) -> None:
        # An answer that was long on its way leaves too little of the lease to begin with.
        is_late = clock() - asked_at > self.window.lease / 2
        for name in names:
            lease = _Lease(self, name, key, asked_at)
            waiter = self._waiters.popleft() if not is_late and self._waits else None
            if waiter is None:
                lease.give_back()
                continue
            self._leases[name] = lease
            waiter.future.set_result(lease)

    def _failed(self, error: TRMMError) -> None:
        now = clock()
        if isinstance(error, LimiterUnavailableError):  # it refuses, and waiting would change nothing
            self._refuse(error)
            self._away_since = None
        elif self._away_since is None:
            self._away_since = now
            _LOG.warning(
                "the shared limits at %s can't be asked: %s; nothing is sent", self._store.address, error
            )
        self._forget()
        self._ask_at = now + self._backoff * (0.5 + random.random())  # noqa: S311
        self._backoff = min(self._backoff * 2, _BACKOFF[1])
        self._tell_at = self._ask_at if self._news or self._pause else _NEVER
        self._expire()

    def _refuse(self, error: LimiterUnavailableError) -> None:
        while self._waits:
            # Each task that raises it has a traceback of its own.
            self._waiters.popleft().future.set_exception(LimiterUnavailableError(str(error)))

    def _forget(self) -> None:
        """What has ended by its lease meanwhile need not be told."""
        now = clock()
        kept = [(name, one) for name, one in self._news.items() if one.since + self.window.hold > now]
        self._news = dict(kept[-_NEWS_MOST:])

    def _has_stepped(self, asked_at: float, told: WindowReply) -> bool:
        """Whether the server's clock has gone on by more than time has."""
        before, self._anchor = self._anchor, (told.now, asked_at)
        if before is None or told.lost:
            return False
        ran = clock() - before[1]
        return told.now - before[0] > ran * 1.001 + _STEP_LEAST

    def _note(self, told: WindowReply) -> None:
        if told.lost:
            level = logging.INFO if told.lost == 1 else logging.WARNING
            said = "the server of the shared limits at %s %s: nothing is sent for %.1f s"
            _LOG.log(level, said, self._store.address, _LOST[told.lost], told.wait or self.window.hold)
        limit = told.count, told.per
        if limit != self._told_of:
            smaller = told.count < self.window.count or told.per > self.window.per * 1.01 + 0.01
            if smaller:
                _LOG.warning(
                    "another client of this key has a smaller limit, which holds: %d%s, not %d%s",
                    told.count,
                    f" per {told.per:g} s" if told.per else " waiting",
                    self.window.count,
                    f" per {self.window.per:g} s" if self.window.per else " waiting",
                )
            self._told_of = limit

    async def aclose(self) -> None:
        """Tell what there is to tell, for a second at most; who waits gets a `ClosedError`."""
        self._is_closed = True
        while self._waits:
            self._waiters.popleft().future.set_exception(ClosedError("this TRMM is closed"))
        self._woken.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING):
                if self._task is not None:
                    await self._task
                if self._news and self._away_since is None:
                    await self._ask()


def _told_by(news: Mapping[str, _News], key: str, now: float) -> dict[str, Any]:
    """What the script is told of these, of those under this key."""
    ours = [(name, one.counted_at) for name, one in news.items() if one.key == key]
    return {
        "settled": [(name, now - when) for name, when in ours if when is not None],
        "back": [name for name, when in ours if when is None],
    }


class SharedLimiter(_Shared):
    """See `admission.Limiter`: the limit of one lane, shared with other processes."""

    def __init__(self, store: "SharedLimiters", lane: Lane | None, limit: RateLimit) -> None:
        window = Window(limit.count, limit.per, store.lease, limit.surely_counted)
        super().__init__(store, "all" if lane is None else lane.name.lower(), window)
        self.limit: RateLimit = limit
        self._bucket = bucket_of(limit)
        self._turn = asyncio.Lock()

    @property
    def next_free_in(self) -> float | None:
        """See `admission.Limiter`; as the server last said."""
        if self._anchor is None or self._away_since is not None:
            return None
        return max(0.0, self._free_at - clock())

    def acquire_now(self) -> Slot | None:
        """See `admission.Limiter`: never."""
        return None

    async def acquire(self) -> Slot:
        """See `admission.Limiter`."""
        if self._bucket is None:
            return await self._acquire()
        async with self._turn:
            return await self._smoothed(self._bucket)

    async def _smoothed(self, bucket: AsyncLimiter) -> Slot:
        slot = await self._acquire()
        try:
            await bucket.acquire(1)
        except BaseException:
            slot.give_back()
            raise
        return slot


class SharedPool(_Shared):
    """See `admission.WorkerPool`: the server's workers, shared with other processes."""

    def __init__(self, store: "SharedLimiters", most: int) -> None:
        super().__init__(store, "workers", Window(most, 0.0, store.lease, 0.0))

    @property
    def is_full(self) -> bool:
        """See `admission.WorkerPool`; as the server last said."""
        return self._is_full or self._waits

    async def acquire(self) -> _Lease:
        """See `admission.WorkerPool`."""
        return await self._acquire()


class SharedLimiters:
    """See `admission.LimiterFactory`: limits that all processes with this key keep to.

    An unlimited lane is nobody's business and stays in this process.

    Args:
        link: the way to the Redis server.
        server: the normalised address of the server whose limits they are.
        key: gives the key that is in use. It gets no farther than a digest.
        timeout: seconds after which who waits is told that the server is away.
        lease: seconds for which a slot is held of which nothing is told; the same for all clients of a key.
    """

    def __init__(
        self,
        link: RedisLink,
        server: str,
        key: Callable[[], str],
        *,
        timeout: float = 30.0,
        lease: float = LEASE,
    ) -> None:
        self._link = link
        self._server = server
        self._key = key
        self._named = "", ""
        self._made: list[_Shared] = []
        self._is_examined = False
        self._why = ""
        self.timeout = timeout
        self.lease = lease
        self.patience: float = 2.0
        self.scripts: int = 0

    def __repr__(self) -> str:
        return f"<SharedLimiters {self.address}>"

    @property
    def address(self) -> str:
        """Where they are kept, without the password."""
        return self._link.address.shown

    def limiter(self, lane: Lane | None, limit: RateLimit | None) -> "SharedLimiter | WindowLimiter":
        """See `admission.LimiterFactory`."""
        if limit is None:
            return WindowLimiter(None)
        made = SharedLimiter(self, lane, limit)
        self._made.append(made)
        return made

    def workers(self, most: int) -> SharedPool:
        """See `admission.LimiterFactory`."""
        made = SharedPool(self, most)
        self._made.append(made)
        return made

    async def aclose(self) -> None:
        """Tell the server what has ended, and leave it."""
        for one in self._made:
            await one.aclose()
        await self._link.aclose()

    # -- for the limiters ------------------------------------------------------------------------------------

    def key(self, lane: str) -> str:
        """The name under which that lane's window stands there, for the key in use."""
        key = hide(self._key())
        if self._named[0] is not key and self._named[0] != key:
            made = hmac.new(HiddenBytes(key.encode()), self._server.encode(), hashlib.sha256)
            self._named = key, made.hexdigest()[:32]
        # In braces: both keys of a lane are on the same node of a cluster.
        return f"trmm:{{{self._named[1]}}}:{lane}"

    async def ask(self, key: str, window: Window, asked: Asked, within: float | None) -> WindowReply:
        """Run the script.

        Raises:
            RedisAwayError: no answer; it may have been run or not.
            LimiterUnavailableError: the server refuses, and will go on to.
        """
        refused = ""
        try:
            if not self._is_examined:
                await self._examine()
            self.scripts += 1
            answer = await self._link.run(
                WINDOW, (f"{key}:held", f"{key}:meta"), words(window, asked), within=within
            )
            return read(answer)
        except RedisAwayError as error:
            # When it is back it may be another, with other settings.
            self._is_examined = False
            self._why = str(error)
            raise
        except RedisRefusedError as error:
            self._is_examined = False
            refused = str(error)
        raise LimiterUnavailableError(
            f"the shared limits at {self.address} can't be used: {refused}; nothing was sent"
        )

    async def _examine(self) -> None:
        found = await examine(self._link)
        if found.problem:
            raise RedisRefusedError(found.problem)
        if found.is_replica:
            raise RedisAwayError("it is a replica, which takes no writes: give the URL of the primary")
        self._is_examined = True

    def unavailable(self) -> LimiterUnavailableError:
        """To raise: nothing could be asked for as long as may be."""
        return LimiterUnavailableError(
            f"the shared limits at {self.address} could not be asked for {self.timeout:g} s ({self._why}): "
            "nothing was sent. `trmm doctor` looks why"
        )
