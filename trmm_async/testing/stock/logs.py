"""The server's own logs, and the pending actions of agents.

Below: `activity_log.py` keeps them. Above: `dialect.py`. The two logs are asked for with `PATCH`, with
filters in the body.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from trmm_async.testing.forms import no_match
from trmm_async.testing.replies import iso
from trmm_async.testing.routing import Route

from .view import Fields, crash, refuse, said
from .visibility import Visibility

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Agent, Site
    from trmm_async.testing.replies import Asked, HTTPReply

    from .table import Row

__all__ = ["LogsView"]

LISTED, MANAGED = "can_list_pendingactions", "can_manage_pendingactions"
MOST_DEBUG_ROWS = 1000
DUE = {"agentupdate": "Next update cycle", "chocoinstall": "ASAP"}


class LogsView:
    """`/logs/…` and `/agents/{agent_id}/pendingactions/`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._world = backend.world
        self._activity = backend.activity
        self._visibility = Visibility(backend)

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        return (
            Route("PATCH", "/logs/audit/", self.audit, "can_view_auditlogs"),
            Route("PATCH", "/logs/debug/", self.debug, "can_view_debuglogs"),
            Route("GET", "/logs/pendingactions/", self.actions, LISTED),
            Route("DELETE", "/logs/pendingactions/{id:int}/", self.cancel, MANAGED),
            Route("GET", "/agents/{agent_id:agent}/pendingactions/", self.actions_of, LISTED),
        )

    # -- logs ------------------------------------------------------------------------------------------------

    def audit(self, asked: Asked) -> HTTPReply:
        """`PATCH /logs/audit/`: one page and how many rows there are in all.

        `pagination` and its four keys must be there. A page past the end is the last one again, without a
        word. Filters are lists, `timeFilter` is a number of days; `agentFilter` goes before `clientFilter`.
        """
        body = Fields.of(asked)
        pages = body.inner("pagination")
        key, descending = str(pages["sortBy"]), bool(pages["descending"])
        size, page = pages.whole("rowsPerPage"), pages.whole("page")
        rows = [row for row in self._activity.audit.values() if self._wanted(row, body)]
        rows = [row for row in rows if self._audited(asked, row)]
        if size < 1 or any(key not in row for row in rows):
            crash()
        rows.sort(key=lambda row: (str(row[key]) if key != "id" else "", row["id"]), reverse=descending)
        last = max(1, -(-len(rows) // size))
        number = last if page > last or page < 1 else page
        chosen = rows[(number - 1) * size : number * size]
        return said({"audit_logs": [self._shown(row) for row in chosen], "total": len(rows)})

    def _wanted(self, row: Row, body: Fields) -> bool:
        for name, column in (
            ("userFilter", "username"),
            ("actionFilter", "action"),
            ("objectFilter", "object_type"),
        ):
            if name in body and row[column] not in _listed(body[name]):
                return False
        if "agentFilter" in body:
            if row["agent_id"] not in _listed(body["agentFilter"]):
                return False
        elif "clientFilter" in body and self._client(row) not in _listed(body["clientFilter"]):
            return False
        return (
            "timeFilter" not in body or _time(row) > self._world.clock() - _days(body["timeFilter"]) * 86_400
        )

    def _audited(self, asked: Asked, row: Row) -> bool:
        """Whether the user sees a row. A role's sites count only if it names no clients."""
        user, agent = self._visibility.user(asked), self._world.agents.get(str(row["agent_id"]))
        clients, sites = self._visibility.named(user, "clients"), self._visibility.named(user, "sites")
        if not (clients or sites) or row["agent_id"] is None:
            return True
        if agent is None:
            return False
        return agent.site.client.id in clients if clients else agent.site.id in sites

    def _client(self, row: Row) -> int | None:
        agent = self._world.agents.get(str(row["agent_id"]))
        return agent.site.client.id if agent else None

    def _shown(self, row: Row) -> Row:
        agent = self._world.agents.get(str(row["agent_id"]))
        return row | {"site": site_row(agent.site, self._world.clock()) if agent else None}

    def debug(self, asked: Asked) -> HTTPReply:
        """`PATCH /logs/debug/`: at most 1000 rows, newest first; each filter is one value."""
        body = Fields.of(asked)
        wanted: list[Callable[[Row], bool]] = [
            lambda row, name=name, column=column: name not in body or row[column] == body[name]  # type: ignore[misc]
            for name, column in (
                ("logTypeFilter", "log_type"),
                ("logLevelFilter", "log_level"),
                ("agentFilter", "agent"),
            )
        ]
        rows = [row for row in self._activity.debug.values() if all(test(row) for test in wanted)]
        visibility = self._visibility
        rows = [row for row in rows if row["agent"] is None or visibility.shows_by_id(asked, row["agent"])]
        return said([self._complaint(row) for row in rows[::-1][:MOST_DEBUG_ROWS]])

    def _complaint(self, row: Row) -> Row:
        agent = self._world.agents.get(str(row["agent"]))
        rest = {name: value for name, value in row.items() if name != "agent"}
        return rest | ({"agent": agent.hostname} if agent else {})

    # -- pending actions -------------------------------------------------------------------------------------

    def actions(self, asked: Asked) -> HTTPReply:
        """`GET /logs/pendingactions/`."""
        rows = self._with_agents()
        return said(
            [self._action(row, agent) for row, agent in rows if self._visibility.shows(asked, agent.site)]
        )

    def actions_of(self, asked: Asked) -> HTTPReply:
        """`GET /agents/{agent_id}/pendingactions/`."""
        wanted = self._world.agent(asked.params["agent_id"])
        return said([self._action(row, agent) for row, agent in self._with_agents() if agent is wanted])

    async def cancel(self, asked: Asked) -> HTTPReply:
        """`DELETE /logs/pendingactions/{id}/`: a reboot only if the agent answers, within 10 s."""
        row = self._activity.actions.get(int(asked.params["id"]))
        agent = self._world.agents.get(str(row["agent"])) if row else None
        if row is None or agent is None:
            raise no_match("PendingAction")
        self._visibility.check_agent(asked, agent)
        if row["action_type"] == "schedreboot" and (word := await self._backend.bus.silence(agent, 10)):
            refuse(word)
        self._activity.actions.pop(int(asked.params["id"]), None)
        return said(f"{agent.hostname}: {_description(row)} was cancelled")

    def _with_agents(self) -> list[tuple[Row, Agent]]:
        agents = self._world.agents
        return [
            (row, agents[str(row["agent"])])
            for row in self._activity.actions.values()
            if row["agent"] in agents
        ]

    def _action(self, row: Row, agent: Agent) -> Row:
        details = row["details"] if isinstance(row["details"], dict) else {}
        kind = str(row["action_type"])
        return row | {
            "agent": agent.pk,
            "hostname": agent.hostname,
            "client": agent.site.client.name,
            "site": agent.site.name,
            "due": details["time"] if kind == "schedreboot" else DUE.get(kind, "On next checkin"),
            "description": _description(row),
        }


def _description(row: Row) -> str:
    details = row["details"] if isinstance(row["details"], dict) else {}
    kind = str(row["action_type"])
    words = {
        "schedreboot": "Device pending reboot",
        "agentupdate": f"Agent update to {details.get('version')}",
        "chocoinstall": f"{details.get('name')} software install",
    }
    return words.get(kind, kind)


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | str) else crash()


def _days(value: object) -> float:
    return value if isinstance(value, int | float) else crash()


def _time(row: Row) -> float:
    return datetime.fromisoformat(str(row["entry_time"])).timestamp()


def site_row(site: Site, now: float) -> Row:
    """Return a site as the server shows it beside something else."""
    stamps = {"created_by": None, "created_time": iso(now), "modified_by": None, "modified_time": iso(now)}
    return {
        "id": site.id,
        "client_name": site.client.name,
        **stamps,
        "name": site.name,
        "block_policy_inheritance": site.block_policy_inheritance,
        "failing_checks": {"error": False, "warning": False},
        "client": site.client.id,
        "workstation_policy": None,
        "server_policy": None,
        "alert_template": None,
    }
