"""Reports calls and waits to the log and to observers.

Below `pool` and `sender`. It does work only if somebody observes or logs, or if a call has to wait anyway.
"""

import logging
import time
from asyncio import CancelledError, get_running_loop
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final

from trmm_async.calls import Call
from trmm_async.observing import RUN, Attempt, CallEnded, Observation, Observers, Retry, Waited, Waiting
from trmm_async.plaintext import log_of
from trmm_async.retry import NoReply, Reply

__all__ = ["HTTP", "CallTrace", "WaitTracker"]

HTTP: Final = log_of("http")
_LIMITS: Final = log_of("limits")
_RETRY: Final = log_of("retry")

_LONG: Final = 1.0
"""A wait of more seconds is logged at INFO."""

_FOR: Final = {
    "limit": "the rate limit",
    "worker": "one of the server's workers (max_waiting)",
    "connection": "a connection (max_connections)",
}


class CallTrace:
    """Reports one call, from its first wait to its end.

    Attributes:
        number: the call's number, which all observations of it have.
        run: see `observing.Attempt`.
        attempts: how many attempts have begun.
        waited: seconds that the call has waited: for a limit, a worker or a connection, and between attempts.
        status, headers: of the last answer.
    """

    def __init__(self, call: Call[Any], observers: Observers, scrub: Callable[[str], str]) -> None:
        self._observers = observers
        self._scrub = scrub
        self._began = self._attempt_began = time.monotonic()
        self.number: int = observers.call_number()
        self.run: int | None = RUN.get()
        self.method: str = call.method
        self.path: str = scrub(call.path)
        self._attempt_took = 0.0
        self._told = 0
        self.attempts: int = 0
        self.waited: float = 0.0
        self.status: int = 0
        self.headers: Mapping[str, str] = {}

    @property
    def elapsed(self) -> float:
        """Seconds since the call began."""
        return time.monotonic() - self._began

    def begin_attempt(self) -> None:
        """An attempt begins, after its waits."""
        self.attempts += 1
        self._attempt_began = time.monotonic()

    def end_attempt(self, head: tuple[int, Mapping[str, str]] | None) -> None:
        """The attempt has ended; `head` is the answer's status and headers, if one came."""
        self._attempt_took = time.monotonic() - self._attempt_began
        if head is not None:
            self.status, self.headers = head

    def came_to(self, result: Reply | NoReply) -> None:
        """The attempt had no success."""
        if isinstance(result, Reply):
            self._tell_attempt(result.status, "")
        else:
            status = None if result.reply is None else result.reply.status
            self._tell_attempt(status, self._scrub(result.reason))

    def _tell_attempt(self, status: int | None, problem: str) -> None:
        elapsed, number = self._attempt_took, self.attempts
        self._told = number
        self.tell(Attempt, number=number, status=status, problem=problem, elapsed=elapsed)
        came = " ".join(filter(None, ("" if status is None else str(status), problem)))
        HTTP.debug("%s %s: attempt %d: %s in %.3f s", self.method, self.path, number, came, elapsed)

    def ended(self, error: BaseException | None) -> None:
        """The call has ended."""
        if self._told < self.attempts:
            self._tell_attempt(self.status or None, "" if error is None else self._scrub(_words(error)))
        self.tell(CallEnded, attempts=self.attempts, waited=self.waited, elapsed=self.elapsed, error=error)

    def tell(self, kind: Callable[..., Observation], **what: object) -> None:
        """Report an observation of this call, if somebody observes."""
        if self._observers.active:
            of_call = {"call": self.number, "run": self.run, "method": self.method, "path": self.path}
            self._observers.tell(kind(**of_call, **what))


class WaitTracker:
    """Counts the calls that wait, logs the long waits, and reports each wait to the observers.

    Attributes:
        waiting: how many calls wait now.
        waited: seconds that all calls have waited: for a limit, a worker or a connection, and between
            their attempts.
    """

    def __init__(self, observers: Observers, scrub: Callable[[str], str]) -> None:
        self._observers = observers
        self._scrub = scrub
        self._said_at = -_LONG
        self.waiting: int = 0
        self.waited: float = 0.0

    def wait(
        self, call: Call[Any], trace: CallTrace | None, reason: str, expected: float | None = None
    ) -> "_Wait":
        """A `with` block in which a call waits; `expected` as of `observing.Waiting`."""
        return _Wait(self, call, trace, reason, expected)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """A `with` block in which a request that is no call waits for its turn."""
        began = get_running_loop().time()
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1
            self.waited += get_running_loop().time() - began

    def again(
        self, call: Call[Any], trace: CallTrace | None, result: Reply | NoReply, attempt: int, delay: float
    ) -> None:
        """A call will be sent again, after so many seconds."""
        self.waited += delay
        observed = trace is not None and self._observers.active
        if not observed and not _RETRY.isEnabledFor(logging.INFO):
            return
        reason = f"answered {result.status}" if isinstance(result, Reply) else self._scrub(result.reason)
        path = self._scrub(call.path)
        _RETRY.info("%s %s: attempt %d: %s; again in %.2f s", call.method, path, attempt, reason, delay)
        if trace is None:
            return
        trace.waited += delay
        trace.tell(Retry, attempt=attempt, delay=delay, reason=reason)

    def begin(self, call: Call[Any], trace: CallTrace | None, reason: str, expected: float | None) -> None:
        """Called by `_Wait`."""
        self.waiting += 1
        if trace is not None:
            trace.tell(Waiting, reason=reason, expected=expected)
        # Thousands of calls may begin to wait for the same limit at once, so one line a second is logged.
        now = get_running_loop().time()
        if expected is not None and expected > _LONG and now >= self._said_at + _LONG:
            self._said_at = now
            said = "calls waiting for %s: %d; the first may go in %.1f s"
            _LIMITS.info(said, _FOR[reason], self.waiting, expected)

    def end(self, call: Call[Any], trace: CallTrace | None, reason: str, seconds: float) -> None:
        """Called by `_Wait`."""
        self.waiting -= 1
        self.waited += seconds
        if trace is not None:
            trace.waited += seconds
            trace.tell(Waited, reason=reason, seconds=seconds)
        if seconds > _LONG and _LIMITS.isEnabledFor(logging.INFO):
            path = self._scrub(call.path)
            _LIMITS.info("%s %s has waited %.1f s for %s", call.method, path, seconds, _FOR[reason])


class _Wait:
    """The block in which a call waits; made by `WaitTracker.wait`."""

    __slots__ = ("_began", "_call", "_expected", "_reason", "_trace", "_tracker")

    def __init__(
        self,
        tracker: WaitTracker,
        call: Call[Any],
        trace: CallTrace | None,
        reason: str,
        expected: float | None,
    ) -> None:
        self._tracker = tracker
        self._call = call
        self._trace = trace
        self._reason = reason
        self._expected = expected

    def __enter__(self) -> None:
        self._began = get_running_loop().time()
        self._tracker.begin(self._call, self._trace, self._reason, self._expected)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = get_running_loop().time() - self._began
        self._tracker.end(self._call, self._trace, self._reason, seconds)


def _words(error: BaseException) -> str:
    return "cancelled" if isinstance(error, CancelledError) else str(error) or type(error).__name__
