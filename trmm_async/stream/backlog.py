"""`Backlog`: the bounded queue of one consumer. Pure: the caller passes a clock.

It stands below `fanout`. A slow consumer does not hold up the others. If its queue is full, events are
dropped; for each agent concerned, that continues until the consumer has taken everything that waits. Then
come a `Gap` with the number of dropped events, the last dropped state of each alert and of the agent, and
`Live`.

These last states are bounded, too: as many alerts are kept as events may wait, but at least a hundred. If
there was no room for one of an agent's alerts, the `Gap` says so, and no `Live` follows.
"""

from collections import deque
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Final

from trmm_async.events import AgentOffline, AgentOnline, AlertEvent, DashboardCounts, Ended, Event, Gap, Live

__all__ = ["TOO_SLOW", "Backlog"]

_ALERTS_LEAST: Final = 100

TOO_SLOW = "the consumer was too slow"
"""The reason of a `Gap` for events that were dropped here."""

_NOT_ALL: Final = "; how some of its alerts stand is lost as well"


class _Dropped:
    """What was dropped of one agent: how many events, since when, and the last state of each thing."""

    __slots__ = ("count", "is_whole", "last", "since")

    def __init__(self, since: datetime) -> None:
        self.since = since
        self.count = 0
        self.is_whole = True
        self.last: dict[Hashable, Event] = {}

    def add(self, event: Event) -> None:
        if isinstance(event, Gap):
            self.since = min(self.since, event.since)
            self.count += event.dropped
            return
        if isinstance(event, Live):
            return
        self.count += 1
        if (key := _thing(event)) is not None:
            self.last.pop(key, None)
            self.last[key] = event


class Backlog:
    """A bounded queue of events that remembers the last states for which it had no room.

    Args:
        size: how many events may wait.
        clock: the time of day, aware.
        on_gap: called with each `Gap` that is made here.

    Attributes:
        dropped: how many events were dropped in all.
    """

    def __init__(
        self, size: int, clock: Callable[[], datetime], on_gap: Callable[[Gap], None] | None = None
    ) -> None:
        self._on_gap = on_gap
        self._size = size
        self._alerts_most = max(size, _ALERTS_LEAST)
        self._alerts: dict[tuple[str, Hashable], None] = {}
        self._clock = clock
        self._queue: deque[Event] = deque()
        self._missing: dict[str, _Dropped] = {}
        self._in_gap: set[str] = set()
        self.dropped: int = 0

    def __len__(self) -> int:
        return len(self._queue) + len(self._missing)

    def __repr__(self) -> str:
        return f"<Backlog {len(self._queue)}/{self._size}, {self.dropped} dropped>"

    def push(self, event: Event) -> None:
        """Queue an event, or drop it if the queue is full."""
        who = event.agent_id
        if isinstance(event, Gap):
            self._in_gap.add(who)
        elif isinstance(event, Live | Ended):
            self._in_gap.discard(who)
        if who not in self._missing:
            if len(self._queue) < self._size:
                self._queue.append(event)
                return
            self._missing[who] = _Dropped(self._clock())
        before = self._missing[who].count
        self._missing[who].add(event)
        self.dropped += self._missing[who].count - before
        if isinstance(event, AlertEvent):
            self._bound_alerts(who, event.alert.id)

    def pop(self) -> Event | None:
        """The next event; None if there is none."""
        if not self._queue and self._missing:
            who = next(iter(self._missing))
            dropped = self._missing.pop(who)
            self._let_go(dropped, who)
            self._queue.extend(self._caught_up(who, dropped))
        return self._queue.popleft() if self._queue else None

    def clear(self) -> None:
        """Discard everything."""
        self._queue.clear()
        self._missing.clear()
        self._alerts.clear()

    def forget(self, agent_id: str) -> None:
        """Discard all events of this agent."""
        self._let_go(self._missing.pop(agent_id, None), agent_id)
        self._in_gap.discard(agent_id)
        self._queue = deque(event for event in self._queue if event.agent_id != agent_id)

    def unread(self) -> list[Event]:
        """All events that were not popped yet, and the last dropped states."""
        dropped = [event for missing in self._missing.values() for event in missing.last.values()]
        return [*self._queue, *dropped]

    def _bound_alerts(self, who: str, number: int) -> None:
        self._alerts.pop((who, number), None)
        self._alerts[who, number] = None
        if len(self._alerts) > self._alerts_most:
            oldest, key = next(iter(self._alerts))
            del self._alerts[oldest, key], self._missing[oldest].last[key]
            self._missing[oldest].is_whole = False

    def _let_go(self, dropped: _Dropped | None, who: str) -> None:
        for key in () if dropped is None else dropped.last:
            self._alerts.pop((who, key), None)

    def _caught_up(self, who: str, dropped: _Dropped) -> list[Event]:
        until = max(dropped.since, self._clock())
        why = TOO_SLOW if dropped.is_whole else TOO_SLOW + _NOT_ALL
        gap = Gap(agent_id=who, since=dropped.since, until=until, reason=why, dropped=dropped.count)
        if self._on_gap is not None:
            self._on_gap(gap)
        states = list(dropped.last.values())
        is_over = not dropped.is_whole or who in self._in_gap or (states and isinstance(states[-1], Ended))
        return [gap, *states] if is_over else [gap, *states, Live(agent_id=who, time=until)]


def _thing(event: Event) -> Hashable:
    """A key for the thing whose state this event reports; None if it reports no state."""
    if isinstance(event, AgentOnline | AgentOffline):
        return "status"
    if isinstance(event, AlertEvent):
        return event.alert.id
    if isinstance(event, DashboardCounts | Ended):
        return type(event)
    return None
