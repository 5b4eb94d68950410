"""`Source`: the interface between a subscription and what produces its events.

It stands above `mailbox`, `position` and `settings`. `push_source` and `poll_source` implement it, and
`subscription` uses it. A source need not be a server: it can be anything that keeps a log of events and knows
the state of the agents, such as a relay.

A source puts the events of each agent into the mailbox in order. If the mailbox is full, it waits, so nothing
is dropped. For a time in which it may have missed changes, it puts a `Gap`, the changes that it could find
out, and then `Live`.
"""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from trmm_async.errors import TRMMError
from trmm_async.events import Event
from trmm_async.models import ClientRef
from trmm_async.observing import Observers
from trmm_async.stream.mailbox import Mailbox
from trmm_async.stream.position import Place, SourcePlace
from trmm_async.stream.settings import StreamState

__all__ = [
    "AFTER_RESTART",
    "AgentStreamState",
    "AlertSignal",
    "Events",
    "Outlet",
    "Source",
    "SourceLater",
    "Start",
]

Events = AbstractAsyncContextManager[AsyncIterable[Event]]
"""A source of events for users, such as a `Subscription`: it is entered, then iterated."""

AFTER_RESTART = "taken up at a stored position"
"""The reason of the `Gap` between a stored position and now."""


@dataclass(frozen=True, slots=True)
class Start:
    """How an agent's stream begins.

    Attributes:
        place: catch up from there, as after a gap.
        snapshot: if there is no place, yield the present state first, and then `Live`.
    """

    place: Place | None = None
    snapshot: bool = False


class AlertSignal(Protocol):
    """Says at once that an alert has changed, so that it is read before the next poll.

    A `WebhookReceiver` does so. Anything else that learns of alerts can do the same.
    """

    def listen(self, listener: Callable[[int | None, str | None], None], /) -> Callable[[], None]:
        """Call `listener(alert_id, agent_id)` for each change, in the event loop of the subscription.

        Either is None if it is not known. The returned function ends this, and may be called twice.
        """
        ...


class AgentStreamState(Protocol):
    """One agent's part of a stream.

    Attributes:
        state: its `StreamState`.
        received: how many frames came for it, or changes were found.
        dropped: how many events are known to be lost.
        settled: set when the stream has begun, was refused, or has failed `connect_attempts` times.
        problem: why it has not begun; None if it has.
    """

    state: StreamState
    received: int
    dropped: int
    settled: asyncio.Event
    problem: TRMMError | None

    @property
    def reconnects(self) -> int:
        """How often a lost connection was made again."""
        ...

    @property
    def stamp(self) -> object:
        """Stays equal as long as `place` would not change for a reader without unread events.

        None if events wait in this object.
        """

    def place(self, now: datetime, unread: Sequence[Event], unread_since: datetime) -> Place:
        """What the reader has got, without `unread`, whose oldest event came at `unread_since`."""
        ...


@dataclass(frozen=True, slots=True)
class Outlet:
    """What the subscription gives to a source.

    Attributes:
        mailbox: takes the events.
        watch: takes each task that the source starts. Closing the subscription cancels it and waits for it.
        ended: to be called when an agent was refused; no more events of it come.
        unread: returns the events that have left the source and that no reader has got yet.
        observers: get every gap.
        clients: the known clients of agents, for filters. A source may add to it.
    """

    mailbox: Mailbox[Event]
    watch: Callable[[asyncio.Task[None]], None]
    ended: Callable[[str, TRMMError], Awaitable[None]]
    unread: Callable[[], Iterable[Event]]
    observers: Observers = field(default_factory=Observers)
    clients: dict[str, ClientRef] = field(default_factory=dict)


class Source(Protocol):
    """Produces the events of many agents. Belongs to one event loop; is opened and closed once."""

    def open(self, outlet: Outlet, begun: SourcePlace | None) -> None:
        """Begin. Called before the first `follow`.

        Args:
            outlet: takes the events.
            begun: what `place` returned when the position was stored. A place of another kind of source is to
                be ignored; then only the agents' own places are known.

        Raises:
            InvalidRequestError: it is a place of this kind of source, and can't be read. Nothing was begun.
        """

    def follow(self, agent_id: str, start: Start) -> AgentStreamState:
        """Begin to produce the events of an agent. Does not wait."""
        ...

    def leave(self, agent_id: str) -> None:
        """Stop producing events of this agent."""

    def place(self, unread: Sequence[Event]) -> SourcePlace | None:
        """The position in what all agents share, without the unread events. None if there is no such thing.

        It is called at every event. If nothing has changed, return the same object, so it is not encoded
        again.
        """

    def close(self) -> None:
        """Begin to close the connections; the tasks are cancelled already. Does not wait."""

    def remaining(self) -> list[asyncio.Future[None]]:
        """What closing must still wait for, besides the tasks."""
        ...

    def cut(self) -> None:
        """Cut the connections at once, without waiting for the peers."""


@dataclass(frozen=True, slots=True)
class SourceLater:
    """A source that is found by asking the server. `find` may raise `TRMMError`."""

    find: Callable[[], Awaitable[Source]]
