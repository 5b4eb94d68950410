"""What the client tells of its own work, to callbacks and to `logging`.

Over `errors`, `limits` and `outcomes`; below everything that works. Whoever does something worth telling
holds the client's `Observers`, and asks `active` before it makes a value: nobody listens to most clients, and
then telling costs nothing.

No value, and no line of a log, holds the key, a password, a token, a query or a body.
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
"""The root of the tree: `http`, `limits`, `retry`, `fleet`, `events` and `journal` are below it."""
logger.addHandler(logging.NullHandler())

RUN: Final[ContextVar[int | None]] = ContextVar("trmm_async_run", default=None)
"""The number of the fleet run that the present task works for."""

_FLEET: Final = log_of("fleet")
_EVENTS: Final = log_of("events")
_JOURNAL: Final = log_of("journal")


class _OfCall(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of one call.

    Attributes:
        call: the call's number, by which all that is told of it belongs together.
        method: the HTTP method.
        path: from the server's root, without the query; ids of agents and the like stand in it.
        run: the number of the fleet run that the call was made for; None for a call of its own. What is
            read for several at once, such as a server's history, belongs to none.
        time: when this was told, in seconds since the epoch, by this machine's clock.
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
        expected: seconds until the first of all that wait may go, where that is known; it may be more than
            that for this call.
    """

    reason: str
    expected: float | None = None


class Waited(_OfCall, frozen=True, kw_only=True):
    """A call's turn has come; `seconds` is how long it has waited for it, `reason` as of `Waiting`."""

    reason: str
    seconds: float


class Attempt(_OfCall, frozen=True, kw_only=True):
    """A request was answered, or failed.

    Attributes:
        number: 1 for the call's first.
        status: the HTTP status; None without an answer that can be read.
        problem: why there is none, in words; empty if there is one.
        elapsed: seconds from the first byte that could leave to the end of the answer.
    """

    number: int
    status: int | None
    problem: str
    elapsed: float


class Retry(_OfCall, frozen=True, kw_only=True):
    """A call will be sent again.

    Attributes:
        attempt: how many attempts there were.
        delay: seconds until the next.
        reason: what came of the last, in words.
    """

    attempt: int
    delay: float
    reason: str


class CallEnded(_OfCall, frozen=True, kw_only=True):
    """A call is over.

    Attributes:
        attempts: how many there were; 0 for one that was never sent.
        waited: seconds that it has waited, for its turns and between its attempts.
        elapsed: seconds that it took in all.
        error: what is raised; None for an answer. A call that was cancelled has a `CancelledError`.
    """

    attempts: int
    waited: float
    elapsed: float
    error: BaseException | None


class EventRead(msgspec.Struct, frozen=True, kw_only=True):
    """A reader of live events has taken one: a loop, a handler, a mirror. Not told of a `Gap` and a `Live`.

    Attributes:
        event: which.
        lag: seconds that it has waited in this process, since it came, until it was taken.
        age: seconds since the time that the server gives for it; None where it gives none. The clocks of two
            machines are compared here.
        time: seconds since the epoch.
    """

    event: Event
    lag: float
    age: float | None
    time: float = msgspec.field(default_factory=time.time)


