"""What all calls of a client share, whatever their own settings: connections, limits, counts.

Below `sender`, which carries one call out. A client and its views (`TRMM.with_options`) are several
`Transport`s over one `Pool`.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from http.cookies import BaseCookie, SimpleCookie
from typing import Any, Final

import aiohttp
from yarl import URL

from trmm_async.admission import Limiter, LimiterFactory, Slot, WorkerLease, WorkerPool, give_back
from trmm_async.calls import Call, Lane
from trmm_async.errors import ClosedError
from trmm_async.limits import RateLimit
from trmm_async.observing import Observers, Stats
from trmm_async.pacing import LocalLimiters
from trmm_async.transport.connector import Connector, ask_first, send_once
from trmm_async.transport.deadlines import Deadlines
from trmm_async.transport.server import Server
from trmm_async.transport.tracing import CallTrace, WaitTracker

__all__ = ["Pool", "ServerLimits"]


class _NoCookies(aiohttp.DummyCookieJar):
    """Keeps no cookies. aiohttp's own dummy makes a new empty jar for each request; this one does not."""

    _none: Final[SimpleCookie] = SimpleCookie()

    def filter_cookies(self, request_url: URL) -> "BaseCookie[str]":
        del request_url
        return self._none


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """How much the server may be asked; None is no limit.

    Attributes:
        rate_limit: counts all requests.
        lanes: further limits, each of which counts the calls of its lane.
        max_waiting: how many calls may hold a worker of the server at once (`Lane.WORKERS`).
    """

    rate_limit: RateLimit | None = None
    lanes: Mapping[Lane, RateLimit | None] = field(default_factory=dict)
    max_waiting: int | None = None


