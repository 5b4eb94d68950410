"""What looking at a server again and again tells of one agent. Pure: no I/O, no clock.

Over `catchup`, which knows the difference of two states; below `polling`, which looks. An `AgentDiff` is one
agent's `AgentStreamState`: it turns each look into the events between the last and this one.
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

__all__ = ["AgentDiff", "run_told"]


class AgentDiff:
    """Where the stream of one agent that is looked at stands; see `source.AgentStreamState`.

    Args:
        agent_id: who.
        start: how its stream begins. Without place and snapshot nothing is told of how things stand.
        now: this machine's time.

    Attributes:
        pending: events that were found and are not in the queue yet, in their order.
    """

    def __init__(self, agent_id: str, start: Start, now: datetime) -> None:
        self.agent_id = agent_id
        self._reader = ReaderState(agent_id, start.place)
        self._due = start.snapshot and start.place is None
        self._since = None if start.place is None else start.place.since
        self._why = "" if start.place is None else AFTER_RESTART
        self._looked_at = now
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
        """It stands, or does not; the first word counts."""
        if not self.settled.is_set():
            self.problem = problem
            self.settled.set()

    def fail(self, error: TRMMError, *, enough: bool) -> None:
        """The server could not be looked at: from the last look on nothing can be vouched for.

        Args:
            error: why not.
            enough: who waits for this agent to stand waits no longer.
        """
        if enough and self._since is None:
            self._since, self._why = self._looked_at, str(error)
        self.doubt(str(error))
        self.state = StreamState.CONNECTING
        if enough:
            self.settle(error)

    def doubt(self, why: str) -> None:
        """The look that comes can't tell all that was since the last: that is a gap."""
        if self._since is None and self._begun:
            self._since, self._why = self._looked_at, why

    def end(self, error: TRMMError) -> None:
        """The server refuses this agent."""
        self.state = StreamState.ENDED
        self.settle(error)

    def look(self, snapshot: Snapshot, runs: Iterable[HistoryEntry], at: datetime) -> None:
        """Put what has changed since the last look into `pending`.

        Args:
            snapshot: the present state of at least this agent.
            runs: the script runs of this agent that have finished since the last look, in order.
            at: when the look was begun, by this machine's clock.
        """
        told = self._changes(snapshot, at)
        if self._begun or self._since is not None:
            told += map(run_told, runs)
        self.received += len(told)
        caught_up = self._since is not None or self._due
        if self._since is not None:
            self.reconnects += self._begun
            until = max(self._since, at)
            told.insert(0, Gap(agent_id=self.agent_id, since=self._since, until=until, reason=self._why))
        if caught_up:
            told.append(Live(agent_id=self.agent_id, time=at))
        self.state = StreamState.CATCHING_UP if caught_up else StreamState.LIVE
        self._since, self._due, self._begun, self._looked_at = None, False, True, at
        self.pending.extend(told)

    def hear(self, alert: Alert) -> None:
        """How one alert of this agent stands, read on its own: if that is news, put it into `pending`.

        While nothing can be vouched for, it is left to the next look.
        """
        event = AlertEvent(agent_id=self.agent_id, alert=alert)
        if self._begun and self._since is None and self._reader.learn(event):
            self.received += 1
            self.pending.append(event)

    @property
    def stamp(self) -> object:
        """See `source.AgentStreamState`."""
        return None if self.pending else (self._reader.changes, self._since or self._looked_at)

    def place(self, now: datetime, unread: Sequence[Event], unread_since: datetime) -> Place:
        """See `source.AgentStreamState`."""
        waiting = [*self.pending, *unread]
        since = [self._since or self._looked_at, now]
        if waiting:
            since.append(unread_since)
        since.extend(event.since for event in waiting if isinstance(event, Gap))
        return self._reader.place(min(since), waiting)

    def _changes(self, snapshot: Snapshot, at: datetime) -> list[Event]:
        if not self._begun and not self._due and self._since is None:
            self._reader.baseline(snapshot)
            return []
        return self._reader.missed(snapshot, self._since or at, everything=self._due)


def run_told(row: HistoryEntry) -> ScriptOutput:
    """A finished run as an event: all of its output, in one piece. `cmd_id` is the row's number."""
    result = row.result
    return ScriptOutput(
        agent_id=row.agent_id or "",
        cmd_id=str(row.id),
        script=row.script,
        output="" if result is None else result.stdout + result.stderr,
        done=True,
        exit_code=None if result is None else result.retcode,
    )
