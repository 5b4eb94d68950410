"""One connection to a NATS server: requests and inboxes. It fails by `NatsAwayError` or `NatsRefusedError`.

The only module that imports the library `nats`. None of the library's errors leaves it, neither as a cause
nor as a context: the frames of their tracebacks hold the password.

The connection is never restored by the library. After a reconnection a subscription may have missed messages,
and its reader must learn that. The library's own way to close is not used either: it writes first what is
still to be sent, and if that fails, nobody learns that the connection has ended.
"""

import asyncio
import json
import secrets
import ssl as tls
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nats import errors as faults
from nats.aio.client import Client
from nats.aio.msg import Msg

from trmm_async.engines.address import EngineAddress, authority
from trmm_async.engines.faults import EngineAwayError, EngineRefusedError, cancellations, check_swallowed

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription

__all__ = ["Inbox", "Message", "NatsAwayError", "NatsLink", "NatsRefusedError", "NobodyThereError"]

_ANSWERS_WITHIN: Final = 2.0
"""Seconds that connecting, or one request, may take."""
_REFUSALS: Final = ("authorization", "authentication", "permissions violation", "tls is not offered")
_NOBODY: Final = "503"
_GONE: Final = "gone"
_CLOSING: Final = 0.5
_LEAST_PAYLOAD: Final = 2**16
_TASKS: Final = ("_reading_task", "_ping_interval_task", "_flusher_task")


class NatsAwayError(EngineAwayError):
    """The NATS server can't be reached, or does not answer."""


class NatsRefusedError(EngineRefusedError):
    """The NATS server refuses, and would refuse the next attempt, too."""


class NobodyThereError(NatsAwayError):
    """Nobody answers on this subject: there is no JetStream, or no such stream."""


class Message(NamedTuple):
    """A message that arrived. `reply` is where to answer; `status` has three digits, or is empty."""

    reply: str
    data: bytes
    status: str
    description: str


class Inbox:
    """Receives answers in their order. Made by `NatsLink.inbox`."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self._waiting: asyncio.Queue[Message | None] = asyncio.Queue()

    @property
    def has_more(self) -> bool:
        """Whether a message has arrived that was not read yet."""
        return not self._waiting.empty()

    def put(self, message: Message | None) -> None:
        """Add a message; None says that the connection has ended."""
        self._waiting.put_nowait(message)

    async def next(self, wait: float) -> Message | None:
        """Return the next message, or None if none arrives within this many seconds.

        Raises:
            NatsAwayError: the connection has ended, and all messages from before its end were returned.
        """
        if self._waiting.empty():
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    return self._checked(await self._waiting.get())
            return None
        return self._checked(self._waiting.get_nowait())

    def _checked(self, message: Message | None) -> Message:
        if message is None:
            self.put(None)
            raise NatsAwayError("the connection was lost")
        return message


class _Client(Client):
    """The library's connection. It ends once, and reports why to `ended`."""

    def __init__(self, ended: Callable[[str], None], is_encrypted: bool) -> None:
        super().__init__()
        self._ended = ended
        self._is_encrypted = is_encrypted

    async def _process_op_err(self, e: Exception) -> None:
        self._ended(str(e) or type(e).__name__)

    async def _process_err(self, err_msg: str) -> None:
        self._ended(err_msg.strip("'"))

    def _connect_command(self) -> bytes:
        # Whether the connection is encrypted depends on the server's greeting alone. If it should be and
        # isn't, the password must not be sent.
        if self._is_encrypted and not self._server_info.get("tls_required"):
            raise faults.Error("TLS is not offered by this server: its URL would begin with nats://")
        return super()._connect_command()


