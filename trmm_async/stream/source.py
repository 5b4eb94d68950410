"""Where events come from, as a subscription sees it: the seam between it and the sources.

Over `mailbox`, `position` and `settings`; the sources (`pushed`, `polling`) satisfy `Source`, `subscription`
uses it.

It need not be a server: whatever keeps a log of events, and knows how the agents stand, can be one.

A source puts each agent's events into the outlet's mailbox in their order, and waits where that is full:
nothing is dropped. It tells a `Gap` for a time of which it can't vouch, what that hid, and then `Live`.
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
"""What events can be read from, as from a `Subscription`: entered, then iterated."""

AFTER_RESTART = "taken up at a stored position"
"""The reason of the `Gap` between a stored position and now."""


@dataclass(frozen=True, slots=True)
class Start:
    """How an agent's stream begins.

    Attributes:
        place: catch up from there, as after a gap.
        snapshot: where there is no place, tell the present state first, and then `Live`.
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
        state: see `StreamState`.
        received: frames or answers that came for it.
        dropped: events that are known to be lost.
        settled: set when the stream stands, was refused, or has failed for `connect_attempts` times.
        problem: why that was no success; None if it was.
    """

    state: StreamState
    received: int
    dropped: int
    settled: asyncio.Event
    problem: TRMMError | None

    @property
    def reconnects(self) -> int:
        """How often the source was lost and found again."""
        ...

    @property
    def stamp(self) -> object:
        """Equal as long as `place` says the same to one who has read all; None: something waits here."""

    def place(self, now: datetime, unread: Sequence[Event], unread_since: datetime) -> Place:
        """What the reader was told, less `unread`, the oldest of which has waited since then."""
        ...


@dataclass(frozen=True, slots=True)
class Outlet:
    """What a source is given by the subscription.

    Attributes:
        mailbox: where the events go.
        watch: is told every task that the source starts; closing cancels it and waits for it.
        ended: is told that an agent was refused; nothing more comes of it.
        unread: what has left the source, and no reader has got yet.
        observers: are told of every gap.
        clients: the client of each agent of which it is known, for filters; a source may add to it.
    """

    mailbox: Mailbox[Event]
    watch: Callable[[asyncio.Task[None]], None]
    ended: Callable[[str, TRMMError], Awaitable[None]]
    unread: Callable[[], Iterable[Event]]
    observers: Observers = field(default_factory=Observers)
    clients: dict[str, ClientRef] = field(default_factory=dict)


class Source(Protocol):
    """Where the events of many agents come from. Belongs to one event loop; opened and closed once."""

    def open(self, outlet: Outlet, begun: SourcePlace | None) -> None:
        """Before the first agent. `begun` is what `place` gave when the position was stored.

        That of another kind of source tells this one nothing: it has then only the agents' own places.

        Raises:
            InvalidRequestError: it is text of this kind of source, and can't be read. Nothing was begun.
        """

    def follow(self, agent_id: str, start: Start) -> AgentStreamState:
        """Begin with an agent, at once and without waiting."""
        ...

    def leave(self, agent_id: str) -> None:
        """Go on without this agent; no event of it comes any more."""

    def place(self, unread: Sequence[Event]) -> SourcePlace | None:
        """How far it was told for all agents together, less what was not read; None if that means nothing.

        Called at every event: the same object as before where nothing has changed spares writing it.
        """

    def close(self) -> None:
        """The tasks are cancelled: say goodbye to the peers. Does not wait."""

    def remaining(self) -> list[asyncio.Future[None]]:
        """What closing has still to wait for, besides the tasks."""
        ...

    def cut(self) -> None:
        """Wait no longer for the peers: the lines are cut at once."""


@dataclass(frozen=True, slots=True)
class SourceLater:
    """A source, where it takes a question to the server to know which. `find` may raise `TRMMError`."""

    find: Callable[[], Awaitable[Source]]
