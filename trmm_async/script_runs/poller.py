"""Reads the server's script history for all pending runs.

Over `matcher`, which decides when to read and what a row means. One look serves all pending runs; while there
are none, nothing is read. The poller knows nothing of `pending`: each run holds a `Waiter`, which wakes it.
"""

import asyncio
import builtins
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from typing import Final, TypeVar

from trmm_async.calls import Call
from trmm_async.dialects.stock.history import name_of_user, newest_runs, runs_within
from trmm_async.errors import (
    AuthenticationError,
    OutcomeUnknownError,
    PermissionDeniedError,
    TimeoutError,
    TRMMError,
)
from trmm_async.models import HistoryEntry
from trmm_async.script_runs.matcher import RunMatcher
from trmm_async.script_runs.tracked import HistoryWaits, MatchResult, Span, TrackedRun
from trmm_async.single_flight import SingleFlight
from trmm_async.transport import Transport

__all__ = ["RunPoller", "Waiter"]

T = TypeVar("T")

_WATERMARK_FRESH: Final = 1.0
"""Seconds for which a watermark is used again. Any watermark from before the sending is correct, but with a
fresh one, fewer rows could be the run."""


@dataclass(slots=True, eq=False)
class Waiter:
    """A run that the poller reads for, from `enter` to `leave`.

    Attributes:
        news: set when something may have been found out about it.
        failure: why nothing more will be found out; None as long as something may be.
    """

    run: TrackedRun
    news: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Exception | None = None


