"""An answer's body, whole or not taken, and the ways in which aiohttp says that there won't be one.

That a body has ended does not say that it is whole. It is if its length or its chunks say so, or what it is
packed in does. One that ends with the connection is if it says so itself, as JSON does by a closing bracket.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, suppress
from itertools import chain
from typing import Any, Final, TypeVar, cast

import aiohttp
import msgspec

from trmm_async.answers import frameless
from trmm_async.calls import Call, RowReader, ignore_answer
from trmm_async.errors import ConnectionFailedError
from trmm_async.retry import Fault, Reply, Stage
from trmm_async.tls_trouble import tls_trouble
from trmm_async.transport.connector import NoTunnelError, SentOnceError
from trmm_async.transport.inflate import Inflater, PackedOtherwiseError, packing
from trmm_async.transport.server import Server

__all__ = [
    "FAULTS",
    "Body",
    "UnreadableError",
    "at_hand",
    "beginning",
    "decoded",
    "download",
    "expect_more_within",
    "shown",
    "unreadable",
    "whole",
    "words",
]

T = TypeVar("T")

_TURN: Final = 1 << 18
"""Bytes of an inflated answer after which the event loop has its turn: about a millisecond's work."""

_PIECE: Final = 1 << 15
"""So many bytes of a long answer are decoded before the event loop has its turn."""
_SHORT: Final = 3 << 18
"""Bytes up to which an answer is decoded in one piece: beginning to read it in pieces would take longer."""

_ERROR_MOST: Final = 1 << 16
"""Bytes that are read of an answer that isn't success: it has words for a person, who reads a few."""

_CHUNKED: Final = "chunked"
_PLAIN: Final = frozenset({"", "identity"})
_BODILESS: Final = frozenset({204, 304})
_CLOSINGS: Final = (b"]", b"}", b'"', b"true", b"false", b"null")
"""How JSON ends that can't go on: a cut number is a number, too."""

FAULTS: Final = (aiohttp.ClientError, OSError, TimeoutError, UnicodeError)
"""All that aiohttp raises where the network or the server is at fault, or a host's name can't be one."""


class UnreadableError(Exception):
    """An answer of success that does not read; `fault` says so. It ends in this room and the sender's."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


class Body:
    """An answer's body while it downloads. `fail` makes the error for a fault of it."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        call: Call[Any],
        server: Server,
        fail: Callable[[Fault], Exception],
    ) -> None:
        self._response = response
        self._call = call
        self._server = server
        self._fail = fail
        self.headers: Mapping[str, str] = response.headers

    @property
    def length(self) -> int | None:
        """Bytes to come in all, where the server said so and did not compress them."""
        return None if "content-encoding" in self.headers else self._response.content_length

    async def chunks(self, *, whole: bool = False) -> AsyncIterator[bytes]:
        """The bytes as they come; `whole`: only if it is certain that they are all.

        Raises:
            ConnectionFailedError: the body ended early, no more of it came in time, or it can't be told
                whether it is whole.
            DecodeError: it is packed in a way that was not asked for.
        """
        broken: BaseException
        try:
            if whole and not _has_an_end(self._response):
                raise aiohttp.ClientPayloadError("the server does not say where the file ends")
            async for chunk in pieces(self._response):
                yield chunk
        except (*FAULTS, UnreadableError) as error:
            broken = error
        else:
            return
        # Not where it was caught: what came of the network must not hang on the error as its context.
        if isinstance(broken, UnreadableError):
            raise self._fail(broken.fault)
        reason = self._server.scrub(f"the answer broke off: {words(broken)}")
        path = self._server.scrub(self._call.path)
        raise ConnectionFailedError(reason, method=self._call.method, path=path) from shown(broken)

    def too_large(self, most: int, head: bytes) -> Fault:
        """The fault for a body of which more than `most` bytes would have to be held at once."""
        return too_large(self._response, most, head).fault

    def unreadable(self, error: msgspec.DecodeError, head: bytes) -> Fault:
        """The fault for a body that came whole and does not read."""
        return unreadable(self._response, error, head)


