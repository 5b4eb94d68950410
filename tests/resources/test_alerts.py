"""`trmm.alerts` on a stock server, over real HTTP."""

from typing import Any

import pytest

from tests.servers import stock
from trmm_async import (
    NotFoundError,
    OutcomeUnknownError,
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
