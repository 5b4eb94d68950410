"""Scripts that are sent first and whose results are collected from the server's history.

Over the transport; `runbook` decides which row is which run. One look at the history serves all who wait,
however many they are, and there is no look while nobody does.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from trmm_async.dialects import Collected, Forgotten
from trmm_async.errors import (
    AgentSilentError,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ServerError,
    ServerFaultError,
    TRMMError,
    UnidentifiedError,
)
from trmm_async.models import HistoryEntry, ScriptResult
from trmm_async.resources.turns import Turns
from trmm_async.runbook import Batch, Mixed, NotRun, Patience, RunBook, Settled, Silent, Told
from trmm_async.transport import Transport

__all__ = ["Before", "Desk", "LookBack", "Sending"]

_MARK_FRESH: Final = 1.0
"""Seconds for which a mark serves. Any from before the sending is right; a fresh one leaves less in doubt."""

_GONE: Final = frozenset({"offline", "overdue"})

Outcome = ScriptResult | TRMMError
OnSent = Callable[[bool], None]
"""Called with whether it may have run by now."""
Before = Callable[[int, datetime | None], Awaitable[None]]
"""Called with the mark before anything is sent; what it raises keeps the sending from being sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookBack:
    """A sending of an earlier process: its mark, and when it was, by this machine's clock (epoch seconds)."""

    mark: int
    moment: datetime | None
    sent_at: float


