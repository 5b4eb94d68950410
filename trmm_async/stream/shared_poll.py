"""Polls a server once for all who need its state: subscriptions, mirrors, and those who wait for agents.

It stands below `poll_source`. A `PollClient` asks the `SharedPoller` for the next poll, and says what it
needs. One poll reads all that is asked for by then. While nobody asks, there is no poll. A `Watch` reads.
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
from trmm_async.stream.settings import Backoff, PollTiming, StreamSettings

__all__ = [
    "PollResult",
    "SharedPoller",
    "PollClient",
    "PolledState",
    "PollRequest",
    "Watch",
    "emptied",
    "in_turns",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRequest:
    """What a poll is to read.

    Attributes:
        agent_ids: the status of these agents; None: of all.
        whole: also the agents themselves.
        alerts: the alerts of all agents.
        runs: the script runs that this object needs next; None: no script runs.
    """

    agent_ids: frozenset[str] | None
    whole: bool = False
    alerts: bool = True
    runs: Runs | None = None


@dataclass(frozen=True, slots=True)
class PolledState:
    """The state that a poll has read.

    Attributes:
        statuses: agent_id to status, as in `Agent.status`.
        alerts: the alerts of all agents.
        missing: agents that the server does not have, and the error that says so.
        agents: the agents themselves, if they were asked for.
    """

    statuses: Mapping[str, str]
    alerts: list[Alert]
    missing: Mapping[str, TRMMError]
    agents: dict[str, Agent] = field(default_factory=dict)


class Watch(Protocol):
    """Reads the state of a server. Every method raises `TRMMError`s only."""

    async def poll(self, agent_ids: frozenset[str] | None, *, whole: bool, alerts: bool) -> PolledState:
        """Read the present state; the arguments are as in `PollRequest`."""
        ...

    async def alert(self, alert_id: int) -> Alert | None:
        """Read one alert. None if it does not exist."""

    @property
    def clock(self) -> datetime | None:
        """The server's clock at its last answer; None if the answer did not tell it."""
        ...

    async def newest_runs(self) -> list[HistoryEntry]:
        """Read a few of the newest script runs of the history."""
        ...

    async def runs_since(self, moment: datetime | None) -> list[HistoryEntry]:
        """Read the script runs since a moment of the server's clock; None: all."""
        ...


@dataclass(frozen=True, slots=True)
class PollResult:
    """The result of one poll.

    Attributes:
        at: when it began, by this machine's clock.
        began: the same moment by `time.monotonic`.
        seen: the state; None if it could not be read, and then `error` says why.
        runs: the script runs; None if they were not asked for, or could not be read (`runs_error`).
        attempts: how many polls in a row have failed, including this one.
        lasts: polls have failed, or will have at the next attempt, for longer than the longest pause.
    """

    at: datetime
    began: float = 0.0
    seen: PolledState | None = None
    runs: Sequence[HistoryEntry] | None = None
    error: TRMMError | None = None
    runs_error: TRMMError | None = None
    attempts: int = 0
    lasts: bool = False


class PollClient:
    """Takes part in the polls of a `SharedPoller`. It only gets results of polls that began after it asked.

    Args:
        poller: the poller.
        wants: called when a poll begins; returns what it is to read.
        settings: how often to poll.
    """

    def __init__(
        self, poller: "SharedPoller", wants: Callable[[], PollRequest], settings: StreamSettings
    ) -> None:
        self._poller = poller
        self.wants = wants
        self.settings = settings
        self.answer: asyncio.Future[PollResult] | None = None
        self.is_new: bool = True
        self.is_hurried: bool = False

    def hurry(self) -> None:
        """Poll next as soon as the share of a worker (`poll_share`) allows."""
        self.is_hurried = True
        self._poller.wake()

    async def next(self) -> PollResult:
        """Wait for the next poll. Safe to cancel."""
        return await self._poller.next_for(self)