class RunStarted(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet run has begun.

    Attributes:
        run: the run's number, by which all that is told of it belongs together.
        what: what is done to the targets, in words, such as "script 1".
        targets: how many; None for a stream.
        journal: where its journal is; None without one.
        resumed: whether it goes on with a journal.
        time: seconds since the epoch.
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
    """Which it is."""
    ok: bool
    time: float = msgspec.field(default_factory=time.time)
    """Seconds since the epoch."""


class RunEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet run is over, or its block was left.

    Attributes:
        run: the run's number.
        counts: where its targets stand.
        elapsed: seconds that it took.
        stopped: why it was stopped before its end, in words; empty if it was not.
        time: seconds since the epoch.
    """

    run: int
    counts: Counts
    elapsed: float
    stopped: str
    time: float = msgspec.field(default_factory=time.time)


Observation: TypeAlias = (
    Waiting | Waited | Attempt | Retry | CallEnded | Gap | EventRead | RunStarted | RunOutcome | RunEnded
)
"""What `TRMM.observe` calls its callback with. More kinds may come."""


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What a client has done since it was made, and what it does now; of all its views together.

    Attributes:
        sent: requests that have left, each attempt of a call. Handshakes of sockets are not among them.
        refused: answers of 429.
        retried: how often a call was, or will be, sent again.
        waiting: calls that wait for the rate limit, a worker or a connection, now; and handshakes of sockets
            that wait for the rate limit.
        waited_s: seconds that calls have waited for these, and between their attempts, in all.
        in_flight: requests that are under way now.
        next_free_in: seconds until the rate limit lets the next request go: 0.0 for at once, None where only
            an answer that is under way can tell, or before the first call.
        rate_limit: what is kept to; None where any number of requests may be sent.
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
    """The callbacks of one client and all its views.

    Attributes:
        active: whether there is any; what is worth telling is made into a value only then.
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
        """Tell it everything from now on; what is returned ends that, and does nothing the second time.

        Raises:
            InvalidRequestError: it can't be called, or is asynchronous.
        """
        if not callable(callback):
            raise InvalidRequestError(f"observe() needs a function of one argument, not {callback!r}")
        if inspect.iscoroutinefunction(callback):
            raise InvalidRequestError(
                "observe() needs a plain function, not an asynchronous one: it is called in the middle of "
                "the work. Put what it is given into an asyncio.Queue (put_nowait) and read that in a task"
            )
        mark = object()
        self._callbacks[mark] = callback
        self.active = True

        def detach() -> None:
            self._callbacks.pop(mark, None)
            self.active = bool(self._callbacks)

        return detach

    def tell(self, observation: Observation) -> None:
        """Call all of them. What they raise is logged, and changes nothing."""
        for callback in tuple(self._callbacks.values()):
            try:
                callback(observation)
            except Exception:
                logger.exception("a callback of observe() failed on a %s", type(observation).__name__)

    def call_number(self) -> int:
        """For the next call."""
        return next(self._calls)

    # -- events ----------------------------------------------------------------------------------------------

    def gap(self, gap: Gap) -> None:
        """A stream of events has a gap."""
        if self.active:
            self.tell(gap)
        since, until = gap.since.isoformat(), gap.until.isoformat()
        _EVENTS.info("%s: a gap from %s to %s (%s)", gap.agent_id, since, until, gap.reason or "no reason")

    def ended(self, agent_id: str, error: TRMMError) -> None:
        """A server refuses the events of this agent."""
        _EVENTS.info("%s: its events have ended: %s", agent_id, error)

    def run_number(self) -> int:
        """For the next run."""
        return next(self._runs)


class RunWatch:
    """What is told of one fleet run, from its beginning to its end. Making one says that it has begun.

    Args:
        observers: are told.
        what: see `RunStarted`.
        targets: see there.
        journal: see there.
        resumed: see there.

    Attributes:
        is_logged: whether each outcome is written into the log.
        number: the run's.
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
        """A target has its outcome. To be called where `observers.active` or `is_logged`."""
        if self.observers.active:
            self.observers.tell(RunOutcome(run=self.number, outcome=outcome, ok=ok))
        why = getattr(outcome, "error", None) or getattr(outcome, "reason", "") or "ok" * ok or "no success"
        _FLEET.debug("run %d: %s %s: %s", self.number, outcome.agent_id, type(outcome).__name__, why)

    def unwritten(self, error: TRMMError) -> None:
        """Its journal can't be written."""
        _JOURNAL.warning("run %d is stopped: %s", self.number, error)

    def ended(self, counts: Counts, stopped: str) -> None:
        """It is over, or was left."""
        elapsed = time.monotonic() - self._began
        if self.observers.active:
            self.observers.tell(RunEnded(run=self.number, counts=counts, elapsed=elapsed, stopped=stopped))
        why = f"; stopped: {stopped}" if stopped else ""
        _FLEET.info("run %d ended after %.1f s: %s%s", self.number, elapsed, counts, why)