class Pool:
    """One server's connections and limits. Belongs to the event loop that first uses it.

    Attributes:
        limiter: the limit that every call draws on.
        deadlines: of all calls under way.
        observers: are told what happens.
        max_connections: how many calls may have a connection at once.
        waiters: the calls that wait for a place among the connections, first come, first served.
        sent, refused, retried, in_flight: see `observing.Stats`.
        waits: counts the calls that wait, and for how long they have waited.
    """

    def __init__(
        self,
        server: Server,
        limits: ServerLimits,
        *,
        limiters: LimiterFactory | None = None,
        max_connections: int = 100,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self._server = server
        self._limiters: LimiterFactory = limiters or LocalLimiters()
        self.limiter: Limiter = self._limiters.limiter(None, limits.rate_limit)
        self._lanes: dict[Lane, Limiter] = {}
        self._workers: tuple[int, WorkerPool] | None = None
        self.adopt(limits)
        self.waiters: deque[asyncio.Future[None]] = deque()
        self.max_connections: int = max_connections
        self.deadlines: Deadlines = Deadlines()
        self.observers: Observers = Observers()
        self.waits: WaitTracker = WaitTracker(self.observers, server.scrub)
        self._session = session
        self._session_is_ours = session is None
        # The middlewares of a request replace those of its session, so those of a user's session are kept.
        self.once: tuple[aiohttp.ClientMiddlewareType, ...] = (
            *getattr(session, "_middlewares", ()),
            send_once,
        )
        self.once_on_another: tuple[aiohttp.ClientMiddlewareType, ...] = (*self.once, ask_first)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self.sent: int = 0
        self.refused: int = 0
        self.retried: int = 0
        self.in_flight: int = 0

    def __repr__(self) -> str:
        return f"<Pool {self.state}, {self.limiter!r}>"

    @property
    def state(self) -> str:
        """The state in words: not yet used, open or closed."""
        return "closed" if self._closed else "open" if self._loop else "not yet used"

    @property
    def stats(self) -> Stats:
        """What was sent, and what waits."""
        return Stats(
            sent=self.sent,
            refused=self.refused,
            retried=self.retried,
            waiting=self.waits.waiting,
            waited_s=self.waits.waited,
            in_flight=self.in_flight,
            next_free_in=self.limiter.next_free_in,
            rate_limit=self.limiter.limit,
        )

    async def aclose(self) -> None:
        """Close the connections. A session that the user handed in stays open. May be called twice."""
        self._closed = True
        self.deadlines.close()
        if self._session is not None and self._session_is_ours:
            await self._session.close()

    def check_open(self) -> None:
        """Check that the pool may be used here.

        Raises:
            ClosedError: it is closed, or belongs to another event loop.
        """
        if self._closed:
            raise ClosedError("this TRMM is closed")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise ClosedError("this TRMM belongs to another event loop; make one for each")

    def session(self) -> aiohttp.ClientSession:
        """The session for all requests, made when it is first needed.

        Raises:
            ClosedError: the pool or the session is closed.
        """
        if self._session is None:
            connector = Connector(
                # One more than calls, since the connector may set one connection aside to watch it.
                limit=self.max_connections + 1,
                through=self._server.proxy,
                **({"ssl": self._server.ssl} if self._server.ssl is not None else {}),
            )
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=_NoCookies())
        if self._closed or self._session.closed:
            raise ClosedError("the session was closed, by us or by you")
        return self._session

    # -- limits ----------------------------------------------------------------------------------------------

    def adopt(self, limits: ServerLimits) -> None:
        """Keep to these limits from now on. A limit that stays the same keeps what it has counted.

        Calls that already wait under a limit that changes go on waiting under the old one.
        """
        most = limits.max_waiting
        self.limiter = self._kept(None, self.limiter, limits.rate_limit)
        self._lanes = {
            lane: self._kept(lane, self._lanes.get(lane), limit) for lane, limit in limits.lanes.items()
        }
        if most is None:
            self._workers = None
        elif self._workers is None or self._workers[0] != most:
            self._workers = most, self._limiters.workers(most)

    def _kept(self, lane: Lane | None, limiter: Limiter | None, limit: RateLimit | None) -> Limiter:
        if limiter is not None and limiter.limit == limit:
            return limiter
        return self._limiters.limiter(lane, limit)

    def limiters_of(self, lanes: Iterable[Lane]) -> list[Limiter]:
        """The limits of these lanes, then the one that all calls draw on."""
        return [*(self._lanes[lane] for lane in lanes if lane in self._lanes), self.limiter]

    async def acquire(
        self, call: Call[Any], trace: CallTrace | None
    ) -> tuple[tuple[Slot, ...], WorkerLease | None]:
        """Wait for one of the server's workers if the call holds one, for the limits, for a connection.

        Safe to cancel: what was already acquired is given back.

        Raises:
            TRMMError: a limit that is kept elsewhere can't be asked; nothing may be sent.
        """
        worker: WorkerLease | None = None
        slots: list[Slot] = []
        waits = self.waits
        try:
            if self._workers is not None and Lane.WORKERS in call.lanes:
                workers = self._workers[1]
                with waits.wait(call, trace, "worker") if workers.is_full else nullcontext():
                    worker = await workers.acquire()
            for limiter in self.limiters_of(call.lanes):
                slot = limiter.acquire_now()
                if slot is None:
                    with waits.wait(call, trace, "limit", expected=limiter.next_free_in):
                        slot = await limiter.acquire()
                slots.append(slot)
            if self.in_flight < self.max_connections and not self.waiters:
                self.in_flight += 1
            else:
                with waits.wait(call, trace, "connection"):
                    await self._wait_for_place()
        except BaseException:
            give_back(slots)
            if worker is not None:
                worker.release()
            raise
        return tuple(slots), worker

    async def acquire_slot(self) -> Slot:
        """Wait for a slot of the rate limit for a request that is no `Call`: a socket's handshake."""
        limiter = self.limiter
        if (slot := limiter.acquire_now()) is not None:
            return slot
        with self.waits.counted():
            return await limiter.acquire()

    async def _wait_for_place(self) -> None:
        # An asyncio.Semaphore would cost two calls more for each of ours, also where there is a place.
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters.append(turn)
        try:
            await turn
        except BaseException:
            with suppress(ValueError):
                self.waiters.remove(turn)
            if not turn.cancelled():
                self.release_place()
            raise

    def release_place(self) -> None:
        """Give a place among the connections to the first call that waits for one."""
        while self.waiters:
            turn = self.waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.in_flight -= 1
