"""`trmm.alert_templates`, over real HTTP."""

from typing import Any

import pytest

from tests.servers import served
from trmm_async import InvalidRequestError

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


class TestAlertTemplates:
    async def test_are_made_changed_assigned_and_removed(self) -> None:
        async with served("stock", agents=2) as (server, trmm):
            agent = server.agents[0]
            made = await trmm.alert_templates.create(
                name="Ops", action_type="script", action=1, action_env_vars={"A": "1"},
                check_email_alert_severity=["warning", "error"], excluded_agents=[agent.agent_id],
            )  # fmt: skip
            assert (made.action, made.check_email_alert_severity) == (1, ("warning", "error"))
            assert made.excluded_agents == (agent.pk,)
            await trmm.alert_templates.update(made, is_active=False, email_recipients=["a@example.com"])
            there = await trmm.alert_templates.get(made)
            assert (there.is_active, there.email_recipients) == (False, ("a@example.com",))
            places: list[dict[str, Any]] = [
                {"policy": 1}, {"client": agent.site.client.id}, {"site": agent.site.id}, {"everywhere": True}
            ]  # fmt: skip
            for place in places:
                await trmm.alert_templates.assign(made, **place)
                with pytest.raises(InvalidRequestError, match="in use by"):
                    await trmm.alert_templates.delete(made)
                await trmm.alert_templates.assign(None, **place)
            await trmm.alert_templates.assign(made, policy=1)
            assert [one.id for one in (await trmm.alert_templates.related(made)).policies] == [1]
            await trmm.alert_templates.delete(made, in_use=True)
            assert (await trmm.policies.get(1)).alert_template is None

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ({"action_type": "rest", "action": 1}, "needs action_rest"),
            ({"action": 1}, "needs action_type"),
            ({"resolved_action_type": "server"}, "needs resolved_action"),
            ({"task_email_alert_severity": ["critical"]}, "severity"),
            ({"email_recipients": "a@example.com"}, "sequence"),
            ({"name": ""}, "name"),
        ],
    )
    async def test_what_would_run_nothing_is_refused_before(self, wrong: Any, words: str) -> None:
        async with served("stock", agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match=words):
                await trmm.alert_templates.update(1, **wrong)
            assert server.requests == []
