"""A relay's log in NATS JetStream: one stream of batches, of snapshots of how the agents stand, and a lease.

Satisfies `store.Store`. What is appended at once is one message (cut in parts where a message would be too
large): events, how their agents stand after them, and how far the server was read, so all of it is there or
nothing. How the agents stand is a snapshot, and the batches behind it; another is written when what came
since is as large as the last.

The fence is the stream's last sequence, and the server keeps it: each message says behind which it must be
the next, or it is refused. The lease stands in the same stream. So whoever takes it has moved the end, and
one that led before, however late it comes back, writes nothing more.
"""

import asyncio
import re
import secrets
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

from trmm_async import codec
from trmm_async.engines.address import EngineAddress
from trmm_async.engines.jetstream import (
    JetStream,
    Stored,
    StreamStanding,
    SubjectReader,
    Tail,
    ToWrite,
    WrongTailError,
)
from trmm_async.engines.nats_link import NatsAwayError, NatsLink, NobodyThereError
from trmm_async.relay.records import Record
from trmm_async.relay.store import BATCH, Changes, End, Entry, LogLook, StaleError

__all__ = ["NatsStore"]

_LOST: Final = "the log was lost"
_TRIES: Final = 8
_NO_STREAM: Final = 0.25
_HEAD: Final = 1024
"""Bytes of a message that are kept for what is not ours: headers, and the first line."""
_SNAPSHOT_LEAST: Final = 2**15
"""Bytes of batches, at least, between two snapshots."""

_Agents = dict[str, dict[str, str]]


class _BatchBody(NamedTuple):
    """What is appended at once; each change is an agent, a thing of it, and how that stands."""

    records: list[Record]
    changes: list[tuple[str, str, str]]
    position: str


class _Snapshot(NamedTuple):
    """How the agents stand after the entry at `last`."""

    last: str
    position: str
    agents: _Agents


class _BatchHead(NamedTuple):
    """The first line of each message of the log.

    Attributes:
        tag: of the term.
        part: which part this is, from 1 on; `parts`: of how many.
        number: the number in its term of the first of these entries; `entries`: how many they are.
        total: how many entries there were before, in all terms of this log.
        snapshot: the sequence of the first part of the last snapshot, of `snapshot_parts`; 0 for none.
        before: the place of the entry before these; empty for the first of a log.
    """

    tag: str
    part: int
    parts: int
    number: int
    entries: int
    total: int
    snapshot: int
    snapshot_parts: int
    before: str

    @classmethod
    def read(cls, data: bytes) -> tuple[Self, bytes]:
        line, _, rest = data.partition(b"\n")
        words: list[Any] = line.decode().split(" ")
        words[1:-1] = map(int, words[1:-1])
        return cls._make([*words[:-1], words[-1].removeprefix("-")]), rest

    def line(self, part: int, parts: int) -> bytes:
        words = self._replace(part=part, parts=parts, before=self.before or "-")
        return " ".join(map(str, words)).encode() + b"\n"


class _LogBatch(NamedTuple):
    """What was appended at once; `sequence`: of its first part."""

    sequence: int
    head: _BatchHead
    size: int
    body: _BatchBody

    @property
    def last(self) -> str:
        """The place of its last entry, or of that before it."""
        count = self.head.entries
        return _place(self.sequence, count, count, self.head.tag) if count else self.head.before

    def entries(self) -> list[Entry]:
        found: list[Entry] = []
        before = self.head.before
        for number, record in enumerate(self.body.records, 1):
            place = _place(self.sequence, number, self.head.entries, self.head.tag)
            found.append(Entry(place, before, record))
            before = found[-1].place
        return found


class _Parts:
    """Puts batches together; of one that is not whole, since its writer was cut off, nothing is told."""

    def __init__(self) -> None:
        self._first = 0
        self._held: list[bytes] = []
        self._next: _BatchHead | None = None

    def take(self, stored: Stored) -> _LogBatch | None:
        """A part has come; the batch, if it was the last part of one."""
        head, rest = _BatchHead.read(stored.data)
        if head.part == 1:
            self._first, self._held = stored.sequence, []
        elif (head, stored.sequence) != (self._next, self._first + len(self._held)):
            self._held = []
            return None
        self._held.append(rest)
        self._next = head._replace(part=head.part + 1)
        if head.part < head.parts:
            return None
        whole, self._held = b"".join(self._held), []
        return _LogBatch(self._first, head, len(whole), codec.exact(_BatchBody, zlib.decompress(whole)))


