"""Carries calls out: limit, connection, retry, error, answer.

Above it the resources, who hand in `Call`s; below it the pure rooms, who decide (`retry`), word the errors
(`answers`) and pace (`pacing`). Every exception of aiohttp ends here.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http.cookies import BaseCookie, SimpleCookie
from types import MappingProxyType, TracebackType
from typing import Any, Final, Protocol, TypeVar, cast
from urllib.parse import urlencode, urlsplit

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from trmm_async.admission import Limiter, LimiterFactory, Slot, WorkerLease, WorkerPool, give_back
from trmm_async.answers import error_for, failure
from trmm_async.calls import Call, Lane, Replay, ignore_answer
from trmm_async.errors import ClosedError, ConnectionFailedError, TRMMError
from trmm_async.hidden import HiddenBytes
from trmm_async.limits import RateLimit
from trmm_async.pacing import LocalLimiters
from trmm_async.retry import Again, Fault, Meaning, Reply, RetryPolicy, Stage, Tries
from trmm_async.transport.body import (
    FAULTS,
    Body,
    UnreadableError,
    at_hand,
    beginning,
    decoded,
    download,
    expect_more_within,
    shown,
    whole,
    words,
)
from trmm_async.transport.connector import SENDING, Connector, UnaskedError, ask_first, send_once
from trmm_async.transport.deadlines import Deadlines
from trmm_async.transport.server import Server, check_hop, next_hop
from trmm_async.transport.watching import watched

__all__ = ["SendRecord", "Transport"]

T = TypeVar("T")
OnSent = Callable[[bool], None]
"""Called with whether the call may have had an effect by now."""

_REDIRECTS_MOST: Final = 5
_SENT_ONCE: Final = frozenset({"POST", "PATCH"})
"""Methods that aiohttp never sends a second time by itself."""
_ENDLESS: Final = aiohttp.ClientTimeout()
"""Our own deadline bounds the call: aiohttp would make a timer for each."""


class SendRecord(Protocol):
    """Where it is written down what leaves. What it raises keeps the attempt from leaving."""

    async def begin(self) -> None:
        """The next attempt is about to leave: no limit and no connection's place is waited for any more."""

    async def withdraw(self) -> None:
        """It certainly had no effect, and a pause comes before the next."""


