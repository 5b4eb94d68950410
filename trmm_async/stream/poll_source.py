"""`PollSource`: makes events by polling a server that pushes none.

It stands above `agent_diff` (the events of one agent between two polls), `runs` (which script runs are new)
and `shared_poll` (the polls that all subscriptions of a client share), and below `subscription`. Nothing here
calls the server.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from trmm_async.errors import AuthenticationError, ClosedError, PermissionDeniedError, TRMMError
from trmm_async.events import Event, Gap, Live, ScriptOutput
from trmm_async.models import Alert, HistoryEntry
from trmm_async.stream.agent_diff import AgentDiff
from trmm_async.stream.catchup import Snapshot
from trmm_async.stream.position import RunsPlace, SourcePlace
from trmm_async.stream.runs import Runs
from trmm_async.stream.settings import StreamSettings, StreamState
from trmm_async.stream.shared_poll import (
    PollClient,
    PolledState,
    PollRequest,
    PollResult,
    SharedPoller,
    emptied,
    in_turns,
)
from trmm_async.stream.source import AlertSignal, Outlet, Start

__all__ = ["AlertOrdering", "DedupQueue", "PollSource"]

_QUEUED_MOST: Final = 1000
_AGENTS_A_TURN: Final = 10
_ALERTS_A_TURN: Final = 250
"""After so many objects of a poll, the event loop runs other tasks: that is well below 5 ms of work."""

_NUMBERED_ANEW: Final = "the server's history of scripts is numbered anew: was its database restored?"


class PollSource:
    """A `Source` for a server that must be polled.

    Args:
        poller: the poller of the client.
        settings: the settings of the subscription.
        signal: says that an alert has changed, so that it is read before the next poll.
    """

    def __init__(
        self, poller: SharedPoller, settings: StreamSettings, signal: AlertSignal | None = None
    ) -> None:
        self._watch = poller.watch
        self._settings = settings
        self._polls = PollClient(poller, self._wants, settings)
        self._runs = Runs()
        self._diffs: dict[str, AgentDiff] = {}
        self._hurry = asyncio.Event()
        self._signal = signal
        self._alerts = DedupQueue(self._hear)
        self._delivering = asyncio.Lock()
        self._telling = asyncio.Lock()
        self._ordering = AlertOrdering()
        self._stop_listening: Callable[[], None] | None = None
        self._asked: frozenset[str] = frozenset()
        self.polls: int = 0

    def __repr__(self) -> str:
        return f"<PollSource of {len(self._diffs)} agents, {self.polls} polls>"

    def open(self, outlet: Outlet, begun: SourcePlace | None) -> None:
        self._outlet = outlet
        self._runs = Runs(begun if isinstance(begun, RunsPlace) else None)
        outlet.watch(asyncio.create_task(self._poll_on(), name="trmm_async: polling"))
        if self._signal is not None:
            outlet.watch(asyncio.create_task(self._alerts.run(), name="trmm_async: alerts"))
            self._stop_listening = self._signal.listen(self._alert_changed)

    def follow(self, agent_id: str, start: Start) -> AgentDiff:
        """Follow an agent. The next poll comes as soon as the share of a worker allows."""
        diff = self._diffs[agent_id] = AgentDiff(agent_id, start, self._settings.clock())
        self._be_quick()
        return diff

    def leave(self, agent_id: str) -> None:
        # An agent whose end is just being reported is not there any more.
        if (diff := self._diffs.pop(agent_id, None)) is not None:
            diff.pending.clear()

    def place(self, unread: Sequence[Event]) -> RunsPlace | None:
        return self._runs.place(self._unread_runs(unread))

    def close(self) -> None:
        """Stop listening to the signal. The connections belong to the client and stay."""
        if self._stop_listening is not None:
            self._stop_listening()

    def remaining(self) -> list[asyncio.Future[None]]:
        return []

    def cut(self) -> None:
        """Do nothing: it has no connection."""

    def _be_quick(self) -> None:
        self._hurry.set()
        self._polls.hurry()

    def _wants(self) -> PollRequest:
        """Say what to read in the poll that begins now."""
        self.polls += 1
        self._ordering.begin_poll()
        self._asked = frozenset(self._diffs)
        return PollRequest(agent_ids=self._asked, runs=self._runs if self._settings.poll_scripts else None)

    async def _poll_on(self) -> None:
        while True:
            if not self._diffs:
                self._hurry.clear()
                await self._hurry.wait()
            await self._poll_once()

    async def _poll_once(self) -> None:
        # A method of its own, so that no variable keeps the answer (all alerts) until the next poll.
        result = await self._polls.next()
        error = result.error or (result.runs_error if self._settings.poll_scripts else None)
        if error is not None or result.seen is None:
            await self._fail(result, error or ClosedError("no state was read"))
            return
        runs: Sequence[HistoryEntry] = ()
        if result.runs is not None and self._settings.poll_scripts:
            if self._runs.begins_anew(result.runs):
                for diff in self._diffs.values():
                    diff.doubt(_NUMBERED_ANEW)
            runs = self._runs.finished(result.runs, self._unread_runs(self._outlet.unread()))
        await self._report(result.seen, runs, result.at)

    async def _fail(self, result: PollResult, error: TRMMError) -> None:
        if isinstance(error, AuthenticationError | PermissionDeniedError | ClosedError):
            await self._end(dict.fromkeys(self._diffs, error))
            return
        # After a timeout, the next attempt would hardly be faster, and comes after a long pause. So entering
        # the subscription fails now, and not after `connect_attempts` polls.
        enough = result.attempts >= self._settings.connect_attempts or result.lasts
        for diff in self._diffs.values():
            diff.fail(error, enough=enough or isinstance(error, TimeoutError))

    async def _report(self, seen: PolledState, runs: Sequence[HistoryEntry], at: datetime) -> None:
        alerts: dict[str, dict[int, Alert]] = {}
        async for alert in in_turns(emptied(seen.alerts), _ALERTS_A_TURN):
            if alert.agent_id in self._asked:
                alerts.setdefault(alert.agent_id, {})[alert.id] = alert
        rows: dict[str, list[HistoryEntry]] = {}
        for row in runs:
            rows.setdefault(row.agent_id or "", []).append(row)
        diffs = [diff for name, diff in self._diffs.items() if name in self._asked and name in seen.statuses]
        # An alert that is read while this runs is newer than the poll: `_hear` waits, and reports it after.
        async with self._telling:
            for alert in self._ordering.end_poll(()):
                alerts.setdefault(alert.agent_id or "", {})[alert.id] = alert
            clock, now = self._watch.clock, self._settings.clock()
            snapshot = Snapshot(seen.statuses, (), clock=clock, now=now, by_agent=alerts)
            async for diff in in_turns(diffs, _AGENTS_A_TURN):
                if self._diffs.get(diff.agent_id) is diff:  # else it was removed meanwhile
                    diff.update(snapshot, rows.get(diff.agent_id, ()), at)
                    diff.settle(None)
        async for diff in in_turns(diffs, _ALERTS_A_TURN):
            if diff.pending:
                await self._deliver(diff)
        await self._end({name: error for name, error in seen.missing.items() if name in self._asked})
        # Little by little: to free all alerts at once would block the event loop.
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

    def _alert_changed(self, alert_id: int | None, agent_id: str | None) -> None:
        if agent_id is not None and agent_id not in self._diffs:
            return
        if alert_id is None or not self._alerts.add(alert_id):
            self._be_quick()

    async def _hear(self, alert_id: int) -> None:
        """Read one alert and report it if it is new. In doubt, poll at once instead."""
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
        # First end all, then report: while the subscription is being entered, nobody reads the reports.
        for _, diff, error in ended:
            diff.end(error)
        for name, _, error in ended:
            await self._outlet.ended(name, error)


class DedupQueue:
    """A bounded work queue without duplicates, with one worker. Belongs to one event loop.

    Alerts are read through it, so an alert is never read twice at once, and all of them together never use
    more than one worker of the server.
    """

    def __init__(self, do: Callable[[int], Awaitable[None]]) -> None:
        self._do = do
        self._waiting: dict[int, None] = {}
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, number: int) -> bool:
        """Queue a number. False if the queue is full."""
        if number not in self._waiting and len(self._waiting) >= _QUEUED_MOST:
            return False
        self._waiting[number] = None
        self._news.set()
        return True

    async def run(self) -> None:
        """Process the queue until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                number = next(iter(self._waiting))
                # Removed before it is processed: if it is added meanwhile, it must be processed again.
                del self._waiting[number]
                await self._do(number)