class NatsLink:
    """One connection, opened for the first request, and for the next one after it was lost.

    It belongs to one event loop.

    Args:
        address: the server's address.
    """

    def __init__(self, address: EngineAddress) -> None:
        self.address = address
        self._client: _Client | None = None
        self._opening = asyncio.Lock()
        self._prefix = ""
        self._answers: dict[str, asyncio.Future[Message]] = {}
        self._inboxes: dict[Inbox, Subscription] = {}
        self._why = ""
        self._generation = 0

    def __repr__(self) -> str:
        return f"<NatsLink {self.address}, {'open' if self._is_open else 'not open'}>"

    @property
    def _is_open(self) -> bool:
        return self._client is not None and self._client.is_connected and not self._why

    @property
    def max_payload(self) -> int:
        """The most bytes that a message may have, with its headers."""
        return max(_LEAST_PAYLOAD, self._client.max_payload) if self._client is not None else _LEAST_PAYLOAD

    async def ask(self, subject: str, asked: object = None) -> dict[str, Any]:
        """Send a request with a JSON object to the JetStream API; return the JSON object of the answer.

        Raises:
            NatsAwayError: no answer came. The request may have been carried out.
            NatsRefusedError: the server refuses.
            NobodyThereError: nothing listens on this subject.
        """
        body = b"" if asked is None else json.dumps(asked).encode()
        return read_json((await self.request(subject, body, {})).data)

    async def request(self, subject: str, data: bytes, headers: Mapping[str, str]) -> Message:
        """Send a message and return the answer.

        If this is cancelled, the request may have been carried out. A late answer is dropped.

        Raises:
            NatsAwayError, NatsRefusedError, NobodyThereError: as `ask`.
        """

        async def work(client: _Client) -> Message:
            key = secrets.token_hex(6)
            waiting: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
            self._answers[key] = waiting
            try:
                await self._publish(client, subject, data, f"{self._prefix}.{key}", headers)
                found = await waiting
                if found.status == _GONE:
                    raise faults.Error(self._why)
                return found
            finally:
                self._answers.pop(key, None)
                waiting.cancel()

        answer: Message = await self._guarded(work)
        if answer.status == _NOBODY:
            raise NobodyThereError("nobody answers there: has this server JetStream (nats-server -js)?")
        return answer

    async def inbox(self) -> Inbox:
        """Make an inbox for the answers to `send`. It ends with this connection. Raises as `ask` does."""

        async def work(client: _Client) -> Inbox:
            inbox = Inbox(client.new_inbox())

            async def heard(message: Msg) -> None:
                inbox.put(_message(message))

            # The reader asks for a bounded number of bytes, so the library's own bounds, at which it drops
            # messages, are switched off.
            listening = await client.subscribe(
                inbox.subject, cb=heard, pending_bytes_limit=0, pending_msgs_limit=0
            )
            self._inboxes[inbox] = listening
            return inbox

        found: Inbox = await self._guarded(work)
        return found

    async def send(self, subject: str, data: bytes, inbox: Inbox) -> None:
        """Send a message whose answers go to the inbox. Raises as `ask` does."""

        async def work(client: _Client) -> None:
            if inbox not in self._inboxes:
                raise faults.ConnectionClosedError
            await self._publish(client, subject, data, inbox.subject, {})

        await self._guarded(work)

    async def leave(self, inbox: Inbox) -> None:
        """Close an inbox."""
        listening = self._inboxes.pop(inbox, None)
        if listening is not None and self._is_open:
            with suppress(faults.Error, OSError):
                await listening.unsubscribe()

    async def aclose(self) -> None:
        """Drop the connection. A later request opens another one."""
        client, self._client = self._client, None
        self._generation += 1
        self._end("the connection was closed")
        if client is not None:
            await _drop(client)

    def _end(self, why: str) -> None:
        """Tell all who wait for an answer or a message that the connection has ended."""
        self._why = self._why or why
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(Message("", b"", _GONE, self._why))
        for inbox in self._inboxes:
            inbox.put(None)
        self._inboxes.clear()

    async def _publish(
        self, client: _Client, subject: str, data: bytes, reply: str, headers: Mapping[str, str]
    ) -> None:
        before = cancellations()
        await client.publish(subject, data, reply=reply, headers=dict(headers) or None)
        check_swallowed(before)

    async def _guarded(self, work: Callable[[_Client], Any]) -> Any:
        away = refused = ""
        before = cancellations()
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN):
                found = await work(await self._connected())
                check_swallowed(before)
                return found
        except (TimeoutError, faults.TimeoutError):
            away = f"no answer within {_ANSWERS_WITHIN:g} s"
            await self.aclose()
        except (faults.Error, OSError, ValueError, EOFError) as error:
            said = self.address.scrub(str(error) or type(error).__name__).removeprefix("nats: ")
            if any(word in said.casefold() for word in _REFUSALS):
                refused = said
            else:
                away = said
            await self.aclose()
        check_swallowed(before)
        # Raised outside of the handler, so that the library's error is not its context.
        raise NatsRefusedError(refused) if refused else NatsAwayError(away)

    async def _connected(self) -> _Client:
        async with self._opening:
            if self._client is None or not self._is_open:
                await self.aclose()
                self._why = ""
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> _Client:
        address, generation = self.address, self._generation

        def ended(why: str) -> None:
            if generation == self._generation:
                self._end(why)

        client = _Client(ended, address.is_encrypted)
        problems: list[Exception] = []

        async def note(error: Exception) -> None:
            # Without this callback the library logs the error, with all that its frames hold.
            problems.append(error)

        async def heard(message: Msg) -> None:
            answer = self._answers.get(message.subject.rpartition(".")[2])
            if answer is not None and not answer.done():
                answer.set_result(_message(message))

        try:
            await client.connect(
                [f"nats://{authority(address.host, address.port)}"],
                allow_reconnect=False,
                # Without these the library tries for two minutes to reach a host that refuses.
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=_ANSWERS_WITHIN,  # type: ignore[arg-type] # it takes fractions, too
                error_cb=note,
                **_credentials(address),
            )
            self._prefix = client.new_inbox()
            await client.subscribe(f"{self._prefix}.*", cb=heard)
            if not client.is_connected:
                raise faults.Error("it closed the connection")
        except faults.NoServersError:
            await _drop(client)
            raise (problems[-1] if problems else faults.Error("it can't be reached")) from None
        except BaseException:
            await _drop(client)
            raise
        return client