class Desk:
    """Where the history of one server is read, for all who wait for a run. Belongs to one event loop."""

    def __init__(self, transport: Transport, patience: Patience | None = None) -> None:
        self.transport = transport
        self.book = RunBook(patience)
        self._marking = Turns()
        self._was_asked_for_name = False
        self._marked_at: float | None = None
        self._blurred_at = 0.0
        self._sendings: set[Sending] = set()
        self._clerk: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._queue: list[tuple[Batch, asyncio.Event]] = []

    def __repr__(self) -> str:
        return f"<Desk {self.book!r}>"

    @property
    def username(self) -> str | None:
        """By which name the history has our runs, as far as it is known."""
        return self.book.username

    @username.setter
    def username(self, name: str | None) -> None:
        self.book.username = name

    async def run(
        self, order: Collected, on_sent: OnSent | None = None, before: Before | None = None
    ) -> ScriptResult:
        """Send one script to one agent; its result. Raises `TRMMError`s only. Safe to cancel; it may run."""
        async with Sending(self, order, on_sent, before) as sending:
            _, outcome = await anext(sending)
        if isinstance(outcome, TRMMError):
            raise outcome
        return outcome

    async def aclose(self) -> None:
        """Look no more; who waits for a run is told that its outcome is unknown."""
        self._give_up(OutcomeUnknownError("sent, and the client was closed before its result came"))
        await self._stop()

    @asynccontextmanager
    async def aside(self, order: Forgotten, on_sent: OnSent | None = None) -> AsyncIterator[OnSent]:
        """Room for a sending that nobody waits for: its row is not mistaken for another's.

        Gives what to call with whether it may have run by now. Safe to cancel.
        """
        batch = Batch(script=order.script, timeout=0, agent_ids=order.agent_ids)
        await self._open(batch)
        # Its row will be above what was seen of the history up to now, little as that may be.
        batch.mark, batch.moment = self.book.newest

        def leaves(maybe: bool) -> None:
            batch.may_be_sent = maybe
            if on_sent is not None:
                on_sent(maybe)

        try:
            # Its row is expected where another is expected already: which comes first can't be told.
            expected = order.late or self.book.haunted(order.agent_ids, order.script, _now())
            if expected:
                batch.mark, batch.moment = await self._mark_if_allowed(order)
            yield leaves
            self.book.forget(batch, late=expected)
        finally:
            self._close(batch)

    # -- for sendings ----------------------------------------------------------------------------------------

    async def enter(self, sending: "Sending", batch: Batch) -> None:
        """Wait until its rows can't be mistaken for those of another sending of ours. Safe to cancel."""
        await self._open(batch)
        batch.mark, batch.moment = self.book.newest
        self._sendings.add(sending)

    async def leave(self, sending: "Sending", batch: Batch) -> None:
        """It is of no more interest; after `enter`, once."""
        self._sendings.discard(sending)
        self._close(batch)
        if not self._sendings:
            await self._stop()

    async def mark(self, order: Collected | Forgotten) -> tuple[int, datetime | None]:
        """The row that is now the last, and its time. Those who wait for one share a failure."""
        async with self._marking.take() as share_failure:
            share_failure()
            await self._marking.attempt(self._take_mark(order))
            await self.learn_name(order)
        return self.book.newest

    async def learn_name(self, order: Collected | Forgotten) -> None:
        """Ask once by which name the history has our runs. Many keys may not: then the first run tells it."""
        if self.book.username is not None or self._was_asked_for_name:
            return
        self._was_asked_for_name = True
        with suppress(TRMMError):
            name = await self.transport.send(order.history.user_of(self.transport.server.is_our_key))
            self.book.username = name or self.book.username

    async def _mark_if_allowed(self, order: Forgotten) -> tuple[int, datetime | None]:
        # A script that nobody waits for needs no permission to see the history.
        with suppress(PermissionDeniedError):
            return await self.mark(order)
        return self.book.newest

    async def _take_mark(self, order: Collected | Forgotten) -> None:
        asked = _now()
        since = max(asked - _MARK_FRESH, self._blurred_at)
        if self.book.haunted(order.agent_ids, order.script, asked):
            rows = await self.transport.send(order.history.since(self.book.ghosts_since()))
            self.book.note(rows)
            self.book.lay(order.agent_ids, order.script, rows)
            self._marked_at = asked
        elif self._marked_at is None or self._marked_at < since:
            self.book.note(await self.transport.send(order.history.newest()))
            self._marked_at = asked

    def watch(self, batch: Batch, age: float = 0.0) -> None:
        """It was sent, so many seconds ago: look for its rows from now on."""
        self.book.sent(batch, _now() - age)
        self._news.set()
        if self._clerk is None or self._clerk.done():
            self._clerk = asyncio.create_task(self._look_on(), name="trmm_async: history")
            self._clerk.add_done_callback(self._clerk_is_over)

    # -- looking ---------------------------------------------------------------------------------------------

    async def _look_on(self) -> None:
        try:
            while (wait := self.book.due(_now())) is not None:
                if wait > 0:
                    self._news.clear()
                    await _at_most(wait, self._news)
                else:
                    await self._look()
                    self._tell_waiters()
        except Exception as error:
            # A mistake of ours: those who wait must not wait for ever.
            self._give_up(error)
            raise

    def _clerk_is_over(self, clerk: asyncio.Task[None]) -> None:
        if clerk.cancelled() and clerk is self._clerk:
            # Not by us: whoever cancels all tasks of the loop ends what is waited for, too. Told here, since
            # a task that is cancelled before its first step never gets as far as to tell it.
            self._give_up(OutcomeUnknownError("sent, and the looking for its result was cancelled"))

    def _give_up(self, error: Exception) -> None:
        for sending in self._sendings:
            sending.give_up(error)

    async def _look(self) -> None:
        history = next(iter(self._sendings)).order.history
        asked = _now()
        trouble: TRMMError | None = None
        try:
            since = self.book.since(asked)
            rows = await self.transport.send(history.since(since))
        except TRMMError as error:
            trouble = error
            self.book.unread(_now(), _now() - asked)
        else:
            self._marked_at = asked
            self.book.read(rows, _now(), _now() - asked, whole=since is None)
        for sending in self._sendings:
            sending.looked(trouble)

    async def _open(self, batch: Batch) -> None:
        """Wait for its turn on every one of its agents, first come, first served. Safe to cancel."""
        turn = asyncio.Event()
        self._queue.append((batch, turn))
        try:
            while self._is_held_back(batch):
                turn.clear()
                await turn.wait()
            self.book.open(batch)
        finally:
            self._queue.remove((batch, turn))
            self._tell_waiters()

    def _is_held_back(self, batch: Batch) -> bool:
        if self.book.holder(batch.agent_ids, batch.script) is not None:
            return True
        for other, _ in self._queue:
            if other is batch:
                return False
            if other.script == batch.script and not other.pending.isdisjoint(batch.pending):
                return True
        return False

    def _close(self, batch: Batch) -> None:
        self.book.close(batch, _now())
        if batch.may_be_sent and not batch.rows:
            # It has, or will have, a row that no mark from before this moment takes into account.
            self._blurred_at = _now()
        self._tell_waiters()

    def _tell_waiters(self) -> None:
        """Synchronous: no cancellation can come between a change in the book and the news of it."""
        for _, turn in self._queue:
            turn.set()

    async def _stop(self) -> None:
        clerk, self._clerk = self._clerk, None
        if clerk is not None:
            clerk.cancel()
            await asyncio.gather(clerk, return_exceptions=True)


