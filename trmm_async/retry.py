"""Decides whether a call is sent again, and what the failure means if it is not. Pure.

The transport reports what happened (`Reply`, `NoReply`), and `Tries` answers with what to do (`Again`,
`Final`). Nothing else in the package decides about sending a call twice.
"""

import enum
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trmm_async.calls import Replay
from trmm_async.codec import http_date

__all__ = ["Again", "Final", "Meaning", "NoReply", "Reply", "RetryPolicy", "Stage", "Tries", "retry_after"]

_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?", re.ASCII)
_OF_A_PROXY = frozenset({502, 503, 504})
_RAN_OUT = frozenset({408, 460, 499})
"""Statuses of proxies (nginx, Amazon) for a timeout, or for a client that hung up. They refuse nothing."""
_BACKOFF_FIRST = 0.25
_BACKOFF_MOST = 8.0
_DOUBLINGS_MOST = 10


class Stage(enum.Enum):
    """How far a call got that has no readable answer."""

    NOT_SENT = "it never reached the server"
    LOST = "it was sent, the connection broke before the answer was whole"
    LATE = "it was sent, no answer in time"
    UNREADABLE = "it was answered with success, the answer can't be read"


@dataclass(frozen=True, slots=True)
class Reply:
    """The server's answer. Headers have lower-case names.

    An answer may repeat what the server was sent, even the key, so headers and body are not in the repr.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status is a success."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class NoReply:
    """There is no readable answer: how far the call got, and why; with the exception, if it may be shown.

    `is_final` means that the call never reached the server, and would not reach it the next time either.
    """

    stage: Stage
    reason: str
    cause: BaseException | None = None
    reply: Reply | None = None
    is_final: bool = False


class Meaning(enum.Enum):
    """The outcome of a call that is not sent again."""

    ANSWERED = "the server's answer stands, good or bad"
    DONE = "it has succeeded; an earlier answer was lost"
    FAILED = "it changed nothing"
    UNKNOWN = "it may have changed something"


@dataclass(frozen=True, slots=True)
class Again:
    """Send it again in `delay` seconds. `everyone`: the server asked for it, so other calls wait, too."""

    delay: float
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class Final:
    """Don't send it again."""

    meaning: Meaning


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `retries` attempts after the first, and `patience` seconds of waiting between them in all."""

    retries: int = 3
    patience: float = 120.0


class Tries:
    """The attempts of one call, and the decision after each.

    Attributes:
        sent: how many attempts there were.
        waited: seconds of waiting between them, including the wait that was decided last.
        asked: seconds that the server's last answer asked to wait; None if it did not.
        renewed: whether the key source was asked for another key.
    """

    def __init__(
        self,
        replay: Replay,
        policy: RetryPolicy,
        *,
        gone_is_done: bool = False,
        definite: frozenset[int] = frozenset(),
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._replay = replay
        self._policy = policy
        self._gone_is_done = gone_is_done
        self._definite = definite
        self._jitter = jitter
        self._answer_lost = False
        self.sent: int = 0
        self.waited: float = 0.0
        self.asked: float | None = None
        self.renewed: bool = False

    def __repr__(self) -> str:
        return f"<Tries {self._replay.name}: {self.sent} sent, {self.waited:.1f} s waited>"

    @property
    def had_effect(self) -> bool:
        """Whether any of the attempts so far may have changed something."""
        return self._answer_lost

    def judge(self, result: Reply | NoReply, now: datetime) -> Again | Final:
        """What to do after this attempt. `now` is our wall clock; see `retry_after`."""
        self.sent += 1
        if isinstance(result, Reply) and result.ok:
            return Final(Meaning.ANSWERED)
        self.asked = retry_after(result.headers, now) if isinstance(result, Reply) else None
        if self._may_repeat(result) and (again := self._wait(result)) is not None:
            self._answer_lost = self._answer_lost or self._may_have_worked(result)
            return again
        return Final(self._meaning(result))

    def _may_repeat(self, result: Reply | NoReply) -> bool:
        if isinstance(result, NoReply):
            return (result.stage is Stage.NOT_SENT and not result.is_final) or (
                result.stage is Stage.LOST and self._replay is not Replay.NEVER
            )
        status = result.status
        if status in self._definite:
            return False
        if status == 429:
            return True
        if status in _OF_A_PROXY:
            return self._replay is not Replay.NEVER
        return status == 500 and self._replay is Replay.SAFE

    def _wait(self, result: Reply | NoReply) -> Again | None:
        """How long to wait for the next attempt; None if there must be none."""
        if self.sent > self._policy.retries:
            return None
        # Only the upper half of the interval is random: many clients that failed together are spread out.
        doubled = _BACKOFF_FIRST * 2.0 ** min(self.sent - 1, _DOUBLINGS_MOST)
        backoff = min(_BACKOFF_MOST, doubled) * (0.5 + self._jitter() / 2)
        asked = 0.0 if self.asked is None else self.asked + self._jitter() * _BACKOFF_FIRST
        # If the server asks for a wait of 0 seconds, the back-off applies all the same.
        delay = max(backoff, asked)
        if self.waited + delay > self._policy.patience:
            return None
        self.waited += delay
        return Again(delay, everyone=isinstance(result, Reply) and result.status == 429)

    def _may_have_worked(self, result: Reply | NoReply) -> bool:
        if self._replay is Replay.SAFE:
            return False
        if isinstance(result, NoReply):
            return result.stage is not Stage.NOT_SENT
        # Only a refusal proves that nothing was done. A 503 does not, whatever its headers: a default Varnish
        # adds Retry-After to each, also if its backend had read the request. A redirect or a 101 does not:
        # the application may answer so when everything is done. A proxy's timeout does not.
        return not 400 <= result.status < 500 or result.status in _RAN_OUT

    def _meaning(self, result: Reply | NoReply) -> Meaning:
        if self._may_have_worked(result):
            return Meaning.UNKNOWN
        if self._answer_lost:
            gone = isinstance(result, Reply) and result.status == 404 and self._gone_is_done
            return Meaning.DONE if gone else Meaning.UNKNOWN
        return Meaning.FAILED if isinstance(result, NoReply) else Meaning.ANSWERED


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or a date; None if it is absent or invalid.

    A date is compared with the answer's own `Date`, since our clock may differ from the server's by minutes.
    `now`, by our clock, is used for an answer without `Date`.
    """
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    until = http_date(value)
    if until is None:
        return None
    since = http_date(headers.get("date", "").strip()) or now
    return max(0.0, (until - since).total_seconds())