@dataclass(slots=True)
class _Log:
    """All that the one who writes knows of the log.

    Attributes:
        end: the stream's last message; None: in doubt.
        end_of_log: that of the last message of the log itself.
        lease: that of the lease.
        last: the place of the last entry.
        total: how many entries there were.
        kept: how many of them are thrown away, at most.
        written: how many are of this term.
        snapshot: the sequence of the first part of the last snapshot, of `snapshot_parts`; 0 for none.
        since: bytes of batches since then.
        size: bytes of that snapshot.
        position: how far the server was read.
        untold: the same, if that is not written yet: nothing came that is.
        agents: how they stand.
    """

    end: Tail | None = None
    end_of_log: int = 0
    lease: int = 0
    last: str = ""
    total: int = 0
    kept: int = 0
    written: int = 0
    snapshot: int = 0
    snapshot_parts: int = 0
    since: int = 0
    size: int = 0
    position: str = ""
    untold: str = ""
    agents: _Agents = field(default_factory=dict)

    def change(self, changes: Changes) -> None:
        for (agent_id, thing), text in changes.items():
            if text:
                self.agents.setdefault(agent_id, {})[thing] = text
            elif things := self.agents.get(agent_id):
                things.pop(thing, None)
                if not things:
                    del self.agents[agent_id]

    def take(self, batch: _LogBatch) -> None:
        """A batch stands behind what is known."""
        self.change({(agent_id, thing): text for agent_id, thing, text in batch.body.changes})
        self.position = batch.body.position or self.position
        self.last = batch.last
        self.total = batch.head.total + batch.head.entries
        self.since = self.since + batch.size if batch.head.snapshot == self.snapshot else 0
        self.snapshot, self.snapshot_parts = batch.head.snapshot, batch.head.snapshot_parts


@dataclass(slots=True)
class _Reading:
    """Reads the log on from a place.

    Attributes:
        after: the place of the last entry that was read.
    """

    reader: SubjectReader
    parts: _Parts
    after: str

    async def next(self, wait: float) -> list[Entry]:
        """As `Store.read`."""
        found: list[Entry] = []
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + wait
        while len(found) < BATCH:
            if not wait:
                if not self.reader.left:
                    break
                stored = await _there(self.reader)
            else:
                # What has come already is given with the first, and nobody is waited for then.
                seconds = 0.0 if found else max(0.0, ends_at - loop.time())
                if found and not self.reader.has_more:
                    break
                next_one = await self.reader.next(seconds)
                if next_one is None:
                    break
                stored = next_one
            found += self._taken(stored)
        if found:
            self.after = found[-1].place
        return found

    def _taken(self, stored: Stored) -> list[Entry]:
        batch = self.parts.take(stored)
        if batch is None:
            return []
        place = _read_place(self.after)
        is_begun = (place.sequence, place.tag) == (batch.sequence, batch.head.tag)
        return batch.entries()[place.number if is_begun else 0 :]


async def _there(reader: SubjectReader) -> Stored:
    """The next, which is known to be there."""
    stored = await reader.next(1.0)
    if stored is None:
        raise NatsAwayError("what it holds does not come")
    return stored