class SharedPoller:
    """Polls one server. Belongs to one event loop. It has a task only while somebody waits for a poll."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._asking: list[PollClient] = []
        self._round: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._ended_at = 0.0
        self._pause = 0.0
        self._least = 0.0
        self._backoff: Backoff | None = None
        self._failing_since = 0.0
        self.polls: int = 0

    def __repr__(self) -> str:
        return f"<SharedPoller {self.polls} polls, {len(self._asking)} waiting>"

    def wake(self) -> None:
        """Compute again when the next poll is due, since a `PollClient` is in a hurry now."""
        self._news.set()

    async def next_for(self, one: PollClient) -> PollResult:
        """The next poll for a `PollClient`."""
        answer: asyncio.Future[PollResult] = asyncio.get_running_loop().create_future()
        one.answer = answer
        self._asking.append(one)
        self._news.set()
        if self._round is None:
            # An empty context, since it works for all: it must not belong to the trace of the first who asks.
            self._round = asyncio.create_task(
                self._poll_while_asked(), name="trmm_async: a poll", context=Context()
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

    async def _poll_while_asked(self) -> None:
        try:
            while self._asking:
                await self._wait_until_due()
                await self._poll_once()
        except Exception as error:  # noqa: BLE001 - a mistake of ours: those who wait must not hang
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
        if not self.polls:
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

    async def _poll_once(self) -> None:
        # A method of its own, so that no variable keeps the answer (all alerts) until the next poll.
        given, settings = list(self._asking), self._eager()
        for one in given:
            one.is_new = one.is_hurried = False
        wants = {one: one.wants() for one in given}
        self.polls += 1
        began, at = time.monotonic(), settings.clock()
        result = replace(await self._poll(wants.values(), at), began=began)
        self._ended_at = now = time.monotonic()
        timing = PollTiming(settings)
        timing.polled(now - began)
        self._least, self._pause = timing.least(), timing.next()
        if result.error is not None or result.runs_error is not None:
            result = self._failed(result, settings, began)
        else:
            self._backoff = None
        for one in given:
            if one in self._asking:
                self._asking.remove(one)
                if one.answer is not None and not one.answer.done():
                    one.answer.set_result(_own_copy(result, wants[one]))

    def _eager(self) -> StreamSettings:
        """The settings of the client that polls most often."""
        return min(
            (one.settings for one in self._asking), key=lambda one: (one.poll_interval, -one.poll_share)
        )

    def _failed(self, result: PollResult, settings: StreamSettings, began: float) -> PollResult:
        if self._backoff is None:
            self._backoff, self._failing_since = Backoff(settings), began
        attempts = self._backoff.failures + 1
        self._pause = max(self._backoff.next(), self._least)
        lasts = self._ended_at + self._pause - self._failing_since > settings.backoff_most
        return replace(result, attempts=attempts, lasts=lasts)

    async def _poll(self, wants: Iterable[PollRequest], at: datetime) -> PollResult:
        asked = list(wants)
        everyone = any(one.agent_ids is None for one in asked)
        names = frozenset[str]().union(*(one.agent_ids or () for one in asked))
        try:
            seen = await self.watch.poll(
                None if everyone else names,
                whole=any(one.whole for one in asked),
                alerts=any(one.alerts for one in asked),
            )
        except TRMMError as error:
            return PollResult(at, error=error)
        runs = [one.runs for one in asked if one.runs is not None]
        if not runs:
            return PollResult(at, seen=seen)
        try:
            return PollResult(at, seen=seen, runs=await self._rows(runs))
        except TRMMError as error:
            return PollResult(at, seen=seen, runs_error=error)

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


def _own_copy(result: PollResult, wants: PollRequest) -> PollResult:
    """The result for one client: what it asked for, in lists of its own, which it empties while it reads.

    To free tens of thousands of objects at once would block the event loop. So each object is freed by the
    last client that reads it.
    """
    seen = result.seen
    if seen is None:
        return result
    alerts = [*seen.alerts] if wants.alerts else []
    agents = {**seen.agents} if wants.whole else {}
    return replace(result, seen=replace(seen, alerts=alerts, agents=agents))


def emptied(items: list[T]) -> Iterator[T]:
    """Yield the items of a list in order, and remove each from the list."""
    items.reverse()
    while items:
        yield items.pop()


async def in_turns(items: Iterable[T], at_once: int) -> AsyncIterator[T]:
    """Yield the items, and let the event loop run other tasks after every `at_once` of them."""
    for number, item in enumerate(items, 1):
        yield item
        if number % at_once == 0:
            await asyncio.sleep(0)
