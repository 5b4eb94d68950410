"""Events of a server that pushes none, by looking at it again and again: the second source.

Over `agent_diff` (what a look tells of one agent), `runs` (which script runs are news) and `looking`, whose
looks all subscriptions of a client share; below `subscription`. Nothing here calls the server.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from trmm_async.errors import (
    AuthenticationError,
    ClosedError,
    PermissionDeniedError,
    TRMMError,
)
from trmm_async.events import Event, Gap, Live, ScriptOutput
from trmm_async.models import Alert, HistoryEntry
from trmm_async.stream.agent_diff import AgentDiff
from trmm_async.stream.catchup import Snapshot
from trmm_async.stream.looking import Look, Looker, Looking, Seen, Wants, emptied, in_turns
from trmm_async.stream.position import RunsPlace, SourcePlace
from trmm_async.stream.runs import Runs
from trmm_async.stream.settings import StreamSettings, StreamState
from trmm_async.stream.source import AlertSignal, Outlet, Start

__all__ = ["AlertOrdering", "DedupQueue", "Polling"]

_QUEUED_MOST: Final = 1000
_AGENTS_A_TURN: Final = 10
_ALERTS_A_TURN: Final = 250
"""After so many of a look the event loop has its turn: well below 5 ms of work."""

_NUMBERED_ANEW: Final = "the server's history of scripts is numbered anew: was its database restored?"


class Polling:
    """See `source.Source`.

    Args:
        looker: looks, for others too.
        settings: see there.
        bell: says that an alert has changed, before the next look is due; None: nothing does.
    """

    def __init__(self, looker: Looker, settings: StreamSettings, bell: AlertSignal | None = None) -> None:
        self._watch = looker.watch
        self._settings = settings
        self._looking = Looking(looker, self._wants, settings)
        self._runs = Runs()
        self._diffs: dict[str, AgentDiff] = {}
        self._hurry = asyncio.Event()
        self._bell = bell
        self._alerts = DedupQueue(self._hear)
        self._delivering = asyncio.Lock()
        self._telling = asyncio.Lock()
        self._ordering = AlertOrdering()
        self._hush: Callable[[], None] | None = None
        self._asked: frozenset[str] = frozenset()
        self.looks: int = 0

    def __repr__(self) -> str:
        return f"<Polling of {len(self._diffs)} agents, {self.looks} looks>"

    def open(self, outlet: Outlet, begun: SourcePlace | None) -> None:
        self._outlet = outlet
        self._runs = Runs(begun if isinstance(begun, RunsPlace) else None)
        outlet.watch(asyncio.create_task(self._look_on(), name="trmm_async: polling"))
        if self._bell is not None:
            outlet.watch(asyncio.create_task(self._alerts.run(), name="trmm_async: alerts"))
            self._hush = self._bell.listen(self._ring)

    def follow(self, agent_id: str, start: Start) -> AgentDiff:
        """See `source.Source`. The next look comes as soon as the share of a worker allows."""
        diff = self._diffs[agent_id] = AgentDiff(agent_id, start, self._settings.clock())
        self._be_quick()
        return diff

    def leave(self, agent_id: str) -> None:
        # One whose end is just being told is gone already.
        if (diff := self._diffs.pop(agent_id, None)) is not None:
            diff.pending.clear()

    def place(self, unread: Sequence[Event]) -> RunsPlace | None:
        return self._runs.place(self._unread_runs(unread))

    def close(self) -> None:
        """See `source.Source`: the client's connections are not ours."""
        if self._hush is not None:
            self._hush()

    def remaining(self) -> list[asyncio.Future[None]]:
        return []

    def cut(self) -> None:
        """It holds no connection."""

    def _be_quick(self) -> None:
        self._hurry.set()
        self._looking.hurry()

    def _wants(self) -> Wants:
        """A look begins."""
        self.looks += 1
        self._ordering.begin_look()
        self._asked = frozenset(self._diffs)
        return Wants(agent_ids=self._asked, runs=self._runs if self._settings.poll_scripts else None)

    async def _look_on(self) -> None:
        while True:
            if not self._diffs:
                self._hurry.clear()
                await self._hurry.wait()
            await self._turn()

    async def _turn(self) -> None:
        """Look, and tell."""
        # A method of its own, so that nothing holds the answer, all alerts of a server, between two looks.
        look = await self._looking.next()
        error = look.error or (look.runs_error if self._settings.poll_scripts else None)
        if error is not None or look.seen is None:
            await self._fail(look, error or ClosedError("no look"))
            return
        runs: Sequence[HistoryEntry] = ()
        if look.runs is not None and self._settings.poll_scripts:
            if self._runs.begins_anew(look.runs):
                for diff in self._diffs.values():
                    diff.doubt(_NUMBERED_ANEW)
            runs = self._runs.finished(look.runs, self._unread_runs(self._outlet.unread()))
        await self._tell(look.seen, runs, look.at)

    async def _fail(self, look: Look, error: TRMMError) -> None:
        if isinstance(error, AuthenticationError | PermissionDeniedError | ClosedError):
            await self._end(dict.fromkeys(self._diffs, error))
            return
        # A list that takes longer than its time is no faster the next time, and a pause behind a slow answer
        # is long: who is entering is told now, and not after `connect_attempts` of them.
        enough = look.attempts >= self._settings.connect_attempts or look.lasts
        for diff in self._diffs.values():
            diff.fail(error, enough=enough or isinstance(error, TimeoutError))

    async def _tell(self, seen: Seen, runs: Sequence[HistoryEntry], at: datetime) -> None:
        alerts: dict[str, dict[int, Alert]] = {}
        async for alert in in_turns(emptied(seen.alerts), _ALERTS_A_TURN):
            if alert.agent_id in self._asked:
                alerts.setdefault(alert.agent_id, {})[alert.id] = alert
        rows: dict[str, list[HistoryEntry]] = {}
        for row in runs:
            rows.setdefault(row.agent_id or "", []).append(row)
        diffs = [diff for name, diff in self._diffs.items() if name in self._asked and name in seen.statuses]
        # What is heard of an alert meanwhile is newer than the look, and is told behind it.
        async with self._telling:
            for alert in self._ordering.end_look(()):
                alerts.setdefault(alert.agent_id or "", {})[alert.id] = alert
            clock, now = self._watch.clock, self._settings.clock()
            snapshot = Snapshot(seen.statuses, (), clock=clock, now=now, by_agent=alerts)
            async for diff in in_turns(diffs, _AGENTS_A_TURN):
                if self._diffs.get(diff.agent_id) is diff:  # else it was removed meanwhile
                    diff.look(snapshot, rows.get(diff.agent_id, ()), at)
                    diff.settle(None)
        async for diff in in_turns(diffs, _ALERTS_A_TURN):
            if diff.pending:
                await self._deliver(diff)
        await self._end({name: error for name, error in seen.missing.items() if name in self._asked})
        # Bit by bit, for the same reason as `emptied`.
        async for _ in in_turns(range(len(alerts)), _AGENTS_A_TURN):
            alerts.popitem()

    async def _deliver(self, diff: AgentDiff) -> None:
        pending, mailbox = diff.pending, self._outlet.mailbox
        async with self._delivering:
            while pending:
                event = pending[0]
                if not mailbox.offer(event):
                    await mailbox.put(event)
                if isinstance(event, Live):
                    diff.state = StreamState.LIVE
                elif isinstance(event, Gap):
                    self._outlet.observers.gap(event)
                if pending:  # else the agent was removed meanwhile
                    pending.popleft()

    def _unread_runs(self, unread: Iterable[Event]) -> list[int]:
        pending = [event for diff in self._diffs.values() for event in diff.pending]
        return [int(event.cmd_id) for event in [*pending, *unread] if isinstance(event, ScriptOutput)]

    def _ring(self, alert_id: int | None, agent_id: str | None) -> None:
        if agent_id is not None and agent_id not in self._diffs:
            return
        if alert_id is None or not self._alerts.add(alert_id):
            self._be_quick()

    async def _hear(self, alert_id: int) -> None:
        """Read one alert and tell it, if it is news; in doubt it is left to a look, at once."""
        async with self._telling:
            asked = self._ordering.ask()
        try:
            alert = await self._watch.alert(alert_id)
        except TRMMError:
            self._be_quick()
            return
        if alert is None:
            return
        if not self._ordering.hear(asked, alert):
            self._be_quick()
        elif (diff := self._diffs.get(alert.agent_id or "")) is not None:
            diff.hear(alert)
            await self._deliver(diff)

    async def _end(self, errors: Mapping[str, TRMMError]) -> None:
        ended = [
            (name, self._diffs.pop(name), error) for name, error in errors.items() if name in self._diffs
        ]
        # All of them before the first is told: nobody reads before entering is over.
        for _, diff, error in ended:
            diff.end(error)
        for name, _, error in ended:
            await self._outlet.ended(name, error)


