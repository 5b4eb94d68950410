"""Finds out what a reader missed while the connection was lost. Pure: no clock, no I/O.

It stands above `codec`, `events`, `models` and `position`; the sources use it. `Snapshot` is the server's
present state, read over REST. `ReaderState` is what the reader of one agent's stream has got. The difference
is what was missed.

Both consist of facts: a key (the agent's status, or an alert) and a token that stands for its present state.
"""

from collections.abc import Hashable, Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final

from trmm_async.codec import shifted, utc
from trmm_async.events import AgentOffline, AgentOnline, AlertChange, AlertEvent, Event, note_change
from trmm_async.models import Alert
from trmm_async.stream.position import Place

__all__ = ["CLOCK_SKEW", "ReaderState", "Snapshot"]

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far the server's clock may be behind ours before a new alert is taken for an old one.

It matters only if `created_at` is all there is to decide by. It is large, since an alert that is reported
twice is better than one that is lost.
"""

_STATUS: Final = "status"
_UP: Final = {"online": True, "offline": False, "overdue": False}
_LAG: Final = timedelta(minutes=1)
"""How much later than its own time an alert may get its id: the server's workers write in any order."""

_RESOLVED_KEPT: Final = 16
"""How many resolved alerts are remembered individually while a stream is connected for a long time."""

_MANY: Final = 64

_UNREAD: Final = None
"""The token of a fact that was sent but perhaps not read: its present state counts as new, whatever it is."""

Fact = tuple[Hashable, int | None]


class Snapshot:
    """The server's present state of some agents.

    Args:
        statuses: agent_id to status, as in `Agent.status`. The status of an agent is unknown if it is not in
            here, or is neither online, offline nor overdue.
        alerts: the alerts of all agents. Those without an `agent_id` are ignored.
        clock: the server's clock when this was read; None if it is not known.
        now: this machine's time at that moment.
        by_agent: the alerts by agent and id, if the caller has sorted them already; used in place of
            `alerts`.

    Attributes:
        clock: as given.
        behind: how much the server's clock is behind ours; 0 if it is not, or if it is not known.
    """

    def __init__(
        self,
        statuses: Mapping[str, str],
        alerts: Iterable[Alert],
        *,
        clock: datetime | None = None,
        now: datetime | None = None,
        by_agent: Mapping[str, Mapping[int, Alert]] | None = None,
    ) -> None:
        self.clock: datetime | None = clock
        self.behind: timedelta = timedelta(0)
        if clock is not None and now is not None:
            self.behind = max(self.behind, now - clock)
        self._statuses = statuses
        sorted_in: dict[str, dict[int, Alert]] = {}
        for alert in alerts:
            if alert.agent_id is not None:
                sorted_in.setdefault(alert.agent_id, {})[alert.id] = alert
        self._alerts: Mapping[str, Mapping[int, Alert]] = sorted_in if by_agent is None else by_agent

    def __repr__(self) -> str:
        return f"<Snapshot of {len(self._statuses)} agents, {sum(map(len, self._alerts.values()))} alerts>"

    def about(self, agent_id: str) -> list[Event]:
        """The agent's state as events: its status first, then its alerts in the order of their ids."""
        events: list[Event] = []
        up = _UP.get(self._statuses.get(agent_id, ""))
        if up is not None:
            events.append(AgentOnline(agent_id=agent_id) if up else AgentOffline(agent_id=agent_id))
        alerts = sorted(self._alerts.get(agent_id, {}).values(), key=lambda alert: alert.id)
        events.extend(AlertEvent(agent_id=agent_id, alert=alert) for alert in alerts)
        return events


