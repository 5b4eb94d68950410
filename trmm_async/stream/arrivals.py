"""How long events wait for those who read them, for observers.

Below `subscription`. Nothing is kept while nobody observes.
"""

import time
from datetime import UTC, datetime
from typing import Final

from trmm_async.events import AgentOffline, AgentOnline, AlertEvent, Event, Gap, Live
from trmm_async.observing import EventRead, Observers

__all__ = ["Arrivals"]

_KEPT_MOST: Final = 10_000
"""Of so many events it is known when they came. Consumers drop events without a word."""


class Arrivals:
    """When the events came that readers may still take. Several consumers take the same event."""

    def __init__(self, observers: Observers) -> None:
        self._observers = observers
        # By identity, which is safe as long as the event itself is kept: an event has no number.
        self._came: dict[int, tuple[Event, float]] = {}

    def __repr__(self) -> str:
        return f"<Arrivals of {len(self._came)} events>"

    def has_come(self, event: Event) -> None:
        """To be called where there are observers; of several calls for an event the first counts."""
        if isinstance(event, Gap | Live):
            return
        self._came.setdefault(id(event), (event, time.monotonic()))
        if len(self._came) > _KEPT_MOST:
            del self._came[next(iter(self._came))]

    def was_read(self, event: Event) -> None:
        """One of several readers has taken it."""
        if self._observers.active and (entry := self._came.get(id(event))) is not None:
            lag = time.monotonic() - entry[1]
            self._observers.tell(EventRead(event=event, lag=lag, age=_age(event)))
        elif self._came and not self._observers.active:
            self._came.clear()

    def was_read_alone(self, event: Event) -> None:
        """The only reader has taken it."""
        self.was_read(event)
        self._came.pop(id(event), None)


def _age(event: Event) -> float | None:
    moment: datetime | None = None
    if isinstance(event, AgentOnline | AgentOffline):
        moment = event.time
    elif isinstance(event, AlertEvent):
        moment = {"raised": event.alert.created_at, "resolved": event.alert.resolved_on}.get(event.change)
    return None if moment is None else max(0.0, (datetime.now(UTC) - moment).total_seconds())
