"""A position in a stream that can be stored, and from which another process can continue. Pure.

It stands below the rest of the package. `catchup` makes and reads a `Place`, and `subscription` puts them
together. The text is JSON with digests of what the reader got last of each agent; only this module reads it.
It is short, and each agent's part of it is encoded separately (`Place.text`), because a careful reader stores
it at every event.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

import msgspec

from trmm_async import codec
from trmm_async.addresses import same_server
from trmm_async.errors import InvalidRequestError

__all__ = [
    "Newest",
    "Place",
    "Position",
    "RunsPlace",
    "SourcePlace",
    "read_position",
    "server_text",
    "source_text",
    "written",
]

_VERSION: Final = 3
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NUMBERS_MOST: Final = 1_000_000
_UP: Final = (None, True, False)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What the reader of one agent's events has got.

    Attributes:
        since: when the stream was last known to be complete; aware.
        based: the state of the server was compared. Otherwise only the reported events are known.
        up: the status that the reader got last; None if it got none.
        mark: a watermark: resolved alerts up to this id are known, but not kept individually.
        latest: the time of the latest known alert, by the server's clock.
        alerts: alert id to the digest of the state that the reader got; None if it was not read.
    """

    since: datetime
    based: bool = False
    up: bool | None = None
    mark: int = 0
    latest: datetime | None = None
    alerts: Mapping[int, int | None] = {}

    def text(self, agent_id: str) -> bytes:
        """The part of a position for this agent, see `written`."""
        state = self.based + 2 * _UP.index(self.up)
        latest = None if self.latest is None else _stamp(self.latest)
        row = _Agent(_stamp(self.since), state, self.mark, latest, self.alerts or None)
        return codec.encode(agent_id) + b":" + codec.encode(row)


class Newest(msgspec.Struct, frozen=True):
    """The end of a history: its highest id, and its latest time that is not in the server's future."""

    id: int
    time: datetime


class RunsPlace(msgspec.Struct, frozen=True, kw_only=True):
    """How far a server's history of script runs was reported.

    Attributes:
        after: the server's time from which on rows are compared; None: all rows.
        floor: rows up to this id that are older than the newest one count as reported, except the `open`
            ones.
        open: the ids of rows that have not finished, or were not reported.
        told: the ids of later rows that were reported.
        newest: the highest id and the latest time; None if the history was empty.
    """

    after: datetime | None = None
    floor: int = 0
    open: frozenset[int] = frozenset()
    told: frozenset[int] = frozenset()
    newest: Newest | None = None


SourcePlace: TypeAlias = RunsPlace | str
"""What a source stores for all agents together. Only the same kind of source can read a text."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """A place for each agent, and what their source stores for all of them together.

    `server` is the address of the server; None if it is not known.
    """

    agents: Mapping[str, Place] = {}
    source: SourcePlace | None = None
    server: str | None = None

    def text(self) -> str:
        """The text that `read_position` reads."""
        return written(
            [place.text(agent_id) for agent_id, place in self.agents.items()],
            source_text(self.source),
            server_text(self.server),
        )


_Spans = list[tuple[int, int]]


class _Runs(msgspec.Struct, frozen=True, array_like=True):
    after: int | None = None
    floor: int = 0
    open: _Spans = []
    told: _Spans = []
    newest: tuple[int, int] | None = None


class _Agent(msgspec.Struct, frozen=True, array_like=True):
    since: int
    state: int
    mark: int
    latest: int | None
    alerts: Mapping[int, int | None] | None


class _Stored(msgspec.Struct, frozen=True):
    version: int = 0
    runs: _Runs | None = None
    feed: str | None = None
    agents: Mapping[str, _Agent] = {}
    server: str | None = None


def written(agents: Iterable[bytes], source: bytes, server: bytes = b"") -> str:
    """The text of a position, from each agent's `Place.text`, `source_text` and `server_text`."""
    return (b'{"version":%d,%b%b,"agents":{%b}}' % (_VERSION, server, source, b",".join(agents))).decode()


def server_text(server: str | None) -> bytes:
    """The part of a position for the server; empty if it is not known."""
    return b"" if server is None else b'"server":' + codec.encode(server) + b","


def source_text(place: SourcePlace | None) -> bytes:
    """The part of a position for the source."""
    if isinstance(place, str):
        return b'"feed":' + codec.encode(place)
    return b'"runs":' + codec.encode(None if place is None else _stored(place))


def read_position(text: object, server: str | None = None) -> Position:
    """Read a stored position for a stream of this server (None: not known).

    Raises:
        InvalidRequestError: it is not a position, or is of another version of this package, or of another
            server, whose ids mean nothing here.
    """
    if not isinstance(text, str):
        raise InvalidRequestError(f"since must be a position (a str), not {type(text).__name__}")
    try:
        stored = codec.exact(_Stored, text)
        if stored.version != _VERSION:
            raise ValueError(f"it is of version {stored.version}, and this package writes {_VERSION}")
        agents = {agent_id: _place(row) for agent_id, row in stored.agents.items()}
        source = stored.feed if stored.runs is None else _runs(stored.runs)
    except (msgspec.DecodeError, UnicodeEncodeError, ValueError, OverflowError) as error:
        raise InvalidRequestError(f"since is no position of a stream: {error}") from error
    if server is not None and stored.server is not None and not same_server(stored.server, server):
        raise InvalidRequestError(
            f"since is a position of events of {stored.server}, and this is {server}: its numbers say "
            "nothing here. Begin without it, or keep one for each server"
        )
    return Position(agents=agents, source=source, server=stored.server)


def _place(row: _Agent) -> Place:
    if not 0 <= row.state < 2 * len(_UP):
        raise ValueError(f"{row.state} is no state of an agent")
    return Place(
        since=_time(row.since),
        based=bool(row.state & 1),
        up=_UP[row.state >> 1],
        mark=row.mark,
        latest=None if row.latest is None else _time(row.latest),
        alerts=row.alerts or {},
    )


def _stored(runs: RunsPlace) -> _Runs:
    newest = None if runs.newest is None else (runs.newest.id, _stamp(runs.newest.time))
    after = None if runs.after is None else _stamp(runs.after)
    return _Runs(after, runs.floor, _spans(runs.open), _spans(runs.told), newest)


def _runs(stored: _Runs) -> RunsPlace:
    after = None if stored.after is None else _time(stored.after)
    newest = None if stored.newest is None else Newest(stored.newest[0], _time(stored.newest[1]))
    is_open, told = (frozenset(_numbers(spans)) for spans in (stored.open, stored.told))
    return RunsPlace(after=after, floor=stored.floor, open=is_open, told=told, newest=newest)


def _stamp(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _time(stamp: int) -> datetime:
    return codec.shifted(_EPOCH, stamp * _MICROSECOND)


def _spans(numbers: Iterable[int]) -> _Spans:
    """The numbers as ranges (first, last): the rows of one bulk run are one range."""
    spans: _Spans = []
    for number in sorted(numbers):
        if spans and spans[-1][1] == number - 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    return spans


def _numbers(spans: _Spans) -> Iterable[int]:
    if sum(max(0, last - first) + 1 for first, last in spans) > _NUMBERS_MOST:
        raise ValueError("more numbers of rows than a history has in an hour")
    return (number for first, last in spans for number in range(first, last + 1))
