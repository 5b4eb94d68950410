"""Alerts: they are listed with PATCH, and resolved and snoozed with PUT.

Below: `world.py`, `models.py`. Above: `dialect.py`. There is no acknowledging here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trmm_async.testing.replies import iso
from trmm_async.testing.routing import Route

from . import models
from .view import Fields, crash, refuse, said
from .visibility import Visibility

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Alert
    from trmm_async.testing.replies import Asked, HTTPReply

    from .view import Json

__all__ = ["AlertsView"]

DAY = 86_400.0
NOTHING_RUN: Json = {
    f"{what}_{name}": None
    for what in ("action", "resolved_action")
    for name in ("run", "stdout", "stderr", "retcode", "execution_time")
}


class AlertsView:
    """`/alerts/`, `/alerts/{id}/` and `/alerts/bulk/`."""

    def __init__(self, backend: Backend) -> None:
        self._world = backend.world
        self._visibility = Visibility(backend)
        self._form = models.alert(backend.database.is_agent)

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        one, manage = "/alerts/{pk:int}/", "can_manage_alerts"
        return (
            Route("PATCH", "/alerts/", self.list, "can_list_alerts"),
            Route("POST", "/alerts/", self.create, manage),
            Route("GET", one, self.get, "can_list_alerts"),
            Route("PUT", one, self.edit, manage),
            Route("DELETE", one, self.delete, manage),
            Route("POST", "/alerts/bulk/", self.bulk, manage),
        )

    def list(self, asked: Asked) -> HTTPReply:
        """`PATCH /alerts/`: with `top`, so many of the oldest that need looking at, and how many there are.

        Else all that satisfy the filters: `timeFilter` (days), `severityFilter` and `clientFilter` (lists),
        and `resolvedFilter` and `snoozedFilter`, which leave something out only where they are false.
        """
        body = Fields.of(asked)
        alerts = [each for each in self._world.alerts.values() if self._shows(asked, each)]
        if "top" in body:
            alerts = [each for each in alerts if not (each.resolved or each.snoozed or each.hidden)]
            oldest = sorted(alerts, key=lambda each: each.created_at)[: body.whole("top")]
            return said({"alerts_count": len(alerts), "alerts": [self._shape(each) for each in oldest]})
        if "resolvedFilter" in body and not body["resolvedFilter"]:
            alerts = [each for each in alerts if not each.resolved]
        if "snoozedFilter" in body and not body["snoozedFilter"]:
            alerts = [each for each in alerts if not each.snoozed]
        return said([self._shape(each) for each in alerts if self._wanted(each, body)])

    def _wanted(self, it: Alert, body: Fields) -> bool:
        if "severityFilter" in body and it.severity not in _members(body["severityFilter"]):
            return False
        if "clientFilter" in body and str(self._client_of(it)) not in _members(body["clientFilter"]):
            return False
        if "timeFilter" in body:
            now = self._world.clock()
            return now - body.whole("timeFilter") * DAY < it.created_at <= now
        return True

    def _shows(self, asked: Asked, it: Alert) -> bool:
        """Those of nothing are shown to everybody."""
        of_nothing = not it.agent_id and it.assigned_check is None and it.assigned_task is None
        return of_nothing or self._visibility.shows_by_id(asked, it.agent_id)

    def _client_of(self, it: Alert) -> int | None:
        agent = self._world.agents.get(it.agent_id)
        return agent.site.client.id if agent else None

    def create(self, asked: Asked) -> HTTPReply:
        """`POST /alerts/`: one of no agent; what is missing has a default."""
        fields = self._form.read(Fields.of(asked), partial=True)
        made = self._world.add_alert()
        self._change(made, fields)
        return said("ok")

    def get(self, asked: Asked) -> HTTPReply:
        """`GET /alerts/{id}/`."""
        return said(self._shape(self._alert(asked)))

    def edit(self, asked: Asked) -> HTTPReply:
        """`PUT /alerts/{id}/`: `type` is `resolve`, `snooze` or `unsnooze`; without it any of its fields."""
        it, body = self._alert(asked), Fields.of(asked)
        if "type" not in body:
            self._change(it, self._form.read(body, partial=True))
            return said("ok")
        match body["type"]:
            case "resolve":
                self._resolve(it)
            case "snooze" if "snooze_days" in body:
                self._snooze(it, body.whole("snooze_days"))
            case "snooze":
                refuse("Missing 'snoozed_days' when trying to snooze alert")
            case "unsnooze":
                it.snoozed, it.snooze_until = False, None
            case _:
                refuse("There was an error in the request data")
        return said("ok")

    def delete(self, asked: Asked) -> HTTPReply:
        """`DELETE /alerts/{id}/`: one that does not exist crashes the server, where the role is not asked."""
        number = int(asked.params["pk"])
        if number not in self._world.alerts and self._visibility.user(asked) is None:
            crash()
        del self._world.alerts[self._alert(asked).id]
        return said("ok")

    def bulk(self, asked: Asked) -> HTTPReply:
        """`POST /alerts/bulk/`: `resolve` or `snooze` several; ids that do not exist are passed over."""
        body = Fields.of(asked)
        action = body["bulk_action"]
        if action not in {"resolve", "snooze"} or (action == "snooze" and "snooze_days" not in body):
            refuse("The request was invalid")
        chosen = _members(body["alerts"])
        mine = [each for each in self._world.alerts.values() if self._shows(asked, each)]
        for it in [each for each in mine if str(each.id) in chosen]:
            if action == "resolve":
                self._resolve(it)
            else:
                self._snooze(it, body.whole("snooze_days"))
        return said("ok")

    def _alert(self, asked: Asked) -> Alert:
        it = self._world.alert(int(asked.params["pk"]))
        self._visibility.check_agent(asked, self._world.agents.get(it.agent_id))
        return it

    def _resolve(self, it: Alert) -> None:
        """Resolve an alert; again, and it has been resolved now."""
        self._world.resolve_alert(it.id)
        it.resolved_on, it.snoozed, it.snooze_until = self._world.clock(), False, None

    def _snooze(self, it: Alert, days: int) -> None:
        it.snoozed, it.snooze_until = True, self._world.clock() + days * DAY

    def _change(self, it: Alert, fields: dict[str, object]) -> None:
        if "agent" in fields:
            number = fields.pop("agent")
            owners = [agent for agent in self._world.agents.values() if agent.pk == number]
            it.agent_id = owners[0].agent_id if owners else ""
        for name, value in fields.items():
            setattr(it, name, value)

    def _shape(self, it: Alert) -> Json:
        agent = self._world.agents.get(it.agent_id)
        about: Json = {}
        if agent is not None:
            about = {"hostname": agent.hostname, "agent_id": agent.agent_id}
            about |= {"client": agent.site.client.name, "site": agent.site.name}
        return {
            "id": it.id,
            **about,
            "alert_time": iso(it.created_at),
            "alert_type": it.alert_type,
            "message": it.message,
            "snoozed": it.snoozed,
            "snooze_until": _stamp(it.snooze_until),
            "resolved": it.resolved,
            "resolved_on": _stamp(it.resolved_on),
            "severity": it.severity,
            **dict.fromkeys(("email_sent", "resolved_email_sent", "sms_sent", "resolved_sms_sent")),
            "hidden": it.hidden,
            **NOTHING_RUN,
            "agent": agent.pk if agent else None,
            "assigned_check": it.assigned_check,
            "assigned_task": it.assigned_task,
        }


def _members(value: object) -> set[str]:
    """Return the members of a filter's list; of a string those are its letters."""
    return {str(each) for each in value} if isinstance(value, list | str) else crash()


def _stamp(moment: float | None) -> str | None:
    return None if moment is None else iso(moment)
