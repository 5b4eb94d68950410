"""Sends calls: waits for the limit and a connection, retries, and turns answers into values or errors.

The resources hand in `Call`s. Pure modules decide: `retry` whether to send again, `answers` which error is
raised, `pacing` when a request may leave. No exception of aiohttp leaves this module.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Any, Final, Protocol, TypeVar, cast
from urllib.parse import urlencode, urlsplit

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from trmm_async.admission import LimiterFactory, Slot, WorkerLease, give_back
from trmm_async.answers import error_for, failure
from trmm_async.calls import Call, Lane, Replay, ignore_answer
from trmm_async.codec import http_date, shifted
from trmm_async.errors import ConnectionFailedError, TRMMError
from trmm_async.hidden import HiddenBytes
from trmm_async.limits import RateLimit
from trmm_async.observing import Observers, Stats
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
from trmm_async.transport.connector import SENDING, Connector, NoTunnelError, UnaskedError
from trmm_async.transport.pool import Pool
from trmm_async.transport.raw import RawResponse
from trmm_async.transport.server import Server, check_hop, next_hop
from trmm_async.transport.tracing import HTTP, CallTrace
from trmm_async.transport.watching import WATCH

__all__ = ["SendRecord", "Transport"]

T = TypeVar("T")
OnSent = Callable[[bool], None]
"""Called with True once the call may have had an effect, with False if it certainly had none."""

_REDIRECTS_MOST: Final = 5
_SENT_ONCE: Final = frozenset({"POST", "PATCH"})
"""Methods that aiohttp never sends a second time by itself."""
_ENDLESS: Final = aiohttp.ClientTimeout()
"""Our own deadline bounds the call: aiohttp would make a timer for each."""


class SendRecord(Protocol):
    """Records each attempt before it is sent. If a method raises, the attempt is not sent."""

    async def begin(self) -> None:
        """The next attempt is about to be sent: no limit and no connection is waited for any more."""

    async def withdraw(self) -> None:
        """The attempt certainly had no effect, and the call pauses before the next one."""

    def may_begin(self) -> bool:
        """Whether the first byte may be sent now. False if the record may no longer be valid."""
        ...


class _Attempt:
    """One attempt to send a call: which slots it holds, and how far it got.

    Used as a `with` block around the wait for the head of the answer.
    """

    __slots__ = (
        *("_on_sent", "_pool", "_record", "_slots", "_slow", "_token", "_trace", "_worker"),
        *("careful", "connected", "expired", "head", "unwritten"),
    )

    def __init__(
        self,
        call: Call[Any],
        slots: tuple[Slot, ...],
        worker: WorkerLease | None,
        pool: Pool,
        on_sent: OnSent | None,
        *,
        trace: CallTrace | None,
    ) -> None:
        self.careful = call.replay is Replay.NEVER
        self.connected = False
        self.expired = False
        self.unwritten = False
        self.head: tuple[int, Mapping[str, str]] | None = None
        self._on_sent = on_sent
        self._slow = call.answers_within is not None
        self._slots = slots
        self._worker = worker
        self._pool = pool
        self._trace = trace
        self._record: SendRecord | None = None
        if trace is not None:
            trace.begin_attempt()

    def __enter__(self) -> None:
        self._token = SENDING.set(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        SENDING.reset(self._token)
        if kind is None:
            # The server has answered, so it has counted the request.
            for slot in self._slots:
                slot.settle()
        else:
            self._break_off()

    def has_connection(self) -> None:
        """The connector calls this when the attempt has a connection: from now on bytes may be sent."""
        if not self.connected:
            self._pool.sent += 1
        self.connected = True
        if self._on_sent is not None:
            self._on_sent(True)
        if self._slow:
            for slot in self._slots:
                slot.written()

    def may_begin(self) -> bool:
        """Whether the first byte may be sent now. Called by the connector; a refusal is final."""
        for slot in self._slots:
            if not slot.may_begin():
                self.expired = True
        for lease in (self._worker, self._record):
            if lease is not None and not lease.may_begin():
                self.expired = True
        return not self.expired

    def _break_off(self) -> None:
        """The attempt failed or was cancelled without an answer; the server may still count it."""
        if not self.connected or self.expired:
            give_back(self._slots)
            return
        for slot in self._slots:
            slot.written()

    async def note(self, record: SendRecord) -> None:
        """Record that the attempt is about to be sent. If the record fails, the attempt is not sent."""
        self._record = record
        try:
            await record.begin()
        except BaseException:
            give_back(self._slots)
            self.leave()
            raise

    def leave(self) -> None:
        """Free the connection, and the server's worker if the attempt held one, for other calls."""
        pool = self._pool
        if pool.line:
            pool.hand_on()
        else:
            pool.in_flight -= 1
        if self._worker is not None:
            self._worker.release()
        if self._trace is not None:
            self._trace.end_attempt(self.head)

    def fault(self, error: BaseException) -> Fault:
        """Return what this exception means for the call: certainly not sent, lost, or too late."""
        if self.expired:
            return Fault(Stage.NOT_SENT, "the right to send ran out before the first byte could leave")
        unsent = isinstance(
            error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | UnaskedError
        )
        if unsent or not self.connected or self.unwritten:
            # A certificate is the same a second later.
            final = isinstance(error, aiohttp.ClientConnectorCertificateError) or (
                isinstance(error, NoTunnelError) and error.is_final
            )
            return Fault(Stage.NOT_SENT, words(error), shown(error), is_final=final)
        stage = Stage.LATE if isinstance(error, TimeoutError) else Stage.LOST
        return Fault(stage, words(error), shown(error))