class _Attempt:
    """One sending of one call: what it holds, and how far it got. A block in which its head is waited for."""

    __slots__ = (
        *("_connections", "_on_sent", "_slots", "_slow", "_token", "_worker"),
        *("careful", "connected", "expired", "unwritten"),
    )

    def __init__(
        self,
        call: Call[Any],
        slots: tuple[Slot, ...],
        worker: WorkerLease | None,
        connections: asyncio.Semaphore,
        on_sent: OnSent | None,
    ) -> None:
        self.careful = call.replay is Replay.NEVER
        self.connected = False
        self.expired = False
        self.unwritten = False
        self._on_sent = on_sent
        self._slow = call.answers_within is not None
        self._slots = slots
        self._worker = worker
        self._connections = connections

    def __enter__(self) -> None:
        self._token = SENDING.set(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        SENDING.reset(self._token)
        if kind is None:
            # The server has counted it.
            for slot in self._slots:
                slot.settle()
        else:
            self._break_off()

    def has_connection(self) -> None:
        """From here on bytes may flow. Told by the connector."""
        self.connected = True
        if self._on_sent is not None:
            self._on_sent(True)
        if self._slow:
            for slot in self._slots:
                slot.written()

    def may_begin(self) -> bool:
        """Whether its first byte may leave now. Asked by the connector; what was refused stays so."""
        for slot in self._slots:
            if not slot.may_begin():
                self.expired = True
        if self._worker is not None and not self._worker.may_begin():
            self.expired = True
        return not self.expired

    def _break_off(self) -> None:
        """Broken or cancelled without an answer: what may have reached the server may yet be counted."""
        if not self.connected or self.expired:
            give_back(self._slots)
            return
        for slot in self._slots:
            slot.written()

    async def note(self, record: SendRecord) -> None:
        """Have it written down that it is about to leave; if that can't be done, it doesn't."""
        try:
            await record.begin()
        except BaseException:
            give_back(self._slots)
            self.leave()
            raise

    def leave(self) -> None:
        """Its connection is free for others, and the server's worker if it held one."""
        self._connections.release()
        if self._worker is not None:
            self._worker.release()

    def fault(self, error: BaseException) -> Fault:
        """What this exception means for the call."""
        if self.expired:
            return Fault(Stage.NOT_SENT, "the right to send ran out before the first byte could leave")
        unsent = isinstance(
            error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | UnaskedError
        )
        if unsent or not self.connected or self.unwritten:
            return Fault(Stage.NOT_SENT, words(error), shown(error))
        stage = Stage.LATE if isinstance(error, TimeoutError) else Stage.LOST
        return Fault(stage, words(error), shown(error))


class _NoCookies(aiohttp.DummyCookieJar):
    """Keeps none, and makes no new empty jar for each request."""

    _none: Final[SimpleCookie] = SimpleCookie()

    def filter_cookies(self, request_url: URL) -> "BaseCookie[str]":
        del request_url
        return self._none


@dataclass(frozen=True, slots=True)
class _Opened:
    response: aiohttp.ClientResponse = field(repr=False)
    attempt: _Attempt

    def close(self) -> None:
        # A body that was read to its end has given its connection back already; any other is dropped.
        self.response.close()
        self.attempt.leave()


class Transport:
    """One server's connections, limits and rules. Belongs to the event loop that first uses it."""

    def __init__(
        self,
        server: Server,
        *,
        rate_limit: RateLimit | None,
        lanes: Mapping[Lane, RateLimit | None] = MappingProxyType({}),
        max_waiting: int | None = None,
        limiters: LimiterFactory | None = None,
        max_connections: int = 100,
        timeout: float = 30.0,
        max_answer: int = 1 << 28,
        policy: RetryPolicy | None = None,
        session: aiohttp.ClientSession | None = None,
        jitter: Callable[[], float] = random.random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.server = server
        self._root = URL(server.base_url, encoded=True)
        self._prefix = self._root.raw_path.rstrip("/")
        # In the form in which aiohttp takes them without making another of it.
        self._headers = CIMultiDict({**server.headers, "Accept-Encoding": "gzip"})
        self._json_headers = CIMultiDict({**self._headers, "Content-Type": "application/json"})
        # Files are asked for as they are: what is packed on the way has no length beforehand.
        self._file_headers = CIMultiDict({"Accept-Encoding": "identity"})
        self._limiters: LimiterFactory = limiters or LocalLimiters()
        self._limiter = self._limiters.limiter(None, rate_limit)
        self._lanes: dict[Lane, Limiter] = {}
        self._workers: tuple[int, WorkerPool] | None = None
        self.adopt(rate_limit=rate_limit, lanes=lanes, max_waiting=max_waiting)
        self._places = asyncio.Semaphore(max_connections)
        self._max_connections = max_connections
        self._timeout = timeout
        self._max_answer = max_answer
        self._deadlines = Deadlines()
        self._policy = policy or RetryPolicy()
        self._session = session
        self._session_is_ours = session is None
        # Those of a session that was handed in would be replaced by ours; aiohttp has no way to add.
        self._once = (*getattr(session, "_middlewares", ()), send_once)
        self._once_on_another = (*self._once, ask_first)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._jitter = jitter
        self._now = now

    def __repr__(self) -> str:
        return f"<Transport {self.server.base_url}, {self.state}, {self._limiter!r}>"

    @property
    def max_answer(self) -> int:
        """How many bytes of an answer may be held at once."""
        return self._max_answer

    @property
    def state(self) -> str:
        """In words: not yet used, open or closed."""
        return "closed" if self._closed else "open" if self._loop else "not yet used"

    async def aclose(self) -> None:
        """Close the connections. A session that was handed in stays open. Twice is the same as once."""
        self._closed = True
        self._deadlines.close()
        if self._session is not None and self._session_is_ours:
            await self._session.close()

    def adopt(
        self, *, rate_limit: RateLimit | None, lanes: Mapping[Lane, RateLimit | None], max_waiting: int | None
    ) -> None:
        """Keep to these bounds from now on. A limit that stays as it was keeps what it has counted.

        What waits under one that changes is not taken over.
        `max_waiting` calls may hold a worker of the server at once (`Lane.WORKERS`); None for any number.
        """
        self._limiter = self._kept(None, self._limiter, rate_limit)
        self._lanes = {lane: self._kept(lane, self._lanes.get(lane), limit) for lane, limit in lanes.items()}
        if max_waiting is None:
            self._workers = None
        elif self._workers is None or self._workers[0] != max_waiting:
            self._workers = max_waiting, self._limiters.workers(max_waiting)

    def _kept(self, lane: Lane | None, limiter: Limiter | None, limit: RateLimit | None) -> Limiter:
        if limiter is not None and limiter.limit == limit:
            return limiter
        return self._limiters.limiter(lane, limit)

    async def acquire(self) -> Slot:
        """Wait for the right to send one request on another way; see `admission.Limiter.acquire`."""
        return await self._limiter.acquire()

    def pause(self, seconds: float) -> None:
        """The server asked all of us to wait that long."""
        self._limiter.pause(seconds)

    async def pace(self, lanes: Iterable[Lane] = ()) -> tuple[Slot, ...]:
        """Wait for the right to send one request that draws on these lanes and the general limit.

        Safe to cancel: what was already had is given back.

        Raises:
            TRMMError: whether there is room can't be known; nothing may be sent.
        """
        if not lanes:
            return (self._limiter.acquire_now() or await self._limiter.acquire(),)
        slots: list[Slot] = []
        try:
            for limiter in (*self._limiters_of(lanes), self._limiter):
                slots.append(await limiter.acquire())  # noqa: PERF401 - what was had must be known on cancel
        except BaseException:
            give_back(slots)
            raise
        return tuple(slots)

    async def send(self, call: Call[T], on_sent: OnSent | None = None, record: SendRecord | None = None) -> T:
        """Carry a call out, as often as its replay rule and the settings allow; its decoded answer.

        Safe to cancel; a call that changes something may then have taken effect. `on_sent` is called with
        True when the first byte of an attempt may leave: until then it certainly had none. It is called with
        False before a wait for the next attempt, and in the end, if none of those so far had any effect and
        the last was turned away unread. `record` is told of the former, and waited for.

        Raises:
            TRMMError: see `errors`. Nothing else.
        """
        tries: Tries | None = None
        on_sent = watched(call, on_sent)
        while True:
            # All in one coroutine: of each call that is under way, as many are held as it has layers.
            attempt = await self._admit(call, on_sent, tries)
            if record is not None:
                await attempt.note(record)
            result: Reply | Fault
            response: aiohttp.ClientResponse | None
            body: bytes | None
            try:
                with self._deadlines.within(self._timeout + (call.answers_within or 0.0)):
                    with attempt:
                        response = await self._ask(call, attempt, self._url(call), self._headers)
                    body = at_hand(response)
                    if body is None:
                        async with response:
                            if not 200 <= response.status < 300:
                                body = await beginning(response)
                            elif rows := call.rows or getattr(call.decode, "rows", None):
                                return await download(response, call, rows, self._max_answer)
                            else:
                                body = await whole(response, self._max_answer)
                if 200 <= response.status < 300:
                    return decoded(response, call, body, self._max_answer)
                result = Reply(response.status, response.headers, body)
            except UnreadableError as error:
                result = error.fault
            except FAULTS as error:
                result = attempt.fault(error)
            finally:
                attempt.leave()
            # No frame that an error goes through has what the server said: it may say what it was told.
            response = body = None
            tries = tries or self._begin(call)
            if not await self._is_sent_again(call, result, tries, on_sent, record):
                return cast("T", None)

    @asynccontextmanager
    async def open(self, call: Call[Any]) -> AsyncIterator[Body]:
        """Open a call's answer, to read it while it downloads. Leaving early drops the connection."""
        opened = await self._open(call, self._url(call), self._headers)
        async with self._reading(opened, call) as body:
            yield body

    @asynccontextmanager
    async def download(self, url: str) -> AsyncIterator[Body]:
        """Open a file, redirects followed. The key goes to our own server's first answer alone.

        Raises:
            InvalidRequestError: the URL is none, or it or a redirect leads from https to plain http.
        """
        opened, call = await self._follow(url)
        async with self._reading(opened, call) as body:
            yield body

    def error(self, call: Call[Any], fault: Fault) -> Exception:
        """The error for a fault that was found while reading an open body."""
        tries = Tries(call.replay, self._policy)
        return failure(call, fault, Meaning.FAILED, tries, self.server.scrub)

    @asynccontextmanager
    async def _reading(self, opened: _Opened, call: Call[Any]) -> AsyncIterator[Body]:
        try:
            yield Body(opened.response, call, self.server, partial(self.error, call))
        finally:
            opened.close()

    async def _follow(self, url: str) -> tuple[_Opened, Call[Any]]:
        check_hop(self.server, url)
        headers = self._file_headers
        if self.server.is_home_of(url):
            headers = CIMultiDict({**self.server.headers, **headers})
        for _ in range(_REDIRECTS_MOST + 1):
            call = Call(method="GET", path=urlsplit(url).path or "/", decode=ignore_answer)
            opened = await self._open(call, URL(url), headers, redirects=True)
            if opened.response.status == 200:
                return opened, call
            opened.close()
            reply = Reply(opened.response.status, opened.response.headers, b"")
            if reply.status < 300:
                reason = f"the server answered {reply.status}, which is no whole file"
                raise self.error(call, Fault(Stage.UNREADABLE, reason, None, reply))
            url, headers = next_hop(url, reply.headers["Location"]), self._file_headers
            if not url:
                raise error_for(call, reply, self.server.scrub)
            check_hop(self.server, url)
        reason = f"more than {_REDIRECTS_MOST} redirects"
        raise ConnectionFailedError(reason, method="GET", path=urlsplit(url).path)

    def _begin(self, call: Call[Any]) -> Tries:
        return Tries(
            call.replay,
            self._policy,
            gone_is_done=call.gone_is_done,
            definite=call.definite,
            jitter=self._jitter,
        )

    async def _is_sent_again(
        self,
        call: Call[Any],
        result: Reply | Fault,
        tries: Tries,
        on_sent: OnSent | None = None,
        record: SendRecord | None = None,
    ) -> bool:
        """Whether to send it again, waited for; if not, it has succeeded, or what it came to is raised."""
        verdict = tries.judge(result, self._now())
        if isinstance(verdict, Again):
            if on_sent is not None and not tries.had_effect:
                on_sent(False)
            if record is not None and not tries.had_effect:
                await record.withdraw()
            await self._wait(call, verdict)
            return True
        if verdict.meaning is not Meaning.DONE:
            if on_sent is not None and _was_unread(result) and not tries.had_effect:
                on_sent(False)
            raise failure(call, result, verdict.meaning, tries, self.server.scrub)
        return False

    async def _wait(self, call: Call[Any], again: Again) -> None:
        if again.everyone:
            # The narrowest limit that the call draws on is the one that was hit, as far as we can know.
            (*self._limiters_of(call.lanes), self._limiter)[0].pause(again.delay)
        await asyncio.sleep(again.delay)

    async def _open(
        self, call: Call[Any], url: URL, headers: Mapping[str, str], *, redirects: bool = False
    ) -> _Opened:
        slowest = self._timeout + (call.answers_within or 0.0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=slowest)
        tries: Tries | None = None
        while True:
            attempt = await self._admit(call, None, tries)
            result: Reply | Fault
            response: aiohttp.ClientResponse | None
            opened = False
            try:
                with attempt:
                    response = await self._ask(call, attempt, url, headers, timeout=timeout)
                if slowest > self._timeout:
                    expect_more_within(response, self._timeout)
                elsewhere = redirects and 300 <= response.status < 400 and "Location" in response.headers
                if elsewhere or 200 <= response.status < 300:
                    opened = True
                    return _Opened(response, attempt)
                async with response:
                    result = Reply(response.status, response.headers, await beginning(response))
            except FAULTS as error:
                result = attempt.fault(error)
            finally:
                if not opened:
                    attempt.leave()
            response = None
            tries = tries or self._begin(call)
            await self._is_sent_again(call, result, tries)

    async def _admit(self, call: Call[Any], on_sent: OnSent | None, tries: Tries | None) -> _Attempt:
        """Wait for one of the server's workers if it holds one, for the limits, for a connection's place.

        Safe to cancel.
        """
        worker: WorkerLease | None = None
        slots: tuple[Slot, ...] = ()
        try:
            self.check_open()
            if self._workers is not None and Lane.WORKERS in call.lanes:
                worker = await self._workers[1].acquire()
            slots = await self.pace(call.lanes)
            await self._places.acquire()
        except BaseException as error:
            give_back(slots)
            if worker is not None:
                worker.release()
            if isinstance(error, TRMMError) and tries is not None and tries.had_effect:
                # That nothing is sent now says nothing of an earlier attempt, whose answer was lost.
                fault = Fault(Stage.NOT_SENT, str(error), error)
                raise failure(call, fault, Meaning.UNKNOWN, tries, self.server.scrub) from error
            raise
        return _Attempt(call, slots, worker, self._places, on_sent)

    def _ask(
        self,
        call: Call[Any],
        attempt: _Attempt,
        url: URL,
        headers: Mapping[str, str],
        *,
        timeout: aiohttp.ClientTimeout = _ENDLESS,
    ) -> Awaitable[aiohttp.ClientResponse]:
        session = self._get_session()
        middlewares = None if call.method in _SENT_ONCE else self._once
        if not isinstance(session.connector, Connector):
            # A connector that tells us nothing: it may send from here on.
            attempt.has_connection()
            middlewares = self._once_on_another
        return session.request(
            call.method,
            url,
            data=call.body if call.body is None else HiddenBytes(call.body),
            headers=headers if call.body is None else self._json_headers,
            timeout=timeout,
            allow_redirects=False,
            raise_for_status=False,
            # Ours tells a cut stream from a whole one; see `inflate`.
            auto_decompress=False,
            middlewares=middlewares,
        )

    def _limiters_of(self, lanes: Iterable[Lane]) -> list[Limiter]:
        return [self._lanes[lane] for lane in lanes if lane in self._lanes]

    def _url(self, call: Call[Any]) -> URL:
        if call.query:
            return URL(f"{self.server.base_url}{call.path}?{urlencode(call.query)}", encoded=True)
        # Spares parsing the part that is always the same.
        return self._root.with_path(f"{self._prefix}{call.path}", encoded=True)

    def check_open(self) -> None:
        """Refuse to go on where this is closed, or belongs to another event loop than the one that runs.

        Raises:
            ClosedError: so it is.
        """
        if self._closed:
            raise ClosedError("this TRMM is closed")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise ClosedError("this TRMM belongs to another event loop; make one for each")

    def _get_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = Connector(
                # One more than calls: the connector may keep one aside to learn from.
                limit=self._max_connections + 1,
                **({"ssl": self.server.ssl} if self.server.ssl is not None else {}),
            )
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=_NoCookies())
        if self._closed or self._session.closed:
            raise ClosedError("the session was closed, by us or by you")
        return self._session


def _was_unread(result: Reply | Fault) -> bool:
    """Whether the application never saw it: no byte of it came there, or the throttle stood before it."""
    return result.stage is Stage.NOT_SENT if isinstance(result, Fault) else result.status == 429
