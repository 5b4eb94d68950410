"""Events of a server that pushes none, by looking at it again and again: the second source.

Over `picture` (what a look tells of one agent) and `runs` (which script runs are news); below
`subscription`. One task, and one look for all agents, whose calls follow one another: a look costs one worker
of the server at a time. Nothing here calls the server: how to look is given.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from trmm_async.errors import (
    AuthenticationError,
    ClosedError,
    PermissionDeniedError,
    TRMMError,
)
from trmm_async.events import Event, Live, ScriptOutput
from trmm_async.models import Alert, HistoryEntry
from trmm_async.stream.catchup import Snapshot
from trmm_async.stream.errands import Errands
from trmm_async.stream.overlap import Overlap
from trmm_async.stream.picture import Picture
from trmm_async.stream.position import RunsPlace, SourcePlace
from trmm_async.stream.runs import Runs
from trmm_async.stream.settings import Backoff, Rhythm, StreamSettings, StreamState
from trmm_async.stream.source import Outlet, Start

__all__ = ["Polling", "Seen", "Watch"]

_NUMBERED_ANEW: Final = "the server's history of scripts is numbered anew: was its database restored?"


@dataclass(frozen=True, slots=True)
class Seen:
    """How the agents that were asked for stand.

    Attributes:
        statuses: agent_id to status, as in `Agent.status`.
        alerts: the alerts there are, of any agents.
        missing: agents that the server does not know, or not any more, and the error that says so.
    """

    statuses: Mapping[str, str]
    alerts: Sequence[Alert]
    missing: Mapping[str, TRMMError]


class Watch(Protocol):
    """How a server is looked at. Every method raises `TRMMError`s only."""

    async def look(self, agent_ids: frozenset[str]) -> Seen:
        """The present state of these agents."""
        ...

    async def alert(self, alert_id: int) -> Alert | None:
        """One alert as it is now; None if there is no such alert."""

    async def newest_runs(self) -> list[HistoryEntry]:
        """The newest script runs of its history, a few."""
        ...

    async def runs_since(self, moment: datetime | None) -> list[HistoryEntry]:
        """The script runs from that moment of the server's clock on; None for all there are."""
        ...


Bell = Callable[[Callable[[int | None, str | None], None]], Callable[[], None]]
"""Takes what is to be called with (alert_id, agent_id) when an alert is said to have changed; returns what
ends that. Either is None where it is not known."""


