"""`trmm.alerts` on a stock server."""

import json
from typing import Any

import pytest

from tests.exchanges import AGAIN, ByHand, Case, Intent, one_call_is_recorded
from tests.servers import served, stock
from trmm_async import (
    ConnectionFailedError,
    DecodeError,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    TRMMError,
    UnsupportedError,
)
from trmm_async.errors import (
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    ServerFaultError,
    TimeoutError,
)
from trmm_async.models import (
    Alert,
)
from trmm_async.testing import Simulator

pytestmark = pytest.mark.usefixtures("nothing_is_odd")

NOBODY = 999_999


def methods(server: Simulator) -> list[str]:
    return [request.method for request in server.requests]


class TestAlerts:
    async def test_are_snoozed_and_woken(self) -> None:
        async with stock() as (server, trmm):
            alert_id = server.raise_alert(server.agent_ids[0])
            await trmm.alerts.snooze(alert_id, days=3)
            alert = await trmm.alerts.get(alert_id)
            assert alert.snoozed
            assert alert.snooze_until is not None
            await trmm.alerts.unsnooze(alert)
            assert not (await trmm.alerts.get(alert)).snoozed

    async def test_are_filtered(self) -> None:
        async with stock() as (server, trmm):
            first, second, third = server.agents[:3]
            info = server.raise_alert(first.agent_id, severity="info")
            warning = server.raise_alert(second.agent_id, severity="warning")
            error = server.raise_alert(third.agent_id, severity="error")
            await trmm.alerts.resolve(info)
            await trmm.alerts.snooze(warning, days=1)

            async def ids(**which: Any) -> set[int]:
                return {alert.id for alert in await trmm.alerts.list(**which)}

            assert await ids() == {info, warning, error}
            assert await ids(severity="info") == {info}
            assert await ids(severity=["info", "error"]) == {info, error}
            assert await ids(resolved=False) == {warning, error}
            assert await ids(resolved=True) == {info}
            assert await ids(snoozed=True) == {warning}
            assert await ids(resolved=False, snoozed=False, days=1) == {error}
            client = first.site.client.id
            of_client = {
                alert_id
                for alert_id, agent in ((info, first), (warning, second), (error, third))
                if agent.site.client.id == client
            }
            assert await ids(client=client) == await ids(client=[client]) == of_client

    async def test_many_are_changed_by_one_call(self) -> None:
        async with stock() as (server, trmm):
            ids = [server.raise_alert(server.agent_ids[0]) for _ in range(3)]
            await trmm.alerts.snooze(ids, days=2)
            assert all(alert.snoozed for alert in await trmm.alerts.list())
            await trmm.alerts.resolve([*(await trmm.alerts.list()), NOBODY])
            assert all(alert.resolved for alert in await trmm.alerts.list())
            assert methods(server).count("POST") == 2

    async def test_are_deleted(self) -> None:
        async with stock() as (server, trmm):
            alert_id = server.raise_alert(server.agent_ids[0])
            await trmm.alerts.delete(alert_id, with_history=True)
            assert await trmm.alerts.list() == []
            with pytest.raises(NotFoundError):
                await trmm.alerts.delete(alert_id, with_history=True)

    async def test_a_lost_answer_to_a_delete_costs_nothing(self) -> None:
        async with stock() as (server, trmm):
            for after in (True, False):
                alert_id = server.raise_alert(server.agent_ids[0])
                server.cut("DELETE", "/alerts/", after=after)
                await trmm.alerts.delete(alert_id, with_history=True)
                assert await trmm.alerts.list() == []

    async def test_where_the_look_is_lost_too_it_is_not_known_what_came_of_a_delete(self) -> None:
        async with stock() as (server, trmm):
            for after in (True, False):
                alert_id = server.raise_alert(server.agent_ids[0])
                server.cut("DELETE", "/alerts/", after=after)
                look = server.cut("GET", "/alerts/", times=None, after=False)
                with look, pytest.raises(OutcomeUnknownError):
                    await trmm.alerts.delete(alert_id, with_history=True)


# -- against recordings, without a server --------------------------------------------------------------------

