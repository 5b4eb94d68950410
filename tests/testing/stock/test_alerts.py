from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.testing.kit import Clock, Http
    from trmm_async.testing import Simulator

DAY = 86_400


@pytest.fixture
def numbers(server: Simulator, clock: Clock) -> list[int]:
    """Three alerts of the first two agents, a day apart, of rising severity."""
    made = []
    for agent_id, severity in zip(server.agent_ids, ("info", "warning", "error"), strict=False):
        made.append(server.raise_alert(agent_id, severity))
        clock.now += DAY
    return made


async def found(http: Http, body: object) -> list[object]:
    return [alert["id"] for alert in (await http("PATCH", "/alerts/", body)).items]


async def test_filters(numbers: list[int], server: Simulator, http: Http) -> None:
    first, second, third = numbers
    server.resolve_alert(first)
    await http("PUT", f"/alerts/{second}/", {"type": "snooze", "snooze_days": 2})
    assert await found(http, {}) == numbers
    assert await found(http, {"resolvedFilter": True, "snoozedFilter": True}) == numbers
    assert await found(http, {"resolvedFilter": False}) == [second, third]
    assert await found(http, {"snoozedFilter": False}) == [first, third]
    assert await found(http, {"severityFilter": ["info", "error"]}) == [first, third]
    assert await found(http, {"clientFilter": [34]}) == [first, second]
    assert await found(http, {"timeFilter": 2}) == [third]
    top = (await http("PATCH", "/alerts/", {"top": 10})).fields
    assert top["alerts_count"] == 1


async def test_top_is_the_oldest(numbers: list[int], http: Http) -> None:
    top = (await http("PATCH", "/alerts/", {"top": "2"})).fields
    assert isinstance(top["alerts"], list)
    assert (top["alerts_count"], [alert["id"] for alert in top["alerts"]]) == (3, numbers[:2])


@pytest.mark.parametrize("body", [{"severityFilter": 3}, {"timeFilter": "x"}, {"top": "x"}])
async def test_a_filter_of_the_wrong_kind_is_a_500(
    body: dict[str, object], numbers: list[int], http: Http
) -> None:
    assert numbers
    assert (await http("PATCH", "/alerts/", body)).status == 500


async def test_snooze_unsnooze_resolve(numbers: list[int], http: Http) -> None:
    path = f"/alerts/{numbers[0]}/"
    await http("PUT", path, {"type": "snooze", "snooze_days": 2})
    alert = (await http.get(path)).fields
    assert (alert["snoozed"], alert["snooze_until"]) == (True, "2026-04-26T10:32:15Z")
    await http("PUT", path, {"type": "unsnooze"})
    alert = (await http.get(path)).fields
    assert (alert["snoozed"], alert["snooze_until"], alert["resolved"]) == (False, None, False)
    await http("PUT", path, {"type": "snooze", "snooze_days": 2})
    await http("PUT", path, {"type": "resolve"})
    alert = (await http.get(path)).fields
    assert (alert["snoozed"], alert["resolved"], alert["resolved_on"]) == (
        False,
        True,
        "2026-04-24T10:32:15Z",
    )


async def test_resolving_again_renews_the_time(numbers: list[int], http: Http, clock: Clock) -> None:
    path = f"/alerts/{numbers[0]}/"
    await http("PUT", path, {"type": "resolve"})
    clock.now += DAY
    await http("PUT", path, {"type": "resolve"})
    assert (await http.get(path)).fields["resolved_on"] == "2026-04-25T10:32:15Z"


async def test_fields_are_changed_and_checked(numbers: list[int], http: Http) -> None:
    path = f"/alerts/{numbers[0]}/"
    assert (await http("PUT", path, {"message": "x", "hidden": True, "agent": 2})).json == "ok"
    alert = (await http.get(path)).fields
    assert (alert["message"], alert["hidden"], alert["agent"]) == ("x", True, 2)
    for refused in ({"severity": "dire"}, {"agent": 999}):
        assert (await http("PUT", path, refused)).status == 400
    assert (await http.get(path)).fields["agent"] == 2
    assert (await http("PUT", path, {"agent": None})).json == "ok"
    assert (await http.get(path)).fields["agent"] is None


async def test_a_made_alert_is_about_no_agent(server: Simulator, http: Http) -> None:
    await http("POST", "/alerts/", {"alert_type": "custom", "severity": "error", "message": "hello"})
    await http("POST", "/alerts/", {})
    first, second = (await http("PATCH", "/alerts/", {})).items
    assert (first["message"], first["severity"], first["agent"]) == ("hello", "error", None)
    assert (second["message"], second["severity"], second["alert_type"]) == (None, "info", "availability")
    assert not {"hostname", "agent_id", "client", "site"} & set(first)
    assert await found(http, {"clientFilter": [34]}) == []
    server.resolve_alert(5001)


async def test_bulk_passes_over_what_does_not_exist(
    numbers: list[int], server: Simulator, http: Http
) -> None:
    body = {"bulk_action": "resolve", "alerts": [numbers[0], 1]}
    assert (await http("POST", "/alerts/bulk/", body)).json == "ok"
    more: dict[str, object] = {"bulk_action": "snooze", "alerts": [numbers[1]], "snooze_days": 1}
    assert (await http("POST", "/alerts/bulk/", more)).json == "ok"
    alerts = server.world.alerts
    assert [(alerts[each].resolved, alerts[each].snoozed) for each in numbers] == [
        (True, False),
        (False, True),
        (False, False),
    ]


async def test_a_deleted_alert_is_gone_and_cannot_go_again(numbers: list[int], http: Http) -> None:
    path = f"/alerts/{numbers[0]}/"
    assert (await http("DELETE", path)).json == "ok"
    assert (await http.get(path)).status == 404
    assert (await http("DELETE", path)).status == 500
