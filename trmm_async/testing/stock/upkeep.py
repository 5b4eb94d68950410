"""The stock server's upkeep: its maintenance, schedules, tests of mail and messages, and its status.

Below: `database.py`, `activity_log.py`. Above: `dialect.py`. Nothing is mailed: a test is refused as by a
server that has nobody to write to, and succeeds where the settings name a recipient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trmm_async.testing.replies import HTTPReply
from trmm_async.testing.routing import Route

from .setup_rows import MON_TOKEN
from .view import Fields, crash, refuse, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.replies import Asked

__all__ = ["UpkeepView"]

LISTED, MANAGED = "can_view_schedules", "can_manage_schedules"
NO_MAIL = "There needs to be at least one email recipient configured"
NO_SMS = "All fields are required, including at least 1 recipient"
LATEST_AGENT = "2.11.0"


class UpkeepView:
    """The rest of `/core/…`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._world = backend.world
        self._database = backend.database
        self._activity = backend.activity

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        schedules, one = "/core/schedules/", "/core/schedules/{id:int}/"
        return (
            Route("POST", "/core/servermaintenance/", self.maintain, "can_do_server_maint"),
            Route("POST", "/core/emailtest/", self.email, "can_edit_core_settings"),
            Route("POST", "/core/smstest/", self.sms, "can_edit_core_settings"),
            Route("GET", "/core/v2/status/", self.status, public=True),
            Route("GET", schedules, self.schedules, LISTED),
            Route("POST", schedules, self.create, MANAGED),
            Route("PUT", one, self.update, MANAGED),
            Route("DELETE", one, self.delete, MANAGED),
        )

    # -- maintenance -----------------------------------------------------------------------------------------

    def maintain(self, asked: Asked) -> HTTPReply:
        """`POST /core/servermaintenance/`: unknown tables are passed over."""
        body = Fields.of(asked)
        action = body.get("action")
        if action == "reload_nats":
            return said("Nats configuration was reloaded successfully.")
        if action == "rm_orphaned_tasks":
            return said("The task has been initiated.")
        if action != "prune_db":
            refuse("The data is incorrect")
        if "prune_tables" not in body:
            refuse("The data is incorrect.")
        tables = body["prune_tables"]
        if not isinstance(tables, list | str | dict):
            crash()
        prunes = {"alerts": self._alerts, "pending_actions": self._actions, "audit_logs": self._logs}
        # The server asks whether the word is in what came, be it a text.
        count = sum(prune() for table, prune in prunes.items() if table in tables)
        return said(f"{count} records were pruned from the database")

    def _alerts(self) -> int:
        count = len(self._world.alerts)
        self._world.alerts.clear()
        return count

    def _actions(self) -> int:
        done = [number for number, row in self._activity.actions.items() if row["status"] == "completed"]
        for number in done:
            del self._activity.actions[number]
        return len(done)

    def _logs(self) -> int:
        rows = [number for number, row in self._activity.audit.items() if row["action"] == "check_run"]
        for number in rows:
            del self._activity.audit[number]
        return len(rows)

    # -- mail, messages and how it is ------------------------------------------------------------------------

    def email(self, _asked: Asked) -> HTTPReply:
        """`POST /core/emailtest/`."""
        if not self._database.settings["email_alert_recipients"]:
            refuse(NO_MAIL)
        return said("Email test ok!")

    def sms(self, _asked: Asked) -> HTTPReply:
        """`POST /core/smstest/`."""
        settings = self._database.settings
        needed = ("twilio_number", "twilio_account_sid", "twilio_auth_token", "sms_alert_recipients")
        if not all(settings[name] for name in needed):
            refuse(NO_SMS)
        return said("SMS Test sent successfully!")

    def status(self, asked: Asked) -> HTTPReply:
        """`GET /core/v2/status/`: by a token of its own; refusals are plain text that says it is HTML."""
        token = asked.row.headers.get("x-mon-token")
        if token != MON_TOKEN:
            words = "Missing X-Mon-Token header\n" if token is None else "Not authenticated\n"
            return HTTPReply(401, words.encode(), "text/html; charset=utf-8")
        services = ("mesh", "daphne", "celery", "celerybeat", "redis", "nats", "nats-api")
        return said(
            {
                "version": self._backend.version, "latest_agent_version": LATEST_AGENT,
                "agent_count": len(self._world.agents), "client_count": len(self._world.clients),
                "site_count": len(self._world.sites), "disk_usage_percent": 27, "mem_usage_percent": 22,
                "days_until_cert_expires": 89, "cert_expired": False, "redis_ping": True,
                "celery_queue_len": 0, "celery_queue_health": "healthy",
                "nats_std_ping": self._backend.bus.up, "nats_ws_ping": self._backend.bus.up,
                "mesh_ping": True,
                "services_running": dict.fromkeys(services, True),
            }
        )  # fmt: skip

    # -- schedules -------------------------------------------------------------------------------------------

    def schedules(self, _asked: Asked) -> HTTPReply:
        """`GET /core/schedules/`."""
        return said(list(self._database.schedules))

    def create(self, asked: Asked) -> HTTPReply:
        """`POST /core/schedules/`: answers the new one; the database misses a `run_time`."""
        body = Fields.of(asked)
        values = self._database.schedules.form.read(body, partial=True)
        if "run_time" not in values:
            crash()
        return said(self._database.schedules.add(values, asked.user))

    def update(self, asked: Asked) -> HTTPReply:
        """`PUT /core/schedules/{id}/`."""
        return said(self._database.schedules.update(asked.params["id"], Fields.of(asked), asked.user))

    def delete(self, asked: Asked) -> HTTPReply:
        """`DELETE /core/schedules/{id}/`: answers its id."""
        return said(self._database.schedules.remove(asked.params["id"])["id"])
