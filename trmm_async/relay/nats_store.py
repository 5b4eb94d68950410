"""A relay's log in NATS JetStream: one stream with batches of events, snapshots of the agents, and a lease.

It implements `store.Store`; `nats_log` has the format of the messages. An append is one batch, so the log has
all of it or nothing. A new snapshot is written once the batches since the last one are as large as it.

The fence is the stream's last sequence, which the server enforces: each message names the message that it
must follow, or the server refuses it. The lease is in the same stream, so taking it moves the end. A former
leader that comes back, however late, can therefore write nothing more.
"""

import asyncio
import secrets
import zlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

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
from trmm_async.relay.nats_log import (
    BatchAssembler,
    BatchBody,
    BatchHeader,
    LogBatch,
    LogSnapshot,
    LogView,
    format_place,
    pack,
    parse_place,
)
from trmm_async.relay.records import Record
from trmm_async.relay.store import BATCH, Changes, Entry, LogEnd, LogState, StaleError

__all__ = ["NatsStore"]

_LOST: Final = "the log was lost"
_TRIES: Final = 8
_NO_STREAM: Final = 0.25
_HEAD: Final = 1024
"""Bytes of a message that are reserved for its headers and its first line."""
_SNAPSHOT_LEAST: Final = 2**15
"""At least this many bytes of batches lie between two snapshots."""


@dataclass(slots=True)
class _Cursor:
    """Reads the log onward from a place.

    Attributes:
        reader: the reader of the log's messages.
        after: the place of the last entry that was read.
        assembler: joins the parts of batches.
    """

    reader: SubjectReader
    after: str
    assembler: BatchAssembler = field(default_factory=BatchAssembler)

    async def next(self, wait: float) -> list[Entry]:
        """The next entries, as `Store.read` returns them."""
        found: list[Entry] = []
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + wait
        while len(found) < BATCH:
            if not wait:
                if not self.reader.left:
                    break
                stored = await _next_of(self.reader)
            else:
                # Once there is an entry, only those are added that have arrived already.
                if found and not self.reader.has_more:
                    break
                seconds = 0.0 if found else max(0.0, ends_at - loop.time())
                if (arrived := await self.reader.next(seconds)) is None:
                    break
                stored = arrived
            found += self._entries(stored)
        if found:
            self.after = found[-1].place
        return found

    def _entries(self, stored: Stored) -> list[Entry]:
        """The entries that this message completes, without those at or before the place `after`."""
        batch = self.assembler.take(stored)
        if batch is None:
            return []
        place = parse_place(self.after)
        is_begun = (place.sequence, place.tag) == (batch.sequence, batch.head.tag)
        return batch.entries()[place.number if is_begun else 0 :]


async def _next_of(reader: SubjectReader) -> Stored:
    """The next message of a reader that has some left."""
    stored = await reader.next(1.0)
    if stored is None:
        raise NatsAwayError("a message that is in its stream does not arrive")
    return stored


