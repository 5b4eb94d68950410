"""One stream of a NATS server's JetStream: messages are written in order or not at all, and read.

Over `nats_link`. Each message names the message that must be the last one, and the server refuses it
otherwise. So a writer whose message was accepted knows that nobody else has written meanwhile. The last
message is named by its sequence and by an id, since a stream that was deleted and created again counts from
the beginning.

A message is sent when the one before it has been acknowledged. If two were in progress, the first could be
refused because of somebody else's message, and the second be accepted after that.
"""

import asyncio
import json
import secrets
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from trmm_async.engines.nats_link import (
    Inbox,
    Message,
    NatsAwayError,
    NatsLink,
    NatsRefusedError,
    read_json,
)

__all__ = ["JetStream", "SubjectReader", "StreamStanding", "Stored", "Tail", "ToWrite", "WrongTailError"]

_API: Final = "$JS.API"
_WRONG_TAIL: Final = frozenset({10070, 10071, 10164})
"""Error codes: the last message has another id, or another sequence."""
_IN_USE: Final = 10058
_UNKNOWN: Final = 404
_OURS: Final = range(400, 500)
_NANOSECONDS: Final = 10**9
_BATCH: Final = 16
"""The number of messages that a reader asks for at once."""
_IDLE: Final = 30
"""Seconds after which the server removes a consumer that reads no more."""
_SLACK: Final = 1.0
_ENDS: Final = ("404", "408")
_GOES_ON: Final = ("batch completed", "exceeds maxbytes", "exceeded maxrequestmaxbytes")


class WrongTailError(Exception):
    """The last message of the stream is another one, so nothing was written."""


class Tail(NamedTuple):
    """The last message of a stream: its sequence, and its id; empty if that is not known."""

    sequence: int
    id: str = ""


class ToWrite(NamedTuple):
    """A message to be written.

    Attributes:
        subject: the subject.
        data: the content.
        behind: the sequence that the last message of this subject must have; None: any.
        alone: whether the earlier messages of this subject are removed (a rollup).
    """

    subject: str
    data: bytes
    behind: int | None = None
    alone: bool = False


class Stored(NamedTuple):
    """A message in a stream."""

    sequence: int
    data: bytes
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class StreamStanding:
    """A stream at one moment.

    Attributes:
        last: the sequence of the last message, which may have been removed since.
        now: the server's clock.
        subjects: how many messages there are, by subject.
    """

    last: int
    now: datetime
    subjects: Mapping[str, int]


class JetStream:
    """A stream. As those of the link, all methods raise the `Nats…Error`s and `NobodyThereError`."""

    def __init__(self, link: NatsLink, name: str, subjects: str) -> None:
        self.link = link
        self.name = name
        self._subjects = subjects

    async def create(self) -> None:
        """Create the stream, unless it exists. A stream that an administrator made is used as it is."""
        settings = {
            "name": self.name,
            "subjects": [self._subjects],
            "storage": "file",
            "retention": "limits",
            "discard": "old",
            "num_replicas": 1,
            "allow_rollup_hdrs": True,
            "duplicate_window": _NANOSECONDS,  # ids are for who comes next: nothing is sent twice with one
            **dict.fromkeys(("max_msgs", "max_bytes", "max_consumers"), -1),
        }
        answer = await self.link.ask(f"{_API}.STREAM.CREATE.{self.name}", settings)
        if _error(answer).get("err_code") != _IN_USE:
            _good(answer)

    async def standing(self) -> StreamStanding | None:
        """The stream's state; None if it doesn't exist."""
        # It has the number of messages of each subject if they are asked for.
        answer = await self._asked("STREAM.INFO", {"subjects_filter": self._subjects})
        if answer is None:
            return None
        state = answer.get("state") or {}
        if "ts" not in answer:
            raise NatsRefusedError("this NATS server is too old: 2.10 is needed")
        return StreamStanding(state.get("last_seq", 0), _time(answer["ts"]), state.get("subjects") or {})

    async def last(self, subject: str) -> Stored | None:
        """The last message of a subject; None if there is none."""
        return await self._stored({"last_by_subj": subject})

    async def first(self, subject: str, sequence: int = 1) -> Stored | None:
        """The first message of a subject from a sequence on; None if there is none."""
        return await self._stored({"seq": sequence, "next_by_subj": subject})

    async def at(self, sequence: int) -> Stored | None:
        """The message with this sequence; None if there is none."""
        return await self._stored({"seq": sequence})

    async def write(self, one: ToWrite, behind: Tail) -> Tail:
        """Write it behind this one: it is the last then.

        Raises:
            WrongTailError: another is the last.
            NatsAwayError: it may be written.
        """
        tail = Tail(behind.sequence + 1, secrets.token_hex(8))
        headers = {
            "Nats-Expected-Stream": self.name,
            "Nats-Expected-Last-Sequence": str(behind.sequence),
            "Nats-Msg-Id": tail.id,
        }
        if behind.id:
            headers["Nats-Expected-Last-Msg-Id"] = behind.id
        if one.behind is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(one.behind)
        if one.alone:
            headers["Nats-Rollup"] = "sub"
        read = read_json((await self.link.request(one.subject, one.data, headers)).data)
        if _error(read).get("err_code") in _WRONG_TAIL:
            raise WrongTailError
        _good(read)
        return tail

    async def purge(self, subject: str, before: int | None = None) -> None:
        """Remove the messages of a subject; with `before`, only those with a smaller sequence."""
        which = {"filter": subject} if before is None else {"filter": subject, "seq": before}
        await self._asked("STREAM.PURGE", which)

    async def reader(self, subject: str, sequence: int) -> "SubjectReader | None":
        """A reader of a subject from a sequence on; None if the stream doesn't exist."""
        inbox = await self.link.inbox()
        name = secrets.token_hex(8)
        config = {
            "name": name,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": max(1, sequence),
            "ack_policy": "none",
            "replay_policy": "instant",
            "filter_subject": subject,
            "inactive_threshold": _IDLE * _NANOSECONDS,
            "mem_storage": True,
            "num_replicas": 1,
        }
        answer = await self._asked(
            "CONSUMER.CREATE", {"stream_name": self.name, "config": config}, f".{name}.{subject}"
        )
        if answer is None:
            return None
        return SubjectReader(self.link, inbox, f"{_API}.CONSUMER.MSG.NEXT.{self.name}.{name}", answer)

    async def _stored(self, which: Mapping[str, object]) -> Stored | None:
        answer = await self._asked("STREAM.MSG.GET", which)
        if answer is None:
            return None
        found = answer["message"]
        return Stored(found["seq"], b64decode(found.get("data") or ""), _time(found["time"]))

    async def _asked(self, verb: str, body: object, more: str = "") -> dict[str, Any] | None:
        answer = await self.link.ask(f"{_API}.{verb}.{self.name}{more}", body)
        return None if _error(answer).get("code") == _UNKNOWN else _good(answer)


