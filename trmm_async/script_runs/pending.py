"""One script on its way: sends it, waits for its rows, and says what became of it on each agent.

Over `poller` and `matcher`, which it tells what happened. Nothing below calls back, but for the end.
"""

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from trmm_async.dialects import HistoryRun
from trmm_async.errors import (
    AgentSilentError,
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
from trmm_async.script_runs.matcher import RunMatcher
from trmm_async.script_runs.poller import RunPoller, Waiter
from trmm_async.script_runs.tracked import (
    Ambiguous,
    MatchResult,
    NoReport,
    NotRun,
    Reported,
    TrackedRun,
    Watermark,
)
from trmm_async.transport import SendRecord, Transport

__all__ = ["Before", "PendingRun", "RecoveredRun", "run_script"]

_GONE: Final = frozenset({"offline", "overdue"})

Outcome = Any
"""What a result is told as, or a `TRMMError`."""
OnSent = Callable[[bool], None]
"""Called with whether it may have run by now."""
Before = Callable[[Watermark], SendRecord]
"""Called with the watermark before anything is sent: where it is written down what leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveredRun:
    """A run that an earlier process sent, `sent_at` by this machine's clock (epoch seconds)."""

    watermark: Watermark
    sent_at: float


async def run_script(
    poller: RunPoller,
    order: HistoryRun,
    on_sent: OnSent | None = None,
    before: Before | None = None,
    sender: Transport | None = None,
) -> ScriptResult | None:
    """Send one script to one agent, by the poller's transport or a view of it; its result, if it is awaited.

    Raises `TRMMError`s only. Safe to cancel; the script may run.
    """
    if not order.is_awaited:
        await _run_unawaited(poller, order, on_sent, sender or poller.transport)
        return None
    outcome: ScriptResult | TRMMError
    async with PendingRun(poller, order, on_sent, before, sender=sender) as pending:
        _, outcome = await anext(pending)
    if isinstance(outcome, TRMMError):
        raise outcome
    return outcome


async def _run_unawaited(
    poller: RunPoller, order: HistoryRun, on_sent: OnSent | None, sender: Transport
) -> None:
    """Nobody waits for its row, which must not be mistaken for another's all the same."""
    matcher = poller.matcher
    run = TrackedRun(script=order.script, timeout=order.timeout, agent_ids=order.agent_ids)

    waiter = await poller.enter(run, order.history)
    try:
        # Its row is expected where another is expected already: which comes first can't be told.
        late = order.rows_come_late or matcher.has_stray_rows(run.agent_ids, run.script, poller.now())
        if late:
            # A script that nobody waits for needs no permission to see the history.
            with suppress(PermissionDeniedError):
                await poller.take_watermark(waiter)
            matcher.start(run)
        await sender.send(order.send, _telling(matcher, run, on_sent))
        matcher.forget(run, late=late)
    finally:
        await poller.leave(waiter)


def _telling(matcher: RunMatcher, run: TrackedRun, on_sent: OnSent | None) -> OnSent:
    """What the transport is to call when bytes leave: the matcher, and who else wants to know, are told."""

    def bytes_leave(maybe: bool) -> None:
        matcher.may_have_left(run, maybe)
        if on_sent is not None:
            on_sent(maybe)

    return bytes_leave


def _as_it_is(result: ScriptResult) -> ScriptResult:
    return result


class PendingRun:
    """One script on its way to one agent or many: entering sends it, iterating tells what became of each.

    Every agent of the order is told once: its result, or the error that says what is known. An error of the
    sending itself, by which certainly nothing ran, is raised on entering. Leaving early leaves the scripts
    running. With `recovered` nothing is sent: the history is looked through for what was sent before. `make`
    is what a result is told as. `check` is called before anything is sent, and raises what speaks against it.
    """

    def __init__(
        self,
        poller: RunPoller,
        order: HistoryRun,
        on_sent: OnSent | None = None,
        before: Before | None = None,
        *,
        recovered: RecoveredRun | None = None,
        sender: Transport | None = None,
        make: Callable[[ScriptResult], Any] = _as_it_is,
        check: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._order = order
        self._make = make
        self._check = check
        self._poller = poller
        self._sender = sender or poller.transport
        self._matcher = poller.matcher
        self._before = before
        self._recovered = recovered
        self._waiter: Waiter | None = None
        self._lost: OutcomeUnknownError | None = None
        self._told: deque[tuple[str, Outcome]] = deque()
        self._run = TrackedRun(
            script=order.script,
            timeout=order.timeout,
            agent_ids=order.agent_ids,
            rows_come_late=order.rows_come_late and (recovered is None or len(order.agent_ids) > 1),
        )
        self._bytes_leave = _telling(self._matcher, self._run, on_sent)

    def __repr__(self) -> str:
        return f"<PendingRun {self._run!r}>"

    async def __aenter__(self) -> Self:
        if self._check is not None and self._recovered is None:
            await self._check()
        waiter = self._waiter = await self._poller.enter(self._run, self._order.history)
        try:
            if self._recovered is not None:
                await self._recover(self._recovered, waiter)
            else:
                await self._poller.take_watermark(waiter)
                await self._send(waiter)
        except BaseException:
            await self._poller.leave(waiter)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._waiter is not None:
            await self._poller.leave(self._waiter)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[str, Outcome]:
        while not self._told:
            if self._waiter is None:
                raise StopAsyncIteration
            try:
                found = await self._poller.results(self._waiter)
            except TRMMError as error:
                self._tell(self._run.pending, _unreadable(error))
                continue
            if not found:
                raise StopAsyncIteration
            await self._translate(found)
        return self._told.popleft()

    def known(self) -> list[tuple[str, Outcome]]:
        """What is known and was not iterated; for who leaves early."""
        self._told.extend(
            (one, self._outcome(one, how, {})) for one, how in self._matcher.take(self._run).items()
        )
        told = list(self._told)
        self._told.clear()
        return told

    # -- sending ---------------------------------------------------------------------------------------------

    async def _recover(self, recovered: RecoveredRun, waiter: Waiter) -> None:
        self._lost = OutcomeUnknownError("sent by an earlier process, and the history has no row of it")
        self._matcher.recover(self._run, recovered.watermark)
        await self._poller.learn_name(self._order.history)
        if self._run.rows_come_late:
            # The server may be writing its rows still: it is to be known for how many to wait.
            await self._leave_out_unknown()
        if self._run.pending:
            self._poller.watch(waiter, max(0.0, time.time() - recovered.sent_at))

    async def _send(self, waiter: Waiter) -> None:
        count: int | None = None
        record = None if self._before is None else self._before(self._run.watermark)
        try:
            count = await self._sender.send(self._order.send, self._bytes_leave, record)
        except OutcomeUnknownError as error:
            self._lost = error
            failed = isinstance(error, ServerFaultError) and error.status == 500
            self._matcher.lose(self._run, absent_is_not_run=failed)
        except BadRequestError as error:
            if not self._run.rows_come_late:
                raise
            self._bytes_leave(False)
            await self._leave_out_unknown()
            # Of these the server knows, so there was something else that it did not like.
            self._tell(self._run.pending, error)
        if count is not None:
            self._matcher.expect(self._run, count)
        if self._run.rows_come_late and count != len(self._run.agent_ids) and self._run.pending:
            await self._leave_out_unknown()
        if self._run.pending:
            self._poller.watch(waiter)

    async def _leave_out_unknown(self) -> None:
        """Find out which agents the server leaves out without a word: those that this key can't see."""
        try:
            known = await self._poller.ask(self._order.history.known(), self._sender)
        except TRMMError:
            return  # a row that is missing in the end tells of it, if less well
        unknown = self._run.pending - known
        self._told.extend((agent_id, self._left_out(agent_id)) for agent_id in unknown)
        self._matcher.leave_out(self._run, unknown)

    def _left_out(self, agent_id: str) -> TRMMError:
        if self._recovered is not None:
            # It may have been there when the script was sent; its history is gone with it.
            return OutcomeUnknownError(
                f"sent to {agent_id} by an earlier process, and the server no longer has such an agent"
            )
        said = f"the server has no agent {agent_id} that this key may run scripts on, and left it out"
        return NotFoundError(404, said, method="POST", path=self._order.send.path)

    def _tell(self, agent_ids: Iterable[str], error: TRMMError) -> None:
        self._told.extend((agent_id, error) for agent_id in agent_ids)
        self._matcher.leave_out(self._run, tuple(agent_ids))

    # -- what became of it -----------------------------------------------------------------------------------

    async def _translate(self, found: Mapping[str, MatchResult]) -> None:
        silent = {one: how for one, how in found.items() if isinstance(how, NoReport) and how.started}
        # What is known is not kept waiting, nor lost, for the sake of what is to be asked.
        self._told.extend(
            (one, self._outcome(one, how, {})) for one, how in found.items() if one not in silent
        )
        statuses = await self._statuses(frozenset(silent)) if silent else {}
        self._told.extend((one, self._outcome(one, how, statuses)) for one, how in silent.items())

    async def _statuses(self, agent_ids: frozenset[str]) -> Mapping[str, str]:
        try:
            return await self._poller.ask(self._order.history.statuses(agent_ids), self._sender)
        except TRMMError:
            return {}

    def _outcome(self, agent_id: str, how: MatchResult, statuses: Mapping[str, str]) -> Outcome:
        match how:
            case Reported(result):
                return self._make(result)
            case Ambiguous(rows):
                return _ambiguous(agent_id, rows)
            case NotRun():
                return self._not_run()
            case NoReport(started=True, waited=waited) if self._poller.trouble is None:
                return AgentSilentError(
                    agent_id, "offline" if statuses.get(agent_id) in _GONE else "silent", waited
                )
            case NoReport(waited=waited):
                return self._without_row(agent_id, waited)

    def _not_run(self) -> ServerError:
        said, path = "it did not run: the history has no row of it", self._order.send.path
        if not isinstance(self._lost, ServerFaultError):
            return ServerError(500, said, method="POST", path=path)
        return ServerError(
            500, f"{self._lost.detail}; {said}", method="POST", path=path, body=self._lost.body
        )

    def _without_row(self, agent_id: str, waited: float) -> OutcomeUnknownError:
        trouble = self._poller.trouble
        if trouble is not None:
            error = OutcomeUnknownError(f"sent to {agent_id}, and the history can't be read: {trouble}")
            error.__cause__ = trouble
            return error
        return self._lost or OutcomeUnknownError(
            f"accepted for {agent_id}, and not begun within {waited:.0f} s: the server's queue may be behind"
        )


def _unreadable(error: TRMMError) -> OutcomeUnknownError:
    if isinstance(error, OutcomeUnknownError):
        return error
    return OutcomeUnknownError(f"sent, and the history can't be read: {error}")


def _ambiguous(agent_id: str, rows: tuple[HistoryEntry, ...]) -> UnidentifiedError:
    numbers = ", ".join(str(row.id) for row in rows)
    error = UnidentifiedError(
        f"{agent_id} has more than one run of this script that could be ours (history rows {numbers}); "
        "the server doesn't say which"
    )
    error.candidates = rows
    return error
