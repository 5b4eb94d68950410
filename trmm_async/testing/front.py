"""Handles every request: records it in the ledger, applies the faults, and answers it.

Below: `routing.py`, `gate.py`, `faults.py`, `ledger.py`. Above: `simulator.py` puts it behind a socket. It
is the proxy and Django's outer layers: a request that fails here on arrival counts in no limit and has no
effect; one whose answer fails has counted, and has had its effect.
"""

from __future__ import annotations

import asyncio
import gzip
import inspect
import logging
import math
import socket
import struct
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import TYPE_CHECKING

from aiohttp import web

from .faults import Cut, Failure, Garbage
from .ledger import Request, shown, visible
from .replies import AnsweredError, Asked, HTTPReply, RefusedError, html_reply, json_reply, proxy_reply
from .routing import NeedsSlash, RouteMatch, Router, WrongMethod
from .world import UnknownThingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from .faults import Effect, Faults
    from .gate import Gate
    from .ledger import Ledger
    from .routing import Route, ServerKind
    from .scripts import Span

__all__ = ["Front", "Network"]

log: logging.Logger = logging.getLogger("trmm_async.testing")

GZIP_FROM = 200
"""Bytes; Django's GZipMiddleware leaves shorter answers as they are."""

NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER on with no time: closing the socket resets the connection."""

FILLER = json_reply(200, {"detail": "the connection ends in the middle of this answer"})


@dataclass(slots=True)
class Network:
    """The network between client and server.

    `latency` is the time there and back in seconds, or the span to draw it from. `prefix` is the path under
    which the server is mounted, without a slash at its end. `compress` has answers zipped for clients that
    accept it.
    """

    latency: float | Span = 0.0
    prefix: str = ""
    compress: bool = False


@dataclass(frozen=True, slots=True)
class Torn:
    """This answer, but the connection ends in the middle of its body."""

    reply: HTTPReply


@dataclass(frozen=True, slots=True)
class Severed:
    """No answer at all: the connection ends, with a reset or without."""

    reset: bool


Delivery = HTTPReply | Torn | Severed | web.StreamResponse


class Front:
    """Handles requests, any number at a time."""

    def __init__(
        self,
        dialect: ServerKind,
        *,
        network: Network,
        gate: Gate,
        faults: Faults,
        ledger: Ledger,
        rng: Random,
        clock: Callable[[], float],
        workers: int | None = None,
    ) -> None:
        self.network = network
        self._dialect = dialect
        self._router = Router(dialect.routes())
        self._gate = gate
        self._faults = faults
        self._ledger = ledger
        self._rng = rng
        self._clock = clock
        self._workers = asyncio.Semaphore(workers) if workers is not None else None
        self._tasks: set[asyncio.Task[object]] = set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. A script that it started goes on even if the client does not wait for it."""
        row = self._write_down(request)
        with nullcontext() if "upgrade" in row.headers else self._ledger.underway(), self._cancellable():
            delivery = await self._receive(request, row)
            return await self._deliver(request, row, delivery)

    async def close(self) -> None:
        """Cancel every request in progress."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @contextmanager
    def _cancellable(self) -> Iterator[None]:
        task = asyncio.current_task()
        self._tasks.update({task} if task else ())
        try:
            yield
        finally:
            self._tasks.discard(task)

    def _write_down(self, request: web.BaseRequest) -> Request:
        row = Request(
            method=request.method,
            path=request.path,
            query=shown(request.query),
            headers=visible(request.headers),
            at=self._clock(),
            key_ok=self._gate.knows(self._dialect.key(request.headers)),
        )
        self._ledger.add_request(row)
        return row

    # -- arrival and return ----------------------------------------------------------------------------------

    async def _receive(self, request: web.BaseRequest, row: Request) -> Delivery:
        if request.can_read_body:
            try:
                row.body = await request.read()
            except ConnectionError:
                return Severed(reset=False)
            except web.HTTPRequestEntityTooLarge:
                return self._dialect.refusal(413)
        latency = self._draw_latency()
        await self._pass(latency / 2 + self._faults.take_delay(row.method, row.path, after=False))
        if effect := self._faults.take(row.method, row.path, after=False):
            return self._strike(effect, FILLER)
        delivery = await self._answer(request, row)
        if isinstance(delivery, HTTPReply):
            delivery = await self._return(row, delivery)
            await self._pass(latency / 2)
        return delivery

    async def _return(self, row: Request, reply: HTTPReply) -> Delivery:
        """Let the faults have the answer, unless it says no: then there was no effect to lose."""
        if reply.status >= 400:
            return reply
        effect = self._faults.take(row.method, row.path, after=True)
        await self._pass(self._faults.take_delay(row.method, row.path, after=True))
        return self._strike(effect, reply) if effect else reply

    def _draw_latency(self) -> float:
        latency = self.network.latency
        return self._rng.uniform(*latency) if isinstance(latency, tuple) else latency

    @staticmethod
    async def _pass(seconds: float) -> None:
        if seconds > 0:
            await asyncio.sleep(seconds)

    def _strike(self, effect: Effect, reply: HTTPReply) -> Delivery:
        match effect:
            case Failure():
                return self._failure(effect)
            case Garbage(status, body, content_type):
                return HTTPReply(status, body, content_type)
            case Cut("body"):
                return Torn(reply)
            case _:
                return Severed(reset=effect == Cut("reset"))

    def _failure(self, failure: Failure) -> HTTPReply:
        if failure.body is not None:
            kind = "text/html" if failure.html else "application/json"
            return HTTPReply(failure.status, failure.body, kind, failure.headers)
        said = failure_page(failure.status) if failure.html else self._dialect.refusal(failure.status)
        return replace(said, headers={**said.headers, **failure.headers})

    # -- the server's own answer -----------------------------------------------------------------------------

    async def _answer(self, request: web.BaseRequest, row: Request) -> Delivery:
        # WebSockets have a server of their own.
        free = self._workers is None or "upgrade" in row.headers
        try:
            async with nullcontext() if free or self._workers is None else self._workers:
                return await self._dispatch(request, row)
        except RefusedError as no:
            return self._dialect.refusal(no.status, no.detail)
        except AnsweredError as answered:
            return answered.reply
        except UnknownThingError as error:
            return self._dialect.unknown(error)
        except Exception:
            log.exception("the simulator failed on %s %s", row.method, row.path)
            return html_reply(500)

    async def _dispatch(self, request: web.BaseRequest, row: Request) -> Delivery:
        inside, path = row.path.startswith(f"{self.network.prefix}/"), row.path[len(self.network.prefix) :]
        match self._router.find(row.method, path) if inside else None:
            case RouteMatch(route, params):
                if denial := None if route.public else self._judge(request, row, route):
                    return denial
                base = f"{request.url.origin()}{self.network.prefix}"
                user = self._gate.user(self._dialect.key(request.headers))
                answer = route.handler(Asked(params, row, base, request, user))
                return await answer if inspect.isawaitable(answer) else answer
            case WrongMethod(allowed):
                detail = f'Method "{row.method}" not allowed.'
                return self._dialect.refusal(405, detail, {"Allow": ", ".join(allowed)})
            case NeedsSlash():
                url = request.rel_url.with_path(f"{request.rel_url.raw_path}/", encoded=True, keep_query=True)
                return HTTPReply(301, content_type="text/html", headers={"Location": str(url)})
            case _:
                return html_reply(404)

    def _judge(self, request: web.BaseRequest, row: Request, route: Route) -> HTTPReply | None:
        key = self._dialect.key(request.headers)
        denial = self._gate.judge(key, permission=route.permission, lane=route.lane)
        if denial is None:
            return None
        if denial.status == 429:
            self._ledger.refuse(row)
        headers = {"Retry-After": str(math.ceil(denial.wait))} if denial.wait else {}
        return self._dialect.refusal(denial.status, self._dialect.denial(denial, key), headers)

    # -- onto the wire ---------------------------------------------------------------------------------------

    async def _deliver(
        self, request: web.BaseRequest, row: Request, delivery: Delivery
    ) -> web.StreamResponse:
        match delivery:
            case HTTPReply():
                row.status = None if _gone(request) else delivery.status
                return self._render(request, delivery)
            case Torn(reply):
                row.status = reply.status
                return await _tear(request, reply)
            case Severed(reset):
                _sever(request, reset=reset)
                return web.Response()
            case _:
                return delivery

    def _render(self, request: web.BaseRequest, reply: HTTPReply) -> web.Response:
        body, headers = reply.body, {"Date": formatdate(self._clock(), usegmt=True), **reply.headers}
        accepted = "gzip" in request.headers.get("Accept-Encoding", "")
        if self.network.compress and accepted and len(body) >= GZIP_FROM:
            body = gzip.compress(body, compresslevel=6, mtime=0)
            headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        if reply.status != 204:
            headers.setdefault("Content-Type", _content_type(reply))
        return web.Response(status=reply.status, body=body, headers=headers)


def failure_page(status: int) -> HTTPReply:
    """Return the HTML for a failing status: Django's own for what it fails with itself, else the proxy's."""
    return html_reply(status) if status in {404, 500} else proxy_reply(status)


def _content_type(reply: HTTPReply) -> str:
    return f"{reply.content_type}; charset=utf-8" if reply.content_type == "text/html" else reply.content_type


def _gone(request: web.BaseRequest) -> bool:
    return request.transport is None or request.transport.is_closing()


def _sever(request: web.BaseRequest, *, reset: bool) -> None:
    if request.transport is None:
        return
    if reset:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        request.transport.abort()
    request.transport.close()


async def _tear(request: web.BaseRequest, reply: HTTPReply) -> web.StreamResponse:
    """Send half of a body: of an array in chunks, of anything else against a Content-Length for all of it."""
    body = reply.body or FILLER.body
    response = web.StreamResponse(status=200 if reply.status == 204 else reply.status, headers=reply.headers)
    response.headers["Content-Type"] = _content_type(reply)
    if body.startswith(b"["):
        response.enable_chunked_encoding()
    else:
        response.content_length = len(body)
    with suppress(ConnectionError):
        await response.prepare(request)
        await response.write(body[: max(1, len(body) // 2)])
    _sever(request, reset=False)
    return response