CALLS = [
    Case("alert_get", lambda it: it.alerts.get(1), Alert),
    Case("alert_get_no_agent", lambda it: it.alerts.get(4), Alert),
    Case("alert_snooze", lambda it: it.alerts.snooze(4, days=3), replay=AGAIN),
    Case("alert_unsnooze", lambda it: it.alerts.unsnooze(4), replay=AGAIN),
    Case("alerts_bulk_resolve", lambda it: it.alerts.resolve([5, 6]), replay=AGAIN),
    Case("alerts_bulk_snooze", lambda it: it.alerts.snooze([8], days=2), replay=AGAIN),
    Case("alerts_filter_resolved_false", lambda it: it.alerts.list(resolved=False), list),
    Case("alerts_filter_snoozed_false", lambda it: it.alerts.list(snoozed=False), list),
    Case(
        "alerts_filter_severity",
        lambda it: it.alerts.list(severity=["warning", "error"]),
        list,
    ),
    Case("alerts_filter_time", lambda it: it.alerts.list(days=1), list),
    Case(
        "alerts_filter_all",
        lambda it: it.alerts.list(days=30, client=1, severity="error", resolved=False, snoozed=False),
        list,
    ),
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_a_call_is_as_recorded_and_its_answer_is_ours(case: Case) -> None:
    case.holds()


PLANS = [
    ("alert_delete", lambda it: it.alerts.delete(8, with_history=True)),
]


@pytest.mark.parametrize(("name", "intent"), PLANS, ids=[name for name, _ in PLANS])
def test_a_plan_of_one_call_is_as_recorded(name: str, intent: Intent) -> None:
    one_call_is_recorded(name, intent)


class TestAlertsByHand:
    def test_what_the_server_cannot_filter_is_filtered_here(self) -> None:
        rows = [
            {"id": number, "resolved": number in {1, 2}, "snoozed": number in {2, 3}} for number in (1, 2, 3)
        ]
        script = ByHand(json.dumps(rows).encode())
        found = script.of(lambda it: it.alerts.list(resolved=True, snoozed=True))
        assert [alert.id for alert in found] == [2]
        assert [call.body for call in script.calls] == [b"{}"]

    def test_one_that_is_not_there_is_not_found_though_the_server_fails(self) -> None:
        fault, missing = ServerFaultError(500, "page"), NotFoundError(404, "No Alert")
        with pytest.raises(NotFoundError):
            ByHand(fault, missing).of(lambda it: it.alerts.delete(8, with_history=True))
        with pytest.raises(ServerFaultError):
            ByHand(fault, b'{"id": 8}').of(lambda it: it.alerts.delete(8, with_history=True))
        with pytest.raises(ServerFaultError):
            ByHand(ServerFaultError(502, "proxy")).of(lambda it: it.alerts.delete(8, with_history=True))

    def test_a_lost_answer_to_a_delete_is_settled(self) -> None:
        lost, missing = OutcomeUnknownError("lost"), NotFoundError(404, "No Alert")
        gone = ByHand(lost, missing)
        gone.of(lambda it: it.alerts.delete(8, with_history=True))
        assert [call.method for call in gone.calls] == ["DELETE", "GET"]
        there = ByHand(lost, b'{"id": 8}', b'"ok"')
        there.of(lambda it: it.alerts.delete(8, with_history=True))
        assert [call.method for call in there.calls] == ["DELETE", "GET", "DELETE"]
        twice = ByHand(lost, b'{"id": 8}', missing)
        twice.of(lambda it: it.alerts.delete(8, with_history=True))

    @pytest.mark.parametrize("lost", [OutcomeUnknownError("lost"), ServerFaultError(500, "page")])
    @pytest.mark.parametrize(
        "error",
        [
            ConnectionFailedError("no connection"),
            TimeoutError("no answer"),
            PermissionDeniedError(403, "no"),
            ServerError(502, "proxy"),
            DecodeError(200, "no JSON"),
        ],
    )
    def test_where_the_look_is_lost_too_it_is_not_known(
        self, lost: OutcomeUnknownError, error: TRMMError
    ) -> None:
        with pytest.raises(OutcomeUnknownError) as caught:
            ByHand(lost, error).of(lambda it: it.alerts.delete(8, with_history=True))
        assert (caught.value, caught.value.__cause__) == (lost, error)

    def test_nor_where_the_second_delete_comes_to_nothing(self) -> None:
        lost = OutcomeUnknownError("lost")
        for error in (ConnectionFailedError("no connection"), RateLimitedError(429, "slow down")):
            with pytest.raises(OutcomeUnknownError) as caught:
                ByHand(lost, b'{"id": 8}', error).of(lambda it: it.alerts.delete(8, with_history=True))
            assert (caught.value, caught.value.__cause__) == (lost, error)


class TestBothKinds:
    async def test_alerts(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            agent_id = server.agent_ids[0]
            server.raise_alert(agent_id, severity="purple", message="what is this")
            (alert,) = await trmm.alerts.list()
            assert (alert.agent_id, alert.severity, alert.resolved) == (agent_id, "purple", False)
            if dialect == "gateway":
                await trmm.alerts.acknowledge(alert.id)
            else:
                with pytest.raises(UnsupportedError, match=r"use alerts\.snooze.* or alerts\.resolve"):
                    await trmm.alerts.acknowledge(alert.id)
            await trmm.alerts.resolve(alert)
            assert (await trmm.alerts.list())[0].resolved
            with pytest.raises(NotFoundError):
                await trmm.alerts.resolve(99999)
            for bad in ("5001", None, True, -1, 1.5):
                with pytest.raises(InvalidRequestError, match="alert"):
                    await trmm.alerts.resolve(bad)  # type: ignore[arg-type]