@dataclass(frozen=True, slots=True)
class _Opened:
    response: aiohttp.ClientResponse = field(repr=False)
    attempt: _Attempt
    trace: CallTrace | None

    def close(self, error: BaseException | None = None) -> None:
        # A body that was read to its end has given its connection back already; any other is dropped.
        self.response.close()
        self.attempt.leave()
        if self.trace is not None:
            self.trace.ended(error)


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
        observers: Observers | None = None,
        pool: Pool | None = None,
        jitter: Callable[[], float] = random.random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.server = server
        self._root = URL(server.base_url, encoded=True)
        self._prefix = self._root.raw_path.rstrip("/")
        self._source = server.source
        self._write_headers()
        # Files are asked for as they are: what is packed on the way has no length beforehand.
        self._file_headers = CIMultiDict({"Accept-Encoding": "identity"})
        self._pool = pool or Pool(
            server,
            rate_limit=rate_limit,
            lanes=lanes,
            max_waiting=max_waiting,
            limiters=limiters,
            max_connections=max_connections,
            session=session,
            observers=observers,
        )
        self.observers: Observers = self._pool.observers
        self._deadlines = self._pool.deadlines
        self._timeout = timeout
        self._max_answer = max_answer
        self._policy = policy or RetryPolicy()
        self._jitter = jitter
        self._now = now
        self._dated = "", 0.0

    def __repr__(self) -> str:
        return f"<Transport {self.server.base_url}, {self._pool!r}>"

    def _write_headers(self) -> None:
        # In the form in which aiohttp takes them without making another of it.
        self._key = self.server.key
        self._headers = CIMultiDict({**self.server.headers, "Accept-Encoding": "gzip"})
        self._json_headers = CIMultiDict({**self._headers, "Content-Type": "application/json"})

    def view(
        self,
        *,
        timeout: float | None = None,
        retries: int | None = None,
        patience: float | None = None,
        max_answer: int | None = None,
    ) -> "Transport":
        """A transport with the same connections and limits, and other settings. None keeps a setting."""
        policy = self._policy
        return Transport(
            self.server,
            rate_limit=None,
            pool=self._pool,
            timeout=self._timeout if timeout is None else timeout,
            max_answer=self._max_answer if max_answer is None else max_answer,
            policy=RetryPolicy(
                policy.retries if retries is None else retries,
                policy.patience if patience is None else patience,
            ),
            jitter=self._jitter,
            now=self._now,
        )

    @property
    def max_answer(self) -> int:
        """How many bytes of one answer may be held in memory at once."""
        return self._max_answer

    @property
    def timeout(self) -> float:
        """Seconds that an attempt may take."""
        return self._timeout

    @property
    def state(self) -> str:
        """The state in words: not yet used, open or closed."""
        return self._pool.state

    @property
    def stats(self) -> Stats:
        """What was sent, and what waits."""
        return self._pool.stats

    async def aclose(self) -> None:
        """Close the connections. A session that the user handed in stays open. May be called twice."""
        await self._pool.aclose()

    def check_open(self) -> None:
        """Check that the client may be used here.

        Raises:
            ClosedError: the client is closed, or belongs to another event loop.
        """
        self._pool.check_open()

    def adopt(
        self, *, rate_limit: RateLimit | None, lanes: Mapping[Lane, RateLimit | None], max_waiting: int | None
    ) -> None:
        """Keep to these limits from now on. A limit that stays the same keeps what it has counted."""
        self._pool.adopt(rate_limit=rate_limit, lanes=lanes, max_waiting=max_waiting)

    def server_time(self) -> datetime | None:
        """The server's time by the `Date` of its last answer, to the second; None without one."""
        said, at = self._dated
        time_then = http_date(said) if said else None
        return None if time_then is None else shifted(time_then, timedelta(seconds=time.monotonic() - at))

    async def acquire(self) -> Slot:
        """Wait for a slot of the rate limit for a request that is no `Call`: a socket's handshake."""
        return await self._pool.handshake()

    def pause(self, seconds: float) -> None:
        """Send nothing for so many seconds, because the server asked for it."""
        self._pool.limiter.pause(seconds)

    async def send(
        self,
        call: Call[T],
        on_sent: OnSent | None = None,
        record: SendRecord | None = None,
        trace: CallTrace | None = None,
    ) -> T:
        """Carry a call out, as often as its replay rule and the settings allow; its decoded answer.

        Safe to cancel; a call that changes something may then have taken effect. `on_sent` is called with
        True when the first byte of an attempt may leave: until then it certainly had none. It is called with
        False before a wait for the next attempt, and in the end, if none of those so far had any effect and
        the last was turned away unread. `record` is told of the former, and waited for; `trace` how it goes.

        Raises:
            TRMMError: see `errors`. Nothing else.
        """
        if trace is None and (self.observers.active or HTTP.isEnabledFor(logging.DEBUG)):
            return await self._send_traced(call, on_sent, record)
        tries: Tries | None = None
        watching = WATCH.get()
        on_sent = on_sent if watching is None else watching.begins(call, on_sent)
        while True:
            # All in one coroutine: of each call that is under way, as many are held as it has layers.
            attempt = await self._admit(call, on_sent, tries, record=record, trace=trace)
            key = self._key
            result: Reply | Fault
            response: aiohttp.ClientResponse | None
            body: bytes | None
            try:
                with self._deadlines.within(self._timeout + (call.answers_within or 0.0)):
                    with attempt:
                        response = await self._ask(call, attempt, self._url(call), self._headers)
                    attempt.head = response.status, response.headers
                    self._dated = response.headers.get("Date", ""), time.monotonic()
                    body = at_hand(response)
                    if body is None:
                        async with response:
                            if not 200 <= response.status < 300:
                                body = await beginning(response)
                            elif rows := getattr(call.decode, "rows", None):
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
            if not await self._is_sent_again(
                call, result, tries, key=key, on_sent=on_sent, record=record, trace=trace
            ):
                return cast("T", None)

    async def _have_key(self) -> None:
        """Have the key that is in use in the headers; asked for if need be."""
        if self._source is not None and await self._source.ready() is not self._key:
            self._write_headers()

    async def _has_new_key(
        self,
        call: Call[Any],
        refused: str,
        tries: Tries,
        *,
        on_sent: OnSent | None,
        record: SendRecord | None,
    ) -> bool:
        """Whether there is another key after a 401, which proves that the call did nothing."""
        if self._source is None or tries.renewed or call.keeps_key:
            return False
        tries.renewed = True
        # Before the key is waited for: whoever is stopped meanwhile has sent nothing.
        if on_sent is not None and not tries.had_effect:
            on_sent(False)
        if record is not None and not tries.had_effect:
            await record.withdraw()
        try:
            return await self._source.after(refused)
        except TRMMError as error:
            if not tries.had_effect:
                raise
            fault = Fault(Stage.NOT_SENT, str(error), error)
            raise failure(call, fault, Meaning.UNKNOWN, tries, self.server.scrub) from error

    async def _send_traced(
        self,
        call: Call[T],
        on_sent: OnSent | None = None,
        record: SendRecord | None = None,
        trace: CallTrace | None = None,
    ) -> T:
        """The same, told to those who observe, or log."""
        trace = trace or self._trace(call)
        try:
            answer = await self.send(call, on_sent, record, trace)
        except BaseException as error:
            trace.ended(error)
            raise
        trace.ended(None)
        return answer

    async def send_raw(self, call: Call[Any]) -> RawResponse:
        """Carry a call out as `send` does; the answer as it came, if it is success."""
        trace = self._trace(call)
        body = await self._send_traced(msgspec.structs.replace(call, decode=bytes), trace=trace)
        return RawResponse(
            status=trace.status,
            headers=trace.headers,
            body=body,
            attempts=trace.attempts,
            elapsed=trace.elapsed,
            method=trace.method,
            path=trace.path,
            _scrub=self.server.scrub,
        )

    def _trace(self, call: Call[Any]) -> CallTrace:
        """For a call that begins now."""
        return CallTrace(call, self.observers, self.server.scrub)

    @asynccontextmanager
    async def open(self, call: Call[Any]) -> AsyncIterator[Body]:
        """Open a call's answer, to read it while it downloads. Leaving early drops the connection."""
        await self._have_key()
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
        except BaseException as error:
            opened.close(error)
            raise
        opened.close()

    async def _follow(self, url: str) -> tuple[_Opened, Call[Any]]:
        check_hop(self.server, url)
        headers = self._file_headers
        if self.server.is_home_of(url):
            await self._have_key()
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
        path = self.server.scrub(urlsplit(url).path)
        raise ConnectionFailedError(reason, method="GET", path=path)

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
        *,
        key: str | None = None,
        on_sent: OnSent | None = None,
        record: SendRecord | None = None,
        trace: CallTrace | None = None,
    ) -> bool:
        """Whether to send it again, waited for; if not, it has succeeded, or what it came to is raised."""
        verdict = tries.judge(result, self._now())
        pool = self._pool
        pool.refused += isinstance(result, Reply) and result.status == 429
        if trace is not None:
            trace.came_to(result)
        is_refused = key is not None and isinstance(result, Reply) and result.status == 401
        if is_refused and await self._has_new_key(call, key or "", tries, on_sent=on_sent, record=record):
            pool.retried += 1
            return True
        if isinstance(verdict, Again):
            pool.retried += 1
            pool.waits.again(call, trace, result, tries.sent, verdict.delay)
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
            self._pool.limiters_of(call.lanes)[0].pause(again.delay)
        await asyncio.sleep(again.delay)

    async def _open(
        self, call: Call[Any], url: URL, headers: Mapping[str, str], *, redirects: bool = False
    ) -> _Opened:
        is_traced = self.observers.active or HTTP.isEnabledFor(logging.DEBUG)
        trace = self._trace(call) if is_traced else None
        try:
            return await self._open_traced(call, url, headers, trace, redirects=redirects)
        except BaseException as error:
            if trace is not None:
                trace.ended(error)
            raise

    async def _open_traced(
        self,
        call: Call[Any],
        url: URL,
        headers: Mapping[str, str],
        trace: CallTrace | None,
        *,
        redirects: bool,
    ) -> _Opened:
        slowest = self._timeout + (call.answers_within or 0.0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=slowest)
        tries: Tries | None = None
        is_keyed = self._source is not None and "X-API-KEY" in headers
        key = self._key if is_keyed else None
        while True:
            attempt = await self._admit(call, None, tries, trace=trace)
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
                    attempt.head = response.status, response.headers
                    return _Opened(response, attempt, trace)
                async with response:
                    result = Reply(response.status, response.headers, await beginning(response))
            except FAULTS as error:
                result = attempt.fault(error)
            finally:
                if not opened:
                    attempt.leave()
            response = None
            tries = tries or self._begin(call)
            await self._is_sent_again(call, result, tries, key=key, trace=trace)
            if is_keyed:
                await self._have_key()
                headers, key = CIMultiDict({**headers, **self.server.headers}), self._key

    async def _admit(
        self,
        call: Call[Any],
        on_sent: OnSent | None,
        tries: Tries | None,
        *,
        trace: CallTrace | None,
        record: SendRecord | None = None,
    ) -> _Attempt:
        """Wait for one of the server's workers if it holds one, for the limits, for a connection's place.

        Then have it written down that the attempt leaves, if that is wanted.

        Safe to cancel.
        """
        pool = self._pool
        slots: tuple[Slot, ...] | None = None
        worker: WorkerLease | None = None
        try:
            pool.check_open()
            if self._source is not None:
                await self._have_key()
            # Where there is nothing to wait for, which is the usual.
            if pool.in_flight < pool.max_connections and not (pool.line or call.lanes):
                slot = pool.limiter.acquire_now()
                if slot is not None:
                    slots = (slot,)
                    pool.in_flight += 1
            if slots is None:
                slots, worker = await pool.queue(call, trace)
        except BaseException as error:
            give_back(slots or ())
            if isinstance(error, TRMMError) and tries is not None and tries.had_effect:
                # That nothing is sent now says nothing of an earlier attempt, whose answer was lost.
                fault = Fault(Stage.NOT_SENT, str(error), error)
                raise failure(call, fault, Meaning.UNKNOWN, tries, self.server.scrub) from error
            raise
        attempt = _Attempt(call, slots, worker, pool, on_sent, trace=trace)
        if record is not None:
            await attempt.note(record)
        return attempt

    def _ask(
        self,
        call: Call[Any],
        attempt: _Attempt,
        url: URL,
        headers: Mapping[str, str],
        *,
        timeout: aiohttp.ClientTimeout = _ENDLESS,
    ) -> Awaitable[aiohttp.ClientResponse]:
        session = self._pool.session()
        middlewares = None if call.method in _SENT_ONCE else self._pool.once
        if call.body is not None:
            headers = self._json_headers
        if call.headers:
            headers = {**headers, **call.headers}
        if not isinstance(session.connector, Connector):
            # A connector that tells us nothing: it may send from here on.
            attempt.has_connection()
            middlewares = self._pool.once_on_another
        return session.request(
            call.method,
            url,
            data=call.body if call.body is None else HiddenBytes(call.body),
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
            raise_for_status=False,
            # Ours tells a cut stream from a whole one; see `inflate`.
            auto_decompress=False,
            middlewares=middlewares,
        )

    def _url(self, call: Call[Any]) -> URL:
        if call.query:
            return URL(f"{self.server.base_url}{call.path}?{urlencode(call.query)}", encoded=True)
        # Spares parsing the part that is always the same.
        return self._root.with_path(f"{self._prefix}{call.path}", encoded=True)


def _was_unread(result: Reply | Fault) -> bool:
    """Whether the application never saw it: no byte of it came there, or the throttle stood before it."""
    return result.stage is Stage.NOT_SENT if isinstance(result, Fault) else result.status == 429
