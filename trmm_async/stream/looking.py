"""One look at a server for all who want to see how it stands: subscriptions, mirrors, and those who wait.

Below `polling`. Who wants to see something asks a `Looker` for the next look, and says what is to be in it;
one look has all that is asked for by then. While nobody asks there is none. How to look is given (`Watch`).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, TypeVar

from trmm_async.errors import TRMMError
from trmm_async.models import Agent, Alert, HistoryEntry
from trmm_async.stream.runs import Runs
from trmm_async.stream.settings import Backoff, Rhythm, StreamSettings

__all__ = ["Look", "Looker", "Looking", "Seen", "Wants", "Watch", "emptied", "in_turns"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """What is to be in a look.

    Attributes:
        agent_ids: the status of these agents; None for all there are.
        whole: the agents themselves, too.
        alerts: the alerts there are, of any agents.
        runs: the script runs that are needed to go on with these; None for none.
    """

    agent_ids: frozenset[str] | None
    whole: bool = False
    alerts: bool = True
    runs: Runs | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """How the agents that were asked for stand.

    Attributes:
        statuses: agent_id to status, as in `Agent.status`.
        alerts: the alerts there are, of any agents.
        missing: agents that the server does not know, or not any more, and the error that says so.
        agents: the agents themselves, where they were asked for.
    """

    statuses: Mapping[str, str]
    alerts: list[Alert]
    missing: Mapping[str, TRMMError]
    agents: dict[str, Agent] = field(default_factory=dict)


class Watch(Protocol):
    """How a server is looked at. Every method raises `TRMMError`s only."""

    async def look(self, agent_ids: frozenset[str] | None, *, whole: bool, alerts: bool) -> Seen:
        """The present state of these agents, of all for None; see `Wants`."""
        ...

    async def alert(self, alert_id: int) -> Alert | None:
        """One alert as it is now; None if there is no such alert."""

    @property
    def clock(self) -> datetime | None:
        """The server's clock, by its last answer; None if it shows none."""
        ...

    async def newest_runs(self) -> list[HistoryEntry]:
        """The newest script runs of its history, a few."""
        ...

    async def runs_since(self, moment: datetime | None) -> list[HistoryEntry]:
        """The script runs from that moment of the server's clock on; None for all there are."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """What came of one look.

    Attributes:
        at: when it was begun, by this machine's clock.
        began: the same by `time.monotonic`.
        seen: how things stand; None if that could not be read, and `error` says why.
        runs: the script runs; None if they were not asked for, or `runs_error` says why there are none.
        attempts: how many looks have failed in a row, this one among them.
        lasts: whether it has failed, or goes on failing, for longer than the longest pause.
    """

    at: datetime
    began: float = 0.0
    seen: Seen | None = None
    runs: Sequence[HistoryEntry] | None = None
    error: TRMMError | None = None
    runs_error: TRMMError | None = None
    attempts: int = 0
    lasts: bool = False


class Looking:
    """One who looks again and again. It is given the looks that begin after it has asked, and no other.

    Args:
        looker: whom it asks.
        wants: is called when a look begins: what is to be in it.
        settings: how often.
    """

    def __init__(self, looker: "Looker", wants: Callable[[], Wants], settings: StreamSettings) -> None:
        self._looker = looker
        self.wants = wants
        self.settings = settings
        self.answer: asyncio.Future[Look] | None = None
        self.is_new: bool = True
        self.is_hurried: bool = False

    def hurry(self) -> None:
        """Have the next look as soon as is fair to the server."""
        self.is_hurried = True
        self._looker.wake()

    async def next(self) -> Look:
        """The next look. Safe to cancel."""
        return await self._looker.look_for(self)


class Looker:
    """Looks at one server. Belongs to one event loop; it has a task only while somebody asks."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._asking: list[Looking] = []
        self._round: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._ended_at = 0.0
        self._pause = 0.0
        self._least = 0.0
        self._backoff: Backoff | None = None
        self._failing_since = 0.0
        self.looks: int = 0

    def __repr__(self) -> str:
        return f"<Looker {self.looks} looks, {len(self._asking)} ask>"

    def wake(self) -> None:
        """Somebody is in more of a hurry now. For `Looking`."""
        self._news.set()

    async def look_for(self, one: Looking) -> Look:
        """For `Looking`."""
        answer: asyncio.Future[Look] = asyncio.get_running_loop().create_future()
        one.answer = answer
        self._asking.append(one)
        self._news.set()
        if self._round is None:
            # It works for whoever asks, and so in the context of none: no run, no trace is its own.
            self._round = asyncio.create_task(
                self._look_round(), name="trmm_async: a look", context=Context()
            )
        try:
            return await answer
        finally:
            one.answer = None
            if one in self._asking:
                self._asking.remove(one)
                await self._stop_if_unwanted()

    async def _stop_if_unwanted(self) -> None:
        task = self._round
        if task is not None and not self._asking:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])

    async def _look_round(self) -> None:
        """Look, as long as somebody asks."""
        try:
            while self._asking:
                await self._wait_until_due()
                await self._look_once()
        except Exception as error:  # noqa: BLE001 - a mistake of ours: those who ask must not wait for ever
            for one in self._asking:
                if one.answer is not None and not one.answer.done():
                    one.answer.set_exception(error)
        finally:
            self._round = None

    async def _wait_until_due(self) -> None:
        while (wait := self._due() - time.monotonic()) > 0:
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._news.wait()

    def _due(self) -> float:
        if not self.looks:
            return 0.0
        if self._backoff is not None and self._backoff.failures:
            return self._ended_at + self._pause
        interval = min(one.settings.poll_interval for one in self._asking)
        wait = self._pause
        if any(one.is_hurried for one in self._asking):
            wait = min(wait, self._least)
        if any(one.is_new for one in self._asking):
            wait = min(wait, self._least, interval)
        return self._ended_at + wait

    async def _look_once(self) -> None:
        # A method of its own, so that nothing holds the answer, all alerts of a server, between two looks.
        given, settings = list(self._asking), self._eager()
        for one in given:
            one.is_new = one.is_hurried = False
        wants = {one: one.wants() for one in given}
        self.looks += 1
        began, at = time.monotonic(), settings.clock()
        look = replace(await self._look(wants.values(), at), began=began)
        self._ended_at = now = time.monotonic()
        rhythm = Rhythm(settings)
        rhythm.looked(now - began)
        self._least, self._pause = rhythm.least(), rhythm.next()
        if look.error is not None or look.runs_error is not None:
            look = self._failed(look, settings, began)
        else:
            self._backoff = None
        for one in given:
            if one in self._asking:
                self._asking.remove(one)
                if one.answer is not None and not one.answer.done():
                    one.answer.set_result(_own(look, wants[one]))

    def _eager(self) -> StreamSettings:
        """The settings to go by: of those who ask, of who is in the greatest hurry."""
        return min(
            (one.settings for one in self._asking), key=lambda one: (one.poll_interval, -one.poll_share)
        )

    def _failed(self, look: Look, settings: StreamSettings, began: float) -> Look:
        if self._backoff is None:
            self._backoff, self._failing_since = Backoff(settings), began
        attempts = self._backoff.failures + 1
        self._pause = max(self._backoff.next(), self._least)
        lasts = self._ended_at + self._pause - self._failing_since > settings.backoff_most
        return replace(look, attempts=attempts, lasts=lasts)

    async def _look(self, wants: Iterable[Wants], at: datetime) -> Look:
        asked = list(wants)
        everyone = any(one.agent_ids is None for one in asked)
        names = frozenset[str]().union(*(one.agent_ids or () for one in asked))
        try:
            seen = await self.watch.look(
                None if everyone else names,
                whole=any(one.whole for one in asked),
                alerts=any(one.alerts for one in asked),
            )
        except TRMMError as error:
            return Look(at, error=error)
        runs = [one.runs for one in asked if one.runs is not None]
        if not runs:
            return Look(at, seen=seen)
        try:
            return Look(at, seen=seen, runs=await self._rows(runs))
        except TRMMError as error:
            return Look(at, seen=seen, runs_error=error)

    async def _rows(self, runs: Sequence[Runs]) -> Sequence[HistoryEntry]:
        for one in runs:
            one.tick(self.watch.clock, time.monotonic())
        fresh = [one for one in runs if not one.begun]
        if fresh:
            newest = await self.watch.newest_runs()
            for one in fresh:
                one.begin(newest)
        since = [one.after for one in runs]
        known = [moment for moment in since if moment is not None]
        return await self.watch.runs_since(min(known) if len(known) == len(since) else None)


def _own(look: Look, wants: Wants) -> Look:
    """A look for one of those who asked, with lists of its own, which it may empty as it reads them.

    Tens of thousands of objects that go at once would hold the event loop; so the last reader lets each go,
    and nobody has what he did not ask for.
    """
    seen = look.seen
    if seen is None:
        return look
    alerts = [*seen.alerts] if wants.alerts else []
    agents = {**seen.agents} if wants.whole else {}
    return replace(look, seen=replace(seen, alerts=alerts, agents=agents))


def emptied(items: list[T]) -> Iterator[T]:
    """All of a list in its order, which is let go of one by one."""
    items.reverse()
    while items:
        yield items.pop()


async def in_turns(items: Iterable[T], at_once: int) -> AsyncIterator[T]:
    """All of them; the event loop has its turn after each so many."""
    for number, item in enumerate(items, 1):
        yield item
        if number % at_once == 0:
            await asyncio.sleep(0)