class AlertOrdering:
    """Orders the answers of concurrent reads: of all alerts by a poll, and of single alerts. Pure.

    All that is known is that an answer is not older than its question. So if a single alert was asked for
    before a poll was reported, its answer may be older than the poll, and is discarded. If it was asked for
    and answered during a poll, its answer replaces that of the poll, and the next poll has the last word. At
    any time there is at most one poll, and one question about an alert.
    """

    def __init__(self) -> None:
        self._polls_reported = 0
        self._is_polling = False
        self._heard: dict[int, Alert] = {}

    def __repr__(self) -> str:
        return f"<AlertOrdering of {self._polls_reported} polls with {len(self._heard)} alerts>"

    def begin_poll(self) -> None:
        """Record that a poll begins, which reads all alerts."""
        self._is_polling, self._heard = True, {}

    def end_poll(self, alerts: Iterable[Alert]) -> Collection[Alert]:
        """Given the alerts of the poll, return those to report, which must be done at once."""
        self._polls_reported += 1
        heard, self._is_polling, self._heard = self._heard, False, {}
        return ({alert.id: alert for alert in alerts} | heard).values()

    def ask(self) -> int:
        """Record that one alert is being read. Returns a token for `hear`."""
        return self._polls_reported

    def hear(self, asked: int, alert: Alert) -> bool:
        """Given the answer, return whether to report it, which then must be done at once."""
        if asked != self._polls_reported:
            return False
        if self._is_polling:
            self._heard[alert.id] = alert
        return True
