"""The history of a stock server: what was run on one agent, and the script runs of all agents."""

from collections.abc import Callable, Mapping
from datetime import MAXYEAR, datetime, timedelta
from functools import partial
from typing import Any, Final

import msgspec

from trmm_async import codec
from trmm_async.calls import Call
from trmm_async.dialects.base import SentResult
from trmm_async.dialects.stock.agents import (
    AGENT,
    AGENTS,
    SHORT,
    agent_of_detail,
    ids_of_agents,
    listed_statuses,
)
from trmm_async.dialects.stock.endpoint import read, read_as
from trmm_async.models import HistoryEntry, Moment, ScriptResult, no_extra

__all__ = [
    "AGENT_HISTORY",
    "EVERYTHING",
    "FOREVER",
    "SCRIPTS",
    "commands_of_all",
    "commands_of_one",
    "name_of_user",
    "newest_runs",
    "runs_within",
    "statuses_of",
    "visible_agents",
]

_NEWEST: Final = 5
"""More than one: the list is in the order of times, and the ids of rows may have another order."""

_NAME_MOST: Final = 50

FOREVER: Final = "2100-01-01T00:00:00Z"
"""The server ignores the start of a span if no end is given."""


class _HistoryRow(msgspec.Struct):
    id: int
    agent_id: str | None = None
    agent: int | None = None
    type: str = "script_run"
    time: Moment | None = None
    username: str | None = None
    command: str | None = None
    results: str | None = None
    script: int | None = None
    script_name: str | None = None
    script_results: SentResult | None = None
    extra: Mapping[str, Any] = no_extra()


class _Key(msgspec.Struct):
    username: str
    key: str

    def __repr__(self) -> str:
        return f"<a key of {self.username}>"


def newest_runs() -> Call[list[HistoryEntry]]:
    """A few script runs, the newest first."""
    return RUNS.call(query={"limit": _NEWEST})


def runs_within(since: datetime | None, until: datetime | None = None) -> Call[list[HistoryEntry]]:
    """The script runs between two times of the server's clock, the newest first; None for no limit."""
    if since is None:
        return RUNS.call()
    # The server adds a day to the end of a span.
    end = FOREVER if until is None else codec.instant(codec.shifted(until, timedelta(days=-1)))
    return RUNS.call(query={"start": codec.instant(since), "end": end})


def visible_agents() -> Call[frozenset[str]]:
    """The ids of the agents that the key may see."""
    return read_as(AGENTS.call(query=SHORT), ids_of_agents)


def name_of_user(is_it: Callable[[str], bool]) -> Call[str | None]:
    """The username in rows of the API key for which `is_it` is True; None if it can't be seen."""
    # No call says whose key it is, but the list of all keys does, if this key may read it. A row of the
    # history has the first 50 characters of a name.
    return read_as(KEYS.call(), codec.ListDecoder(_Key, partial(_names, is_it), _first))


def statuses_of(agent_ids: frozenset[str]) -> Call[Mapping[str, str]]:
    """The status of these agents, as in `Agent.status`, without agents that the server doesn't know."""
    if len(agent_ids) == 1:
        (agent_id,) = agent_ids
        return read_as(AGENT.call(agent_id), _status)
    return read_as(AGENTS.call(), listed_statuses(agent_ids))


class _AnyRow(msgspec.Struct, gc=False):
    """A row of the history of all agents; `agent` is the server's integer for one."""

    id: int
    agent: int
    type: str = ""
    time: Moment | None = None
    username: str | None = None
    command: str | None = None
    results: str | None = None


def commands_of_one(agent_id: str) -> Call[list[HistoryEntry]]:
    """All commands of one agent. The output of each is in its row's `result`."""
    return read_as(AGENT_HISTORY.call(agent_id), _commands_of(agent_id))


def commands_of_all(agents: Mapping[int, str]) -> Call[list[HistoryEntry]]:
    """The commands of these agents, by the integers that rows have for them; in flat memory.

    The history of all agents has no filter, so the server sends every row.
    """
    commands: codec.ListDecoder[list[HistoryEntry]] = codec.ListDecoder(_AnyRow, partial(_kept, agents))
    return read_as(HISTORY.call(), commands)


def _kept(agents: Mapping[int, str], rows: list[_AnyRow]) -> list[HistoryEntry]:
    return [
        HistoryEntry(
            id=row.id,
            agent_id=agents[row.agent],
            type=row.type,
            time=_placed(row.time),
            username=row.username,
            command=row.command,
            result=_printed(row.results),
        )
        for row in rows
        if row.type == "cmd_run" and row.agent in agents
    ]


def _commands_of(agent_id: str) -> codec.ListDecoder[list[HistoryEntry]]:
    def some(rows: list[_HistoryRow]) -> list[HistoryEntry]:
        return [
            msgspec.structs.replace(_entry(row, agent_id), result=_printed(row.results))
            for row in rows
            if row.type == "cmd_run"
        ]

    return codec.ListDecoder(_HistoryRow, some)


def _printed(results: str | None) -> ScriptResult | None:
    return None if results is None else ScriptResult(stdout=results)


def _entry(row: _HistoryRow, agent_id: str | None) -> HistoryEntry:
    return HistoryEntry(
        id=row.id,
        agent_id=agent_id,
        type=row.type,
        time=_placed(row.time),
        username=row.username,
        command=row.command or None,
        output=row.results,
        script=row.script,
        script_name=row.script_name,
        result=None if row.script_results is None else row.script_results.result(),
        extra=row.extra,
    )


def _by_number(rows: list[HistoryEntry]) -> list[HistoryEntry]:
    return sorted(rows, key=lambda row: row.id)


_entries: Final[codec.ListDecoder[list[HistoryEntry]]] = codec.listed(
    _HistoryRow,
    lambda row: _entry(row, row.agent_id),
)
_of_one_agent: Final = codec.listed(_HistoryRow, partial(_entry, agent_id=None), _by_number)

_of_all: Final[codec.ListDecoder[list[tuple[int | None, HistoryEntry]]]] = codec.listed(
    _HistoryRow,
    lambda row: (row.agent, _entry(row, None)),
    lambda rows: sorted(rows, key=lambda row: row[1].id),
)

AGENT_HISTORY: Final = read(
    "agents.history", "/agents/{agent:agent}/history/", list[HistoryEntry], decode=_of_one_agent
)
"""Everything that was run on one agent, the oldest first. The rows don't say which agent it is."""

EVERYTHING: Final = read(
    "agents.history", "/agents/history/", list[tuple[int | None, HistoryEntry]], decode=_of_all
)
"""Everything that was run, the oldest first, each row with the server's integer for its agent."""

SCRIPTS: Final = read("agents.script_history", "/agents/scripthistory/", list[HistoryEntry], decode=_entries)
RUNS: Final = read("agents.run_script", "/agents/scripthistory/", list[HistoryEntry], decode=_entries)
HISTORY: Final = read("fleet.run_command", "/agents/history/", list[HistoryEntry], takes=120.0)
KEYS: Final = read("agents.run_script", "/accounts/apikeys/", list[_Key], secret=True)


def _placed(time: datetime | None) -> datetime | None:
    """A time that can be compared with others; None at an end of the calendar."""
    return time if time is not None and 1 < time.year < MAXYEAR else None


def _names(is_it: Callable[[str], bool], keys: list[_Key]) -> list[str]:
    return [one.username[:_NAME_MOST] for one in keys if is_it(one.key)]


def _first(names: list[str]) -> str | None:
    return names[0] if names else None


def _status(body: bytes) -> Mapping[str, str]:
    agent = agent_of_detail(body)
    return {agent.agent_id: agent.status}
