"""Alert templates: who is notified of alerts, and which scripts run on them.

Below: `database.py`. Above: `dialect.py`. Here nobody is told: a test raises alerts, and looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trmm_async.testing.replies import RefusedError
from trmm_async.testing.routing import Route

from .automation import shown_client, shown_site
from .reach import ALWAYS
from .view import Fields, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Client, Site
    from trmm_async.testing.replies import Asked, HTTPReply

    from .table import Row

__all__ = ["AlertTemplatesView", "shown"]

LISTED, MANAGED = "can_list_alerttemplates", "can_manage_alerttemplates"
WAYS = ("email", "text", "dashboard")


class AlertTemplatesView:
    """`/alerts/templates/…`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._world = backend.world
        self._database = backend.database
        self._table = backend.database.alert_templates

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        every, one = "/alerts/templates/", "/alerts/templates/{id:int}/"
        return (
            Route("GET", every, self.all, LISTED),
            Route("POST", every, self.create, MANAGED),
            Route("GET", one, self.get, LISTED),
            Route("PUT", one, self.update, MANAGED),
            Route("DELETE", one, self.delete, MANAGED),
            Route("GET", one + "related/", self.related, LISTED),
        )

    def all(self, _asked: Asked) -> HTTPReply:
        """`GET /alerts/templates/`."""
        return said([shown(self._backend, row) for row in self._table])

    def get(self, asked: Asked) -> HTTPReply:
        """`GET /alerts/templates/{id}/`."""
        return said(shown(self._backend, self._table.get(asked.params["id"])))

    def create(self, asked: Asked) -> HTTPReply:
        """`POST /alerts/templates/`: nothing has to be there, and names may be the same."""
        self._table.create(self._allowed(asked), asked.user)
        return said("ok")

    def update(self, asked: Asked) -> HTTPReply:
        """`PUT /alerts/templates/{id}/`."""
        self._table.update(asked.params["id"], self._allowed(asked), asked.user)
        return said("ok")

    def _allowed(self, asked: Asked) -> Fields:
        """Read a body; one with a script for the server itself asks for the right to run such."""
        body = Fields.of(asked)
        kinds = {body.get("action_type"), body.get("resolved_action_type")}
        user = self._backend.accounts.users.get(asked.user)
        if "server" in kinds and user is not None and not user.may("can_run_server_scripts"):
            raise RefusedError(403)
        return body

    def delete(self, asked: Asked) -> HTTPReply:
        """`DELETE /alerts/templates/{id}/`: clients, sites and policies with it then have none."""
        number = self._table.remove(asked.params["id"])["id"]
        for row in self._database.policies:
            if row["alert_template"] == number:
                row["alert_template"] = None
        places: list[Client | Site] = [*self._world.clients.values(), *self._world.sites.values()]
        for place in places:
            if place.alert_template == number:
                place.alert_template = None
        if self._database.settings["alert_template"] == number:
            self._database.settings["alert_template"] = None
        return said("ok")

    def related(self, asked: Asked) -> HTTPReply:
        """`GET /alerts/templates/{id}/related/`: where it is set; agents are not listed."""
        row = self._table.get(asked.params["id"])
        clients = [each for each in self._world.clients.values() if each.alert_template == row["id"]]
        sites = [each for each in self._world.sites.values() if each.alert_template == row["id"]]
        policies = [each for each in self._database.policies if each["alert_template"] == row["id"]]
        return said(
            {
                **row,
                "policies": policies,
                "clients": [shown_client(each) for each in clients],
                "sites": [shown_site(each) for each in sites],
            }
        )


def shown(backend: Backend, row: Row) -> Row:
    """Return a template as the server shows it, alone and with an agent."""
    world, database, number = backend.world, backend.database, row["id"]
    having = [*database.policies, *map(shown_client, world.clients.values())]
    having += map(shown_site, world.sites.values())
    return {
        **row,
        **{f"{what}_settings": _says_anything(row, what) for what in ("agent", "check", "task")},
        "core_settings": True if row["email_from"] else row["email_recipients"] or row["text_recipients"],
        "default_template": database.settings["alert_template"] == number,
        "action_name": _name(backend, row, "action"),
        "resolved_action_name": _name(backend, row, "resolved_action"),
        "applied_count": sum(each["alert_template"] == number for each in having),
    }


def _says_anything(row: Row, what: str) -> bool:
    columns = [f"always_{way}" for way in ALWAYS]
    columns += ["email_on_resolved", "text_on_resolved", "periodic_alert_days"]
    if what != "agent":
        columns += [f"{way}_alert_severity" for way in WAYS]
    return any(row[f"{what}_{column}"] for column in columns)


def _name(backend: Backend, row: Row, what: str) -> str:
    if row.get(f"{what}_type") == "rest":
        action = backend.database.url_actions.rows.get(int(str(row[f"{what}_rest"] or 0)))
        return str(action["name"]) if action else ""
    script = backend.world.scripts.get(int(str(row[what] or 0)))
    return script.name if script else ""
