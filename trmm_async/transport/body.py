"""Reads an answer's body, and makes sure that it is whole.

A body that has ended need not be whole. It is whole if its length, its chunks or its compression say so. If
it ends with the connection, only the body itself can say so, as JSON does by a closing bracket.
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
from trmm_async.retry import NoReply, Reply, Stage
from trmm_async.tls_trouble import tls_trouble
from trmm_async.transport.connector import NoTunnelError, SentOnceError
from trmm_async.transport.inflate import Inflater, UnsupportedCodingError, coding_of
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

_BYTES_PER_TURN: Final = 1 << 18
"""Decompressed bytes after which other tasks may run: about a millisecond's work."""

_SLICE: Final = 1 << 15
"""Bytes of a long answer that are decoded before other tasks may run."""
_SHORT: Final = 3 << 18
"""Bytes up to which an answer is decoded as a whole, which is faster than in pieces."""

_ERROR_MOST: Final = 1 << 16
"""Bytes that are read of an error's answer: a text for a person, of which the beginning is shown."""

_CHUNKED: Final = "chunked"
_PLAIN: Final = frozenset({"", "identity"})
_BODILESS: Final = frozenset({204, 304})
_CLOSINGS: Final = (b"]", b"}", b'"', b"true", b"false", b"null")
"""Ends of JSON that can't be cut JSON. (A cut number is a number, too.)"""

FAULTS: Final = (aiohttp.ClientError, OSError, TimeoutError, UnicodeError)
"""What aiohttp raises for faults of the network and the server, and for a host name that is invalid."""


class UnreadableError(Exception):
    """The body of a successful answer can't be read; `fault` has the details. The sender converts it."""

    def __init__(self, fault: NoReply) -> None:
        super().__init__(fault.reason)
        self.fault = fault


class Body:
    """An answer's body while it downloads. `fail` makes the error for a fault in it."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        call: Call[Any],
        server: Server,
        fail: Callable[[NoReply], Exception],
    ) -> None:
        self._response = response
        self._call = call
        self._server = server
        self._fail = fail
        self.headers: Mapping[str, str] = response.headers

    @property
    def length(self) -> int | None:
        """The size of the whole body, if the server sends it and the body is not compressed."""
        return None if "content-encoding" in self.headers else self._response.content_length

    async def chunks(self, *, whole: bool = False) -> AsyncIterator[bytes]:
        """The bytes as they come. With `whole`, only a body that can be seen to be whole is accepted.

        Raises:
            ConnectionFailedError: the body ended early, did not go on in time, or (`whole`) the server does
                not say where it ends.
            DecodeError: the body has a coding that was not asked for.
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
        # Raised outside of the except block: aiohttp's error must not become the context of ours.
        if isinstance(broken, UnreadableError):
            raise self._fail(broken.fault)
        reason = self._server.scrub(f"the answer broke off: {words(broken)}")
        path = self._server.scrub(self._call.path)
        raise ConnectionFailedError(reason, method=self._call.method, path=path) from shown(broken)

    def too_large(self, most: int, head: bytes) -> NoReply:
        """The fault for a body of which more than `most` bytes would have to be in memory at once."""
        return too_large(self._response, most, head).fault

    def unreadable(self, error: msgspec.DecodeError, head: bytes) -> NoReply:
        """The fault for a whole body that can't be decoded."""
        return unreadable(self._response, error, head)


def expect_more_within(response: aiohttp.ClientResponse, seconds: float) -> None:
    """From now on, the answer may pause so many seconds. For a call whose answer took long to begin."""
    protocol = None if response.connection is None else response.connection.protocol
    if protocol is not None:
        protocol.read_timeout = seconds
        protocol.start_timeout()


