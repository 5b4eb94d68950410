"""The format of a relay's log in NATS JetStream: the messages of one batch, and what they add up to. Pure.

`nats_store` reads and writes these messages. Everything that is appended at once is one batch: events, the
states of their agents after them, and the position up to which the server was read. A batch is one message,
or several parts if it is too large for one. Each part begins with a line of text, its `BatchHeader`. The
agents' states are a snapshot (`LogSnapshot`) and the batches after it.
"""

import re
import zlib
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

from trmm_async import codec
from trmm_async.engines.jetstream import Stored, Tail
from trmm_async.relay.records import Record
from trmm_async.relay.store import Changes, Entry

__all__ = [
    "AgentStates",
    "BatchAssembler",
    "BatchBody",
    "BatchHeader",
    "LogBatch",
    "LogView",
    "LogSnapshot",
    "format_place",
    "pack",
    "parse_place",
]

AgentStates = dict[str, dict[str, str]]
"""By agent, then by key: see `records.AgentState`."""


class BatchBody(NamedTuple):
    """The content of a batch. Each change is an agent, a key of its state, and the new text of that key."""

    records: list[Record]
    changes: list[tuple[str, str, str]]
    position: str


class LogSnapshot(NamedTuple):
    """The agents' states after the entry at the place `last`."""

    last: str
    position: str
    agents: AgentStates


class BatchHeader(NamedTuple):
    """The first line of each message of the log.

    Attributes:
        tag: the tag of the leader's term.
        part: the number of this part, from 1 on.
        parts: how many parts the batch has.
        number: the number of the batch's first entry in the leader's term, from 1 on.
        entries: how many entries the batch has.
        total: how many entries precede the batch, in all terms of this log.
        snapshot: the sequence of the first part of the last snapshot; 0 if there is none.
        snapshot_parts: how many parts the snapshot has.
        before: the place of the entry before this batch; empty for the first of a log.
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
    def decode(cls, data: bytes) -> tuple[Self, bytes]:
        """The header of a message, and the rest of the message."""
        line, _, rest = data.partition(b"\n")
        words: list[Any] = line.decode().split(" ")
        words[1:-1] = map(int, words[1:-1])
        return cls._make([*words[:-1], words[-1].removeprefix("-")]), rest

    def encode(self, part: int, parts: int) -> bytes:
        """The first line of one part of the batch."""
        words = self._replace(part=part, parts=parts, before=self.before or "-")
        return " ".join(map(str, words)).encode() + b"\n"


class LogBatch(NamedTuple):
    """A batch that was read.

    Attributes:
        sequence: the sequence of its first part.
        head: its header.
        size: its size in bytes, compressed.
        body: its content.
    """

    sequence: int
    head: BatchHeader
    size: int
    body: BatchBody

    @property
    def last(self) -> str:
        """The place of the last entry; for a batch without entries, of the entry before the batch."""
        count = self.head.entries
        return format_place(self.sequence, count, count, self.head.tag) if count else self.head.before

    def entries(self) -> list[Entry]:
        """The entries of the batch, each with its place."""
        found: list[Entry] = []
        before = self.head.before
        for number, record in enumerate(self.body.records, 1):
            place = format_place(self.sequence, number, self.head.entries, self.head.tag)
            found.append(Entry(place, before, record))
            before = place
        return found


class BatchAssembler:
    """Joins the parts of batches. A batch whose writer was cut off before its last part is dropped."""

    def __init__(self) -> None:
        self._first = 0
        self._held: list[bytes] = []
        self._next: BatchHeader | None = None

    def take(self, stored: Stored) -> LogBatch | None:
        """Add the next message of the log. Returns the batch if the message was the last part of one."""
        head, rest = BatchHeader.decode(stored.data)
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
        return LogBatch(self._first, head, len(whole), codec.exact(BatchBody, zlib.decompress(whole)))


@dataclass(slots=True)
class LogView:
    """What one process knows of the log.

    Attributes:
        end: the stream's last message; None if it is in doubt.
        end_of_log: the sequence of the last message of the log itself.
        lease: the sequence of the lease.
        last: the place of the last entry.
        total: how many entries were ever written.
        dropped: how many of them have been purged, at most.
        written: how many were written in this leader's term.
        snapshot: the sequence of the first part of the last snapshot; 0 if there is none.
        snapshot_parts: how many parts the snapshot has.
        size: the size of that snapshot in bytes.
        since: bytes of batches since the snapshot.
        position: the position up to which the server was read.
        unwritten_position: the same if it is not in the log yet, since no event came with it.
        agents: the agents' states.
    """

    end: Tail | None = None
    end_of_log: int = 0
    lease: int = 0
    last: str = ""
    total: int = 0
    dropped: int = 0
    written: int = 0
    snapshot: int = 0
    snapshot_parts: int = 0
    size: int = 0
    since: int = 0
    position: str = ""
    unwritten_position: str = ""
    agents: AgentStates = field(default_factory=dict)

    def change(self, changes: Changes) -> None:
        """Apply changes to the agents' states."""
        for (agent_id, key), text in changes.items():
            if text:
                self.agents.setdefault(agent_id, {})[key] = text
            elif state := self.agents.get(agent_id):
                state.pop(key, None)
                if not state:
                    del self.agents[agent_id]

    def take(self, batch: LogBatch) -> None:
        """Add the batch that follows in the log."""
        self.change({(agent_id, key): text for agent_id, key, text in batch.body.changes})
        self.position = batch.body.position or self.position
        self.last = batch.last
        self.total = batch.head.total + batch.head.entries
        self.since = self.since + batch.size if batch.head.snapshot == self.snapshot else 0
        self.snapshot, self.snapshot_parts = batch.head.snapshot, batch.head.snapshot_parts

    def copy_of_agents(self) -> AgentStates:
        """A copy of the agents' states, which later changes leave as it is."""
        return {agent_id: dict(state) for agent_id, state in self.agents.items()}


def pack(body: BatchBody | LogSnapshot) -> bytes:
    """Encode and compress a batch's content or a snapshot."""
    # Events repeat the same agents and fields. Compressed they are a fifth of the size, which every follower
    # fetches.
    return zlib.compress(codec.encode(body), 1)


class BatchPlace(NamedTuple):
    """The parts of a place.

    Attributes:
        sequence: the sequence of the first part of the entry's batch.
        number: the number of the entry in the batch, from 1 on.
        of: how many entries the batch has.
        tag: the tag of the leader's term.
    """

    sequence: int
    number: int
    of: int
    tag: str


_PLACE: Final = re.compile(r"([0-9]+)-([0-9]+)/([0-9]+)@([0-9a-f]+)", re.ASCII)


def format_place(sequence: int, number: int, count: int, tag: str) -> str:
    """The place of an entry, as text; `parse_place` is the reverse."""
    return f"{sequence}-{number}/{count}@{tag}"


def parse_place(place: str) -> BatchPlace:
    """The parts of a place. Any other text, such as a place of another engine, is the log's beginning."""
    found = _PLACE.fullmatch(place)
    if found is None:
        return BatchPlace(0, 0, 1, "")
    return BatchPlace(int(found[1]), int(found[2]), int(found[3]), found[4])
