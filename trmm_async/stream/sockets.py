"""`Link`: one WebSocket. It is kept alive, read and closed here. Only this module uses `websockets`.

It stands below `dialer`, which opens it, and `session`, which reads it. It knows no agents and no events.

Only the protocol core of the library is used (handshake and framing, `websockets.client.ClientProtocol`); the
connection to asyncio is ours. The library's own client follows redirects with our headers (to another host,
it removes `Authorization`, but not `X-API-KEY`), reads proxies from the environment, and logs headers at
DEBUG. Its keep-alive task cuts the connection if it is our side that does not read.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self, TypeVar, cast

from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import WebSocketURI, parse_uri

from trmm_async.errors import ConnectionFailedError, InvalidRequestError
from trmm_async.receiving import Buffered
from trmm_async.retry import Reply
from trmm_async.stream.interim_answers import InterimAnswers
from trmm_async.stream.liveness import Liveness, PingSchedule

__all__ = ["SEND_MOST", "Address", "BufferedLink", "Link", "LinkSettings", "Lost"]

T = TypeVar("T")

SEND_MOST: Final = 2**15
"""The size of the largest message that can be sent, in bytes. Above it, asyncio would pause writing."""

_UNREAD_MOST: Final = 2**16
_NO_CODE: Final = 1005
_DATA: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)

# A logger without a parent, so that no logging settings can enable it: the library logs our headers.
_SILENCE: Final = logging.Logger("trmm_async.stream.sockets", logging.CRITICAL + 1)  # noqa: LOG001


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """The settings of a connection.

    Attributes:
        ping_interval: seconds of silence after which a ping is sent.
        ping_timeout: seconds in which the peer must answer it. A dead peer is noticed within the sum of both.
        close_timeout: seconds in which the peer must answer our close frame before the connection is cut.
        max_frame: the size of the largest message, in bytes. After a larger one, the connection is closed.
        clock: the time of day, aware, UTC.
    """

    ping_interval: float = 20.0
    ping_timeout: float = 20.0
    close_timeout: float = 2.0
    max_frame: int = 2**20
    clock: Callable[[], datetime] = _now


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a server. `prefix` is the path before all its paths, without a slash at the end."""

    host: str
    port: int
    secure: bool
    prefix: str

    @classmethod
    def of(cls, base_url: str) -> Self:
        """Parse `http[s]://host[:port][/prefix]`. Raises `ValueError` if it is something else."""
        if not base_url.startswith(("http://", "https://")):
            raise ValueError(f"not an http URL: {base_url}")
        uri = parse_uri("ws" + base_url.removeprefix("http").rstrip("/"))
        return cls(uri.host, uri.port, uri.secure, uri.path)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}{self.prefix}"


@dataclass(frozen=True, slots=True)
class Lost:
    """Why a connection was lost: a text, and the close code and reason of the server if it sent them."""

    why: str
    code: int | None = None
    said: str = ""