class NatsStore:
    """See `store.Store`."""

    def __init__(self, address: EngineAddress, name: str) -> None:
        self._link = NatsLink(address)
        self._address = address
        self.name = name
        # A dot divides the subjects of NATS, and no name of a stream may have one.
        told = name.replace(".", "~")
        self._subject = f"trmm.relay.{told}.log"
        self._snapshots = f"trmm.relay.{told}.snapshot"
        self._lease_subject = f"trmm.relay.{told}.lease"
        self._stream = JetStream(self._link, f"trmm-relay-{told}", f"trmm.relay.{told}.>")
        self._writing = asyncio.Lock()
        self._tag = ""
        self._lease = 0.0
        self._renewed = 0.0
        self._log = _Log()
        self._reading: _Reading | None = None
        self._seen: tuple[Stored | None, float] = None, 0.0

    def __repr__(self) -> str:
        return f"<NatsStore {self.name!r} at {self.where}>"

    @property
    def where(self) -> str:
        """See `Store`."""
        return str(self._address)

    # -- the one that writes ---------------------------------------------------------------------------------

    async def lead(self, lease: float) -> LogLook | None:
        """See `Store`."""
        async with self._writing:
            for _ in range(_TRIES):
                standing = await self._stream.standing()
                if standing is None:
                    await self._stream.create()
                    continue
                held = await self._stream.last(self._lease_subject)
                if held is not None and self._is_held(held, standing) and _owner(held)[0] != self._tag:
                    return None
                self._tag, self._lease, self._log = secrets.token_hex(8), lease, _Log(end=Tail(standing.last))
                try:
                    await self._write(self._renewal(held.sequence if held else 0))
                except WrongTailError:
                    continue  # one that leads no more has written, or another was faster
                await self._begin()
                return LogLook(self._log.last, self._log.position, _copy(self._log.agents))
        return None

    async def _begin(self) -> None:
        """Nobody else writes any more: take up what stands there, or begin anew what is not whole."""
        known, end = await self._found(), self._log.end
        if known is None:
            for subject in (self._subject, self._snapshots):
                await self._stream.purge(subject)
            known = _Log()
        known.end, known.lease = end, self._log.lease
        self._log = known
        if (first := await self._stream.first(self._subject)) is not None:
            known.kept = _BatchHead.read(first.data)[0].total

    async def keep(self) -> None:
        """See `Store`."""

        async def renew() -> None:
            await self._write(self._renewal(self._log.lease))

        await self._led(renew)
        standing = await self._stream.standing()
        if standing is None:
            raise StaleError(_LOST)
        if standing.subjects.get(self._snapshots, 0) < self._log.snapshot_parts:
            # An administrator's limits have taken it.
            await self._led(self._write_snapshot)

    async def leave(self) -> None:
        """See `Store`."""
        if not self._tag:
            return

        async def free() -> None:
            freed = ToWrite(self._lease_subject, b"- 0", self._log.lease, alone=True)
            await self._write(freed)

        with suppress(StaleError):
            await self._led(free)
        self._tag = ""

    async def append(
        self, first: int, records: Sequence[Record], changes: Changes, position: str, length: int
    ) -> None:
        """See `Store`."""

        async def write() -> None:
            log = self._log
            if first > log.written + 1:
                raise StaleError("the end of the log was lost")
            new = list(records[log.written + 1 - first :])
            if not new and records:
                return  # it is there already
            if new or changes:
                told = [(agent_id, thing, text) for (agent_id, thing), text in changes.items()]
                await self._write_batch(len(new), _packed(_BatchBody(new, told, position or log.untold)))
                log.change(changes)
                log.untold = ""
            else:
                log.untold = position or log.untold
            log.position = position or log.position

        await self._led(write)
        await self._led(lambda: self._trim(length))

    async def _write_batch(self, count: int, body: bytes) -> None:
        """Write a batch; of no entries to tell where the snapshot is."""
        log = self._log
        if asyncio.get_running_loop().time() - self._renewed > self._lease / 3:
            await self._write(self._renewal(log.lease))
        head = _BatchHead(
            self._tag, 1, 1, log.written + 1, count, log.total, log.snapshot, log.snapshot_parts, log.last
        )
        parts = self._cut(body)
        behind = log.end_of_log
        for number, part in enumerate(parts, 1):
            line = head.line(number, len(parts))
            behind = await self._write(ToWrite(self._subject, line + part, behind))
        log.end_of_log = behind
        log.since += len(body)
        log.written += count
        log.total += count
        if count:
            log.last = _place(behind - len(parts) + 1, count, count, self._tag)

    async def _write_snapshot(self) -> None:
        log = self._log
        # Of 10,000 agents it is some megabytes, which repeat themselves.
        whole = await asyncio.to_thread(_packed, _Snapshot(log.last, log.position, log.agents))
        sequences = [await self._write(ToWrite(self._snapshots, part)) for part in self._cut(whole)]
        first = sequences[0]
        log.snapshot, log.snapshot_parts, log.size, log.since = first, len(sequences), len(whole), 0
        await self._write_batch(0, _packed(_BatchBody([], [], "")))
        await self._stream.purge(self._snapshots, first)

    async def _trim(self, length: int) -> None:
        """Throw away what is too old, and write a snapshot where one is due."""
        log = self._log
        is_long = log.total - log.kept > length + length // 10
        if is_long or log.since >= max(_SNAPSHOT_LEAST, log.size):
            await self._write_snapshot()
        if is_long and (cut := await self._batch_at(log.total - length)) is not None:
            sequence, head = cut
            await self._stream.purge(self._subject, min(sequence, log.snapshot))
            log.kept = head.total

    async def _batch_at(self, total: int) -> tuple[int, _BatchHead] | None:
        """The batch with the entry of this number, by its first part: its sequence and its head."""
        found, low, high = None, 1, self._log.end_of_log
        while low <= high:
            middle = (low + high) // 2
            stored = await self._stream.first(self._subject, middle)
            if stored is None:
                high = middle - 1
                continue
            head, _ = _BatchHead.read(stored.data)
            if head.total <= total:
                found = stored.sequence - head.part + 1, head
                low = stored.sequence + 1
            else:
                high = middle - 1
        return found

    def _cut(self, body: bytes) -> list[bytes]:
        size = self._link.max_payload - _HEAD
        return [body[at : at + size] for at in range(0, len(body), size)]

    def _renewal(self, behind: int) -> ToWrite:
        return ToWrite(self._lease_subject, f"{self._tag} {self._lease}".encode(), behind, alone=True)

    async def _write(self, one: ToWrite) -> int:
        """Write behind what is known: its sequence. If that fails, the end is in doubt."""
        end, self._log.end = self._log.end, None
        if end is None:
            raise WrongTailError
        self._log.end = end = await self._stream.write(one, end)
        if one.subject == self._lease_subject:
            self._log.lease = end.sequence
            self._renewed = asyncio.get_running_loop().time()
        return end.sequence

    async def _led(self, act: Callable[[], Awaitable[None]]) -> None:
        """Do it as the one that leads; again where the end was another than we knew, and still is ours.

        Raises:
            StaleError: it is not ours any more, or the log is not whole.
        """
        async with self._writing:
            was_refused = False
            for _ in range(_TRIES):
                try:
                    if self._log.end is None:
                        await self._find_end(was_refused)
                    await act()
                except (WrongTailError, NobodyThereError):
                    was_refused = True
                    continue
                return
        raise NatsAwayError("it refuses what is written, again and again")

    async def _find_end(self, was_refused: bool) -> None:
        """Where the stream ends, after something that may have been written or not.

        Little is asked, for it is asked again and again where the connection breaks often: whether the log
        still ends where we know it to is said by the server when it is written to.
        """
        standing = await self._stream.standing()
        if standing is None or not self._tag:
            raise StaleError(_LOST)
        lease = await self._stream.last(self._lease_subject)
        if lease is None or _owner(lease)[0] != self._tag:
            raise StaleError("another relay leads, or the log was lost")
        log = self._log
        # What we know ends with a message that we wrote, or found: nothing may be missing there.
        behind: list[_LogBatch] = []
        parts, at = _Parts(), 0
        if was_refused and log.end_of_log and await self._stream.at(log.end_of_log) is None:
            raise StaleError("the end of the log was lost")
        while (stored := await self._stream.first(self._subject, max(at, log.end_of_log) + 1)) is not None:
            at = stored.sequence
            if (batch := parts.take(stored)) is not None:
                behind.append(batch)
        for batch in behind:
            log.take(batch)
            log.written += batch.head.entries
        log.end_of_log = max(at, log.end_of_log)
        log.lease, log.end = lease.sequence, Tail(standing.last)

    # -- all -------------------------------------------------------------------------------------------------

    async def look(self) -> LogLook:
        """See `Store`."""
        for _ in range(_TRIES):
            # It is thrown away from its beginning while it is read.
            if (found := await self._found()) is not None:
                return LogLook(found.last, found.position, found.agents)
        return LogLook()

    async def _found(self) -> _Log | None:
        """The log as it stands: the last snapshot, and what came since; None for one that is not whole."""
        end = await self._stream.last(self._subject)
        if end is None:
            return _Log() if await self._stream.last(self._snapshots) is None else None
        head, _ = _BatchHead.read(end.data)
        log = _Log(end_of_log=end.sequence, snapshot=head.snapshot, snapshot_parts=head.snapshot_parts)
        parts = [await self._stream.at(head.snapshot + part) for part in range(head.snapshot_parts)]
        if parts:
            whole = b"".join(part.data for part in parts if part is not None)
            if None in parts:
                return None
            log.last, log.position, log.agents = codec.exact(_Snapshot, zlib.decompress(whole))
            log.size = len(whole)
        reader = await self._stream.reader(self._subject, head.snapshot)
        if reader is None:
            return None
        assembling = _Parts()
        try:
            while reader.left:
                stored = await _there(reader)
                log.end_of_log = stored.sequence
                batch = assembling.take(stored)
                if batch is not None:
                    if batch.head.before != log.last:
                        return None
                    log.take(batch)
        finally:
            await reader.aclose()
        return log

    async def end(self) -> End:
        """See `Store`."""
        standing = await self._stream.standing()
        if standing is None:
            return End("", False)
        is_led = self._is_held(await self._stream.last(self._lease_subject), standing)
        stored = await self._stream.last(self._subject)
        if stored is None:
            return End("", is_led)
        head, _ = _BatchHead.read(stored.data)
        if head.part < head.parts or not head.entries:
            return End(head.before, is_led)
        first = stored.sequence - head.part + 1
        return End(_place(first, head.entries, head.entries, head.tag), is_led)

    async def read(self, after: str, wait: float) -> list[Entry]:
        """See `Store`."""
        reading, self._reading = self._reading, None
        if reading is not None and (not wait or reading.reader.is_lost or reading.after != after):
            await reading.reader.aclose()
            reading = None
        if reading is None:
            place = _read_place(after)
            begin = place.sequence + (place.number == place.of)
            reader = await self._stream.reader(self._subject, begin)
            if reader is None:
                await asyncio.sleep(min(wait, _NO_STREAM))
                return []
            reading = _Reading(reader, _Parts(), after)
        entries = await reading.next(wait)
        self._reading = reading
        return entries

    def _is_held(self, lease: Stored | None, standing: StreamStanding) -> bool:
        """Whether a lease has not run out, by the server's clock.

        That may have been put back: so it has run out, too, where it was not renewed for so long by ours.
        """
        if lease is None or lease.time is None:
            return False
        now = asyncio.get_running_loop().time()
        if self._seen[0] != lease:
            self._seen = lease, now
        left = _owner(lease)[1]
        return (standing.now - lease.time).total_seconds() < left and now - self._seen[1] < left

    async def aclose(self) -> None:
        """See `Store`."""
        await self._link.aclose()