class Sending:
    """One script on its way to one agent or many: entering sends it, iterating tells what became of each.

    Every agent of the order is told once: its result, or the error that says what is known. An error of the
    sending itself, by which certainly nothing ran, is raised on entering. Leaving early leaves the scripts
    running.
    """

    def __init__(
        self,
        desk: Desk,
        order: Collected,
        on_sent: OnSent | None = None,
        before: Before | None = None,
        look_back: LookBack | None = None,
    ) -> None:
        self.order = order
        self._desk = desk
        self._on_sent = on_sent
        self._before = before
        self._look_back = look_back
        self._entered = False
        self._news = asyncio.Event()
        self._trouble: TRMMError | None = None
        self._given_up: Exception | None = None
        self._lost: OutcomeUnknownError | None = None
        self._told: deque[tuple[str, Outcome]] = deque()
        self._batch = Batch(
            script=order.script,
            timeout=order.timeout,
            agent_ids=order.agent_ids,
            bulk=order.bulk and (look_back is None or len(order.agent_ids) > 1),
        )

    def __repr__(self) -> str:
        return f"<Sending {self._batch!r}>"

    async def __aenter__(self) -> Self:
        await self._desk.enter(self, self._batch)
        self._entered = True
        try:
            if self._look_back is None:
                self._batch.mark, self._batch.moment = await self._desk.mark(self.order)
                if self._before is not None:
                    await self._before(self._batch.mark, self._batch.moment)
                await self._send()
            else:
                await self._resume(self._look_back)
        except BaseException:
            await self._desk.leave(self, self._batch)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._desk.leave(self, self._batch)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[str, Outcome]:
        while not self._told:
            if self._given_up is not None:
                self._abandon(self._given_up)
            elif self._batch.settled:
                await self._translate(self._batch.take())
            elif self._batch.pending:
                self._news.clear()
                await self._news.wait()
            else:
                raise StopAsyncIteration
        return self._told.popleft()

    def known(self) -> list[tuple[str, Outcome]]:
        """What is known and was not iterated; for who leaves early."""
        self._told.extend((one, self._outcome(one, how, {})) for one, how in self._batch.take().items())
        told = list(self._told)
        self._told.clear()
        return told

    # -- for the desk ----------------------------------------------------------------------------------------

    def looked(self, trouble: TRMMError | None) -> None:
        """There was a look at the history, or trouble with it."""
        self._trouble = trouble
        if isinstance(trouble, AuthenticationError | PermissionDeniedError):
            self.give_up(trouble)
        self._news.set()

    def give_up(self, error: Exception) -> None:
        """Nothing more will be known."""
        self._given_up = self._given_up or error
        self._news.set()

    # -- sending ---------------------------------------------------------------------------------------------

    async def _resume(self, back: LookBack) -> None:
        """Nothing is sent: the history is looked through for what an earlier process had sent."""
        self._lost = OutcomeUnknownError("sent by an earlier process, and the history has no row of it")
        self._batch.mark, self._batch.moment = back.mark, back.moment
        self._batch.lost = self._batch.recovered = True
        await self._desk.learn_name(self.order)
        if self._batch.bulk:
            # The server may be writing its rows still: it is to be known for how many to wait.
            await self._drop_unknown()
        if self._batch.pending:
            self._desk.watch(self._batch, max(0.0, time.time() - back.sent_at))

    async def _send(self) -> None:
        count: int | None = None
        try:
            count = await self._desk.transport.send(self.order.send, self._bytes_leave)
        except OutcomeUnknownError as error:
            self._lost, self._batch.lost = error, True
            self._batch.absent_is_not_run = isinstance(error, ServerFaultError) and error.status == 500
        except BadRequestError as error:
            if not self.order.bulk:
                raise
            self._bytes_leave(False)
            await self._drop_unknown()
            # Of these the server knows, so there was something else that it did not like.
            self._settle(self._batch.pending, error)
        if count is not None:
            self._batch.expected = count
        if self.order.bulk and count != len(self.order.agent_ids) and self._batch.pending:
            await self._drop_unknown()
        if self._batch.pending:
            self._desk.watch(self._batch)

    def _bytes_leave(self, maybe: bool) -> None:
        self._batch.may_be_sent = maybe
        if self._on_sent is not None:
            self._on_sent(maybe)

    async def _drop_unknown(self) -> None:
        """Find out which agents the server leaves out without a word: those that this key can't see."""
        try:
            known = await self._desk.transport.send(self.order.history.known())
        except TRMMError as error:
            # Then a row that is missing in the end tells of it, if less well.
            self._trouble = error
            return
        for agent_id in self._batch.pending - known:
            self._settle({agent_id}, self._left_out(agent_id))
        self._batch.expected = len(self._batch.pending)

    def _left_out(self, agent_id: str) -> TRMMError:
        if self._look_back is not None:
            # It may have been there when the script was sent; its history is gone with it.
            return OutcomeUnknownError(
                f"sent to {agent_id} by an earlier process, and the server no longer has such an agent"
            )
        said = f"the server has no agent {agent_id} that this key may run scripts on, and left it out"
        return NotFoundError(404, said, method="POST", path=self.order.send.path)

    def _settle(self, agent_ids: Iterable[str], error: TRMMError) -> None:
        for agent_id in tuple(agent_ids):
            self._batch.pending.discard(agent_id)
            self._told.append((agent_id, error))

    # -- what became of it -----------------------------------------------------------------------------------

    def _abandon(self, error: Exception) -> None:
        if not isinstance(error, TRMMError):
            raise error
        known = isinstance(error, OutcomeUnknownError)
        said = error if known else OutcomeUnknownError(f"sent, and the history can't be read: {error}")
        self._settle(self._batch.pending, said)
        self._given_up = None

    async def _translate(self, settled: Mapping[str, Settled]) -> None:
        silent = {one: how for one, how in settled.items() if isinstance(how, Silent) and how.started}
        # What is known is not kept waiting, nor lost, for the sake of what is to be asked.
        self._told.extend(
            (one, self._outcome(one, how, {})) for one, how in settled.items() if one not in silent
        )
        statuses = await self._statuses(frozenset(silent)) if silent else {}
        self._told.extend((one, self._outcome(one, how, statuses)) for one, how in silent.items())

    async def _statuses(self, agent_ids: frozenset[str]) -> Mapping[str, str]:
        try:
            return await self._desk.transport.send(self.order.history.statuses(agent_ids))
        except TRMMError:
            return {}

    def _outcome(self, agent_id: str, how: Settled, statuses: Mapping[str, str]) -> Outcome:
        match how:
            case Told(result):
                return result
            case Mixed(rows):
                return _mixed(agent_id, rows)
            case NotRun():
                return self._not_run()
            case Silent(started=True, waited=waited) if self._trouble is None:
                return AgentSilentError(
                    agent_id, "offline" if statuses.get(agent_id) in _GONE else "silent", waited
                )
            case Silent(waited=waited):
                return self._without_row(agent_id, waited)

    def _not_run(self) -> ServerError:
        said, path = "it did not run: the history has no row of it", self.order.send.path
        if not isinstance(self._lost, ServerFaultError):
            return ServerError(500, said, method="POST", path=path)
        return ServerError(
            500, f"{self._lost.detail}; {said}", method="POST", path=path, body=self._lost.body
        )

    def _without_row(self, agent_id: str, waited: float) -> OutcomeUnknownError:
        if self._trouble is not None:
            error = OutcomeUnknownError(f"sent to {agent_id}, and the history can't be read: {self._trouble}")
            error.__cause__ = self._trouble
            return error
        return self._lost or OutcomeUnknownError(
            f"accepted for {agent_id}, and not begun within {waited:.0f} s: the server's queue may be behind"
        )


def _mixed(agent_id: str, rows: tuple[HistoryEntry, ...]) -> UnidentifiedError:
    numbers = ", ".join(str(row.id) for row in rows)
    error = UnidentifiedError(
        f"it ran on {agent_id}, but another run of this script was begun there at the same time, and the "
        f"server does not tell them apart: its history has rows {numbers}"
    )
    error.candidates = rows
    return error


async def _at_most(seconds: float, event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _now() -> float:
    return asyncio.get_running_loop().time()
