"""Measures how long events wait for their readers, for observers.

It stands below `subscription`. Without observers, nothing is kept.
"""

import time
from datetime import UTC, datetime
from typing import Final

from trmm_async.events import AgentOffline, AgentOnline, AlertEvent, Event, Gap, Live
from trmm_async.observing import EventRead, Observers

__all__ = ["Arrivals"]

_KEPT_MOST: Final = 10_000
"""For how many events the time of arrival is kept. Needed, since consumers drop events without a call."""


class Arrivals:
    """The times at which events came that readers may still take. Several consumers may take one event."""

    def __init__(self, observers: Observers) -> None:
        self._observers = observers
        # By identity, which is safe as long as the event itself is kept: an event has no number.
        self._came: dict[int, tuple[Event, float]] = {}

    def __repr__(self) -> str:
        return f"<Arrivals of {len(self._came)} events>"

    def has_come(self, event: Event) -> None:
        """Record that an event has come. If called again for the same event, the first time stays."""
        if isinstance(event, Gap | Live):
            return
        self._came.setdefault(id(event), (event, time.monotonic()))
        if len(self._came) > _KEPT_MOST:
            del self._came[next(iter(self._came))]

    def was_read(self, event: Event) -> None:
        """Report that one of several readers has taken an event."""
        if self._observers.active and (entry := self._came.get(id(event))) is not None:
            lag = time.monotonic() - entry[1]
            self._observers.tell(EventRead(event=event, lag=lag, age=_age(event)))
        elif self._came and not self._observers.active:
            self._came.clear()

    def was_read_alone(self, event: Event) -> None:
        """Report that the only reader has taken an event."""
        self.was_read(event)
        self._came.pop(id(event), None)


def _age(event: Event) -> float | None:
    moment: datetime | None = None
    if isinstance(event, AgentOnline | AgentOffline):
        moment = event.time
    elif isinstance(event, AlertEvent):
        moment = {"raised": event.alert.created_at, "resolved": event.alert.resolved_on}.get(event.change)
    return None if moment is None else max(0.0, (datetime.now(UTC) - moment).total_seconds())