def _packed(body: _BatchBody | _Snapshot) -> bytes:
    # Events name the same agents and fields again and again: a fifth is left, for every follower to fetch.
    return zlib.compress(codec.encode(body), 1)


def _copy(agents: Mapping[str, Mapping[str, str]]) -> _Agents:
    return {agent_id: dict(things) for agent_id, things in agents.items()}


class _LogPlace(NamedTuple):
    """A place taken apart: an entry by its number in a batch of so many, whose first part has a sequence."""

    sequence: int
    number: int
    of: int
    tag: str


_PLACE: Final = re.compile(r"([0-9]+)-([0-9]+)/([0-9]+)@([0-9a-f]+)", re.ASCII)


def _place(sequence: int, number: int, count: int, tag: str) -> str:
    return f"{sequence}-{number}/{count}@{tag}"


def _read_place(place: str) -> _LogPlace:
    """Of what is none, as of another engine, all is read from the beginning."""
    found = _PLACE.fullmatch(place)
    if found is None:
        return _LogPlace(0, 0, 1, "")
    return _LogPlace(int(found[1]), int(found[2]), int(found[3]), found[4])


def _owner(lease: Stored) -> tuple[str, float]:
    tag, _, seconds = lease.data.decode().partition(" ")
    return tag, float(seconds)