class ReaderState:
    """What the reader of one agent's stream has got, or was the case already when the stream began.

    Open alerts are remembered individually. For resolved ones, a watermark is enough: the highest id in a
    comparison with *all* alerts of the server. A resolved alert at or below it is not new. An alert that came
    by itself does not move the watermark, since another one may have been raised before it, in a gap.

    Args:
        agent_id: the agent's id.
        place: what the reader of an earlier stream had got, to continue from there.

    Attributes:
        changes: a counter. While it stays the same, `place` does, too.
    """

    __slots__ = ("_agent_id", "_based", "_given", "_latest", "_many", "_mark", "_new", "_told", "changes")

    def __init__(self, agent_id: str, place: Place | None = None) -> None:
        self._agent_id = agent_id
        self._told: dict[Hashable, int | None] = {}
        self._given: dict[Hashable, int | None] = {}
        self._new: set[Hashable] = set()
        self._based = False
        self._mark = 0
        self._latest: datetime | None = None
        self._many = _MANY
        self.changes: int = 0
        if place is not None:
            self._told = dict([(_STATUS, place.up), *place.alerts.items()])
            self._based, self._mark, self._latest = place.based, place.mark, place.latest

    def __repr__(self) -> str:
        based = "based" if self._based else "not based"
        return f"<ReaderState {self._agent_id}: {len(self._told)} facts, {based}>"

    def admit(self, event: Event) -> bool:
        """Record an event that came over the socket. False: the catch-up has just reported the same; skip it.

        Only the first frame about a fact after a catch-up can be such a repetition.
        """
        fact = _fact(event)
        if fact is None:
            return True
        key, token = fact
        if self._given and self._given.pop(key, None) == token:
            return False
        self._note(event, key, token)
        return True

    def _is_change(self, alert: Alert) -> AlertChange:
        """What has changed in an alert since the reader last got it."""
        before = None if alert.id in self._new else self._told.get(alert.id)
        self._new.discard(alert.id)
        if alert.resolved:
            return "resolved"
        if before is None or _is_resolved(before):
            return "raised"
        return "snoozed" if alert.snoozed and before == _state_of(alert, snoozed=False) else "changed"

    def learn(self, event: Event) -> bool:
        """Record the present state of one fact. Returns whether it is new to the reader."""
        fact = _fact(event)
        if fact is None or self._told.get(fact[0], _UNREAD) == fact[1]:
            return False
        self._note(event, *fact)
        return True

    def tidy(self) -> None:
        """Forget resolved alerts but the last few, and move the watermark.

        Call it only while the stream is connected and delivers all changes.
        """
        if len(self._told) <= self._many:
            return
        resolved = sorted(key for key, token in self._alerts() if _is_resolved(token))
        for key in resolved[:-_RESOLVED_KEPT]:
            del self._told[key]
            self._mark = max(self._mark, key)
        self._many = max(_MANY, 2 * len(self._told))
        self.changes += 1

    def baseline(self, snapshot: Snapshot) -> None:
        """Record the state at the beginning of the stream. Facts that came by the socket are newer."""
        present = snapshot.about(self._agent_id)
        for key, token in _facts(present):
            self._told.setdefault(key, token)
        self._compared(present, snapshot.clock)

    def missed(
        self,
        snapshot: Snapshot,
        since: datetime,
        arrived: Iterable[Event] = (),
        *,
        everything: bool = False,
    ) -> list[Event]:
        """The events to yield before `arrived`, in order. The snapshot becomes the new baseline.

        Without a baseline, the status counts as new: to report it twice is better than to lose it. An alert
        then counts as new if it was created after `since`, minus `CLOCK_SKEW`, by the server's clock.

        Args:
            snapshot: the state, read after the connection was made again.
            since: when the stream was last known to be complete.
            arrived: the events that came over the new connection so far. If one of them leads to the state in
                the snapshot, nothing is added for it: it has more details, such as times.
            everything: report the whole present state, except resolved alerts.
        """
        present = snapshot.about(self._agent_id)
        since = shifted(since, -snapshot.behind)
        coming = set(_facts(arrived))
        news = [
            event
            for event in present
            if self._is_news(event, since, snapshot.clock, everything=everything)
            and _fact(event) not in coming
        ]
        for event in news:
            if isinstance(event, AlertEvent):
                note_change(event, self._is_change(event.alert))
        # They count as known from now on, although the reader first gets them by `arrived`.
        self._new = {key for key, _ in coming if self._told.get(key) is None}
        # Alerts that the server does not have any more are forgotten, so that a long stream does not grow.
        status = [(_STATUS, self._told[_STATUS])] if _STATUS in self._told else []
        self._told = dict([*status, *_facts(present)])
        self._given = dict(_facts(news))
        self._compared(present, snapshot.clock)
        return news

    def place(self, since: datetime, unread: Iterable[Event] = ()) -> Place:
        """The place to store. Facts of unread events will count as new for whoever continues from it.

        Args:
            since: when the stream was last known to be complete.
            unread: events of this agent that the reader has not got.
        """
        told = {**self._told, **dict.fromkeys((key for key, _ in _facts(unread)), _UNREAD)}
        up = told.pop(_STATUS, _UNREAD)
        alerts = {key: token for key, token in told.items() if isinstance(key, int)}
        return Place(
            since=since,
            based=self._based,
            up=None if up is _UNREAD else bool(up),
            mark=self._mark,
            latest=self._latest,
            alerts=alerts,
        )

    def _note(self, event: Event, key: Hashable, token: int | None) -> None:
        if isinstance(event, AlertEvent):
            note_change(event, self._is_change(event.alert))
        self._told[key] = token
        self.changes += 1
        if isinstance(event, AlertEvent):
            self._latest = _later(self._latest, event.alert.created_at)

    def _compared(self, present: Iterable[Event], clock: datetime | None) -> None:
        """Record that all alerts of the server were compared: move the watermark."""
        if _is_ahead(self._latest, clock):
            self._latest = None
        for event in present:
            if isinstance(event, AlertEvent):
                self._mark = max(self._mark, event.alert.id)
                # A date in the future would hide that a restored database starts its ids again.
                if not _is_ahead(event.alert.created_at, clock):
                    self._latest = _later(self._latest, event.alert.created_at)
        for key in [key for key, token in self._alerts() if key <= self._mark and _is_resolved(token)]:
            del self._told[key]
        self._based = True
        self.changes += 1

    def _alerts(self) -> list[tuple[int, int | None]]:
        return [(key, token) for key, token in self._told.items() if isinstance(key, int)]

    def _is_news(self, event: Event, since: datetime, clock: datetime | None, *, everything: bool) -> bool:
        fact = _fact(event)
        if fact is None or fact[0] in self._told:
            return fact is not None and self._told[fact[0]] != fact[1]
        if not isinstance(event, AlertEvent):
            return True
        alert = event.alert
        if everything:
            return not alert.resolved
        if alert.resolved and alert.id <= self._mark:
            return self._is_numbered_anew(alert) and not _is_ahead(alert.created_at, clock)
        return self._based or alert.created_at is None or alert.created_at > shifted(since, -CLOCK_SKEW)

    def _is_numbered_anew(self, alert: Alert) -> bool:
        """Whether another alert had this id before, because the database was restored."""
        if alert.created_at is None or self._latest is None:
            return False
        return utc(alert.created_at) > shifted(utc(self._latest), _LAG)


def _is_ahead(time: datetime | None, clock: datetime | None) -> bool:
    """Whether the time is in the future of the server's own clock."""
    return time is not None and clock is not None and utc(time) > shifted(clock, _LAG)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one is not None and other is not None else one or other


def _fact(event: Event) -> Fact | None:
    kind = type(event)
    if kind is AgentOnline:
        return _STATUS, True
    if kind is AgentOffline:
        return _STATUS, False
    if isinstance(event, AlertEvent):
        return event.alert.id, _state_of(event.alert)
    return None


def _facts(events: Iterable[Event]) -> list[Fact]:
    return [fact for event in events if (fact := _fact(event)) is not None]


def _state_of(alert: Alert, *, snoozed: bool | None = None) -> int:
    # Only the fields that can change, without times, which some encoders write with fewer digits. A digest,
    # since thousands of streams each keep one for every alert. Not `hash`, since other processes must get the
    # same, and short enough for a number in JSON.
    text = f"{alert.severity}\0{alert.message}\0{alert.snoozed if snoozed is None else snoozed:d}"
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=6).digest()
    return int.from_bytes(digest) << 1 | alert.resolved


def _is_resolved(token: int | None) -> bool:
    return token is not None and bool(token & 1)
