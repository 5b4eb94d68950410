"""Alerts of a stock server, one, some and many of them."""

from functools import partial
from typing import Any

from trmm_async.calls import Call, Plan, Replay, Steps, ignore_answer
from trmm_async.dialects.library import AlertFilter
from trmm_async.dialects.stock.nouns import alert_of, alerts_of
from trmm_async.dialects.stock.wording import change, change_for, get, worded
from trmm_async.errors import NotFoundError, OutcomeUnknownError, ServerFaultError, TRMMError
from trmm_async.models import Alert

__all__ = ["StockAlerts"]


class StockAlerts:
    """See `Library`."""

    def get_alert(self, alert_id: int) -> Call[Alert]:
        return get(f"/alerts/{alert_id}/", alert_of)

    def find_alerts(self, which: AlertFilter) -> Call[list[Alert]]:
        decode = partial(_wanted, which)
        return change_for(decode, "PATCH", "/alerts/", _filters(which), replay=Replay.SAFE)

    def snooze_alert(self, alert_id: int, days: int) -> Call[None]:
        return _put(alert_id, {"type": "snooze", "snooze_days": days})

    def unsnooze_alert(self, alert_id: int) -> Call[None]:
        return _put(alert_id, {"type": "unsnooze"})

    def delete_alert(self, alert_id: int) -> Plan[None]:
        return Plan(partial(_delete, alert_id))

    def resolve_alerts(self, alert_ids: tuple[int, ...]) -> Call[None]:
        return _bulk({"bulk_action": "resolve", "alerts": alert_ids})

    def snooze_alerts(self, alert_ids: tuple[int, ...], days: int) -> Call[None]:
        return _bulk({"bulk_action": "snooze", "alerts": alert_ids, "snooze_days": days})


def _put(alert_id: int, body: object) -> Call[None]:
    return change("PUT", f"/alerts/{alert_id}/", body, replay=Replay.IDEMPOTENT)


def _bulk(body: object) -> Call[None]:
    return change("POST", "/alerts/bulk/", body, replay=Replay.IDEMPOTENT)


def _filters(which: AlertFilter) -> dict[str, Any]:
    """What the server filters by itself: of resolved and snoozed it can only leave out those that are."""
    filters: dict[str, Any] = {
        "timeFilter": which.days,
        "clientFilter": which.clients,
        "severityFilter": which.severities,
        "resolvedFilter": None if which.resolved else which.resolved,
        "snoozedFilter": None if which.snoozed else which.snoozed,
    }
    return {name: value for name, value in filters.items() if value is not None}


def _wanted(which: AlertFilter, body: bytes) -> list[Alert]:
    return [
        alert
        for alert in alerts_of(body)
        if which.resolved in {None, alert.resolved} and which.snoozed in {None, alert.snoozed}
    ]


def _delete(alert_id: int) -> Steps[None]:
    """A 500 is the server's answer for an alert that is not there, so it is asked whether it is.

    Not by the rule for deletes, which counts on a 404: where the answer was lost, whether the alert is still
    there says what came of it, and if it is, it is deleted once more.
    """
    path = f"/alerts/{alert_id}/"
    once = worded(Call(method="DELETE", path=path, decode=ignore_answer, replay=Replay.NEVER))
    try:
        return (yield from once)
    except ServerFaultError as fault:
        if fault.status == 500:
            yield from _look(path, fault)  # NotFoundError: there was none
        raise
    except OutcomeUnknownError as error:
        lost = error
    try:
        yield from _look(path, lost)
        return (yield from once)
    except NotFoundError:
        return None
    except OutcomeUnknownError:
        raise
    except TRMMError as error:
        # The second call came to nothing; of the first one nothing more is known for that.
        raise lost from error


def _look(path: str, lost: OutcomeUnknownError) -> Steps[Alert]:
    """The alert, if it is there; `lost` where that can't be found out, so that it stays unknown."""
    try:
        return (yield from get(path, alert_of))
    except NotFoundError:
        raise
    except TRMMError as error:
        raise lost from error
