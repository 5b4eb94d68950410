"""One run: sends it, waits for its rows, and reports its outcome on each agent.

Over `poller` and `matcher`, which it tells what happened. They only wake it up.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from trmm_async.dialects import HistoryRun
from trmm_async.dialects.stock.history import statuses_of, visible_agents
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
from trmm_async.transport import OnSent, SendRecord, Transport

__all__ = ["Before", "PendingRun", "RecoveredRun", "run_script"]

_GONE: Final = frozenset({"offline", "overdue"})

Outcome = Any
"""What `PendingRun.make` makes of a result, or a `TRMMError`."""
Before = Callable[[Watermark], SendRecord]
"""Called with the watermark before anything is sent; returns the record of what leaves (a journal's)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveredRun:
    """A run that an earlier process sent; `sent_at` in seconds since the epoch, by this machine's clock."""

    watermark: Watermark
    sent_at: float


async def run_script(
    poller: RunPoller,
    order: HistoryRun,
    on_sent: OnSent | None = None,
    before: Before | None = None,
    sender: Transport | None = None,
) -> ScriptResult | None:
    """Run a script on one agent and return its result; None if `order` says that nobody waits for it.

    Raises `TRMMError`s only. Safe to cancel; the script may run then. `sender` is the poller's transport, or
    a view of it with other settings.
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
    """Nobody waits for the row of this run, but it must not be taken for another run's row."""
    matcher = poller.matcher
    run = TrackedRun(script=order.script, timeout=order.timeout, agent_ids=order.agent_ids)

    waiter = await poller.enter(run)
    try:
        # If a stray row may still appear there, this run's row is expected as well: they can't be told apart.
        late = order.rows_come_late or matcher.has_stray_rows(run.agent_ids, run.script, poller.now())
        if late:
            # A run that nobody waits for must not need the permission to read the history.
            with suppress(PermissionDeniedError):
                await poller.take_watermark(waiter)
            matcher.start(run)
        await sender.send(order.send, _on_bytes_leave(matcher, run, on_sent))
        matcher.forget(run, late=late)
    finally:
        await poller.leave(waiter)


def _on_bytes_leave(matcher: RunMatcher, run: TrackedRun, on_sent: OnSent | None) -> OnSent:
    """What the transport calls when bytes leave: it tells the matcher and the caller."""

    def bytes_leave(maybe: bool) -> None:
        matcher.may_have_left(run, maybe)
        if on_sent is not None:
            on_sent(maybe)

    return bytes_leave


def _as_it_is(result: ScriptResult) -> ScriptResult:
    return result


class PendingRun:
    """One run on one agent or many: entering sends it, iterating returns the outcome of each agent.

    Each agent of the order comes once, with its result or an error that says what is known. If sending fails
    so that certainly nothing ran, entering raises. Leaving early leaves the scripts running.

    Args:
        poller: reads the history for this run.
        order: what to send, and to which agents.
        on_sent: see `OnSent`.
        before: see `Before`.
        recovered: send nothing; find the rows of this run, which an earlier process sent.
        sender: the transport to send with; None for the poller's.
        make: makes the outcome of a result.
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
    ) -> None:
        self._order = order
        self._make = make
        self._poller = poller
        self._sender = sender or poller.transport
        self._matcher = poller.matcher
        self._before = before
        self._recovered = recovered
        self._waiter: Waiter | None = None
        self._lost: OutcomeUnknownError | None = None
        self._ready: deque[tuple[str, Outcome]] = deque()
        self._run = TrackedRun(
            script=order.script,
            timeout=order.timeout,
            agent_ids=order.agent_ids,
            rows_come_late=order.rows_come_late and (recovered is None or len(order.agent_ids) > 1),
        )
        self._bytes_leave = _on_bytes_leave(self._matcher, self._run, on_sent)

    def __repr__(self) -> str:
        return f"<PendingRun {self._run!r}>"

    async def __aenter__(self) -> Self:
        waiter = self._waiter = await self._poller.enter(self._run)
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
        while not self._ready:
            if self._waiter is None:
                raise StopAsyncIteration
            try:
                found = await self._poller.results(self._waiter)
            except TRMMError as error:
                self._end(self._run.pending, _unreadable(error))
                continue
            if not found:
                raise StopAsyncIteration
            await self._translate(found)
        return self._ready.popleft()

    def known(self) -> list[tuple[str, Outcome]]:
        """The outcomes that are known and were not iterated over; for a caller who leaves early."""
        self._ready.extend(
            (one, self._outcome(one, how, {})) for one, how in self._matcher.take(self._run).items()
        )
        ready = list(self._ready)
        self._ready.clear()
        return ready

    # -- sending ---------------------------------------------------------------------------------------------

    async def _recover(self, recovered: RecoveredRun, waiter: Waiter) -> None:
        self._lost = OutcomeUnknownError("sent by an earlier process, and the history has no row of it")
        self._matcher.recover(self._run, recovered.watermark)
        await self._poller.learn_name()
        if self._run.rows_come_late:
            # The server may still be writing rows: we must know for how many to wait.
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
            # The server knows these agents, so it refused something else.
            self._end(self._run.pending, error)
        if count is not None:
            self._matcher.expect(self._run, count)
        if self._run.rows_come_late and count != len(self._run.agent_ids) and self._run.pending:
            await self._leave_out_unknown()
        if self._run.pending:
            self._poller.watch(waiter)

    async def _leave_out_unknown(self) -> None:
        """Find out which agents the server silently leaves out: those that this key can't see."""
        try:
            known = await self._poller.ask(visible_agents(), self._sender)
        except TRMMError:
            return  # then they end as agents without a row, which says less
        unknown = self._run.pending - known
        self._ready.extend((agent_id, self._left_out(agent_id)) for agent_id in unknown)
        self._matcher.leave_out(self._run, unknown)

    def _left_out(self, agent_id: str) -> TRMMError:
        if self._recovered is not None:
            # It may have existed when the script was sent; its history was deleted with it.
            return OutcomeUnknownError(
                f"sent to {agent_id} by an earlier process, and the server no longer has such an agent"
            )
        said = f"the server has no agent {agent_id} that this key may run scripts on, and left it out"
        return NotFoundError(404, said, method="POST", path=self._order.send.path)

    def _end(self, agent_ids: Iterable[str], error: TRMMError) -> None:
        self._ready.extend((agent_id, error) for agent_id in agent_ids)
        self._matcher.leave_out(self._run, tuple(agent_ids))

    # -- outcomes --------------------------------------------------------------------------------------------

    async def _translate(self, found: Mapping[str, MatchResult]) -> None:
        silent = {one: how for one, how in found.items() if isinstance(how, NoReport) and how.started}
        # Known outcomes come first: the question below must neither delay nor lose them.
        self._ready.extend(
            (one, self._outcome(one, how, {})) for one, how in found.items() if one not in silent
        )
        statuses = await self._statuses(frozenset(silent)) if silent else {}
        self._ready.extend((one, self._outcome(one, how, statuses)) for one, how in silent.items())

    async def _statuses(self, agent_ids: frozenset[str]) -> Mapping[str, str]:
        try:
            return await self._poller.ask(statuses_of(agent_ids), self._sender)
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
