"""Rows of a history that a look reads."""

from datetime import UTC, datetime, timedelta

from trmm_async.models import HistoryEntry, ScriptResult
from trmm_async.stream.position import Position, RunsPlace
from trmm_async.stream.runs import Runs

__all__ = ["THEN", "row", "runs_of"]

THEN = datetime(2026, 4, 21, 8, 0, tzinfo=UTC)


def row(number: int, *, at: timedelta = timedelta(0), done: bool = True) -> HistoryEntry:
    result = ScriptResult(retcode=3, stdout="out\n", stderr="err\n") if done else None
    return HistoryEntry(id=number, agent_id="a", time=THEN + at, script=7, result=result)


def runs_of(position: Position) -> Runs:
    assert position.source is None or isinstance(position.source, RunsPlace)
    return Runs(position.source)