class RunPoller:
    """The reader of one server's history. Belongs to one event loop.

    Attributes:
        matcher: all runs under way, and what is known of them.
        trouble: why the last look failed; None if it didn't.
    """

    def __init__(self, transport: Transport, waits: HistoryWaits | None = None) -> None:
        self.transport = transport
        self.matcher: RunMatcher = RunMatcher(waits)
        self.trouble: TRMMError | None = None
        self._watermarks = SingleFlight()
        self._watermark_at: float | None = None
        self._watermark_stale_at = 0.0
        self._was_asked_for_name = False
        self._waiters: set[Waiter] = set()
        self._queue: list[tuple[TrackedRun, asyncio.Event]] = []
        self._task: asyncio.Task[None] | None = None
        self._is_hurried = False
        self._bounds: set[asyncio.Timeout] = set()
        self._news = asyncio.Event()

    def __repr__(self) -> str:
        return f"<RunPoller {self.matcher!r}>"

    async def aclose(self) -> None:
        """Stop reading. The outcomes of pending runs become unknown."""
        self._fail(OutcomeUnknownError("sent, and the client was closed before its result came"))
        await self._stop()

    # -- one run, from entering to its end -------------------------------------------------------------------

    async def enter(self, run: TrackedRun) -> Waiter:
        """Wait, in turn, until its rows can't be mistaken for those of another run of ours.

        Safe to cancel. Call `leave` once for each waiter that is returned.
        """
        turn = asyncio.Event()
        self._queue.append((run, turn))
        try:
            while self._is_held_back(run):
                turn.clear()
                await turn.wait()
            self.matcher.open(run)
        finally:
            self._queue.remove((run, turn))
            self._call_next()
        waiter = Waiter(run)
        self._waiters.add(waiter)
        return waiter

    async def leave(self, waiter: Waiter) -> None:
        """Stop reading for this run."""
        self._waiters.discard(waiter)
        self._is_hurried = self._is_hurried and bool(self._waiters)
        self.matcher.close(waiter.run, self.now())
        if waiter.run.may_be_sent and not waiter.run.rows:
            # The run has a row, or will have one, above every watermark from before this moment.
            self._watermark_stale_at = self.now()
        self._call_next()
        if self.matcher.due(self.now()) is None:
            await self._stop()

    async def take_watermark(self, waiter: Waiter) -> None:
        """Read how far the history goes now. Runs that ask at the same time share a read, and its failure."""
        async with self._watermarks.take() as share_failure:
            share_failure()
            await self._watermarks.attempt(self._read_watermark(waiter))
            await self.learn_name()
        self.matcher.start(waiter.run)

    async def learn_name(self) -> None:
        """Ask once for our user's name. If the key may not read that, the first run shows it."""
        if self.matcher.username is not None or self._was_asked_for_name:
            return
        self._was_asked_for_name = True
        with suppress(TRMMError):
            name = await self.transport.send(name_of_user(self.transport.server.is_our_key))
            self.matcher.username = name or self.matcher.username

    def watch(self, waiter: Waiter, age: float = 0.0) -> None:
        """Look for the rows of a run that was sent `age` seconds ago."""
        self.matcher.sent(waiter.run, self.now() - age)
        self._news.set()
        if self._task is None or self._task.done():
            # One task reads for all runs, so it must not inherit the context of one of them (its trace, …).
            self._task = asyncio.create_task(self._poll(), name="trmm_async: history", context=Context())
            self._task.add_done_callback(self._ended)

    async def results(self, waiter: Waiter) -> dict[str, MatchResult]:
        """Wait for what is found out next, by agent; empty when everything is known. Safe to cancel.

        If nothing more can be found out, everything that is known is returned first; then this raises why.
        """
        while not (found := self.matcher.take(waiter.run)) and waiter.run.pending:
            if waiter.failure is not None:
                raise waiter.failure
            waiter.news.clear()
            await waiter.news.wait()
        return found

    @staticmethod
    def now() -> float:
        """The event loop's time, which the matcher counts in."""
        return asyncio.get_running_loop().time()

    def hurry(self) -> None:
        """A run was stopped: wait for agents only, and for no pause that the server asks for (429)."""
        self._is_hurried = bool(self._waiters)
        for bound in self._bounds:
            bound.reschedule(self._bound())

    async def ask(self, call: Call[T], sender: Transport | None = None) -> T:
        """Send a call about the pending runs. After `hurry`, it is limited to the time that they have left.

        Raises:
            TRMMError: there is no answer.
        """
        try:
            async with asyncio.timeout(self._bound()) as bound:
                self._bounds.add(bound)
                try:
                    return await (sender or self.transport).send(call)
                finally:
                    self._bounds.discard(bound)
        except builtins.TimeoutError as error:
            if isinstance(error, TRMMError):
                raise
            raise TimeoutError(
                "the run was stopped, and the server did not answer in time: it may have asked to wait (429)",
                method=call.method,
                path=call.path,
            ) from None

    # -- inside ----------------------------------------------------------------------------------------------

    def _is_held_back(self, run: TrackedRun) -> bool:
        if self.matcher.holder(run.agent_ids, run.script) is not None:
            return True
        for other, _ in self._queue:
            if other is run:
                return False
            if other.script == run.script and not other.pending.isdisjoint(run.pending):
                return True
        return False

    def _call_next(self) -> None:
        """Wake the runs in `enter`. Not async: no cancellation can come between a change and this."""
        for _, turn in self._queue:
            turn.set()

    async def _read_watermark(self, waiter: Waiter) -> None:
        matcher, run, asked = self.matcher, waiter.run, self.now()
        since = max(asked - _WATERMARK_FRESH, self._watermark_stale_at)
        self._tick()
        if matcher.has_stray_rows(run.agent_ids, run.script, asked):
            rows = await self.transport.send(runs_within(matcher.strays_since()))
            matcher.note(rows)
            matcher.claim_stray_rows(run.agent_ids, run.script, rows)
        elif self._watermark_at is None or self._watermark_at < since:
            rows = await self.transport.send(newest_runs())
            self._tick()
            if matcher.clock.are_ahead(rows):
                written = matcher.clock.since(self._watermark_at)
                rows = await self.transport.send(runs_within(written))
            matcher.note(rows)
        else:
            return
        self._watermark_at = asked

    async def _poll(self) -> None:
        try:
            while (wait := self.matcher.due(self.now())) is not None:
                if wait > 0:
                    self._news.clear()
                    await _at_most(wait, self._news)
                else:
                    await self._read()
                    self._call_next()
        except Exception as error:
            # A bug of ours: the runs that wait must not wait for ever.
            self._fail(error)
            raise

    async def _read(self) -> None:
        asked = self.now()
        self._tick()
        try:
            span = self.matcher.span(asked)
            rows = await self._look(span)
        except TRMMError as error:
            self.trouble = error
            self.matcher.unread(self.now(), self.now() - asked)
            if isinstance(error, AuthenticationError | PermissionDeniedError):
                self._fail(error)
        else:
            self.trouble = None
            if span.until is None:
                self._watermark_at = asked
            self._take_in(rows, asked, span)
        for waiter in self._waiters:
            waiter.news.set()

    async def _look(self, span: Span) -> list[HistoryEntry]:
        """Read the rows that matter now."""
        return await self.ask(runs_within(*span))

    def _take_in(self, rows: list[HistoryEntry], asked: float, span: Span) -> None:
        self.matcher.read(rows, self.now(), self.now() - asked, span)

    def _bound(self) -> float | None:
        """Until when a call may take, by the loop's clock; None for the client's own timeouts."""
        if not self._is_hurried:
            return None
        now = self.now()
        return now + max(self.matcher.waits.hurried, self.matcher.time_left(now))

    def _tick(self) -> None:
        self.matcher.clock.show(self.transport.server_time(), self.now())

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() and task is self._task:
            # Somebody else cancelled it, such as a program that cancels all tasks of its loop. Handled
            # here: a task that is cancelled before its first step never runs its own code.
            self._fail(OutcomeUnknownError("sent, and the task that looks for its result was cancelled"))

    def _fail(self, error: Exception) -> None:
        for waiter in self._waiters:
            waiter.failure = waiter.failure or error
            waiter.news.set()

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _at_most(seconds: float, event: asyncio.Event) -> None:
    with suppress(builtins.TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
