"""A run whose result is collected from a server's history, and what can be found out about it.

Values, used by all other modules of this room. Only `matcher` writes a `TrackedRun`.
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
        report: for an agent's report, beyond the script's own timeout and since the last report of the same
            run: the server needs time for the results of many agents.
        row: for the row of a run on one agent, which the server writes before it answers.
        bulk_row: for the rows of a run on many agents, which the server writes one after the other after it
            answered: since the run was sent, or since the last new row.
        hurried: for an answer, at least, after a run was stopped. A pause that the server asks for (429) is
            then not waited out.
    """

    report: float = 10.0
    row: float = 15.0
    bulk_row: float = 60.0
    hurried: float = 5.0


@dataclass(frozen=True, slots=True)
class Reported:
    """The agent has reported a result."""

    result: ScriptResult


@dataclass(frozen=True, slots=True)
class NoReport:
    """There was no report in time. `started`: whether the server has a row of the run."""

    started: bool
    waited: float


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """It ran, and each of these rows could be the run."""

    rows: tuple[HistoryEntry, ...]


@dataclass(frozen=True, slots=True)
class NotRun:
    """It certainly did not run: the server failed before it wrote a row."""


MatchResult = Reported | NoReport | Ambiguous | NotRun


class Watermark(NamedTuple):
    """The highest row of the history at some moment, and its time. Later runs have higher rows."""

    row: int
    time: datetime | None


BOTTOM: Final = Watermark(0, None)


class Span(NamedTuple):
    """A part of the history, by the times of its rows: from `since` to `until`; None for no limit."""

    since: datetime | None
    until: datetime | None = None

    def holds(self, row: HistoryEntry) -> bool:
        """Whether this row is in it."""
        if row.time is None:
            return False
        time = codec.utc(row.time)
        return (self.since is None or self.since <= time) and (self.until is None or time <= self.until)


@dataclass(slots=True, eq=False)
class TrackedRun:
    """One run, on one agent or many. Only `RunMatcher` writes it; everybody else only reads it.

    Attributes:
        script: the id of a script, or the text of a command.
        agent_ids: all of the targets.
        pending: the targets of which nothing is known yet.
        rows_come_late: whether the server writes the rows after it has answered, not before.
        watermark: the rows of the run have higher numbers.
        may_be_sent: the run may have reached the server, and be carried out.
        lost: the answer to the call was lost.
        recovered: an earlier process sent it, so it is not known whether it was answered.
        absent_is_not_run: a missing row means that it did not run.
        expected: to how many of the agents the server sends it.
        seen: the number of agents with rows that could be ours, as long as it is not known which rows are.
        identified: it is known which rows are ours: those in `rows`, by agent.
        unseen: the agents whose rows did not come in time, though others' did.
        certain: the agents on which a further row can only be that of a later run of ours.
        was_sought: the whole history was read for its row.
        settled: what was found out and has not been taken yet, by agent.
        progress_at: when it was sent, or its last new row came, or its rows were identified. Waits for rows
            begin then.
        reported_at: when the last result came.
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
