"""A run whose result is collected from a server's history, and what may be found out of it.

Values, at the bottom of this room; `matcher` alone writes a `TrackedRun`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from trmm_async import codec
from trmm_async.models import HistoryEntry, ScriptResult

__all__ = [
    "BOTTOM",
    "Ambiguous",
    "HistoryWaits",
    "MatchResult",
    "NoReport",
    "NotRun",
    "Reported",
    "Span",
    "TrackedRun",
    "Watermark",
]


@dataclass(frozen=True, slots=True)
class HistoryWaits:
    """For how long to wait, in seconds.

    Attributes:
        report: for the report, beyond the script's own timeout, and since the last report of the same
            sending: results of many take the server time.
        row: for the row of a single run, which is written before the answer.
        bulk_row: for the rows of many, which a queue writes after it, one after the other: since the sending,
            or the last row that was new.
        hurried: for an answer, at least, once a run was stopped: no pause that the server asks for is waited
            out.
    """

    report: float = 10.0
    row: float = 15.0
    bulk_row: float = 60.0
    hurried: float = 5.0


@dataclass(frozen=True, slots=True)
class Reported:
    """The agent has reported."""

    result: ScriptResult


@dataclass(frozen=True, slots=True)
class NoReport:
    """No report in time; `started`: whether the server has at least a row of it."""

    started: bool
    waited: float


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """It ran, and these rows could each be it."""

    rows: tuple[HistoryEntry, ...]


@dataclass(frozen=True, slots=True)
class NotRun:
    """The server failed before it had written a row: it certainly did not run."""


MatchResult = Reported | NoReport | Ambiguous | NotRun


class Watermark(NamedTuple):
    """The highest row of the history at some moment, and that row's time: what is sent later stands above."""

    row: int
    time: datetime | None


BOTTOM: Final = Watermark(0, None)


class Span(NamedTuple):
    """A part of the history, by the times of its rows: from when on, and up to when; None: no bound."""

    since: datetime | None
    until: datetime | None = None

    def holds(self, row: HistoryEntry) -> bool:
        """Whether that row stands in it."""
        if row.time is None:
            return False
        time = codec.utc(row.time)
        return (self.since is None or self.since <= time) and (self.until is None or time <= self.until)


@dataclass(slots=True, eq=False)
class TrackedRun:
    """One sending, to one agent or many. `RunMatcher` writes it; for everybody else it is there to be read.

    Attributes:
        script: the id of a script, or the text of a command.
        agent_ids: all of the targets; `pending` are those of whom nothing is known yet.
        rows_come_late: whether the server makes the rows after it has answered, not before.
        watermark: its rows stand above.
        may_be_sent: it may have reached the server, and run.
        lost: the answer to the sending was lost.
        recovered: it was sent by an earlier process, so whether it was answered is not known.
        absent_is_not_run: a missing row means that it did not run.
        expected: to how many of the agents the server sends it.
        seen: on how many agents there were rows that can be ours, as long as it is not known which are.
        rows: the rows that are ours, by agent.
        unseen: the agents whose rows did not come in time, though others' did.
        certain: the agents on which a further row can only be that of a later sending of ours.
        was_sought: the whole history was looked through for its row.
        settled: what has been found out and not yet been fetched, by agent.
        progress_at: when it was sent, or a row of it last came, or all had; from then on it is waited for.
        reported_at: when a result last came.
    """

    script: int | str
    timeout: float
    agent_ids: tuple[str, ...]
    rows_come_late: bool = False
    pending: set[str] = field(init=False)
    watermark: Watermark = BOTTOM
    sent_at: float = 0.0
    may_be_sent: bool = False
    is_sent: bool = False
    lost: bool = False
    recovered: bool = False
    absent_is_not_run: bool = False
    expected: int = field(init=False)
    seen: int = 0
    rows: dict[str, HistoryEntry] = field(default_factory=dict)
    settled: dict[str, MatchResult] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    certain: set[str] = field(default_factory=set)
    was_sought: bool = False
    identified: bool = False
    progress_at: float = 0.0
    reported_at: float = 0.0

    def __post_init__(self) -> None:
        self.pending = set(self.agent_ids)
        self.expected = len(self.agent_ids)

    def __repr__(self) -> str:
        return f"<TrackedRun script {self.script}: {len(self.pending)} pending, {len(self.rows)} rows>"
