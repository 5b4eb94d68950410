"""What the client reports about its own work, to callbacks and to `logging`.

No value and no log record contains the key, a password, a token, a query or a body.

Every part of the client that reports something holds the client's `Observers`, and checks `active` before it
makes a value. Most clients have no observers, and then reporting costs nothing.
"""

import inspect
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

import msgspec

from trmm_async.errors import InvalidRequestError, TRMMError
from trmm_async.events import Event, Gap
from trmm_async.limits import RateLimit
from trmm_async.outcomes import Counts, Outcome
from trmm_async.plaintext import log_of

__all__ = [
    "RUN",
    "Attempt",
    "CallEnded",
    "EventRead",
    "Observation",
    "Observers",
    "Retry",
    "RunEnded",
    "RunOutcome",
    "RunStarted",
    "RunWatch",
    "Stats",
    "Waited",
    "Waiting",
    "logger",
]

logger: Final = log_of()
"""The package's root logger: `http`, `limits`, `retry`, `fleet`, `events` and `journal` are below it."""
logger.addHandler(logging.NullHandler())

RUN: Final[ContextVar[int | None]] = ContextVar("trmm_async_run", default=None)
"""The number of the fleet run to which the current task belongs."""

_FLEET: Final = log_of("fleet")
_EVENTS: Final = log_of("events")
_JOURNAL: Final = log_of("journal")


class _OfCall(msgspec.Struct, frozen=True, kw_only=True):
    """What all observations of a call have in common.

    Attributes:
        call: the call's number. All observations of one call have the same.
        method: the HTTP method.
        path: the path from the server's root, without the query. It contains ids, such as that of the agent.
        run: the number of the fleet run that made the call; None if no run made it. A call that reads for
            several runs at once, such as one for the server's history, has None.
        time: when this was reported, in seconds since the epoch, by this machine's clock.
    """

    call: int
    method: str
    path: str
    run: int | None = None
    time: float = msgspec.field(default_factory=time.time)


class Waiting(_OfCall, frozen=True, kw_only=True):
    """A call can't be sent yet, and waits for its turn.

    Attributes:
        reason: "limit" (the rate limit), "worker" (`max_waiting`) or "connection" (`max_connections`).
        expected: seconds until the first of all waiting calls may be sent; None if it is not known. This call
            may have to wait longer.
    """

    reason: str
    expected: float | None = None


class Waited(_OfCall, frozen=True, kw_only=True):
    """A call's turn has come.

    Attributes:
        reason: what the call waited for, as in `Waiting`.
        seconds: how long it waited.
    """

    reason: str
    seconds: float


class Attempt(_OfCall, frozen=True, kw_only=True):
    """A request was answered, or failed.

    Attributes:
        number: the number of the attempt, from 1.
        status: the HTTP status; None if there is no answer that can be read.
        problem: why there is no status, as a text; empty if there is one.
        elapsed: seconds from the moment at which the request could be sent to the end of the answer.
    """

    number: int
    status: int | None
    problem: str
    elapsed: float


class Retry(_OfCall, frozen=True, kw_only=True):
    """A call will be sent again.

    Attributes:
        attempt: how many attempts there were so far.
        delay: seconds until the next attempt.
        reason: how the last attempt failed, as a text.
    """

    attempt: int
    delay: float
    reason: str


class CallEnded(_OfCall, frozen=True, kw_only=True):
    """A call has ended.

    Attributes:
        attempts: how often it was sent; 0 if it was never sent.
        waited: seconds that it waited, for its turns and between its attempts.
        elapsed: seconds that it took in all.
        error: the exception that it raises; None if it returns an answer. If the call was cancelled, this is
            a `CancelledError`.
    """

    attempts: int
    waited: float
    elapsed: float
    error: BaseException | None


class EventRead(msgspec.Struct, frozen=True, kw_only=True):
    """A reader of live events (a loop, a handler, a mirror) has taken one. Not reported for `Gap` and `Live`.

    Attributes:
        event: the event.
        lag: seconds that the event waited in this process, from its arrival until it was taken.
        age: seconds since the server's time of the event; None if the server gives none. This compares the
            clocks of two machines.
        time: when this was reported, in seconds since the epoch.
    """

    event: Event
    lag: float
    age: float | None
    time: float = msgspec.field(default_factory=time.time)