class Link(asyncio.Protocol):
    """One connection, from the TCP connect to its end. `Dialer.dial` opens it, and one task reads it.

    It has no task of its own: the callbacks of the event loop keep messages until `receive` takes them. If
    nobody takes them, no more is read from the socket.

    Attributes:
        spoke: the bytes of the handshake were written.
        answer: the server's answer to the handshake.
        accepted: the server accepted the handshake. (The connection may have been lost since.)
        opened: done when the handshake has ended, with or without success.
        ended: done when the connection is lost for its reader; `lost` says why.
        gone: done when the TCP connection is closed.
        heard_at: when the last data came.
    """

    __slots__ = (
        *(
            "_clock",
            "_deaf",
            "_fences",
            "_frames",
            "_headers",
            "_interim",
            "_loop",
            "_may_begin",
            "_partial",
            "_path",
            "_pings",
        ),
        *(
            "_ping_schedule",
            "_query",
            "_roll",
            "_settings",
            "_timer",
            "_transport",
            "_unread",
            "_waiter",
            "_ws",
        ),
        *("accepted", "answer", "ended", "gone", "heard_at", "lost", "opened", "spoke"),
    )

    def __init__(
        self,
        address: Address,
        path: str,
        headers: Mapping[str, str],
        settings: LinkSettings,
        roll: set["Link"],
        *,
        query: str = "",
        may_begin: Callable[[], bool] = lambda: True,
    ) -> None:
        self._may_begin = may_begin
        self._loop = loop = asyncio.get_running_loop()
        self._path = path
        self._query = query
        uri = WebSocketURI(address.secure, address.host, address.port, address.prefix + path, "")
        self._ws = ClientProtocol(uri, max_size=settings.max_frame, logger=_SILENCE)
        self._headers = headers
        self._interim: InterimAnswers | None = InterimAnswers()
        self._settings = settings
        self._roll = roll
        self._clock = settings.clock
        self._ping_schedule = PingSchedule(settings.ping_interval, settings.ping_timeout, loop.time())
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._frames: list[bytes] = []
        self._partial: bytearray | None = None
        self._unread = 0
        self._deaf = False
        self._waiter: asyncio.Future[None] | None = None
        self._pings = 0
        self._fences: dict[int, asyncio.Future[bool]] = {}
        self.spoke: bool = False
        self.accepted: bool = False
        self.answer: Reply | None = None
        self.lost: Lost | None = None
        self.heard_at: datetime = settings.clock()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()

    def __repr__(self) -> str:
        state = self._ws.state.name.lower() if self.lost is None else self.lost.why
        return f"<Link {self._path}: {state}, {len(self._frames)} frames waiting>"

    @property
    def is_open(self) -> bool:
        """Whether the handshake succeeded and nothing has ended the connection since."""
        return self._ws.state is State.OPEN and self.lost is None

    async def receive(self) -> list[bytes]:
        """Wait for messages, and return all that have come, in order. Empty if the connection is lost.

        Messages from before the loss are returned first. Safe to cancel: then nothing is taken.
        """
        if not self._frames and self.lost is None:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self.take()

    def take(self) -> list[bytes]:
        """The messages that have come so far, without waiting."""
        frames, self._frames = self._frames, []
        self._listen()
        return frames

    def send(self, text: str) -> None:
        """Send one message. It may have reached the peer even if the connection is lost right after.

        Raises:
            InvalidRequestError: it is larger than `SEND_MOST`.
            ConnectionFailedError: the connection is not open, so it was not sent.
        """
        data = text.encode()
        if len(data) > SEND_MOST:
            raise InvalidRequestError(f"a message of {len(data)} bytes; at most {SEND_MOST} can be sent")
        if not self.is_open:
            why = "not open yet" if self.lost is None else self.lost.why
            raise ConnectionFailedError(f"not sent: {why}", method="GET", path=self._path)
        self._ws.send_text(data)
        self._flush()

    def fence(self) -> asyncio.Future[bool]:
        """Send a ping, so that everything that the peer has sent until now is here when its pong comes.

        The future is True when the pong has come, since a WebSocket keeps the order of frames. It is False if
        the pong can't come: the connection is lost, or nobody takes messages, so nothing is read.
        """
        sign: asyncio.Future[bool] = self._loop.create_future()
        if self._deaf or not self.is_open:
            sign.set_result(False)
        else:
            self._fences[self._ping()] = sign
        return sign

    def hang_up(self) -> None:
        """Send a close frame; cut the connection after the answer or `close_timeout`. Does not wait."""
        self._lose(Lost("closed by us"))

    def abort(self) -> None:
        """Cut the connection. `gone` is done one turn of the loop later."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the handshake. Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)
        self._roll.add(self)
        if not self._may_begin():
            self._lose(Lost("the right to send ran out before the handshake could begin"))
            self.abort()
            return
        request = self._ws.connect()
        request.headers.update(self._headers)
        if self._query:
            # Added only here, since the library keeps the URI, and the query is a secret.
            request.path += f"?{self._query}"
            self._query = ""
        self._ws.send_request(request)
        self._flush()
        self.spoke = True

    def data_received(self, data: bytes) -> None:
        """Take data. Called by the event loop."""
        self._ping_schedule.heard = self._loop.time()
        self.heard_at = self._clock()
        if self._interim is not None:
            if (begun := self._interim.feed(data)) is None:
                return
            data, self._interim = begun, None
        self._ws.receive_data(data)
        self._sort(self._ws.events_received())
        self._flush()
        if self._frames and self.lost is None:
            self._hand_over(len(data))
        if (broken := self._ws.handshake_exc or self._ws.parser_exc) is not None:
            self._lose(Lost(f"broken protocol: {broken}"))

    def eof_received(self) -> None:
        """Take the end of the data, which completes an answer without a length. Called by the event loop."""
        if self._interim is not None:
            self._ws.receive_data(self._interim.rest())
        self._ws.receive_eof()
        self._sort(self._ws.events_received())

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up. The last call of the event loop."""
        self._ws.receive_eof()
        how = f"broke ({exc})" if exc is not None else "ended without a goodbye"
        self._lose(Lost(f"the connection {how}"))
        self._set_timer(None)
        self._roll.discard(self)
        self.gone.set_result(None)

    def pause_writing(self) -> None:
        """Give up: the peer reads nothing, since all that we send is short. Called by the event loop."""
        self._lose(Lost("the peer does not read"))
        self.abort()

    def _sort(self, events: Iterable[object]) -> None:
        for event in events:
            if isinstance(event, Frame):
                if event.opcode in _DATA:
                    self._collect(event)
                elif event.opcode is Opcode.PONG:
                    self._ponged(bytes(event.data))
                elif event.opcode is Opcode.CLOSE:
                    self._closed(bytes(event.data))
            elif isinstance(event, Response):
                self._answered(event)

    def _collect(self, frame: Frame) -> None:
        if self.lost is not None:
            return
        if frame.fin and self._partial is None:
            self._frames.append(bytes(frame.data))
            return
        if self._partial is None:
            self._partial = bytearray()
        self._partial += frame.data
        if frame.fin:
            self._frames.append(bytes(self._partial))
            self._partial = None

    def _answered(self, response: Response) -> None:
        headers = {name.lower(): value for name, value in response.headers.raw_items()}
        self.answer = Reply(response.status_code, headers, bytes(response.body or b""))
        self.accepted = self._ws.handshake_exc is None
        _finish(self.opened, None)
        if self.is_open:
            self._check_liveness()

    def _ponged(self, payload: bytes) -> None:
        # A peer may answer only the last of several pings.
        number = int(payload) if payload.isdigit() else -1
        for asked in [asked for asked in self._fences if asked <= number]:
            _finish(self._fences.pop(asked), True)

    def _closed(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2], "big") if payload else _NO_CODE
        said = payload[2:].decode(errors="replace")
        self._lose(Lost(f"closed by the server ({f'{code} {said}'.rstrip()})", code, said))

    def _hand_over(self, size: int) -> None:
        self._unread += size
        if self._waiter is not None:
            _finish(self._waiter, None)
        if self._unread > _UNREAD_MOST and not self._deaf and self._transport is not None:
            self._deaf = True
            self._drop_fences()
            self._transport.pause_reading()

    def _listen(self) -> None:
        self._unread = 0
        if self._deaf and self._transport is not None:
            self._deaf = False
            self._ping_schedule.excuse(self._loop.time())
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _lose(self, lost: Lost) -> None:
        if self.lost is not None:
            return
        self.lost = lost
        self._drop_fences()
        for waiting in (self.opened, self.ended, self._waiter):
            if waiting is not None:
                _finish(waiting, None)
        if self._ws.state is State.OPEN:
            self._ws.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
        # Continue to read, without keeping what comes, until the peer's close frame comes.
        self._listen()
        self._set_timer(self._loop.call_later(self._settings.close_timeout, self.abort))

    def _check_liveness(self) -> None:
        if self._deaf:
            self._ping_schedule.excuse(self._loop.time())
        liveness, again = self._ping_schedule.check(self._loop.time())
        if liveness is Liveness.DEAD:
            self._lose(Lost(f"no answer to a ping within {self._settings.ping_timeout:g} s"))
            self.abort()
            return
        if liveness is Liveness.ASK:
            self._ping()
        self._set_timer(self._loop.call_later(again, self._check_liveness))

    def _ping(self) -> int:
        self._pings += 1
        self._ws.send_ping(b"%d" % self._pings)
        self._flush()
        return self._pings

    def _drop_fences(self) -> None:
        for fence in self._fences.values():
            _finish(fence, False)
        self._fences.clear()

    def _set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer

    def _flush(self) -> None:
        for data in self._ws.data_to_send():
            # Empty data means the end of the stream. Our transport learns that from the peer itself.
            if data and self._transport is not None and not self._transport.is_closing():
                self._transport.write(data)


class BufferedLink(Link, Buffered):
    """A link that is read into the buffer that all connections share."""

    __slots__ = ()


def _finish(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)
