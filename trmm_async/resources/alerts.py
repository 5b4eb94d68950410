"""`trmm.alerts`."""

from collections.abc import Iterable
from typing import Final, Literal

from trmm_async import arguments
from trmm_async.dialects.library import AlertFilter
from trmm_async.models import Alert, Client, ClientRef
from trmm_async.resources.api import Api

__all__ = ["Alerts"]

Severity = Literal["info", "warning", "error"]
_SEVERITIES: Final = ("info", "warning", "error")
_DAYS_MOST: Final = 36_500
_ANY: Final = AlertFilter()


class Alerts:
    """Alerts: list, acknowledge, resolve; on a stock server snooze, delete, and many at once.

    Every method raises `TRMMError`s only. What changes alerts is repeated by us if an answer is lost: twice
    is once.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def list(
        self,
        *,
        days: int | None = None,
        client: int | Client | ClientRef | Iterable[int | Client | ClientRef] | None = None,
        severity: Severity | Iterable[Severity] | None = None,
        resolved: bool | None = None,
        snoozed: bool | None = None,
    ) -> list[Alert]:
        """All alerts that the key may see; on a stock server those that match all of what is given.

        Args:
            days: of the last so many days.
            client: of the agents of one client, or of several. Alerts without an agent are then left out.
            severity: one, or several.
            resolved: True for those alone, False for the others.
            snoozed: the same.

        Raises:
            UnsupportedError: a filter was given, and the server is a gateway, which has none.
        """
        which = AlertFilter(
            days=None if days is None else arguments.whole(days, "days", least=1, most=_DAYS_MOST),
            clients=None
            if client is None
            else arguments.some(arguments.object_ids(client, "client"), "client"),
            severities=None if severity is None else _severities(severity),
            resolved=None if resolved is None else arguments.flag(resolved, "resolved"),
            snoozed=None if snoozed is None else arguments.flag(snoozed, "snoozed"),
        )
        if which == _ANY:
            return await self._api.send(lambda dialect: dialect.list_alerts())
        return await self._api.send(
            lambda dialect: dialect.beyond("alerts.list with a filter").find_alerts(which)
        )

    async def get(self, alert: int | Alert) -> Alert:
        """One alert as it is now; a stock server only.

        Raises:
            NotFoundError: there is no such alert.
        """
        alert_id = arguments.object_id(alert, "alert")
        return await self._api.send(lambda dialect: dialect.beyond("alerts.get").get_alert(alert_id))

    async def acknowledge(self, alert: int | Alert) -> None:
        """Mark an alert as seen; it stays unresolved. A gateway only: a stock server has no such state."""
        alert_id = arguments.object_id(alert, "alert")
        await self._api.send(lambda dialect: dialect.acknowledge_alert(alert_id))

    async def resolve(self, alert: int | Alert) -> None:
        """Mark an alert as resolved."""
        alert_id = arguments.object_id(alert, "alert")
        await self._api.send(lambda dialect: dialect.resolve_alert(alert_id))

    async def resolve_many(self, alerts: Iterable[int | Alert]) -> None:
        """Resolve several by one call; a stock server only. Unknown ids are passed over silently."""
        alert_ids = arguments.object_ids(alerts, "alerts")
        await self._api.send(lambda dialect: dialect.beyond("alerts.resolve_many").resolve_alerts(alert_ids))

    async def snooze(self, alert: int | Alert, *, days: int) -> None:
        """Quieten an alert for so many days from now; a stock server only."""
        alert_id, days = arguments.object_id(alert, "alert"), _days(days)
        await self._api.send(lambda dialect: dialect.beyond("alerts.snooze").snooze_alert(alert_id, days))

    async def snooze_many(self, alerts: Iterable[int | Alert], *, days: int) -> None:
        """Quieten several by one call; a stock server only. Unknown ids are passed over silently."""
        alert_ids, days = arguments.object_ids(alerts, "alerts"), _days(days)
        await self._api.send(
            lambda dialect: dialect.beyond("alerts.snooze_many").snooze_alerts(alert_ids, days)
        )

    async def unsnooze(self, alert: int | Alert) -> None:
        """End an alert's quiet; a stock server only."""
        alert_id = arguments.object_id(alert, "alert")
        await self._api.send(lambda dialect: dialect.beyond("alerts.unsnooze").unsnooze_alert(alert_id))

    async def delete(self, alert: int | Alert) -> None:
        """Remove an alert for good; a stock server only.

        Gone already, after a lost answer, counts as success.

        Raises:
            NotFoundError: there is no such alert.
        """
        alert_id = arguments.object_id(alert, "alert")
        await self._api.send(lambda dialect: dialect.beyond("alerts.delete").delete_alert(alert_id))


def _days(days: object) -> int:
    return arguments.whole(days, "days", least=1, most=_DAYS_MOST)


def _severities(given: object) -> tuple[str, ...]:
    words = (given,) if isinstance(given, str) else arguments.names(given, "severity")
    return arguments.some(
        tuple(arguments.choice(word, "severity", _SEVERITIES) for word in words), "severity"
    )
