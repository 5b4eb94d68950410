"""An answer's body, and the ways in which aiohttp says that there won't be one."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aiohttp
import msgspec

from trmm_async.calls import Call
from trmm_async.errors import ConnectionFailedError
from trmm_async.retry import Fault, Reply, Stage
from trmm_async.transport.connector import SentOnceError
from trmm_async.transport.server import Server

__all__ = ["FAULTS", "Body", "at_hand", "shown", "unreadable", "words"]

FAULTS: Final = (aiohttp.ClientError, OSError, TimeoutError)
"""All that aiohttp raises where the network or the server is at fault."""


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
            async for chunk in self._response.content.iter_any():
                yield chunk
        except FAULTS as error:
            reason = self._server.scrub(f"the answer broke off: {words(error)}")
            raise ConnectionFailedError(reason, method=self._call.method, path=self._call.path) from shown(
                error
            )

    def unreadable(self, error: msgspec.DecodeError, head: bytes) -> Fault:
        """The fault for a body that came whole and does not read."""
        return unreadable(self._response, error, head)


def at_hand(response: aiohttp.ClientResponse) -> bytes | None:
    """The whole body, if all of it came with the head, as small ones do; its connection is free by then."""
    content = response.content
    if response.connection is not None or not content.is_eof() or content.exception() is not None:
        return None
    return content.read_nowait()


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