async def pieces(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """An answer's bytes as they come, decompressed. Raises `FAULTS` and `UnreadableError`."""
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
            if since_turn > _BYTES_PER_TURN:
                # A few bytes may decompress to many, and other tasks have to run meanwhile.
                since_turn = 0
                await asyncio.sleep(0)
    inflater.finish()


def at_hand(response: aiohttp.ClientResponse) -> bytes | None:
    """The whole body, if all of it came with the head, as that of a small answer. Its connection is free."""
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
    """An answer's whole body, of at most so many bytes decompressed. Raises `FAULTS`, `UnreadableError`."""
    parts: list[bytes] = []
    size = 0
    async with aclosing(pieces(response)) as chunks:
        async for chunk in chunks:
            size = _counted(response, size + len(chunk), most, parts or [chunk])
            parts.append(chunk)
    return b"".join(parts)


async def beginning(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of the body of an answer that isn't success. Raises `FAULTS`.

    A damaged body is no error here, since the status is the answer.
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
    """Decode a body.

    Raises:
        UnreadableError: the body can't be decoded.
        FAULTS: the body was cut.
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
    """Whether an answer says where it ends, other than by the end of the connection."""
    headers = response.headers
    return (
        "content-length" in headers
        or _names_coding(headers, "transfer-encoding")
        or _names_coding(headers, "content-encoding")
        or _is_bodiless(response)
    )


def _names_coding(headers: Any, header: str) -> bool:
    """Whether this header names a coding, which marks its own end. "identity" is none."""
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
        coding = coding_of(", ".join(headers.getall("content-encoding", ())))
        transfer = ", ".join(headers.getall("transfer-encoding", ()))
        if transfer.strip().lower() not in {"", _CHUNKED, "identity"}:
            raise UnsupportedCodingError(f"the answer is sent as {transfer[:50]!r}, which was not asked for")
    except UnsupportedCodingError as error:
        reply = Reply(response.status, headers, b"")
        raise UnreadableError(NoReply(Stage.UNREADABLE, str(error), None, reply)) from None
    return None if coding is None or _is_bodiless(response) else Inflater(coding)


def _counted(response: aiohttp.ClientResponse, size: int, most: int, begun: list[bytes]) -> int:
    """The size. Raises `UnreadableError` if it is more than `most`."""
    if size <= most:
        return size
    raise too_large(response, most, begun[0])


def too_large(response: aiohttp.ClientResponse, most: int, head: bytes) -> UnreadableError:
    """The error for an answer, or an element of a list, of more than `most` bytes."""
    reply = Reply(response.status, response.headers, head[:_ERROR_MOST])
    reason = f"the answer is larger than {most} bytes, unpacked; TRMM(max_answer=…) bounds it"
    return UnreadableError(NoReply(Stage.UNREADABLE, reason, None, reply))


async def download(
    response: aiohttp.ClientResponse, call: Call[T], rows: Callable[[], RowReader[Any]], most: int
) -> T:
    """Decode an answer that may be long. From some length on, it is decoded while it downloads.

    So its bytes are not all in memory, and the time of the download is used.

    Raises:
        UnreadableError: the answer can't be decoded, or has more than `most` bytes decompressed.
        FAULTS: the download broke off.
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
    for batch in chain.from_iterable(map(reader.feed, chain.from_iterable(map(_in_slices, begun)))):
        found += batch
        await asyncio.sleep(0)
    async for chunk in more:
        for batch in chain.from_iterable(map(reader.feed, _in_slices(chunk))):
            found += batch
            # A batch of wrong shape takes long to decode, so other tasks may run after each.
            await asyncio.sleep(0)
    found += reader.finish()
    return found


def _in_slices(chunk: bytes) -> Iterator[bytes]:
    """Cut a chunk into pieces: decoding all rows of a full buffer would block the event loop for some ms."""
    return (chunk[at : at + _SLICE] for at in range(0, len(chunk), _SLICE))


def unreadable(response: aiohttp.ClientResponse, error: msgspec.DecodeError, head: bytes) -> NoReply:
    """The fault for a successful answer that can't be decoded; `head` is the beginning of its body."""
    reply = Reply(response.status, response.headers, head)
    return NoReply(Stage.UNREADABLE, f"the answer can't be read: {error}", error, reply)


def words(error: BaseException) -> str:
    """The text for an exception of aiohttp, also if its own text is empty."""
    real = error.__cause__ if isinstance(error, SentOnceError) and error.__cause__ else error
    if isinstance(real, TimeoutError) and not isinstance(real, aiohttp.ClientConnectorError):
        return str(real) or "no answer in time"
    if isinstance(real, aiohttp.ServerDisconnectedError):
        return "the server closed the connection before it answered"
    if isinstance(real, NoTunnelError):
        return str(real)
    return tls_trouble(real) or str(real) or type(real).__name__


def shown(error: BaseException) -> BaseException | None:
    """The exception as a cause, without its frames; None if it holds the request's headers with the key."""
    real = error.__cause__ if isinstance(error, SentOnceError) and error.__cause__ else error
    return None if isinstance(real, aiohttp.ClientResponseError) else frameless(real)
