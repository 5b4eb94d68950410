"""`trmm.alerts`."""

from collections.abc import Iterable
from typing import Final, get_args

from trmm_async import arguments
from trmm_async.calls import Call, Steps, plan
from trmm_async.dialects.stock.agents import agent_ids_by_key
from trmm_async.dialects.stock.creation import make
from trmm_async.dialects.stock.dialect import ALERT, ALERTS
from trmm_async.dialects.stock.endpoint import put, send
from trmm_async.errors import (
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    ServerFaultError,
    TRMMError,
)
from trmm_async.kinds import Task
from trmm_async.models import Agent, Alert, Check
from trmm_async.resources.names import AnyClient
from trmm_async.resources.resource import Resource, refuse_loss
from trmm_async.words import AlertType, Severity

__all__ = ["Alerts"]

_DAYS_MOST: Final = 36_500

_ONE: Final = "/alerts/{alert:id}/"

# Its name says more than the method's: of one alert, a gateway has it too.
RESOLVE_SEVERAL = put(
    "alerts.resolve with several", "/alerts/bulk/", method="POST", needs="bulk_action alerts"
)
SNOOZE = put("alerts.snooze", _ONE)
SNOOZE_SEVERAL = put("alerts.snooze", "/alerts/bulk/", method="POST", needs="bulk_action alerts")
UNSNOOZE = put("alerts.unsnooze", _ONE)
# Never by the rule for deletes, see `deleted`.
CREATE = send("alerts.create", "/alerts/")
DELETE = send("alerts.delete", _ONE, method="DELETE")


class Alerts(Resource):
    """Alerts: list, acknowledge and resolve them; on a stock server also snooze and delete them.

    All errors are `TRMMError`s. Methods that change alerts are idempotent: they are sent again if an answer
    is lost.
    """

    async def list(
        self,
        *,
        days: int | None = None,
        client: AnyClient | Iterable[AnyClient] | None = None,
        severity: Severity | Iterable[Severity] | None = None,
        resolved: bool | None = None,
        snoozed: bool | None = None,
    ) -> list[Alert]:
        """List all alerts that the key may see; on a stock server those that match all of the filters.

        Args:
            days: only alerts of the last so many days.
            client: only alerts of the agents of one client, or of several. Alerts without an agent are left
                out then.
            severity: only alerts of this severity, or of one of these.
            resolved: True for only resolved alerts, False for only unresolved ones.
            snoozed: True for only snoozed alerts, False for only those that are not snoozed.

        Raises:
            UnsupportedError: a filter was given, and the server is a gateway, which has no filters.
        """
        given = {
            "days": days,
            "client": client,
            "severity": severity,
            "resolved": resolved,
            "snoozed": snoozed,
        }
        which = arguments.filters(given, _FILTERS, "alerts.list")
        if not which:
            return await self._api.send(lambda dialect: dialect.list_alerts())
        if clients := which.get("clientFilter"):
            which["clientFilter"] = await self._names("alerts.list with a filter").clients(clients)
        # The server can only leave out resolved or snoozed alerts. Leaving out the others is done here.
        body = {name: value for name, value in which.items() if value is not True}
        found = await self._on_stock("alerts.list with a filter", ALERTS.call(body=body))
        return [
            alert
            for alert in found
            if resolved in {None, alert.resolved} and snoozed in {None, alert.snoozed}
        ]

    async def get(self, alert: int | Alert) -> Alert:
        """Get one alert; a stock server only.

        Raises:
            NotFoundError: there is no such alert.
        """
        return await self._send(ALERT, alert)

    async def create(
        self,
        *,
        message: str,
        severity: Severity = "info",
        alert_type: AlertType = "custom",
        agent: str | Agent | None = None,
        check: int | Check | None = None,
        task: int | Task | None = None,
    ) -> Alert:
        """Create an alert and return it; a stock server only. Never sent twice.

        The alert is a row in the list of alerts, with the present time. The server sends no mail for it, and
        runs no action.

        Args:
            message: the text.
            severity: "info", "warning" or "error".
            alert_type: the kind of its subject; "custom" is for subjects of your own.
            agent: the agent that it belongs to, or None.
            check: the check that it is about.
            task: the task that it is about.

        Raises:
            InvalidRequestError: a value is wrong, or there is no such agent; nothing was created.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """
        body: dict[str, object] = {
            "message": arguments.free_text(message, "message").strip(),
            "severity": arguments.choice(severity, "severity", get_args(Severity)),
            "alert_type": arguments.choice(
                alert_type, "alert_type", ("availability", "check", "task", "custom")
            ),
        }
        if check is not None:
            body["assigned_check"] = arguments.object_id(check, "check")
        if task is not None:
            body["assigned_task"] = arguments.object_id(task, "task")
        agent_id = None if agent is None else arguments.agent_id(agent)
        return await self._on_stock(CREATE.name, _written(body, agent_id))

    async def acknowledge(self, alert: int | Alert) -> None:
        """Acknowledge an alert, which stays unresolved. A gateway only: a stock server has no such state."""
        alert_id = arguments.object_id(alert, "alert")
        await self._api.send(lambda dialect: dialect.acknowledge_alert(alert_id))

    async def resolve(self, alerts: int | Alert | Iterable[int | Alert]) -> None:
        """Resolve an alert, or several by one call; several on a stock server only.

        The server silently ignores ids that it doesn't know if several are given.

        Raises:
            UnsupportedError: several were given, and the server is a gateway.
        """
        if isinstance(alerts, Iterable):
            body = {"bulk_action": "resolve", "alerts": arguments.object_ids(alerts, "alerts")}
            await self._send(RESOLVE_SEVERAL, body=body)
        else:
            alert_id = arguments.object_id(alerts, "alert")
            await self._api.send(lambda dialect: dialect.resolve_alert(alert_id))

    async def snooze(self, alerts: int | Alert | Iterable[int | Alert], *, days: int) -> None:
        """Snooze an alert for a number of days from now, or several by one call; a stock server only.

        The server silently ignores ids that it doesn't know if several are given.
        """
        if isinstance(alerts, Iterable):
            alert_ids = arguments.object_ids(alerts, "alerts")
            body = {"bulk_action": "snooze", "alerts": alert_ids, "snooze_days": _days(days)}
            await self._send(SNOOZE_SEVERAL, body=body)
        else:
            await self._send(SNOOZE, alerts, body={"type": "snooze", "snooze_days": _days(days)})

    async def unsnooze(self, alert: int | Alert) -> None:
        """End the snoozing of an alert; a stock server only."""
        await self._send(UNSNOOZE, alert, body={"type": "unsnooze"})

    async def delete(self, alert: int | Alert, *, with_history: bool = False) -> None:
        """Delete an alert; a stock server only. `resolve` ends an alert and keeps its record.

        If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            alert: the alert or its id.
            with_history: True confirms that its whole record may be lost.

        Raises:
            InvalidRequestError: `with_history` was not given; nothing was deleted.
            NotFoundError: there is no such alert.
        """
        alert_id = arguments.object_id(alert, "alert")
        refuse_loss(f"alerts.delete: alert {alert_id}", with_history=with_history)
        await self._on_stock(DELETE.name, deleted(DELETE.call(alert_id), ALERT.call(alert_id)))


