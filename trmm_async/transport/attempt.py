"""A call that is under way, and one attempt to send it: what it holds, how far it got, who has to know.

Below `sender`, which decides nothing about these but their order. The connector calls the attempt through
the protocol `connector.SendAttempt`.
"""

from types import TracebackType
from typing import TYPE_CHECKING, Any

import aiohttp

from trmm_async.admission import Slot, WorkerLease, give_back
from trmm_async.calls import Call, Replay
from trmm_async.retry import NoReply, Stage, Tries
from trmm_async.transport.body import shown, words
from trmm_async.transport.connector import CURRENT_ATTEMPT, NoTunnelError, UnexpectedBytesError
from trmm_async.transport.hooks import OnSent, SendRecord
from trmm_async.transport.pool import Pool
from trmm_async.transport.tracing import CallTrace

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CallAttempt", "PendingCall"]


class PendingCall:
    """One call, through all of its attempts.

    Attributes:
        on_sent, record: see `hooks`.
        trace: reports the call to the log and the observers; None if nobody listens.
        key: the key that the last attempt was sent with; None if it was sent without one.
        tries: judges the attempts; made when the first one has failed.
    """

    __slots__ = ("call", "key", "on_sent", "record", "trace", "tries")

    def __init__(
        self,
        call: Call[Any],
        on_sent: OnSent | None = None,
        record: SendRecord | None = None,
        trace: CallTrace | None = None,
    ) -> None:
        self.call = call
        self.on_sent = on_sent
        self.record = record
        self.trace = trace
        self.key: str | None = None
        self.tries: Tries | None = None

    @property
    def had_effect(self) -> bool:
        """Whether one of the attempts so far may have changed something."""
        return self.tries is not None and self.tries.had_effect

    async def withdraw(self) -> None:
        """Report before a pause that none of the attempts had an effect, if that is so.

        If the call is cancelled during the pause, it was certainly not sent.
        """
        if self.had_effect:
            return
        if self.on_sent is not None:
            self.on_sent(False)
        if self.record is not None:
            await self.record.withdraw()


class CallAttempt:
    """One attempt to send a call: which slots it holds, and how far it got.

    Used as a `with` block around the wait for the head of the answer.

    Attributes:
        non_idempotent, unwritten: see `connector.SendAttempt`.
        head: the answer's status and headers, once they have arrived.
    """

    __slots__ = (
        *("_connected", "_expired", "_pending", "_pool", "_slots", "_token", "_worker"),
        *("head", "non_idempotent", "unwritten"),
    )

    def __init__(
        self, pending: PendingCall, slots: tuple[Slot, ...], worker: WorkerLease | None, pool: Pool
    ) -> None:
        self.non_idempotent: bool = pending.call.replay is Replay.NEVER
        self.unwritten: bool = False
        self.head: tuple[int, Mapping[str, str]] | None = None
        self._pending = pending
        self._slots = slots
        self._worker = worker
        self._pool = pool
        self._connected = False
        self._expired = False
        if pending.trace is not None:
            pending.trace.begin_attempt()

    def __enter__(self) -> None:
        self._token = CURRENT_ATTEMPT.set(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        CURRENT_ATTEMPT.reset(self._token)
        if kind is None:
            # The server has answered, so it has counted the request.
            for slot in self._slots:
                slot.settle()
        elif self._connected and not self._expired:
            # There is no answer, but the server may count the request all the same.
            for slot in self._slots:
                slot.written()
        else:
            give_back(self._slots)

    def has_connection(self) -> None:
        """The connector calls this when the attempt has a connection: from now on bytes may be sent."""
        if not self._connected:
            self._pool.sent += 1
        self._connected = True
        pending = self._pending
        if pending.on_sent is not None:
            pending.on_sent(True)
        if pending.call.answers_within is not None:
            # The answer may take long: the slots are to be free a window after the request, not after that.
            for slot in self._slots:
                slot.written()

    def may_begin(self) -> bool:
        """Whether the first byte may be sent now. Called by the connector; a refusal is final."""
        for slot in self._slots:
            if not slot.may_begin():
                self._expired = True
        for lease in (self._worker, self._pending.record):
            if lease is not None and not lease.may_begin():
                self._expired = True
        return not self._expired

    async def record(self) -> None:
        """Record that the attempt is about to be sent. If the record fails, the attempt is not sent."""
        if self._pending.record is None:
            return
        try:
            await self._pending.record.begin()
        except BaseException:
            give_back(self._slots)
            self.leave()
            raise

    def leave(self) -> None:
        """Free the connection, and the server's worker if the attempt held one, for other calls."""
        self._pool.release_place()
        if self._worker is not None:
            self._worker.release()
        if self._pending.trace is not None:
            self._pending.trace.end_attempt(self.head)

    def fault(self, error: BaseException) -> NoReply:
        """Return what this exception means for the call: certainly not sent, lost, or too late."""
        if self._expired:
            return NoReply(Stage.NOT_SENT, "the right to send ran out before the first byte could leave")
        unsent = isinstance(
            error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | UnexpectedBytesError
        )
        if unsent or not self._connected or self.unwritten:
            # A certificate is the same a second later.
            final = isinstance(error, aiohttp.ClientConnectorCertificateError) or (
                isinstance(error, NoTunnelError) and error.is_final
            )
            return NoReply(Stage.NOT_SENT, words(error), shown(error), is_final=final)
        stage = Stage.LATE if isinstance(error, TimeoutError) else Stage.LOST
        return NoReply(stage, words(error), shown(error))