class RunStarted(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet run has begun.

    Attributes:
        run: the run's number. All observations of one run have the same.
        what: what the run does, as a text such as "script 1".
        targets: the number of targets; None if they are a stream.
        journal: the place of its journal; None if it has none.
        resumed: whether it continues the run of a journal.
        time: when this was reported, in seconds since the epoch.
    """

    run: int
    what: str
    targets: int | None
    journal: str | None
    resumed: bool
    time: float = msgspec.field(default_factory=time.time)


class RunOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A target of a run has its outcome; `ok` is whether the run counts it as a success."""

    run: int
    """The run's number."""
    outcome: Outcome[Any]
    """The outcome."""
    ok: bool
    time: float = msgspec.field(default_factory=time.time)
    """When this was reported, in seconds since the epoch."""


class RunEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet run has ended, or its block was left.

    Attributes:
        run: the run's number.
        counts: how many of its targets have which state.
        elapsed: seconds that it took.
        stopped: why it was stopped before its end, as a text; empty if it was not stopped.
        time: when this was reported, in seconds since the epoch.
    """

    run: int
    counts: Counts
    elapsed: float
    stopped: str
    time: float = msgspec.field(default_factory=time.time)


Observation: TypeAlias = (
    Waiting | Waited | Attempt | Retry | CallEnded | Gap | EventRead | RunStarted | RunOutcome | RunEnded
)
"""What a callback of `TRMM.observe` is called with. Later versions may add further classes."""


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What a client has done since it was made, and what it is doing now, including all its `with_options`.

    Attributes:
        sent: the number of requests sent, counting each attempt of a call. Handshakes of WebSockets are not
            counted.
        refused: the number of answers with status 429.
        retried: how often a call was sent again, or will be.
        waiting: how many calls are waiting now for the rate limit, a worker or a connection, and how many
            handshakes of WebSockets are waiting for the rate limit.
        waited_s: seconds that calls have waited for these, and between their attempts, in all.
        in_flight: the number of requests in progress now.
        next_free_in: seconds until the rate limit allows the next request: 0.0 for at once. None if that
            depends on an answer that has not come yet, or before the first call.
        rate_limit: the rate limit that the client keeps to; None if it has none.
    """

    sent: int
    refused: int
    retried: int
    waiting: int
    waited_s: float
    in_flight: int
    next_free_in: float | None
    rate_limit: RateLimit | None = None


class Observers:
    """The callbacks of one client, which its `with_options` share.

    Attributes:
        active: whether there is a callback. Observations are made only then.
    """

    __slots__ = ("_callbacks", "_calls", "_runs", "active")

    def __init__(self) -> None:
        self._callbacks: dict[object, Callable[[Any], object]] = {}
        self._calls: Iterator[int] = itertools.count(1)
        self._runs: Iterator[int] = itertools.count(1)
        self.active: bool = False

    def __repr__(self) -> str:
        return f"<Observers: {len(self._callbacks)}>"

    def add(self, callback: object) -> Callable[[], None]:
        """Call a function with every observation from now on.

        Returns:
            A function that ends this. It may be called twice.

        Raises:
            InvalidRequestError: `callback` is not callable, or is asynchronous.
        """
        if not callable(callback):
            raise InvalidRequestError(f"observe() needs a function of one argument, not {callback!r}")
        if inspect.iscoroutinefunction(callback):
            raise InvalidRequestError(
                "observe() needs a plain function, not an asynchronous one, since it is called in the middle "
                "of the work. Put the observation into an asyncio.Queue (put_nowait) and read that in a task"
            )
        mark = object()
        self._callbacks[mark] = callback
        self.active = True

        def detach() -> None:
            self._callbacks.pop(mark, None)
            self.active = bool(self._callbacks)

        return detach

    def tell(self, observation: Observation) -> None:
        """Call all callbacks. If one raises, the exception is logged, and the client's work continues."""
        for callback in tuple(self._callbacks.values()):
            try:
                callback(observation)
            except Exception:
                logger.exception("a callback of observe() failed on a %s", type(observation).__name__)

    def call_number(self) -> int:
        """The number of the next call."""
        return next(self._calls)

    # -- events ----------------------------------------------------------------------------------------------

    def gap(self, gap: Gap) -> None:
        """Report and log a gap in a stream of events."""
        if self.active:
            self.tell(gap)
        since, until = gap.since.isoformat(), gap.until.isoformat()
        _EVENTS.info("%s: a gap from %s to %s (%s)", gap.agent_id, since, until, gap.reason or "no reason")

    def ended(self, agent_id: str, error: TRMMError) -> None:
        """Log that the server refuses the events of this agent."""
        _EVENTS.info("%s: its events have ended: %s", agent_id, error)

    def run_number(self) -> int:
        """The number of the next run."""
        return next(self._runs)


class RunWatch:
    """Reports and logs one fleet run. Making it reports that the run has begun.

    Args:
        observers: get the observations.
        what: see `RunStarted`, as for the following.
        targets: the number of targets, or None.
        journal: the place of the journal, or None.
        resumed: whether the run continues that of a journal.

    Attributes:
        is_logged: whether each outcome is logged.
        number: the run's number.
    """

    def __init__(
        self, observers: Observers, what: str, targets: int | None, journal: object, *, resumed: bool
    ) -> None:
        self.observers = observers
        self.is_logged: bool = _FLEET.isEnabledFor(logging.DEBUG)
        self.number: int = observers.run_number()
        number = self.number
        self._began = time.monotonic()
        kept = None if journal is None else str(journal)
        if observers.active:
            observers.tell(RunStarted(run=number, what=what, targets=targets, journal=kept, resumed=resumed))
        count = "a stream of" if targets is None else targets
        _FLEET.info("run %d %s: %s on %s targets", number, "goes on" if resumed else "begins", what, count)
        if kept is not None:
            _JOURNAL.info("%s: run %d %s", kept, number, "goes on from here" if resumed else "is kept here")

    def outcome(self, outcome: Outcome[Any], *, ok: bool) -> None:
        """Report and log an outcome. Call it only if `observers.active` or `is_logged`."""
        if self.observers.active:
            self.observers.tell(RunOutcome(run=self.number, outcome=outcome, ok=ok))
        why = getattr(outcome, "error", None) or getattr(outcome, "reason", "") or "ok" * ok or "no success"
        _FLEET.debug("run %d: %s %s: %s", self.number, outcome.agent_id, type(outcome).__name__, why)

    def unwritten(self, error: TRMMError) -> None:
        """Log that the run's journal can't be written."""
        _JOURNAL.warning("run %d is stopped: %s", self.number, error)

    def ended(self, counts: Counts, stopped: str) -> None:
        """Report and log that the run has ended, or was left."""
        elapsed = time.monotonic() - self._began
        if self.observers.active:
            self.observers.tell(RunEnded(run=self.number, counts=counts, elapsed=elapsed, stopped=stopped))
        why = f"; stopped: {stopped}" if stopped else ""
        _FLEET.info("run %d ended after %.1f s: %s%s", self.number, elapsed, counts, why)
