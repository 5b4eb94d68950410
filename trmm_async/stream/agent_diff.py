"""`AgentDiff`: turns the polls of a server into the events of one agent. Pure: no I/O, no clock.

It stands above `catchup`, which compares two states, and below `poll_source`, which polls.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime

from trmm_async.errors import TRMMError
from trmm_async.events import AlertEvent, Event, Gap, Live, ScriptOutput
from trmm_async.models import Alert, HistoryEntry
from trmm_async.stream.catchup import ReaderState, Snapshot
from trmm_async.stream.position import Place
from trmm_async.stream.settings import StreamState
from trmm_async.stream.source import AFTER_RESTART, Start

__all__ = ["AgentDiff", "run_event"]


class AgentDiff:
    """The `AgentStreamState` of one agent of a server that is polled.

    Args:
        agent_id: the agent's id.
        start: how its stream begins. Without a place and a snapshot, the present state is not reported.
        now: this machine's time.

    Attributes:
        pending: events that were found and are not in the queue yet, in order.
    """

    def __init__(self, agent_id: str, start: Start, now: datetime) -> None:
        self.agent_id = agent_id
        self._reader = ReaderState(agent_id, start.place)
        self._due = start.snapshot and start.place is None
        self._since = None if start.place is None else start.place.since
        self._why = "" if start.place is None else AFTER_RESTART
        self._polled_at = now
        self._begun = False
        self.pending: deque[Event] = deque()
        self.state: StreamState = StreamState.CONNECTING
        self.received: int = 0
        self.dropped = 0
        self.reconnects: int = 0
        self.settled: asyncio.Event = asyncio.Event()
        self.problem: TRMMError | None = None

    def __repr__(self) -> str:
        return f"<AgentDiff of {self.agent_id}: {self.state}, {self.received} changes>"

    def settle(self, problem: TRMMError | None) -> None:
        """Record whether the stream has begun (None), or why not. Only the first call counts."""
        if not self.settled.is_set():
            self.problem = problem
            self.settled.set()

    def fail(self, error: TRMMError, *, enough: bool) -> None:
        """Record that a poll failed. From the last poll on, changes may have been missed.

        Args:
            error: the error of the poll.
            enough: stop waiting for this agent when the subscription is entered.
        """
        if enough and self._since is None:
            self._since, self._why = self._polled_at, str(error)
        self.doubt(str(error))
        self.state = StreamState.CONNECTING
        if enough:
            self.settle(error)

    def doubt(self, why: str) -> None:
        """Record that the next poll can't show everything since the last one: that will be a gap."""
        if self._since is None and self._begun:
            self._since, self._why = self._polled_at, why

    def end(self, error: TRMMError) -> None:
        """Record that the server refuses this agent."""
        self.state = StreamState.ENDED
        self.settle(error)

    def update(self, snapshot: Snapshot, runs: Iterable[HistoryEntry], at: datetime) -> None:
        """Put the changes since the last poll into `pending`.

        Args:
            snapshot: the present state of at least this agent.
            runs: the script runs of this agent that have finished since the last poll, in order.
            at: when the poll began, by this machine's clock.
        """
        events = self._changes(snapshot, at)
        if self._begun or self._since is not None:
            events += map(run_event, runs)
        self.received += len(events)
        caught_up = self._since is not None or self._due
        if self._since is not None:
            self.reconnects += self._begun
            until = max(self._since, at)
            events.insert(0, Gap(agent_id=self.agent_id, since=self._since, until=until, reason=self._why))
        if caught_up:
            events.append(Live(agent_id=self.agent_id, time=at))
        self.state = StreamState.CATCHING_UP if caught_up else StreamState.LIVE
        self._since, self._due, self._begun, self._polled_at = None, False, True, at
        self.pending.extend(events)

    def hear(self, alert: Alert) -> None:
        """Put the present state of one alert, read by itself, into `pending` if it is new.

        In a gap it is left to the next poll.
        """
        event = AlertEvent(agent_id=self.agent_id, alert=alert)
        if self._begun and self._since is None and self._reader.learn(event):
            self.received += 1
            self.pending.append(event)

    @property
    def stamp(self) -> object:
        return None if self.pending else (self._reader.changes, self._since or self._polled_at)

    def place(self, now: datetime, unread: Sequence[Event], unread_since: datetime) -> Place:
        waiting = [*self.pending, *unread]
        since = [self._since or self._polled_at, now]
        if waiting:
            since.append(unread_since)
        since.extend(event.since for event in waiting if isinstance(event, Gap))
        return self._reader.place(min(since), waiting)

    def _changes(self, snapshot: Snapshot, at: datetime) -> list[Event]:
        if not self._begun and not self._due and self._since is None:
            self._reader.baseline(snapshot)
            return []
        return self._reader.missed(snapshot, self._since or at, everything=self._due)


def run_event(row: HistoryEntry) -> ScriptOutput:
    """A finished run as an event with its complete output. `cmd_id` is the id of the history row."""
    result = row.result
    return ScriptOutput(
        agent_id=row.agent_id or "",
        cmd_id=str(row.id),
        script=row.script,
        output="" if result is None else result.stdout + result.stderr,
        done=True,
        exit_code=None if result is None else result.retcode,
    )
