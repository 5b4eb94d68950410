"""Automation policies: their checks and tasks, and what they apply to.

Below: `database.py`. Above: `dialect.py`. A policy here applies to nothing: agents do not inherit its checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trmm_async.testing.routing import Route

from . import checks, tasks
from .room import Fields, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trmm_async.testing.replies import Asked, Reply
    from trmm_async.testing.stage import Stage

    from .table import Row

__all__ = ["Automation"]

LISTED, MANAGED = "can_list_automation_policies", "can_manage_automation_policies"
RELATED = ("workstation_clients", "workstation_sites", "server_clients", "server_sites", "agents")


class Automation:
    """`/automation/…`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._database = stage.database

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        every, one = "/automation/policies/", "/automation/policies/{id:int}/"
        return (
            Route("GET", every, self.all, LISTED),
            Route("POST", every, self.create, MANAGED),
            Route("GET", every + "overview/", self.overview, LISTED),
            Route("GET", one, self.get, LISTED),
            Route("PUT", one, self.update, MANAGED),
            Route("DELETE", one, self.delete, MANAGED),
            Route("GET", one + "related/", self.related, LISTED),
            Route("GET", one + "checks/", self.checks, "can_list_checks"),
            Route("GET", one + "tasks/", self.tasks, "can_list_autotasks"),
            Route("GET", "/automation/checks/{id:int}/status/", self.check_status, LISTED),
            Route("GET", "/automation/tasks/{id:int}/status/", self.task_status, LISTED),
            Route("POST", "/automation/tasks/{id:int}/run/", self.run, MANAGED),
        )

    def all(self, _asked: Asked) -> Reply:
        """`GET /automation/policies/`: without `alert_template` where there is none."""
        return said([_listed(row) for row in self._database.policies])

    def get(self, asked: Asked) -> Reply:
        """`GET /automation/policies/{id}/`."""
        return said(self._database.policies.get(asked.params["id"]))

    def create(self, asked: Asked) -> Reply:
        """`POST /automation/policies/`: with `copyId` the other policy's checks and tasks too."""
        body = Fields.of(asked)
        row = self._database.policies.create(body, asked.user)
        if "copyId" in body:
            source = self._database.policies.get(body.whole("copyId"))
            for table in (self._database.checks, self._database.tasks):
                for each in [other for other in table if other["policy"] == source["id"]]:
                    table.add({name: each[name] for name in table.form.fields} | {"policy": row["id"]})
        return said("ok")

    def update(self, asked: Asked) -> Reply:
        """`PUT /automation/policies/{id}/`."""
        self._database.policies.update(asked.params["id"], Fields.of(asked), asked.user)
        return said("ok")

    def delete(self, asked: Asked) -> Reply:
        """`DELETE /automation/policies/{id}/`: with its checks and tasks."""
        number = self._database.policies.remove(asked.params["id"])["id"]
        for table in (self._database.checks, self._database.tasks):
            for row in [each for each in table if each["policy"] == number]:
                table.remove(str(row["id"]))
        return said("ok")

    def related(self, asked: Asked) -> Reply:
        """`GET /automation/policies/{id}/related/`: an unknown one is 200 with an empty name."""
        row = self._database.policies.rows.get(int(asked.params["id"]))
        if row is None:
            return said({"name": ""})
        defaults = {"is_default_server_policy": False, "is_default_workstation_policy": False}
        return said({"pk": row["id"], "name": row["name"], **{name: [] for name in RELATED}, **defaults})

    def overview(self, _asked: Asked) -> Reply:
        """`GET /automation/policies/overview/`: by client and site."""
        none = {"workstation_policy": None, "server_policy": None}
        world = self._stage.world
        return said(
            [
                {
                    "pk": client.id,
                    "name": client.name,
                    "sites": [
                        {"pk": site.id, "name": site.name, **none} for site in world.sites_of(client.id)
                    ],
                    **none,
                }
                for client in world.clients.values()
            ]
        )

    def checks(self, asked: Asked) -> Reply:
        """`GET /automation/policies/{id}/checks/`."""
        number, all_tasks = self._database.policies.get(asked.params["id"])["id"], self._database.all_tasks()
        theirs = [row for row in self._database.checks if row["policy"] == number]
        return said([checks.shown(self._stage, row, all_tasks) for row in theirs])

    def tasks(self, asked: Asked) -> Reply:
        """`GET /automation/policies/{id}/tasks/`."""
        number = self._database.policies.get(asked.params["id"])["id"]
        theirs = [row for row in self._database.tasks if row["policy"] == number]
        return said([tasks.shown(self._stage, row, {}) for row in theirs])

    def check_status(self, _asked: Asked) -> Reply:
        """`GET /automation/checks/{id}/status/`: on no agent."""
        return said([])

    def task_status(self, asked: Asked) -> Reply:
        """`GET /automation/tasks/{id}/status/`: where it ran."""
        result = self._database.results.get(int(asked.params["id"]))
        agents = self._stage.world.agents.values()
        names = {agent.pk: agent.hostname for agent in agents}
        known = result is not None and result["agent"] in names
        return said([{**result, "hostname": names[int(str(result["agent"]))]}] if result and known else [])

    def run(self, _asked: Asked) -> Reply:
        """`POST /automation/tasks/{id}/run/`: says yes to any number, and runs on no agent."""
        return said("Affected agent tasks will run shortly")


def _listed(row: Row) -> Row:
    shown = {
        **row,
        "default_server_policy": False,
        "default_workstation_policy": False,
        "agents_count": 0,
        "winupdatepolicy": [],
    }
    if shown["alert_template"] is None:
        del shown["alert_template"]
    return shown
