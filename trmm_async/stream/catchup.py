"""What a reader missed while the connection was lost. Pure: no time, no I/O.

Over `codec`, `events`, `models` and `position`; the sources feed it. `Snapshot` is the server's present
state, read over REST; `ReaderState` is what the reader of one agent's stream has been told. The difference is
what was missed.

Both see the world as facts: a key (the agent's status, or one alert) and a token for its present state.
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
"""How far the server's clock may be behind ours before an alert of a gap is mistaken for an older one.

Counts only where nothing but `created_at` can tell. Generous: an alert told twice is better than one lost.
"""

_STATUS: Final = "status"
_UP: Final = {"online": True, "offline": False, "overdue": False}
_LAG: Final = timedelta(minutes=1)
"""How much later than its own time an alert may get its number: workers write in another order."""

_RESOLVED_KEPT: Final = 16
"""So many alerts that were told as resolved are known one by one where a stream stands for long."""

_MANY: Final = 64

_UNREAD: Final = None
"""The token of what was put before the reader, and may not have been read: whatever there is, is news."""

Fact = tuple[Hashable, int | None]


class Snapshot:
    """The server's present state of some agents.

    Args:
        statuses: agent_id to status, as in `Agent.status`. An agent that is not in it, or with a status other
            than online, offline or overdue, is one whose status can't be told.
        alerts: the alerts there are, of any agents; those without an `agent_id` are nobody's.
        clock: the server's clock when this was read; None if it showed none.
        now: this machine's time then.
        by_agent: the same alerts by agent and id, where somebody has sorted them already.

    Attributes:
        clock: as given.
        behind: by how much the server's clock is behind ours; nothing if it is not, or not known.
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
        """The agent's state told as events: its status first, then its alerts in the order of their ids."""
        told: list[Event] = []
        up = _UP.get(self._statuses.get(agent_id, ""))
        if up is not None:
            told.append(AgentOnline(agent_id=agent_id) if up else AgentOffline(agent_id=agent_id))
        alerts = sorted(self._alerts.get(agent_id, {}).values(), key=lambda alert: alert.id)
        told.extend(AlertEvent(agent_id=agent_id, alert=alert) for alert in alerts)
        return told


class ReaderState:
    """What the reader of one agent's stream has been told, or was already so when the stream began.

    Alerts that are open are known one by one. Of those that are resolved a mark is enough, the highest number
    that was compared with *all* of the server's alerts: one at or below it that is resolved is no news. What
    was only heard of by itself does not move the mark: another may have been raised before it, in a gap.

    Args:
        agent_id: whose stream.
        place: what the reader of an earlier stream had been told, to go on from there.

    Attributes:
        changes: counts; as long as it stands, `place` says the same.
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
        """Note an event that came over the socket. False: the catch-up has just told this, so leave it out.

        Only the first frame about the same thing after a catch-up can be such a repeat.
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
        """What is new of an alert to the reader, by how it was told last."""
        before = None if alert.id in self._new else self._told.get(alert.id)
        self._new.discard(alert.id)
        if alert.resolved:
            return "resolved"
        if before is None or _is_resolved(before):
            return "raised"
        return "snoozed" if alert.snoozed and before == _state_of(alert, snoozed=False) else "changed"

    def learn(self, event: Event) -> bool:
        """Note how something stands, read on its own. Whether that is news to the reader."""
        fact = _fact(event)
        if fact is None or self._told.get(fact[0], _UNREAD) == fact[1]:
            return False
        self._note(event, *fact)
        return True

    def tidy(self) -> None:
        """Forget alerts that were told as resolved, but for the last few: the stream stands and tells all.

        Only then: the mark moves on by it.
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
        """Take in how things stood when the stream began. What the socket told since is newer: it stays."""
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
        """What to tell before `arrived`, in order; the snapshot is the new baseline.

        Where there was no baseline, a status that was never told is told: it may be old, but better twice
        than lost. An alert that was never told then counts only if it was created after `since`, give or take
        `CLOCK_SKEW`, by the server's clock.

        Args:
            snapshot: fetched after the connection stood again.
            since: when the stream was last known to be good.
            arrived: what has come over the new connection so far. Where it leads to the snapshot's state by
                itself, it is left to it: it tells more (times, the steps between), and nothing twice.
            everything: the reader wants to know how things stand: also what was so before, but for alerts
                that are resolved.
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
        # They count as told from here on, and the reader hears of them first by what has arrived.
        self._new = {key for key, _ in coming if self._told.get(key) is None}
        # An alert that the server no longer has is forgotten: a stream of months must not grow for ever.
        status = [(_STATUS, self._told[_STATUS])] if _STATUS in self._told else []
        self._told = dict([*status, *_facts(present)])
        self._given = dict(_facts(news))
        self._compared(present, snapshot.clock)
        return news

    def place(self, since: datetime, unread: Iterable[Event] = ()) -> Place:
        """All this, to be stored, less what was not read: that is news to whoever takes it up again.

        Args:
            since: when the stream was last known to be good.
            unread: events of this agent that the reader was not given.
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
        """All alerts there are have been compared with what was told."""
        if _is_ahead(self._latest, clock):
            self._latest = None
        for event in present:
            if isinstance(event, AlertEvent):
                self._mark = max(self._mark, event.alert.id)
                # One that is dated ahead would hide those that a restored database numbers anew.
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
        """Whether another alert once had its number: a server whose database was restored counts anew."""
        if alert.created_at is None or self._latest is None:
            return False
        return utc(alert.created_at) > shifted(utc(self._latest), _LAG)


def _is_ahead(time: datetime | None, clock: datetime | None) -> bool:
    """Whether it is yet to come, by the server's own clock."""
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
    # Only what can change: times come with fewer digits from some encoders than from others. A digest and not
    # the fields, since thousands of streams each keep one for every alert; and one that other processes get
    # too, in fewer bits than JSON's numbers have.
    text = f"{alert.severity}\0{alert.message}\0{alert.snoozed if snoozed is None else snoozed:d}"
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=6).digest()
    return int.from_bytes(digest) << 1 | alert.resolved


def _is_resolved(token: int | None) -> bool:
    return token is not None and bool(token & 1)
