"""The form of an event in a relay's log, and an agent's state after it. Pure.

The error of an `Ended` is stored as its name and its text, and is read as a `RecordedError`.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, cast, get_args

import msgspec

from trmm_async import codec
from trmm_async.errors import RecordedError
from trmm_async.events import (
    AgentOffline,
    AgentOnline,
    AlertEvent,
    CommandOutput,
    Ended,
    Event,
    ScriptOutput,
)
from trmm_async.models import ClientRef

__all__ = ["AgentState", "Record", "read", "record_of"]

_RUNS: Final = "runs"
_RUNS_KEPT: Final = 20
_STATES: Final = (AgentOnline, AgentOffline, AlertEvent)

_KINDS: Final[Mapping[str, type]] = {
    kind.__name__: kind for kind in (*get_args(Event), CommandOutput) if kind is not Ended
}


class Record(NamedTuple):
    """One event: the name of its class, its agent's client (id and name), and the event as JSON."""

    kind: str
    client: tuple[int | None, str] | None
    text: str


def record_of(event: Event, client: ClientRef | None) -> Record:
    """Make the record of an event."""
    of = None if client is None else (client.id, client.name)
    if isinstance(event, Ended):
        error = event.error
        kind = error.kind if isinstance(error, RecordedError) else type(error).__name__
        return Record("Ended", of, codec.encode((event.agent_id, event.hostname, kind, str(error))).decode())
    return Record(type(event).__name__, of, codec.encode(event).decode())


def read(record: Record) -> Event | None:
    """The event of a record; None for an unknown kind, which a later version of this package may write."""
    if record.kind == "Ended":
        agent_id, hostname, kind, text = codec.exact(tuple[str, str | None, str, str], record.text)
        return Ended(agent_id=agent_id, hostname=hostname, error=RecordedError(kind, text))
    kind_of = _KINDS.get(record.kind)
    return None if kind_of is None else cast("Event", codec.exact(kind_of, record.text))


class AgentState:
    """The state of one agent: its status, its open alerts, and the runs that have ended last.

    It is stored as texts by key: "status", one key for each alert, and "runs". The text of a status or an
    alert is the record of the event that reported it. So one event changes one key.

    Args:
        texts: the texts by key, as the results of `take` add up.
    """

    __slots__ = ("_reported", "_runs")

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        self._reported: dict[str, tuple[AgentOnline | AgentOffline | AlertEvent, Record]] = {}
        self._runs: list[str] = []
        for key, text in (texts or {}).items():
            if key == _RUNS:
                self._runs = codec.exact(list[str], text)
            elif isinstance(event := read(record := codec.exact(Record, text)), _STATES):
                self._reported[key] = event, record

    def take(self, event: Event, record: Record) -> dict[str, str]:
        """Apply an event. Returns the keys that it changes, with their texts; empty if a key is removed."""
        if isinstance(event, ScriptOutput) and event.done and event.cmd_id:
            self._runs = [*self._runs[1 - _RUNS_KEPT :], event.cmd_id]
            return {_RUNS: codec.encode(self._runs).decode()}
        if isinstance(event, Ended):
            removed = dict.fromkeys([*self._reported, *([_RUNS] if self._runs else ())], "")
            self._reported, self._runs = {}, []
            return removed
        if not isinstance(event, _STATES):
            return {}
        key = _key(event)
        if isinstance(event, AlertEvent) and event.alert.resolved:
            return {} if self._reported.pop(key, None) is None else {key: ""}
        self._reported[key] = event, record
        return {key: codec.encode(record).decode()}

    def has(self, event: Event) -> bool:
        """Whether an event reports a state, or the end of a run, that is known already."""
        if not isinstance(event, _STATES):
            return isinstance(event, ScriptOutput) and event.done and event.cmd_id in self._runs
        known, _ = self._reported.get(_key(event), (None, None))
        if isinstance(event, AlertEvent):
            return event.alert == known.alert if isinstance(known, AlertEvent) else event.alert.resolved
        return type(known) is type(event)

    def has_key(self, key: str) -> bool:
        """Whether an event is known that reported this status or open alert."""
        return key in self._reported

    @property
    def records(self) -> list[Record]:
        """The records that report the status and the open alerts."""
        return [record for _, record in self._reported.values()]

    def resolved_in(self, later: "AgentState") -> list[AlertEvent]:
        """The alerts that are open here and not in a later state, as events that they were resolved."""
        return [
            msgspec.structs.replace(
                event, change="resolved", alert=msgspec.structs.replace(event.alert, resolved=True)
            )
            for key, (event, _) in self._reported.items()
            if isinstance(event, AlertEvent) and not later.has_key(key)
        ]


def _key(event: AgentOnline | AgentOffline | AlertEvent) -> str:
    return f"alert-{event.alert.id}" if isinstance(event, AlertEvent) else "status"
