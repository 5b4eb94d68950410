"""Sends calls: waits for the limit and a connection, retries, and turns answers into values or errors.

The resources hand in `Call`s. Pure modules decide: `retry` whether to send again, `answers` which error is
raised, `pacing` when a request may leave. No exception of aiohttp leaves this module.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import urlencode, urlsplit

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from trmm_async.admission import Slot, WorkerLease, give_back
from trmm_async.answers import error_for, failure
from trmm_async.calls import Call, ignore_answer
from trmm_async.codec import http_date, shifted
from trmm_async.errors import ConnectionFailedError, TRMMError
from trmm_async.hidden import HiddenBytes
from trmm_async.observing import Observers, Stats
from trmm_async.retry import Again, Meaning, NoReply, Reply, RetryPolicy, Stage, Tries
from trmm_async.transport.attempt import CallAttempt, PendingCall
from trmm_async.transport.body import (
    FAULTS,
    Body,
    UnreadableError,
    at_hand,
    beginning,
    decoded,
    download,
    expect_more_within,
    whole,
)
from trmm_async.transport.connector import Connector
from trmm_async.transport.hooks import WATCH, OnSent, SendRecord
from trmm_async.transport.pool import Pool
from trmm_async.transport.raw import RawResponse
from trmm_async.transport.server import Server, check_hop, next_hop
from trmm_async.transport.tracing import HTTP, CallTrace

__all__ = ["CallSettings", "Transport"]

T = TypeVar("T")

_REDIRECTS_MOST: Final = 5
_SENT_ONCE: Final = frozenset({"POST", "PATCH"})
"""Methods that aiohttp never sends a second time by itself."""
_ENDLESS: Final = aiohttp.ClientTimeout()
"""Our own deadline bounds the call: aiohttp would make a timer for each."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """An answer whose body is read by the caller; the attempt keeps its place until `close`."""

    response: aiohttp.ClientResponse = field(repr=False)
    attempt: CallAttempt
    trace: CallTrace | None

    def close(self, error: BaseException | None = None) -> None:
        # If the body was read to its end, its connection is free already; otherwise this drops it.
        self.response.close()
        self.attempt.leave()
        if self.trace is not None:
            self.trace.ended(error)


@dataclass(frozen=True, slots=True)
class CallSettings(RetryPolicy):
    """What a view of a client may have otherwise: how a call is retried, how long and large it may be.

    Attributes:
        timeout: seconds that an attempt may take.
        max_answer: how many bytes of one answer may be held in memory at once.
    """

    timeout: float = 30.0
    max_answer: int = 1 << 28


class Transport:
    """One server's connections, limits and rules. Belongs to the event loop that first uses it."""

    def __init__(
        self,
        server: Server,
        pool: Pool,
        settings: CallSettings,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.server = server
        self.settings = settings
        self._root = URL(server.base_url, encoded=True)
        self._prefix = self._root.raw_path.rstrip("/")
        self._source = server.source
        self._write_headers()
        # A compressed file has no Content-Length, and so no length that could be shown or checked.
        self._file_headers = CIMultiDict({"Accept-Encoding": "identity"})
        self._pool = pool
        self.observers: Observers = pool.observers
        self._deadlines = pool.deadlines
        self._jitter = jitter
        self._dated = "", 0.0

    def __repr__(self) -> str:
        return f"<Transport {self.server.base_url}, {self._pool!r}>"

    def _write_headers(self) -> None:
        # A CIMultiDict is what aiohttp uses as it is; anything else it would convert for each request.
        self._key = self.server.key
        self._headers = CIMultiDict({**self.server.headers, "Accept-Encoding": "gzip"})
        self._json_headers = CIMultiDict({**self._headers, "Content-Type": "application/json"})

    def view(self, settings: CallSettings) -> "Transport":
        """A transport with the same connections and limits, and other settings."""
        return Transport(self.server, self._pool, settings, jitter=self._jitter)

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

    def server_time(self) -> datetime | None:
        """The server's time by the `Date` of its last answer, to the second; None without one."""
        said, at = self._dated
        time_then = http_date(said) if said else None
        return None if time_then is None else shifted(time_then, timedelta(seconds=time.monotonic() - at))

    async def acquire(self) -> Slot:
        """Wait for a slot of the rate limit for a request that is no `Call`: a socket's handshake."""
        return await self._pool.acquire_slot()

    def pause(self, seconds: float) -> None:
        """Send nothing for so many seconds, because the server asked for it."""
        self._pool.limiter.pause(seconds)

    def send(
        self, call: Call[T], on_sent: OnSent | None = None, record: SendRecord | None = None
    ) -> Coroutine[Any, Any, T]:
        """Carry a call out, as often as its replay rule and the settings allow; its decoded answer.

        Safe to cancel; a call that changes something may then have taken effect. `on_sent` is called with
        True when the first byte of an attempt may leave: until then it certainly had none. It is called with
        False before a wait for the next attempt, and in the end, if none of those so far had any effect and
        the last was turned away unread. `record` is told of the former, and waited for.

        Raises:
            TRMMError: see `errors`. Nothing else.
        """
        pending = PendingCall(call, on_sent, record)
        # No coroutine of its own for those that nobody observes: of each call under way all layers are held.
        return self._send_traced(pending) if self._is_traced else self._send(pending)

    @property
    def _is_traced(self) -> bool:
        return self.observers.active or HTTP.isEnabledFor(logging.DEBUG)

    async def _send_traced(self, pending: PendingCall) -> Any:
        """Send a call, and report it to the log and the observers."""
        trace = pending.trace = pending.trace or self._trace(pending.call)
        try:
            answer = await self._send(pending)
        except BaseException as error:
            trace.ended(error)
            raise
        trace.ended(None)
        return answer

    async def _send(self, pending: PendingCall) -> Any:
        call = pending.call
        if (watch := WATCH.get()) is not None:
            pending.on_sent = watch.begins(call, pending.on_sent)
        while True:
            attempt = await self._admit(pending)
            pending.key = self._key
            result: Reply | NoReply
            response: aiohttp.ClientResponse | None
            body: bytes | None
            try:
                with self._deadlines.within(self.settings.timeout + (call.answers_within or 0.0)):
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
                                return await download(response, call, rows, self.settings.max_answer)
                            else:
                                body = await whole(response, self.settings.max_answer)
                if 200 <= response.status < 300:
                    return decoded(response, call, body, self.settings.max_answer)
                result = Reply(response.status, response.headers, body)
            except UnreadableError as error:
                result = error.fault
            except FAULTS as error:
                result = attempt.fault(error)
            finally:
                attempt.leave()
            # The frames of an error that is raised from here must not hold the answer, which may be secret.
            response = body = None
            if not await self._is_sent_again(pending, result):
                return None

    async def _refresh_key(self) -> None:
        """Write the headers again if the source has another key; asks the source if it has none yet."""
        if self._source is not None and await self._source.ready() is not self._key:
            self._write_headers()

    async def _has_new_key(self, pending: PendingCall, refused: str, tries: Tries) -> bool:
        """Whether the source has another key after a 401. A 401 proves that the call did nothing."""
        if self._source is None or tries.renewed or pending.call.keeps_key:
            return False
        tries.renewed = True
        await pending.withdraw()
        try:
            return await self._source.after(refused)
        except TRMMError as error:
            if not tries.had_effect:
                raise
            fault = NoReply(Stage.NOT_SENT, str(error), error)
            raise failure(pending.call, fault, Meaning.UNKNOWN, tries, self.server.scrub) from error

    async def send_raw(self, call: Call[Any]) -> RawResponse:
        """Carry a call out as `send` does; the answer as it came, if it is success."""
        trace = self._trace(call)
        raw = msgspec.structs.replace(call, decode=bytes)
        body = await self._send_traced(PendingCall(raw, trace=trace))
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
        return CallTrace(call, self.observers, self.server.scrub)

    @asynccontextmanager
    async def open(self, call: Call[Any]) -> AsyncIterator[Body]:
        """Open a call's answer, to read it while it downloads. Leaving early drops the connection."""
        await self._refresh_key()
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

    def error(self, call: Call[Any], fault: NoReply) -> Exception:
        """The error for a fault that was found while reading an open body."""
        tries = Tries(call.replay, self.settings)
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
            await self._refresh_key()
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
                raise self.error(call, NoReply(Stage.UNREADABLE, reason, None, reply))
            url, headers = next_hop(url, reply.headers["Location"]), self._file_headers
            if not url:
                raise error_for(call, reply, self.server.scrub)
            check_hop(self.server, url)
        reason = f"more than {_REDIRECTS_MOST} redirects"
        path = self.server.scrub(urlsplit(url).path)
        raise ConnectionFailedError(reason, method="GET", path=path)

    async def _is_sent_again(self, pending: PendingCall, result: Reply | NoReply) -> bool:
        """Decide about an attempt that had no success. True: the wait is over, send the call again.

        False means that the call has succeeded, by an attempt whose answer was lost. A failure is raised.
        """
        call, pool, trace = pending.call, self._pool, pending.trace
        tries = pending.tries = pending.tries or Tries(
            call.replay,
            self.settings,
            gone_is_done=call.gone_is_done,
            definite=call.definite,
            jitter=self._jitter,
        )
        verdict = tries.judge(result, datetime.now(UTC))
        status = result.status if isinstance(result, Reply) else None
        pool.refused += status == 429
        if trace is not None:
            trace.came_to(result)
        if status == 401 and pending.key is not None and await self._has_new_key(pending, pending.key, tries):
            pool.retried += 1
            return True
        if isinstance(verdict, Again):
            pool.retried += 1
            pool.waits.again(call, trace, result, tries.sent, verdict.delay)
            await pending.withdraw()
            if verdict.everyone:
                # The narrowest limit that the call draws on is the one that was hit, as far as we can know.
                pool.limiters_of(call.lanes)[0].pause(verdict.delay)
            await asyncio.sleep(verdict.delay)
            return True
        if verdict.meaning is Meaning.DONE:
            return False
        if pending.on_sent is not None and _was_unread(result) and not tries.had_effect:
            pending.on_sent(False)
        raise failure(call, result, verdict.meaning, tries, self.server.scrub)

    async def _open(
        self, call: Call[Any], url: URL, headers: Mapping[str, str], *, redirects: bool = False
    ) -> _Opened:
        """Send a call until its answer begins; its body, however long, is read by the caller."""
        pending = PendingCall(call, trace=self._trace(call) if self._is_traced else None)
        try:
            return await self._open_pending(pending, url, headers, redirects=redirects)
        except BaseException as error:
            if pending.trace is not None:
                pending.trace.ended(error)
            raise

    async def _open_pending(
        self, pending: PendingCall, url: URL, headers: Mapping[str, str], *, redirects: bool
    ) -> _Opened:
        call = pending.call
        slowest = self.settings.timeout + (call.answers_within or 0.0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self.settings.timeout, sock_read=slowest)
        is_keyed = self._source is not None and "X-API-KEY" in headers
        pending.key = self._key if is_keyed else None
        while True:
            attempt = await self._admit(pending)
            result: Reply | NoReply
            response: aiohttp.ClientResponse | None
            opened = False
            try:
                with attempt:
                    response = await self._ask(call, attempt, url, headers, timeout=timeout)
                if slowest > self.settings.timeout:
                    expect_more_within(response, self.settings.timeout)
                elsewhere = redirects and 300 <= response.status < 400 and "Location" in response.headers
                if elsewhere or 200 <= response.status < 300:
                    opened = True
                    attempt.head = response.status, response.headers
                    return _Opened(response, attempt, pending.trace)
                async with response:
                    result = Reply(response.status, response.headers, await beginning(response))
            except FAULTS as error:
                result = attempt.fault(error)
            finally:
                if not opened:
                    attempt.leave()
            response = None
            await self._is_sent_again(pending, result)
            if is_keyed:
                await self._refresh_key()
                headers, pending.key = CIMultiDict({**headers, **self.server.headers}), self._key

    async def _admit(self, pending: PendingCall) -> CallAttempt:
        """Wait for everything that an attempt needs, and have it recorded if the caller wants that.

        These are one of the server's workers (for a call that holds one), the rate limits, and a place among
        the connections. Safe to cancel.
        """
        pool, call, tries = self._pool, pending.call, pending.tries
        slots: tuple[Slot, ...] | None = None
        worker: WorkerLease | None = None
        try:
            pool.check_open()
            if self._source is not None:
                await self._refresh_key()
            # Usually there is nothing to wait for.
            if pool.in_flight < pool.max_connections and not (pool.waiters or call.lanes):
                slot = pool.limiter.acquire_now()
                if slot is not None:
                    slots = (slot,)
                    pool.in_flight += 1
            if slots is None:
                slots, worker = await pool.acquire(call, pending.trace)
        except BaseException as error:
            give_back(slots or ())
            if isinstance(error, TRMMError) and tries is not None and tries.had_effect:
                # This attempt was not sent, but an earlier one may have had an effect: its answer was lost.
                fault = NoReply(Stage.NOT_SENT, str(error), error)
                raise failure(call, fault, Meaning.UNKNOWN, tries, self.server.scrub) from error
            raise
        attempt = CallAttempt(pending, slots, worker, pool)
        await attempt.record()
        return attempt

    def _ask(
        self,
        call: Call[Any],
        attempt: CallAttempt,
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
            # A foreign connector reports nothing, so bytes may be sent from here on.
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
            # `inflate` does it, which tells a cut stream from a whole one.
            auto_decompress=False,
            middlewares=middlewares,
        )

    def _url(self, call: Call[Any]) -> URL:
        if call.query:
            return URL(f"{self.server.base_url}{call.path}?{urlencode(call.query)}", encoded=True)
        # This way yarl does not parse the base URL again.
        return self._root.with_path(f"{self._prefix}{call.path}", encoded=True)


def _was_unread(result: Reply | NoReply) -> bool:
    """Whether the application never saw the call: no byte was sent, or the throttle refused it."""
    return result.stage is Stage.NOT_SENT if isinstance(result, NoReply) else result.status == 429
