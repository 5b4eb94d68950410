"""An event as it stands in a relay's log, and how an agent stands after it. Pure.

Below `store`. An error that travels in an `Ended` arrives as a `RecordedError`: by its name and its text.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, cast

import msgspec

from trmm_async import codec
from trmm_async.errors import RecordedError
from trmm_async.events import (
    AgentOffline,
    AgentOnline,
    AlertEvent,
    CommandOutput,
    DashboardCounts,
    Ended,
    Event,
    Gap,
    Live,
    ScriptOutput,
    UnknownEvent,
)
from trmm_async.models import ClientRef

__all__ = ["Things", "Record", "read", "record_of"]

_RUNS: Final = "runs"
_RUNS_KEPT: Final = 20
_STATES: Final = (AgentOnline, AgentOffline, AlertEvent)

_KINDS: Final[Mapping[str, type]] = {
    kind.__name__: kind
    for kind in (
        *(AgentOffline, AgentOnline, AlertEvent, CommandOutput, DashboardCounts, Gap, Live),
        *(ScriptOutput, UnknownEvent),
    )
}


class Record(NamedTuple):
    """One event: its class's name, whose client its agent is of (id and name), and itself as JSON."""

    kind: str
    client: tuple[int | None, str] | None
    text: str


def record_of(event: Event, client: ClientRef | None) -> Record:
    """Write an event down."""
    of = None if client is None else (client.id, client.name)
    if isinstance(event, Ended):
        error = event.error
        kind = error.kind if isinstance(error, RecordedError) else type(error).__name__
        return Record("Ended", of, codec.encode((event.agent_id, event.hostname, kind, str(error))).decode())
    return Record(type(event).__name__, of, codec.encode(event).decode())


def read(record: Record) -> Event | None:
    """Read one; None for a kind that is none of ours, as of a later version of this package."""
    if record.kind == "Ended":
        agent_id, hostname, kind, text = codec.exact(tuple[str, str | None, str, str], record.text)
        return Ended(agent_id=agent_id, hostname=hostname, error=RecordedError(kind, text))
    kind_of = _KINDS.get(record.kind)
    return None if kind_of is None else cast("Event", codec.exact(kind_of, record.text))


class Things:
    """How one agent stands: its status, its alerts that are not resolved, and which runs have ended last.

    Kept as the records that told it, each a thing by itself, so that an event changes one of them.

    Args:
        things: as `take` gave them, put together.
    """

    __slots__ = ("_runs", "_told")

    def __init__(self, things: Mapping[str, str] | None = None) -> None:
        self._told: dict[str, tuple[AgentOnline | AgentOffline | AlertEvent, Record]] = {}
        self._runs: list[str] = []
        for thing, text in (things or {}).items():
            if thing == _RUNS:
                self._runs = codec.exact(list[str], text)
            elif isinstance(event := read(record := codec.exact(Record, text)), _STATES):
                self._told[thing] = event, record

    def take(self, event: Event, record: Record) -> dict[str, str]:
        """An event was told. Which things stand otherwise now, as text; empty for one that is no more."""
        if isinstance(event, ScriptOutput) and event.done and event.cmd_id:
            self._runs = [*self._runs[1 - _RUNS_KEPT :], event.cmd_id]
            return {_RUNS: codec.encode(self._runs).decode()}
        if isinstance(event, Ended):
            gone = dict.fromkeys([*self._told, *([_RUNS] if self._runs else ())], "")
            self._told, self._runs = {}, []
            return gone
        if not isinstance(event, _STATES):
            return {}
        thing = _thing(event)
        if isinstance(event, AlertEvent) and event.alert.resolved:
            return {} if self._told.pop(thing, None) is None else {thing: ""}
        self._told[thing] = event, record
        return {thing: codec.encode(record).decode()}

    def has(self, event: Event) -> bool:
        """Whether this was told already, as far as it is a state, or the end of a run."""
        if not isinstance(event, _STATES):
            return isinstance(event, ScriptOutput) and event.done and event.cmd_id in self._runs
        known, _ = self._told.get(_thing(event), (None, None))
        if isinstance(event, AlertEvent):
            return event.alert == known.alert if isinstance(known, AlertEvent) else event.alert.resolved
        return type(known) is type(event)

    def has_thing(self, thing: str) -> bool:
        """Whether this stands."""
        return thing in self._told

    @property
    def records(self) -> list[Record]:
        """What tells status and alerts."""
        return [record for _, record in self._told.values()]

    def resolved_in(self, later: "Things") -> list[AlertEvent]:
        """Alerts that are open here and are not in a later one, as events that say so."""
        return [
            msgspec.structs.replace(
                event, change="resolved", alert=msgspec.structs.replace(event.alert, resolved=True)
            )
            for thing, (event, _) in self._told.items()
            if isinstance(event, AlertEvent) and not later.has_thing(thing)
        ]


def _thing(event: AgentOnline | AgentOffline | AlertEvent) -> str:
    return f"alert-{event.alert.id}" if isinstance(event, AlertEvent) else "status"
