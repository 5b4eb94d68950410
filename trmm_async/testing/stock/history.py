"""The history: what was run on agents, by whom, and with which result.

Below: `journal.py`. Above: `dialect.py`. A row has no results until the agent has reported.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from trmm_async.testing.replies import iso
from trmm_async.testing.routing import Route

from .view import crash, said, whole
from .visibility import Visibility

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import RunRecord
    from trmm_async.testing.replies import Asked, HTTPReply

    from .view import Json

__all__ = ["HistoryView"]


class HistoryView:
    """`/agents/history/`, `/agents/{agent_id}/history/` and `/agents/scripthistory/`."""

    def __init__(self, backend: Backend) -> None:
        self._world = backend.world
        self._journal = backend.world.journal
        self._visibility = Visibility(backend)

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        may = "can_list_agent_history"
        return (
            Route("GET", "/agents/history/", self.all, may),
            Route("GET", "/agents/scripthistory/", self.scripts, may),
            Route("GET", "/agents/{agent_id:agent}/history/", self.one, may),
        )

    def all(self, asked: Asked) -> HTTPReply:
        """`GET /agents/history/`: every row of agents that the role shows, at once and in no order."""
        rows = _unordered(self._journal.history.values())
        return said([self._row(row) for row in rows if self._visibility.shows_by_id(asked, row.agent_id)])

    def one(self, asked: Asked) -> HTTPReply:
        """`GET /agents/{agent_id}/history/`: in no order either."""
        agent = self._world.agent(asked.params["agent_id"])
        return said([self._row(row) for row in _unordered(self._journal.history_of(agent.agent_id))])

    def scripts(self, asked: Asked) -> HTTPReply:
        """`GET /agents/scripthistory/`: scripts alone, newest first, all of them unless there is a `limit`.

        Those of every agent: the one list that the server does not cut down to what a role shows.
        `start` and `end` act only together, and a whole day is added to `end`; `scriptname` is exact.
        """
        query = asked.row.query
        rows = [row for row in self._journal.history.values() if row.type == "script_run"]
        if query.get("start") and query.get("end"):
            first, last = _moment(query["start"]), _moment(query["end"]) + timedelta(days=1)
            rows = [row for row in rows if first.timestamp() <= row.time <= last.timestamp()]
        if name := query.get("scriptname"):
            rows = [row for row in rows if self._script_name(row) == name]
        rows.sort(key=lambda row: (row.time, row.id), reverse=True)
        return said([self._script_row(row) for row in rows[: _limit(query)]])

    def _script_name(self, row: RunRecord) -> str | None:
        script = self._world.scripts.get(row.script or 0)
        return script.name if script else None

    def _named(self, row: RunRecord) -> Json:
        name = self._script_name(row)
        return {} if name is None else {"script_name": name}

    def _pk(self, row: RunRecord) -> int:
        return self._world.agent(row.agent_id).pk

    def _row(self, row: RunRecord) -> Json:
        return {
            "id": row.id,
            **self._named(row),
            "time": iso(row.time),
            "type": row.type,
            "command": row.command,
            "username": row.username,
            "results": row.results,
            "script_results": row.script_results,
            "collector_all_output": row.collector_all_output,
            "save_to_agent_note": row.save_to_agent_note,
            "agent": self._pk(row),
            "script": row.script,
            "custom_field": row.custom_field,
        }

    def _script_row(self, row: RunRecord) -> Json:
        return {
            "id": row.id,
            "time": iso(row.time),
            "username": row.username,
            "script": row.script,
            "script_results": row.script_results,
            "agent": self._pk(row),
            **self._named(row),
            "agent_id": row.agent_id,
        }


def _unordered(rows: Iterable[RunRecord]) -> list[RunRecord]:
    """Return rows as a database does without an order: a changed row may be anywhere."""
    return sorted(rows, key=lambda row: (row.id * 29 % 53, row.id))


def _moment(text: str) -> datetime:
    """Return a time, also from a date alone; without an offset it is UTC. What is none crashes the server."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        crash()
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _limit(query: Mapping[str, str]) -> int | None:
    if not query.get("limit"):
        return None
    limit = whole(query["limit"])
    return limit if limit >= 0 else crash()
