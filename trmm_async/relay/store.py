"""What a relay needs of an engine: a log of events, the agents' states after them, and a single writer.

`Store` is the interface between `relay` and `follower` above, and the engines below.

Each entry names the place of the entry before it, and a place contains a random tag of the leader's term in
which it was written. So a reader needs only one rule to notice everything that can have been lost (trimmed,
deleted, flushed, restored from an older copy): an entry that does not follow the last one read. An entry with
nothing before it is the first of a new log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from trmm_async.relay.records import Record

__all__ = ["BATCH", "Changes", "LogEnd", "Entry", "LogState", "StaleError", "Store"]

Changes = Mapping[tuple[str, str], str]
"""By agent and key of its state (see `records.AgentState`), the new text; empty if the key is removed."""

BATCH: Final = 200
"""At most so many entries are written or read at once."""


class StaleError(Exception):
    """Another relay leads, or a part of the log was lost. To write again, call `Store.lead` again."""


class Entry(NamedTuple):
    """One event of the log.

    Attributes:
        place: its place in the log.
        before: the place of the entry before it; empty for the first of a log.
        record: the event.
    """

    place: str
    before: str
    record: Record


@dataclass(frozen=True, slots=True)
class LogState:
    """The log at one moment.

    Attributes:
        last: the place of its last entry; empty if there is none.
        position: the position up to which the server was read, for the next leader; empty if it is not known.
        agents: each agent's state after that entry, as texts by key: see `records.AgentState`.
    """

    last: str = ""
    position: str = ""
    agents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class LogEnd(NamedTuple):
    """The end of the log.

    Attributes:
        last: the place of its last entry; empty if there is none.
        is_led: whether a relay holds the lease.
    """

    last: str
    is_led: bool


class Store(Protocol):
    """One relay's log, by one connection. It belongs to one event loop.

    All methods raise `EngineAwayError` if the engine can't be reached or does not answer, and
    `EngineRefusedError` if it refuses us. A cancelled call may or may not have been carried out.

    Attributes:
        name: the relay's name.
    """

    name: str

    @property
    def where(self) -> str:
        """The engine's address, without a password."""
        ...

    async def lead(self, lease: float) -> LogState | None:
        """Become the leader for `lease` seconds. Returns the log as it is; None if another relay leads.

        From then on the engine refuses what earlier leaders write. If a part of the log was lost, the rest is
        deleted, and the log begins anew.
        """
        ...

    async def renew(self) -> None:
        """Renew the leader's lease.

        Raises:
            StaleError: another relay leads, or the log was lost.
        """

    async def resign(self) -> None:
        """Give up the lease, so that another relay can lead at once."""

    async def append(
        self, first: int, records: Sequence[Record], changes: Changes, position: str, length: int
    ) -> None:
        """Write events, and the agents' states after them. A repeated call writes nothing twice.

        Args:
            first: the number of the first event in this leader's term; they are counted from 1 on.
            records: the events, `BATCH` at most.
            changes: what the events changed in the agents' states.
            position: the position up to which the server was read; empty if it is as before.
            length: about how many entries the log keeps.

        Raises:
            StaleError: another relay leads, or entries before these were lost.
        """

    async def state(self) -> LogState:
        """Read the agents' states, and the end of the log that they belong to."""
        ...

    async def end(self) -> LogEnd:
        """Read where the log ends, and whether a relay leads."""
        ...

    async def read(self, after: str, wait: float) -> list[Entry]:
        """Read the entries after a place. If there are none, wait up to `wait` seconds for the first.

        With `wait=0`, an empty list means that there certainly is none.
        """
        ...

    async def aclose(self) -> None:
        """Close the connection."""
