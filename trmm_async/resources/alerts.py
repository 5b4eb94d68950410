"""`trmm.alerts`."""

from trmm_async import arguments
from trmm_async.models import Alert
from trmm_async.resources.api import Api

__all__ = ["Alerts"]


class Alerts:
    """Alerts: list, acknowledge, resolve. Every method raises `TRMMError`s only."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def list(self) -> list[Alert]:
        """All alerts that the key may see."""
        return await self._api.send(lambda dialect: dialect.list_alerts())

    async def acknowledge(self, alert: int | Alert) -> None:
        """Mark an alert as seen; it stays unresolved. Repeated by us if an answer is lost: twice is once."""
        alert_id = arguments.object_id(alert, "alert")
        await self._api.send(lambda dialect: dialect.acknowledge_alert(alert_id))

    async def resolve(self, alert: int | Alert) -> None:
        """Mark an alert as resolved. Repeated by us if an answer is lost: twice is once."""
        alert_id = arguments.object_id(alert, "alert")
        await self._api.send(lambda dialect: dialect.resolve_alert(alert_id))
