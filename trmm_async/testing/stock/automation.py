"""Automation policies: their checks and tasks, and what they apply to.

Below: `database.py`, `reach.py`. Above: `dialect.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trmm_async.testing.routing import Route

from . import agent_shapes as shapes
from . import checks, tasks
from .reach import reached_by
from .setup_rows import INSTALLED
from .view import Fields, crash, invalid, said
from .visibility import Visibility

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Client, Site
    from trmm_async.testing.replies import Asked, HTTPReply

    from .table import Row

__all__ = ["AutomationView", "shown_client", "shown_site"]

LISTED, MANAGED = "can_list_automation_policies", "can_manage_automation_policies"
DEFAULTS = ("server_policy", "workstation_policy")
RESET = {
    **dict.fromkeys(("critical", "important", "moderate", "low", "other"), "inherit"),
    "run_time_frequency": "inherit",
    "reboot_after_install": "inherit",
    "reprocess_failed_inherit": True,
}


class AutomationView:
    """`/automation/…`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._database = backend.database
        self._visibility = Visibility(backend)

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        every, one = "/automation/policies/", "/automation/policies/{id:int}/"
        patch = "/automation/patchpolicy/"
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
            *(
                Route(method, f"/automation/tasks/{{id:int}}/{word}/", handler, allowed)
                for word in ("status", "run")
                for method, handler, allowed in (
                    ("GET", self.task_status, LISTED),
                    ("POST", self.run, "can_run_autotasks"),
                )
            ),
            Route("POST", patch, self.create_patch_policy, MANAGED),
            Route("POST", patch + "reset/", self.reset_patch_policies, MANAGED),
            Route("PUT", patch + "{id:int}/", self.update_patch_policy, MANAGED),
            Route("DELETE", patch + "{id:int}/", self.delete_patch_policy, MANAGED),
        )

    def all(self, _asked: Asked) -> HTTPReply:
        """`GET /automation/policies/`: without `alert_template` where there is none."""
        return said([self._listed(row) for row in self._database.policies])

    def get(self, asked: Asked) -> HTTPReply:
        """`GET /automation/policies/{id}/`."""
        return said(self._database.policies.get(asked.params["id"]))

    def create(self, asked: Asked) -> HTTPReply:
        """`POST /automation/policies/`: with `copyId` the other policy's checks and tasks too."""
        body = _object(asked)
        values = self._read(body)
        name = values.setdefault("name", "")
        if any(row["name"] == name for row in self._database.policies):
            crash()
        row = self._database.policies.add(values, asked.user)
        if "copyId" in body:
            if body.whole("copyId") not in self._database.policies:
                crash()
            self._copy(body.whole("copyId"), row)
        return said("ok")

    def _copy(self, source: int, row: Row) -> None:
        """Copy checks with the tasks that run when they fail, and the tasks without a check."""
        of_source = [each for each in self._database.checks if each["policy"] == source]
        numbers: dict[object, object] = {None: None}
        for check in of_source:
            columns = {name: check[name] for name in self._database.checks.form.fields}
            made = self._database.checks.add(columns | {"policy": row["id"], "env_vars": []})
            self._database.check_changed(made)
            numbers[check["id"]] = made["id"]
        for task in [each for each in self._database.tasks if each["policy"] == source]:
            columns = {name: task[name] for name in self._database.tasks.form.fields}
            check_of = numbers[task["assigned_check"]]
            made = self._database.tasks.add(columns | {"policy": row["id"], "assigned_check": check_of})
            self._database.task_changed(made)

    def _read(self, body: Fields, itself: Row | None = None) -> Row:
        values = self._database.policies.form.read(body, partial=True)
        name = values.get("name")
        if name and any(row["name"] == name for row in self._database.policies if row is not itself):
            invalid(name="policy with this name already exists.")
        return values

    def update(self, asked: Asked) -> HTTPReply:
        """`PUT /automation/policies/{id}/`."""
        row = self._database.policies.get(asked.params["id"])
        before = row["active"], row["enforced"]
        self._database.policies.change(row, self._read(Fields.of(asked), row), asked.user)
        if before != (row["active"], row["enforced"]):
            self._database.policy_cache.forget_all()
        return said("ok")

    def delete(self, asked: Asked) -> HTTPReply:
        """`DELETE /automation/policies/{id}/`: with its checks and tasks."""
        number = self._database.policies.remove(asked.params["id"])["id"]
        self._database.policy_cache.forget_all()
        for table in (self._database.checks, self._database.tasks):
            for row in [each for each in table if each["policy"] == number]:
                table.remove(str(row["id"]))
        for holder, name in self._holders():
            if getattr(holder, name) == number:
                setattr(holder, name, None)
        for name in DEFAULTS:
            if self._database.settings[name] == number:
                self._database.settings[name] = None
        return said("ok")

    def _holders(self) -> Iterator[tuple[object, str]]:
        """Yield everything that may have a policy, each with the name of the attribute that has it."""
        world = self._backend.world
        for place in (*world.clients.values(), *world.sites.values()):
            for name in DEFAULTS:
                yield place, name
        for agent in world.agents.values():
            yield agent, "policy"

    def related(self, asked: Asked) -> HTTPReply:
        """`GET /automation/policies/{id}/related/`: an unknown one is 200 with an empty name."""
        row = self._database.policies.rows.get(int(asked.params["id"]))
        if row is None:
            return said({"name": ""})
        number, world = row["id"], self._backend.world
        places: Row = {}
        visibility = self._visibility
        for kind in ("workstation", "server"):
            name = f"{kind}_policy"
            clients = [each for each in world.clients.values() if getattr(each, name) == number]
            sites = [each for each in world.sites.values() if getattr(each, name) == number]
            places[f"{kind}_clients"] = [
                shown_client(each) for each in clients if visibility.shows_client(asked, each)
            ]
            places[f"{kind}_sites"] = [shown_site(each) for each in sites if visibility.shows(asked, each)]
        agents = [shapes.short(each) for each in visibility.agents(asked) if each.policy == number]
        defaults = {f"is_default_{name}": self._database.settings[name] == number for name in DEFAULTS}
        return said({"pk": number, "name": row["name"], **places, "agents": agents, **defaults})

    def overview(self, asked: Asked) -> HTTPReply:
        """`GET /automation/policies/overview/`: by client and site; every site of a client that is shown."""
        world = self._backend.world
        return said(
            [
                {
                    "pk": client.id,
                    "name": client.name,
                    "sites": [
                        {"pk": site.id, "name": site.name, **self._set_at(site)}
                        for site in world.sites_of(client.id)
                    ],
                    **self._set_at(client),
                }
                for client in world.clients.values()
                if self._visibility.shows_client(asked, client)
            ]
        )

    def _set_at(self, place: Client | Site) -> Row:
        rows = self._database.policies.rows
        return {name: rows.get(getattr(place, name)) for name in DEFAULTS}

    def checks(self, asked: Asked) -> HTTPReply:
        """`GET /automation/policies/{id}/checks/`."""
        number, all_tasks = self._database.policies.get(asked.params["id"])["id"], self._database.all_tasks()
        theirs = [row for row in self._database.checks if row["policy"] == number]
        return said([checks.shown(self._backend, row, all_tasks) for row in theirs])

    def tasks(self, asked: Asked) -> HTTPReply:
        """`GET /automation/policies/{id}/tasks/`."""
        number = self._database.policies.get(asked.params["id"])["id"]
        theirs = [row for row in self._database.tasks if row["policy"] == number]
        return said([tasks.shown(self._backend, row, {}) for row in theirs])

    def check_status(self, asked: Asked) -> HTTPReply:
        """`GET /automation/checks/{id}/status/`: where it ran."""
        return said(self._results("check", int(asked.params["id"])))

    def task_status(self, asked: Asked) -> HTTPReply:
        """`GET /automation/tasks/{id}/status/`: on all that have it, and where it ran once."""
        number = int(asked.params["id"])
        row = self._database.tasks.rows.get(number)
        if row is not None and row["policy"] is not None:
            for agent in reached_by(self._database, self._backend.world, row["policy"]):
                self._database.result_of_policy("task", number, agent)
        return said(self._results("task", number))

    def _results(self, what: str, number: int) -> list[Row]:
        names = {agent.pk: agent.hostname for agent in self._backend.world.agents.values()}
        rows = self._database.on_agents.items()
        return [
            {**row, "hostname": names[pk]}
            for (kind, of, pk), row in rows
            if (kind, of) == (what, number) and pk in names
        ]

    def run(self, asked: Asked) -> HTTPReply:
        """`POST /automation/tasks/{id}/run/`: on every agent of its policy. Any number is answered 200."""
        row = self._database.tasks.rows.get(int(asked.params["id"]))
        if row is not None and row["policy"] is not None:
            for agent in reached_by(self._database, self._backend.world, row["policy"]):
                self._database.result_of_policy("task", int(str(row["id"])), agent)
                if self._backend.bus.hears(agent):
                    self._backend.runner.later(tasks.perform(self._backend, row, agent))
        return said("Affected agent tasks will run shortly")

    # -- patch policies --------------------------------------------------------------------------------------

    def create_patch_policy(self, asked: Asked) -> HTTPReply:
        """`POST /automation/patchpolicy/`: a second of the same policy is made, and counts for nothing."""
        body = Fields.of(asked)
        policy = self._database.policies.get(body.whole("policy"))
        self._database.patch_policies.create(
            body.plain() | {"policy": policy["id"], "agent": None}, asked.user
        )
        return said("ok")

    def update_patch_policy(self, asked: Asked) -> HTTPReply:
        """`PUT /automation/patchpolicy/{id}/`: an agent's own too."""
        number = int(asked.params["id"])
        for agent in self._backend.world.agents.values():
            if shapes.update_policy(agent)["id"] == number and number not in self._database.patch_policies:
                agent.update_policy |= self._database.patch_policies.form.read(Fields.of(asked), partial=True)
                return said("ok")
        self._database.patch_policies.update(number, Fields.of(asked), asked.user)
        return said("ok")

    def delete_patch_policy(self, asked: Asked) -> HTTPReply:
        """`DELETE /automation/patchpolicy/{id}/`."""
        self._database.patch_policies.remove(asked.params["id"])
        return said("ok")

    def reset_patch_policies(self, asked: Asked) -> HTTPReply:
        """`POST /automation/patchpolicy/reset/`: of a `client`, a `site`, or of every agent there is."""
        body = Fields.of(asked)
        client, site = (body.whole(name) if name in body else None for name in ("client", "site"))
        if client is not None:
            self._visibility.check_client(asked, client)
        elif site is not None:
            self._visibility.check_site(asked, site)
        for agent in self._visibility.agents(
            asked, self._backend.world.find_agents(client=client, site=site)
        ):
            agent.update_policy |= RESET
        return said("The patch policy on the affected agents has been reset.")

    def _listed(self, row: Row) -> Row:
        number = row["id"]
        settings = self._database.settings
        shown = {
            **row,
            "default_server_policy": settings["server_policy"] == number,
            "default_workstation_policy": settings["workstation_policy"] == number,
            "agents_count": len(reached_by(self._database, self._backend.world, number)),
            "winupdatepolicy": [each for each in self._database.patch_policies if each["policy"] == number],
        }
        if shown["alert_template"] is None:
            del shown["alert_template"]
        return shown


def _object(asked: Asked) -> Fields:
    """A body for a serializer, which refuses a list with 400; other readers crash on it."""
    if asked.row.body.lstrip().startswith(b"["):
        invalid(non_field_errors="Invalid data. Expected a dictionary, but got list.")
    return Fields.of(asked)


def shown_client(it: Client) -> Row:
    """Return a client as others name it."""
    return _place(it) | {"block_policy_inheritance": it.block_policy_inheritance}


def shown_site(it: Site) -> Row:
    """Return a site as others name it."""
    return _place(it) | {
        "block_policy_inheritance": it.block_policy_inheritance,
        "client": it.client.id,
        "client_name": it.client.name,
    }


def _place(it: Client | Site) -> Row:
    return {
        "id": it.id,
        "name": it.name,
        "created_by": None,
        "created_time": INSTALLED,
        "modified_by": None,
        "modified_time": INSTALLED,
        "failing_checks": {"error": False, "warning": False},
        "server_policy": it.server_policy,
        "workstation_policy": it.workstation_policy,
        "alert_template": it.alert_template,
    }
