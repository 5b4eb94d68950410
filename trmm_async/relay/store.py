"""What a relay needs of an engine: a log of events, how the agents stand after them, and one who may write.

The seam between `relay` and `follower` above, and the engines below. Whatever satisfies `Store` will do.

Each entry names the one before it, by its place, and a place holds a random tag of the term that it was
written in. So a reader needs one rule to notice all that can have been lost in front of it (trimmed, deleted,
flushed, restored from an older copy): an entry that does not follow the last one read. An entry with nothing
before it is the first of a new log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from trmm_async.relay.records import Record

__all__ = ["BATCH", "Changes", "End", "Entry", "LogLook", "StaleError", "Store"]

Changes = Mapping[tuple[str, str], str]
"""By agent and thing, how it stands now; empty for what is no more."""

BATCH: Final = 200
"""How many entries are written or read at once, at most."""


class StaleError(Exception):
    """Another relay leads, or what was written is lost: to write on, lead anew."""


class Entry(NamedTuple):
    """One event of the log.

    Attributes:
        place: where it stands.
        before: the place of the one before it; empty for the first of a log.
        record: the event.
    """

    place: str
    before: str
    record: Record


@dataclass(frozen=True, slots=True)
class LogLook:
    """The log at one moment.

    Attributes:
        last: the place of its last entry; empty for none.
        position: how far the server had been read, for the next one that leads; empty if that is not known.
        agents: how each agent stands after that entry: its things, see `records.Things`.
    """

    last: str = ""
    position: str = ""
    agents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class End(NamedTuple):
    """Where the log ends.

    Attributes:
        last: the place of its last entry; empty for none.
        is_led: whether a relay holds the lease.
    """

    last: str
    is_led: bool


class Store(Protocol):
    """One relay's log, by one connection. Belongs to one event loop.

    All methods raise `EngineAwayError` where the engine can't be reached or does not answer, and
    `EngineRefusedError` where it refuses us. A cancelled one may have been carried out or not.

    Attributes:
        name: the relay's.
        where: the engine's address, fit to be shown.
    """

    name: str

    @property
    def where(self) -> str:
        """The engine's address, fit to be shown."""
        ...

    async def lead(self, lease: float) -> LogLook | None:
        """Become the one who may write, in an epoch above all before it; None while another is.

        From then on the engine refuses what those before write. What is not whole any more (a part of the
        log was lost) is thrown away, and the log begins anew.
        """
        ...

    async def keep(self) -> None:
        """Renew the lease.

        Raises:
            StaleError: it is another's, or the log was lost.
        """

    async def leave(self) -> None:
        """Let another lead at once."""

    async def append(
        self, first: int, records: Sequence[Record], changes: Changes, position: str, length: int
    ) -> None:
        """Write events, and how their agents stand after them. Repeated, it is written once.

        Args:
            first: the number of the first of them in this term; they are counted from 1 on.
            records: the events, `BATCH` at most.
            changes: how agents stand after them.
            position: how far the server was read with them; empty for as before.
            length: how many entries are kept, about.

        Raises:
            StaleError: another leads, or what was written before these is lost.
        """

    async def look(self) -> LogLook:
        """The log as it is now."""
        ...

    async def end(self) -> End:
        """Where it ends now."""
        ...

    async def read(self, after: str, wait: float) -> list[Entry]:
        """Entries behind that place; waited for so many seconds, if there is none.

        With `wait` 0 it is certain that there is none, if none comes.
        """
        ...

    async def aclose(self) -> None:
        """Drop the connection."""