def read_json(data: bytes) -> dict[str, Any]:
    """Return the JSON object of an answer of the JetStream API.

    Raises:
        NatsAwayError: it is not a JSON object.
    """
    with suppress(ValueError):
        answer = json.loads(data)
        if isinstance(answer, dict):
            return answer
    raise NatsAwayError("an answer that is not JSON")


def _credentials(address: EngineAddress) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if address.username:
        settings = {"user": address.username, "password": address.password}
    elif address.password:
        settings = {"token": address.password}
    if address.is_encrypted:
        settings["tls"] = _context(address.files)
    return settings


def _context(files: Mapping[str, str]) -> tls.SSLContext:
    context = tls.create_default_context(cafile=files.get("ssl_ca_certs"))
    if certificate := files.get("ssl_certfile"):
        context.load_cert_chain(certificate, files.get("ssl_keyfile"))
    return context


def _message(message: Msg) -> Message:
    headers = message.headers or {}
    return Message(message.reply, message.data, headers.get("Status", ""), headers.get("Description", ""))


async def _drop(client: Any) -> None:
    # Nothing more is sent, since that would wait for the server, which may be what hangs.
    client._pending, client._pending_data_size = [], 0  # noqa: SLF001 - it has no other way to say so
    writer = getattr(client._transport, "_io_writer", None)  # noqa: SLF001
    if writer is not None:
        writer.transport.abort()
    # Private names of nats-py. If a version renames them, its tasks may go on; nothing else is lost.
    listening = [*getattr(client, "_subs", {}).values()]
    try:
        with suppress(faults.Error, OSError, TimeoutError, asyncio.InvalidStateError):
            async with asyncio.timeout(_CLOSING):
                await client.close()
    finally:
        # A close that is cancelled or takes too long would leave the library's tasks waiting for ever.
        tasks = [getattr(each, "_wait_for_msgs_task", None) for each in listening]
        tasks += [getattr(client, name, None) for name in _TASKS]
        for task in tasks:
            if task is not None and task is not asyncio.current_task():
                task.cancel()
