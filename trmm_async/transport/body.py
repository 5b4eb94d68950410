"""An answer's body, and the ways in which aiohttp says that there won't be one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from itertools import chain
from typing import Any, Final, TypeVar, cast

import aiohttp
import msgspec

from trmm_async.calls import Call, RowReader
from trmm_async.errors import ConnectionFailedError
from trmm_async.retry import Fault, Reply, Stage
from trmm_async.transport.connector import SentOnceError
from trmm_async.transport.server import Server

__all__ = ["FAULTS", "Body", "UnreadableError", "at_hand", "download", "shown", "unreadable", "words"]

T = TypeVar("T")

_TURN: Final = 1 << 18
"""Bytes of an inflated answer after which the event loop has its turn: about a millisecond's work."""

_SHORT: Final = 3 << 18
"""Bytes up to which an answer is decoded in one piece: beginning to read it in pieces would take longer."""

FAULTS: Final = (aiohttp.ClientError, OSError, TimeoutError)
"""All that aiohttp raises where the network or the server is at fault."""


class UnreadableError(Exception):
    """An answer of success that does not read; `fault` says so. It ends in this room and the sender's."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


class Body:
    """An answer's body while it downloads."""

    def __init__(self, response: aiohttp.ClientResponse, call: Call[Any], server: Server) -> None:
        self._response = response
        self._call = call
        self._server = server
        self.headers: Mapping[str, str] = response.headers

    @property
    def length(self) -> int | None:
        """Bytes to come in all, where the server said so and did not compress them."""
        return None if "content-encoding" in self.headers else self._response.content_length

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they come.

        Raises:
            ConnectionFailedError: the body ended early, or no more of it came in time.
        """
        try:
            async for chunk in pieces(self._response):
                yield chunk
        except FAULTS as error:
            reason = self._server.scrub(f"the answer broke off: {words(error)}")
            raise ConnectionFailedError(reason, method=self._call.method, path=self._call.path) from shown(
                error
            )

    def unreadable(self, error: msgspec.DecodeError, head: bytes) -> Fault:
        """The fault for a body that came whole and does not read."""
        return unreadable(self._response, error, head)


async def pieces(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """An answer's bytes as they come. Raises `FAULTS`."""
    if "content-encoding" not in response.headers:
        async for chunk in response.content.iter_any():
            yield chunk
        return
    since_turn = 0
    async for chunk in response.content.iter_any():
        yield chunk
        since_turn += len(chunk)
        if since_turn > _TURN:
            # aiohttp inflates the next piece when the last one is taken, and never lets the loop turn.
            since_turn = 0
            await asyncio.sleep(0)


def at_hand(response: aiohttp.ClientResponse) -> bytes | None:
    """The whole body, if all of it came with the head, as small ones do; its connection is free by then."""
    content = response.content
    if response.connection is not None or not content.is_eof() or content.exception() is not None:
        return None
    return content.read_nowait()


async def download(response: aiohttp.ClientResponse, call: Call[T], rows: Callable[[], RowReader[Any]]) -> T:
    """What an answer comes to that may be long: decoded while it downloads, from some length on.

    Spares holding all of its bytes, and the time that the rest of it is on its way.

    Raises:
        UnreadableError: it does not read.
        FAULTS: it broke off.
    """
    begun: list[bytes] = []
    size = 0
    async with aclosing(pieces(response)) as chunks:
        async for chunk in chunks:
            begun.append(chunk)
            size += len(chunk)
            if size > _SHORT and not response.content.at_eof():
                try:
                    return cast("T", await _in_pieces(begun, chunks, rows()))
                except msgspec.DecodeError as error:
                    raise UnreadableError(unreadable(response, error, begun[0])) from error
    body = b"".join(begun)
    try:
        return call.decode(body)
    except msgspec.DecodeError as error:
        raise UnreadableError(unreadable(response, error, body)) from error


async def _in_pieces(begun: list[bytes], more: AsyncIterator[bytes], reader: RowReader[T]) -> list[T]:
    found: list[T] = []
    for batch in chain.from_iterable(map(reader.feed, begun)):
        found += batch
    async for chunk in more:
        for batch in reader.feed(chunk):
            found += batch
    found += reader.finish()
    return found


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
    return str(real) or type(real).__name__


def shown(error: BaseException) -> BaseException | None:
    """The exception as a cause, unless it holds the request's headers and with them the key."""
    real = error.__cause__ if isinstance(error, SentOnceError) and error.__cause__ else error
    return None if isinstance(real, aiohttp.ClientResponseError) else real