class DedupQueue:
    """A bounded work queue without duplicates, and who works it off. Belongs to one event loop.

    Alerts are read so: never two questions about the same one at a time, and never more than one worker of
    the server for all of them.
    """

    def __init__(self, do: Callable[[int], Awaitable[None]]) -> None:
        self._do = do
        self._waiting: dict[int, None] = {}
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, number: int) -> bool:
        """Have this dealt with, from now on; False if too many wait."""
        if number not in self._waiting and len(self._waiting) >= _QUEUED_MOST:
            return False
        self._waiting[number] = None
        self._news.set()
        return True

    async def run(self) -> None:
        """Work them off, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                number = next(iter(self._waiting))
                # Before, not after: what is added while it is under way is to be done anew.
                del self._waiting[number]
                await self._do(number)


class AlertOrdering:
    """Orders the answers of concurrent reads: of all alerts by looks, and of one. Pure.

    An answer can't be older than its question, and that is all that is known: what was asked before a look
    was told may be older than that look, and is thrown away; what was asked and answered while a look was
    under way stands over what the look shows, and the next look has the last word. One question about an
    alert is under way at a time, and one look.
    """

    def __init__(self) -> None:
        self._told_looks = 0
        self._is_looking = False
        self._heard: dict[int, Alert] = {}

    def __repr__(self) -> str:
        return f"<AlertOrdering of {self._told_looks} looks with {len(self._heard)} alerts>"

    def begin_look(self) -> None:
        """All alerts are asked for from now on."""
        self._is_looking, self._heard = True, {}

    def end_look(self, alerts: Iterable[Alert]) -> Collection[Alert]:
        """The answer, as it may be told: now."""
        self._told_looks += 1
        heard, self._is_looking, self._heard = self._heard, False, {}
        return ({alert.id: alert for alert in alerts} | heard).values()

    def ask(self) -> int:
        """One alert is asked for from now on; what `hear` is to be given with the answer."""
        return self._told_looks

    def hear(self, asked: int, alert: Alert) -> bool:
        """The answer. Whether it may be told; if so: now."""
        if asked != self._told_looks:
            return False
        if self._is_looking:
            self._heard[alert.id] = alert
        return True