class SubjectReader:
    """Reads one subject of a stream onward; made by `JetStream.reader`.

    Attributes:
        left: how many messages stood there when it was made, and were not given yet; 0 at least.
        is_lost: whether it has ended, so that another must be made.
    """

    def __init__(self, link: NatsLink, inbox: Inbox, subject: str, made: Mapping[str, Any]) -> None:
        self._link = link
        self._inbox = inbox
        self._subject = subject
        self._credit = 0
        self._ends_at = 0.0
        self.left: int = made.get("num_pending", 0)
        self.is_lost: bool = False

    @property
    def has_more(self) -> bool:
        """Whether a message has arrived that was not read yet."""
        return self._inbox.has_more

    async def aclose(self) -> None:
        """Stop reading."""
        self.is_lost = True
        await self._link.leave(self._inbox)

    async def next(self, wait: float) -> Stored | None:
        """Wait at most so many seconds for the next message; None if none came.

        Raises:
            NatsAwayError, NatsRefusedError: as `NatsLink.ask`; the reader is lost.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + wait
        try:
            while not self.is_lost:
                if self._credit <= 0:
                    await self._pull(max(wait, _SLACK))
                message = await self._inbox.next(max(0.0, until - loop.time()))
                if message is None:
                    # Its end is told by the server: where that does not come, nothing else will.
                    self.is_lost = self._credit > 0 and loop.time() > self._ends_at + _SLACK
                    return None
                if not message.status:
                    self._credit -= 1
                    self.left = max(0, self.left - 1)
                    return Stored(_sequence(message), message.data)
                self._note_end(message)
        except BaseException:
            self.is_lost = True
            raise
        return None

    async def _pull(self, seconds: float) -> None:
        asked = {
            "batch": _BATCH,
            "max_bytes": 4 * self._link.max_payload,
            "expires": int(seconds * _NANOSECONDS),
        }
        self._credit = _BATCH
        self._ends_at = asyncio.get_running_loop().time() + seconds
        await self._link.send(self._subject, json.dumps(asked).encode(), self._inbox)

    def _note_end(self, message: Message) -> None:
        self._credit = 0
        said = message.description.casefold()
        self.is_lost = message.status not in _ENDS and not any(word in said for word in _GOES_ON)


def _sequence(message: Message) -> int:
    # $JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.…, later with domain and account before.
    parts = message.reply.split(".")
    return int(parts[5 if len(parts) == 9 else 7])


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _error(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    return answer.get("error") or {}


def _good(answer: dict[str, Any]) -> dict[str, Any]:
    if error := _error(answer):
        said = f"{error.get('description', 'an error')} ({error.get('err_code', error.get('code'))})"
        raise NatsRefusedError(said) if error.get("code") in _OURS else NatsAwayError(said)
    return answer