class NatsStore:
    """A relay's log in NATS JetStream, by one connection."""

    def __init__(self, address: EngineAddress, name: str) -> None:
        self._link = NatsLink(address)
        self._address = address
        self.name = name
        # A dot separates the words of a NATS subject, and the name of a stream can't contain one.
        word = name.replace(".", "~")
        self._subject = f"trmm.relay.{word}.log"
        self._snapshots = f"trmm.relay.{word}.snapshot"
        self._lease_subject = f"trmm.relay.{word}.lease"
        self._stream = JetStream(self._link, f"trmm-relay-{word}", f"trmm.relay.{word}.>")
        self._writing = asyncio.Lock()
        self._tag = ""
        self._lease = 0.0
        self._renewed = 0.0
        self._log = LogView()
        self._cursor: _Cursor | None = None
        # The lease that was seen last, and when it was first seen, by the clock of the event loop.
        self._seen: tuple[Stored | None, float] = None, 0.0

    def __repr__(self) -> str:
        return f"<NatsStore {self.name!r} at {self.where}>"

    @property
    def where(self) -> str:
        return str(self._address)

    # -- the leader ------------------------------------------------------------------------------------------

    async def lead(self, lease: float) -> LogState | None:
        async with self._writing:
            for _ in range(_TRIES):
                standing = await self._stream.standing()
                if standing is None:
                    await self._stream.create()
                    continue
                held = await self._stream.last(self._lease_subject)
                if held is not None and self._is_held(held, standing) and _owner(held)[0] != self._tag:
                    return None
                self._tag, self._lease = secrets.token_hex(8), lease
                self._log = LogView(end=Tail(standing.last))
                try:
                    await self._write(self._renewal(held.sequence if held else 0))
                except WrongTailError:
                    continue  # a former leader has written, or another relay was faster
                await self._take_over()
                return LogState(self._log.last, self._log.position, self._log.copy_of_agents())
        return None

    async def _take_over(self) -> None:
        """Continue the log, now that nobody else can write; a damaged log is purged, and begins anew."""
        known, end = await self._load(), self._log.end
        if known is None:
            for subject in (self._subject, self._snapshots):
                await self._stream.purge(subject)
            known = LogView()
        known.end, known.lease = end, self._log.lease
        self._log = known
        if (first := await self._stream.first(self._subject)) is not None:
            known.dropped = BatchHeader.decode(first.data)[0].total

    async def renew(self) -> None:
        await self._as_leader(lambda: self._write(self._renewal(self._log.lease)))
        standing = await self._stream.standing()
        if standing is None:
            raise StaleError(_LOST)
        if standing.subjects.get(self._snapshots, 0) < self._log.snapshot_parts:
            # An administrator's limits on the stream have removed the snapshot.
            await self._as_leader(self._write_snapshot)

    async def resign(self) -> None:
        if not self._tag:
            return

        def free() -> Awaitable[object]:
            return self._write(ToWrite(self._lease_subject, b"- 0", self._log.lease, alone=True))

        with suppress(StaleError):
            await self._as_leader(free)
        self._tag = ""

    async def append(
        self, first: int, records: Sequence[Record], changes: Changes, position: str, length: int
    ) -> None:
        async def write() -> None:
            log = self._log
            if first > log.written + 1:
                raise StaleError("the end of the log was lost")
            new = list(records[log.written + 1 - first :])
            if not new and records:
                return  # an earlier attempt has written all of them
            if new or changes:
                triples = [(agent_id, key, text) for (agent_id, key), text in changes.items()]
                body = BatchBody(new, triples, position or log.unwritten_position)
                await self._write_batch(len(new), pack(body))
                log.change(changes)
                log.unwritten_position = ""
            else:
                log.unwritten_position = position or log.unwritten_position
            log.position = position or log.position

        await self._as_leader(write)
        await self._as_leader(lambda: self._trim(length))

    async def _write_batch(self, count: int, body: bytes) -> None:
        """Write a batch. A batch without entries only records where the snapshot is."""
        log = self._log
        if asyncio.get_running_loop().time() - self._renewed > self._lease / 3:
            await self._write(self._renewal(log.lease))
        head = BatchHeader(
            self._tag, 1, 1, log.written + 1, count, log.total, log.snapshot, log.snapshot_parts, log.last
        )
        parts = self._cut(body)
        behind = log.end_of_log
        for number, part in enumerate(parts, 1):
            line = head.encode(number, len(parts))
            behind = await self._write(ToWrite(self._subject, line + part, behind))
        log.end_of_log = behind
        log.since += len(body)
        log.written += count
        log.total += count
        if count:
            log.last = format_place(behind - len(parts) + 1, count, count, self._tag)

    async def _write_snapshot(self) -> None:
        log = self._log
        # The states of 10,000 agents are some megabytes, so they are compressed in a thread.
        whole = await asyncio.to_thread(pack, LogSnapshot(log.last, log.position, log.agents))
        sequences = [await self._write(ToWrite(self._snapshots, part)) for part in self._cut(whole)]
        first = sequences[0]
        log.snapshot, log.snapshot_parts, log.size, log.since = first, len(sequences), len(whole), 0
        await self._write_batch(0, pack(BatchBody([], [], "")))
        await self._stream.purge(self._snapshots, first)

    async def _trim(self, length: int) -> None:
        """Purge entries beyond `length`, and write a snapshot if one is due."""
        log = self._log
        is_long = log.total - log.dropped > length + length // 10
        if is_long or log.since >= max(_SNAPSHOT_LEAST, log.size):
            await self._write_snapshot()
        if is_long and (cut := await self._batch_at(log.total - length)) is not None:
            sequence, head = cut
            await self._stream.purge(self._subject, min(sequence, log.snapshot))
            log.dropped = head.total

    async def _batch_at(self, total: int) -> tuple[int, BatchHeader] | None:
        """Find the batch with the entry of this number: the sequence of its first part, and its header."""
        found, low, high = None, 1, self._log.end_of_log
        while low <= high:
            middle = (low + high) // 2
            stored = await self._stream.first(self._subject, middle)
            if stored is None:
                high = middle - 1
                continue
            head, _ = BatchHeader.decode(stored.data)
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
        """Write a message after the stream's known end, and return its sequence.

        If that fails, the message may have been written, so the end is in doubt.

        Raises:
            WrongTailError: another message is the last, or the end is in doubt.
        """
        end, self._log.end = self._log.end, None
        if end is None:
            raise WrongTailError
        self._log.end = end = await self._stream.write(one, end)
        if one.subject == self._lease_subject:
            self._log.lease = end.sequence
            self._renewed = asyncio.get_running_loop().time()
        return end.sequence

    async def _as_leader(self, act: Callable[[], Awaitable[object]]) -> None:
        """Call `act`. If the stream's end was not where we knew it, and we still lead, call it again.

        Raises:
            StaleError: another relay leads, or a part of the log was lost.
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
        raise NatsAwayError(f"it refused to write a message {_TRIES} times")

    async def _find_end(self, was_refused: bool) -> None:
        """Find the stream's end after a write that may or may not have been carried out.

        This makes few requests, since it is repeated whenever the connection breaks. That the log still ends
        where we know it to, the server checks at the next write.
        """
        standing = await self._stream.standing()
        if standing is None or not self._tag:
            raise StaleError(_LOST)
        lease = await self._stream.last(self._lease_subject)
        if lease is None or _owner(lease)[0] != self._tag:
            raise StaleError("another relay leads, or the log was lost")
        log = self._log
        behind: list[LogBatch] = []
        assembler, at = BatchAssembler(), 0
        # The last message that we know of must still be there, since we wrote it or found it.
        if was_refused and log.end_of_log and await self._stream.at(log.end_of_log) is None:
            raise StaleError("the end of the log was lost")
        while (stored := await self._stream.first(self._subject, max(at, log.end_of_log) + 1)) is not None:
            at = stored.sequence
            if (batch := assembler.take(stored)) is not None:
                behind.append(batch)
        for batch in behind:
            log.take(batch)
            log.written += batch.head.entries
        log.end_of_log = max(at, log.end_of_log)
        log.lease, log.end = lease.sequence, Tail(standing.last)

    # -- leaders and followers -------------------------------------------------------------------------------

    async def state(self) -> LogState:
        for _ in range(_TRIES):
            # The leader may purge the beginning of the log while it is read; then it is read again.
            if (found := await self._load()) is not None:
                return LogState(found.last, found.position, found.agents)
        return LogState()

    async def _load(self) -> LogView | None:
        """Read the last snapshot and the batches after it. None if a part of them is missing."""
        end = await self._stream.last(self._subject)
        if end is None:
            return LogView() if await self._stream.last(self._snapshots) is None else None
        head, _ = BatchHeader.decode(end.data)
        log = LogView(end_of_log=end.sequence, snapshot=head.snapshot, snapshot_parts=head.snapshot_parts)
        parts = [await self._stream.at(head.snapshot + part) for part in range(head.snapshot_parts)]
        if parts:
            whole = b"".join(part.data for part in parts if part is not None)
            if None in parts:
                return None
            log.last, log.position, log.agents = codec.exact(LogSnapshot, zlib.decompress(whole))
            log.size = len(whole)
        reader = await self._stream.reader(self._subject, head.snapshot)
        if reader is None:
            return None
        assembler = BatchAssembler()
        try:
            while reader.left:
                stored = await _next_of(reader)
                log.end_of_log = stored.sequence
                if (batch := assembler.take(stored)) is not None:
                    if batch.head.before != log.last:
                        return None
                    log.take(batch)
        finally:
            await reader.aclose()
        return log

    async def end(self) -> LogEnd:
        standing = await self._stream.standing()
        if standing is None:
            return LogEnd("", False)
        is_led = self._is_held(await self._stream.last(self._lease_subject), standing)
        stored = await self._stream.last(self._subject)
        if stored is None:
            return LogEnd("", is_led)
        head, _ = BatchHeader.decode(stored.data)
        if head.part < head.parts or not head.entries:
            return LogEnd(head.before, is_led)
        first = stored.sequence - head.part + 1
        return LogEnd(format_place(first, head.entries, head.entries, head.tag), is_led)

    async def read(self, after: str, wait: float) -> list[Entry]:
        cursor, self._cursor = self._cursor, None
        if cursor is not None and (not wait or cursor.reader.is_lost or cursor.after != after):
            await cursor.reader.aclose()
            cursor = None
        if cursor is None:
            place = parse_place(after)
            begin = place.sequence + (place.number == place.of)
            reader = await self._stream.reader(self._subject, begin)
            if reader is None:
                await asyncio.sleep(min(wait, _NO_STREAM))
                return []
            cursor = _Cursor(reader, after)
        entries = await cursor.next(wait)
        self._cursor = cursor
        return entries

    def _is_held(self, lease: Stored | None, standing: StreamStanding) -> bool:
        """Whether a lease is valid, by the server's clock and by ours.

        The server's clock may have been put back. So a lease has also run out if, by our clock, it was not
        renewed for that long.
        """
        if lease is None or lease.time is None:
            return False
        now = asyncio.get_running_loop().time()
        if self._seen[0] != lease:
            self._seen = lease, now
        left = _owner(lease)[1]
        return (standing.now - lease.time).total_seconds() < left and now - self._seen[1] < left

    async def aclose(self) -> None:
        await self._link.aclose()


def _owner(lease: Stored) -> tuple[str, float]:
    """The tag of the term that holds the lease, and for how many seconds after it was written."""
    tag, _, seconds = lease.data.decode().partition(" ")
    return tag, float(seconds)
