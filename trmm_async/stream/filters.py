"""`EventFilter`: which events a handler or a consumer gets. Pure.

It stands below `fanout`. An event has the id of its agent. The client of an agent is known only if the agent
was given as an `Agent` object.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from trmm_async import arguments
from trmm_async.errors import InvalidRequestError
from trmm_async.events import AlertEvent, Ended, Event, Gap, Live
from trmm_async.models import Agent, Client, ClientRef
from trmm_async.plaintext import is_named
from trmm_async.words import Severity

__all__ = ["Agents", "Clients", "Kinds", "Severities", "EventFilter", "wanted"]

Kinds = type[Event] | tuple[type[Event], ...]
Agents = str | Agent | Iterable[str | Agent]
Clients = int | str | Client | ClientRef
Severities = str | Iterable[str]

_MARKS = (Gap, Live, Ended)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """A filter. A field that is None accepts anything.

    Attributes:
        kinds: the classes of events.
        agent_ids: the agents.
        client: the client of the agents.
        severities: the severities of alerts. Then all other events are excluded.
        marks: `Gap`, `Live` and `Ended`, which say how fresh the state is, pass even if `kinds` excludes
            them.
    """

    kinds: tuple[type, ...] | None = None
    agent_ids: frozenset[str] | None = None
    client: ClientRef | None = None
    severities: frozenset[str] | None = None
    marks: bool = False

    def lets(self, event: Event, clients: Mapping[str, ClientRef]) -> bool:
        """Whether an event passes. `clients` has the known clients of agents."""
        if not self.takes_agent(event.agent_id, clients):
            return False
        if self.marks and isinstance(event, _MARKS):
            return True
        if not self.takes(event):
            return False
        if self.severities is None:
            return True
        return isinstance(event, AlertEvent) and event.alert.severity in self.severities

    def takes_agent(self, agent_id: str, clients: Mapping[str, ClientRef]) -> bool:
        """Whether events of this agent may pass."""
        if self.agent_ids is not None and agent_id not in self.agent_ids:
            return False
        return self.client is None or _is_same(self.client, clients.get(agent_id))

    def takes(self, event: Event) -> bool:
        """Whether events of this class may pass."""
        return self.kinds is None or isinstance(event, self.kinds)


def wanted(
    kinds: Kinds | None,
    agent: Agents | None,
    client: Clients | None,
    severity: Severities | None,
    *,
    marks: bool,
) -> EventFilter:
    """Make a filter from a user's arguments.

    Raises:
        InvalidRequestError: an argument is invalid.
    """
    return EventFilter(
        kinds=None if kinds is None else _kinds(kinds),
        agent_ids=None if agent is None else _agent_ids(agent),
        client=None if client is None else _client(client),
        severities=None if severity is None else _severities(severity),
        marks=marks,
    )


def _kinds(given: object) -> tuple[type, ...]:
    kinds: tuple[Any, ...] = given if isinstance(given, tuple) else (given,)
    if not kinds or not all(kind in Event.__args__ for kind in kinds):
        raise InvalidRequestError(f"not a type of event, or a tuple of them: {given!r}")
    return kinds


def _agent_ids(given: Agents) -> frozenset[str]:
    if isinstance(given, str | Agent):
        return frozenset({arguments.agent_id(given)})
    return frozenset(map(arguments.agent_id, given))


def _client(given: object) -> ClientRef:
    if isinstance(given, str):
        return ClientRef(name=arguments.plain_text(given, "client"))
    if isinstance(given, ClientRef):
        return given
    name = given.name if isinstance(given, Client) else ""
    return ClientRef(id=arguments.object_id(given, "client"), name=name)


def _severities(given: Severities) -> frozenset[str]:
    words = [given] if isinstance(given, str) else list(given)
    return frozenset(arguments.choice(word, "severity", get_args(Severity)) for word in words)


def _is_same(one: ClientRef, other: ClientRef | None) -> bool:
    if other is None:
        return False
    if one.id is not None and other.id is not None:
        return one.id == other.id
    return bool(one.name) and is_named(one.name, other.name)