def expect_more_within(response: aiohttp.ClientResponse, seconds: float) -> None:
    """Once its head is here, an answer that may take long to begin is not to pause longer than others."""
    protocol = None if response.connection is None else response.connection.protocol
    if protocol is not None:
        protocol.read_timeout = seconds
        protocol.start_timeout()


async def pieces(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """An answer's bytes as they come, unpacked. Raises `FAULTS` and `UnreadableError`."""
    inflater = _inflater(response)
    if inflater is None:
        async for chunk in response.content.iter_any():
            yield chunk
        return
    since_turn = 0
    async for packed in response.content.iter_any():
        for chunk in inflater.feed(packed):
            yield chunk
            since_turn += len(chunk)
            if since_turn > _TURN:
                # A little of what comes may be a lot to inflate: the loop has to have its turn meanwhile.
                since_turn = 0
                await asyncio.sleep(0)
    inflater.finish()


def at_hand(response: aiohttp.ClientResponse) -> bytes | None:
    """The whole body, if all of it came with the head, as small ones do; its connection is free by then."""
    content = response.content
    if (
        response.connection is not None
        or not content.is_eof()
        or content.exception() is not None
        or "content-encoding" in response.headers
        or response.headers.get("transfer-encoding", _CHUNKED) != _CHUNKED
    ):
        return None
    return content.read_nowait()


async def whole(response: aiohttp.ClientResponse, most: int) -> bytes:
    """An answer's whole body, which may have so many bytes, unpacked. Raises `FAULTS`, `UnreadableError`."""
    parts: list[bytes] = []
    size = 0
    async with aclosing(pieces(response)) as chunks:
        async for chunk in chunks:
            size = _counted(response, size + len(chunk), most, parts or [chunk])
            parts.append(chunk)
    return b"".join(parts)


async def beginning(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of the body of an answer that isn't success. Raises `FAULTS`.

    Its status is the answer: that the body is damaged or packed otherwise changes nothing of that.
    """
    parts: list[bytes] = []
    left = _ERROR_MOST
    with suppress(UnreadableError, aiohttp.ClientPayloadError):
        async with aclosing(pieces(response)) as chunks:
            async for chunk in chunks:
                parts.append(chunk[:left])
                left -= len(chunk)
                if left <= 0:
                    break
    return b"".join(parts)


def decoded(response: aiohttp.ClientResponse, call: Call[T], body: bytes, most: int) -> T:
    """What a body comes to.

    Raises:
        UnreadableError: it does not read.
        FAULTS: it was cut.
    """
    _counted(response, len(body), most, [body])
    certain = call.decode is ignore_answer or _has_an_end(response) or body.rstrip().endswith(_CLOSINGS)
    try:
        if certain:
            return call.decode(body)
    except msgspec.DecodeError as error:
        if _has_an_end(response):
            raise UnreadableError(unreadable(response, error, body)) from None
    raise _cut()


def _cut() -> aiohttp.ClientPayloadError:
    return aiohttp.ClientPayloadError("the connection ended before the answer did")


def _has_an_end(response: aiohttp.ClientResponse) -> bool:
    """Whether an answer says where it ends, otherwise than by the end of the connection."""
    headers = response.headers
    return (
        "content-length" in headers
        or _is_packed(headers, "transfer-encoding")
        or _is_packed(headers, "content-encoding")
        or _is_bodiless(response)
    )


def _is_packed(headers: Any, header: str) -> bool:
    """Whether it is so packed that it says where it ends; not so "identity", as files are asked for."""
    return any(
        one.strip().lower() not in _PLAIN for said in headers.getall(header, ()) for one in said.split(",")
    )


def _is_bodiless(response: aiohttp.ClientResponse) -> bool:
    return response.method == "HEAD" or response.status in _BODILESS


def _inflater(response: aiohttp.ClientResponse) -> Inflater | None:
    headers = response.headers
    if "content-encoding" not in headers and "transfer-encoding" not in headers:
        return None
    try:
        coding = packing(", ".join(headers.getall("content-encoding", ())))
        transfer = ", ".join(headers.getall("transfer-encoding", ()))
        if transfer.strip().lower() not in {"", _CHUNKED, "identity"}:
            raise PackedOtherwiseError(f"the answer is sent as {transfer[:50]!r}, which was not asked for")
    except PackedOtherwiseError as error:
        reply = Reply(response.status, headers, b"")
        raise UnreadableError(Fault(Stage.UNREADABLE, str(error), None, reply)) from None
    return None if coding is None or _is_bodiless(response) else Inflater(coding)


def _counted(response: aiohttp.ClientResponse, size: int, most: int, begun: list[bytes]) -> int:
    """The size, if it is not too much."""
    if size <= most:
        return size
    raise too_large(response, most, begun[0])


def too_large(response: aiohttp.ClientResponse, most: int, head: bytes) -> UnreadableError:
    """For an answer, or a part of one that is held at once, larger than `most` bytes."""
    reply = Reply(response.status, response.headers, head[:_ERROR_MOST])
    reason = f"the answer is larger than {most} bytes, unpacked; TRMM(max_answer=…) bounds it"
    return UnreadableError(Fault(Stage.UNREADABLE, reason, None, reply))


async def download(
    response: aiohttp.ClientResponse, call: Call[T], rows: Callable[[], RowReader[Any]], most: int
) -> T:
    """What an answer comes to that may be long: decoded while it downloads, from some length on.

    Spares holding all of its bytes, and the time that the rest of it is on its way.

    Raises:
        UnreadableError: it does not read, or has more than `most` bytes, unpacked.
        FAULTS: it broke off.
    """
    begun: list[bytes] = []
    size = 0
    async with aclosing(pieces(response)) as chunks:
        async for chunk in chunks:
            begun.append(chunk)
            size = _counted(response, size + len(chunk), most, begun)
            if size > _SHORT:
                try:
                    counted = _bounded(response, chunks, size, most, begun)
                    reader = rows()
                    return cast("T", reader.whole(await _in_pieces(begun, counted, reader)))
                except msgspec.DecodeError as error:
                    if not _has_an_end(response):
                        raise _cut() from None
                    raise UnreadableError(unreadable(response, error, begun[0])) from None
    return decoded(response, call, b"".join(begun), most)


async def _bounded(
    response: aiohttp.ClientResponse, chunks: AsyncIterator[bytes], size: int, most: int, begun: list[bytes]
) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        size = _counted(response, size + len(chunk), most, begun)
        yield chunk


async def _in_pieces(begun: list[bytes], more: AsyncIterator[bytes], reader: RowReader[T]) -> list[T]:
    found: list[T] = []
    for batch in chain.from_iterable(map(reader.feed, chain.from_iterable(map(_cut_up, begun)))):
        found += batch
        await asyncio.sleep(0)
    async for chunk in more:
        for batch in chain.from_iterable(map(reader.feed, _cut_up(chunk))):
            found += batch
            # A piece of wrong shape takes long: the loop has to have its turn between two of them.
            await asyncio.sleep(0)
    found += reader.finish()
    return found


def _cut_up(chunk: bytes) -> Iterator[bytes]:
    """A piece as large as a buffer holds the loop for some ms, by what is made of its rows."""
    return (chunk[at : at + _PIECE] for at in range(0, len(chunk), _PIECE))


def unreadable(response: aiohttp.ClientResponse, error: msgspec.DecodeError, head: bytes) -> Fault:
    """The fault for an answer of success that does not read; `head` is its body, or the beginning of it."""
    reply = Reply(response.status, response.headers, head)
    return Fault(Stage.UNREADABLE, f"the answer can't be read: {error}", error, reply)


def words(error: BaseException) -> str:
    """An aiohttp exception in words that say something even where its own text is empty."""
    real = error.__cause__ if isinstance(error, SentOnceError) and error.__cause__ else error
    if isinstance(real, TimeoutError) and not isinstance(real, aiohttp.ClientConnectorError):
        return str(real) or "no answer in time"
    if isinstance(real, aiohttp.ServerDisconnectedError):
        return "the server closed the connection before it answered"
    if isinstance(real, NoTunnelError):
        return str(real)
    return tls_trouble(real) or str(real) or type(real).__name__


def shown(error: BaseException) -> BaseException | None:
    """The exception as a cause, without its frames, unless it holds the request's headers with the key."""
    real = error.__cause__ if isinstance(error, SentOnceError) and error.__cause__ else error
    return None if isinstance(real, aiohttp.ClientResponseError) else frameless(real)