class Polling:
    """See `source.Source`.

    Args:
        watch: how to look.
        settings: see there.
        bell: rings when there is something to look at, before the next look is due; None: nothing does.
    """

    def __init__(self, watch: Watch, settings: StreamSettings, bell: Bell | None = None) -> None:
        self._watch = watch
        self._settings = settings
        self._rhythm = Rhythm(settings)
        self._backoff = Backoff(settings)
        self._runs = Runs()
        self._pictures: dict[str, Picture] = {}
        self._hurry = asyncio.Event()
        self._bell = bell
        self._errands = Errands(self._hear)
        self._delivering = asyncio.Lock()
        self._overlap = Overlap()
        self._failing_since = 0.0
        self._hush: Callable[[], None] | None = None
        self.looks: int = 0

    def __repr__(self) -> str:
        return f"<Polling of {len(self._pictures)} agents, {self.looks} looks>"

    def open(self, outlet: Outlet, begun: SourcePlace | None) -> None:
        """See `source.Source`."""
        self._outlet = outlet
        self._runs = Runs(begun if isinstance(begun, RunsPlace) else None)
        outlet.watch(asyncio.create_task(self._look_on(), name="trmm_async: polling"))
        if self._bell is not None:
            outlet.watch(asyncio.create_task(self._errands.run(), name="trmm_async: alerts"))
            self._hush = self._bell(self._ring)

    def follow(self, agent_id: str, start: Start) -> Picture:
        """See `source.Source`. The next look comes as soon as the share of a worker allows."""
        picture = self._pictures[agent_id] = Picture(agent_id, start, self._settings.clock())
        self._hurry.set()
        return picture

    def leave(self, agent_id: str) -> None:
        """See `source.Source`."""
        # One whose end is just being told is gone already.
        if (picture := self._pictures.pop(agent_id, None)) is not None:
            picture.pending.clear()

    def place(self, unread: Sequence[Event]) -> RunsPlace | None:
        """See `source.Source`."""
        return self._runs.place(self._unread_runs(unread))

    def close(self) -> None:
        """See `source.Source`: the client's connections are not ours."""
        if self._hush is not None:
            self._hush()

    def remaining(self) -> list[asyncio.Future[None]]:
        """See `source.Source`."""
        return []

    def cut(self) -> None:
        """See `source.Source`."""

    async def _look_on(self) -> None:
        while True:
            if not self._pictures:
                await self._hurry.wait()
            self._hurry.clear()
            if await self._turn():
                await self._rest()

    async def _turn(self) -> bool:
        """Look, and tell. Whether the look was one; if not, the pause behind it is over."""
        # A method of its own, so that nothing holds the answer, all alerts of a server, between two looks.
        began, at = time.monotonic(), self._settings.clock()
        try:
            seen, runs, why = await self._look(frozenset(self._pictures))
        except TRMMError as error:
            self._rhythm.looked(time.monotonic() - began)
            await self._fail(error, began)
            return False
        self._rhythm.looked(time.monotonic() - began)
        self._backoff.reset()
        if why:
            for picture in self._pictures.values():
                picture.doubt(why)
        await self._tell(seen, runs, at)
        return True

    async def _rest(self) -> None:
        """Until the next look is due; where agents were added meanwhile, as soon as is fair to the server."""
        began, whole = time.monotonic(), self._rhythm.next()
        with suppress(TimeoutError):
            async with asyncio.timeout(whole):
                await self._hurry.wait()
        await asyncio.sleep(max(0.0, min(whole, self._rhythm.least()) - (time.monotonic() - began)))

    async def _look(self, agent_ids: frozenset[str]) -> tuple[Seen, list[HistoryEntry], str]:
        """How things stand, the runs that are news, and why there may be more of them than these."""
        self.looks += 1
        self._overlap.begin_look()
        seen = await self._watch.look(agent_ids)
        if not self._settings.poll_scripts:
            return seen, [], ""
        if not self._runs.begun:
            self._runs.begin(await self._watch.newest_runs())
        rows = await self._watch.runs_since(self._runs.after)
        why = _NUMBERED_ANEW if self._runs.begins_anew(rows) else ""
        return seen, self._runs.finished(rows, self._unread_runs(self._outlet.unread())), why

    async def _fail(self, error: TRMMError, began: float) -> None:
        if isinstance(error, AuthenticationError | PermissionDeniedError | ClosedError):
            await self._end(dict.fromkeys(self._pictures, error))
            return
        if not self._backoff.failures:
            self._failing_since = began
        attempts = self._backoff.failures + 1
        pause = max(self._backoff.next(), self._rhythm.least())
        # A list that takes longer than its time is no faster the next time, and a pause behind a slow answer
        # is long: who is entering is told now, and not after `connect_attempts` of them.
        lasts = time.monotonic() + pause - self._failing_since > self._settings.backoff_most
        enough = attempts >= self._settings.connect_attempts or lasts or isinstance(error, TimeoutError)
        for picture in self._pictures.values():
            picture.fail(error, enough=enough)
        await asyncio.sleep(pause)

    async def _tell(self, seen: Seen, runs: Sequence[HistoryEntry], at: datetime) -> None:
        snapshot = Snapshot(seen.statuses, self._overlap.end_look(seen.alerts))
        by_agent: dict[str, list[HistoryEntry]] = {}
        for row in runs:
            by_agent.setdefault(row.agent_id or "", []).append(row)
        pictures = [picture for name, picture in self._pictures.items() if name in seen.statuses]
        for picture in pictures:
            picture.look(snapshot, by_agent.get(picture.agent_id, ()), at)
            picture.settle(None)
        for picture in pictures:
            await self._deliver(picture)
        await self._end(seen.missing)

    async def _deliver(self, picture: Picture) -> None:
        pending, mailbox = picture.pending, self._outlet.mailbox
        async with self._delivering:
            while pending:
                event = pending[0]
                if not mailbox.offer(event):
                    await mailbox.put(event)
                if isinstance(event, Live):
                    picture.state = StreamState.LIVE
                if pending:  # else the agent was removed meanwhile
                    pending.popleft()

    def _unread_runs(self, unread: Iterable[Event]) -> list[int]:
        pending = [event for picture in self._pictures.values() for event in picture.pending]
        return [int(event.cmd_id) for event in [*pending, *unread] if isinstance(event, ScriptOutput)]

    def _ring(self, alert_id: int | None, agent_id: str | None) -> None:
        if agent_id is not None and agent_id not in self._pictures:
            return
        if alert_id is None or not self._errands.add(alert_id):
            self._hurry.set()

    async def _hear(self, alert_id: int) -> None:
        """Read one alert and tell it, if it is news; in doubt it is left to a look, at once."""
        asked = self._overlap.ask()
        try:
            alert = await self._watch.alert(alert_id)
        except TRMMError:
            self._hurry.set()
            return
        if alert is None:
            return
        if not self._overlap.hear(asked, alert):
            self._hurry.set()
        elif (picture := self._pictures.get(alert.agent_id or "")) is not None:
            picture.hear(alert)
            await self._deliver(picture)

    async def _end(self, errors: Mapping[str, TRMMError]) -> None:
        ended = [
            (name, self._pictures.pop(name), error)
            for name, error in errors.items()
            if name in self._pictures
        ]
        # All of them before the first is told: nobody reads before entering is over.
        for _, picture, error in ended:
            picture.end(error)
        for name, _, error in ended:
            await self._outlet.ended(name, error)