def _days(days: object) -> int:
    return arguments.integer(days, "days", minimum=1, maximum=_DAYS_MOST)


def _clients(given: object, what: str) -> tuple[int | str, ...]:
    return arguments.non_empty(arguments.references(given, what), what)


def _severities(given: object, what: str) -> tuple[str, ...]:
    words = (given,) if isinstance(given, str) else arguments.names(given, what)
    return arguments.non_empty(
        tuple(arguments.choice(word, what, get_args(Severity)) for word in words), what
    )


_FILTERS: Final[arguments.Checks] = {
    "days": ("timeFilter", lambda days, _: _days(days)),
    "client": ("clientFilter", _clients),
    "severity": ("severityFilter", _severities),
    "resolved": ("resolvedFilter", arguments.boolean),
    "snoozed": ("snoozedFilter", arguments.boolean),
}


@plan
def _written(body: dict[str, object], agent_id: str | None) -> Steps[Alert]:
    """Create an alert: the server needs an integer for the agent. It is found among those of the last day."""
    if agent_id is not None:
        keys = {one: key for key, one in (yield from agent_ids_by_key()).items()}
        if agent_id not in keys:
            raise InvalidRequestError(f"agent: there is no agent {agent_id}")
        body["agent"] = keys[agent_id]
    wanted = (body["message"], body["severity"])
    return (
        yield from make(
            "alert",
            ALERTS.call(body={"timeFilter": 1}),
            CREATE.call(body=body),
            lambda made: (made.message, made.severity) == wanted,
        )
    )


@plan
def deleted(once: Call[None], get: Call[Alert]) -> Steps[None]:
    """Delete an alert. The server answers 500 if there is no such alert, so then it is looked up.

    The usual rule for deletes needs a 404. Here, if the answer was lost, the alert is looked up; if it still
    exists, it is deleted once more.
    """
    try:
        return (yield from once)
    except ServerFaultError as fault:
        if fault.status == 500:
            yield from _look(get, fault)  # NotFoundError: there was none
        raise
    except OutcomeUnknownError as error:
        lost = error
    try:
        yield from _look(get, lost)
        return (yield from once)
    except NotFoundError:
        return None
    except OutcomeUnknownError:
        raise
    except TRMMError as error:
        # The second call failed, which tells nothing more about the first one.
        raise lost from error


def _look(get: Call[Alert], lost: OutcomeUnknownError) -> Steps[Alert]:
    """Get the alert. Raises `lost` if that is not possible, since the outcome remains unknown."""
    try:
        return (yield from get)
    except NotFoundError:
        raise
    except TRMMError as error:
        raise lost from error
