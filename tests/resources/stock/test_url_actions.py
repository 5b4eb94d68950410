"""`trmm.url_actions`, over real HTTP."""

import json
from typing import Any

import pytest

from tests.servers import served
from trmm_async import InvalidRequestError, NotFoundError

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


class TestUrlActions:
    async def test_are_made_changed_and_removed(self) -> None:
        async with served("stock", agents=1) as (_, trmm):
            made = await trmm.url_actions.create(
                name="n", pattern="https://x.example.com", action_type="rest", rest_headers={"a": "b"}
            )
            assert json.loads(made.rest_headers) == {"a": "b"}
            await trmm.url_actions.update(made, description="d", rest_method="patch")
            (there,) = [one for one in await trmm.url_actions.list() if one.id == made.id]
            assert (there.description, there.rest_method) == ("d", "patch")
            template = await trmm.alert_templates.create(name="t", action_type="rest", action_rest=made)
            with pytest.raises(InvalidRequestError, match=r"alert template 't': in_use=True"):
                await trmm.url_actions.delete(made)
            await trmm.alert_templates.delete(template)
            await trmm.url_actions.delete(made)
            with pytest.raises(NotFoundError):
                await trmm.url_actions.update(made, name="x")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"rest_headers": "no JSON"}, {"rest_headers": "[]"}, {"rest_method": "push"},
            {"action_type": "webhook"}, {"rest_body": {"a": 1}}, {"pattern": ""}, {"nam": "x"}, {},
        ],
    )  # fmt: skip
    async def test_bad_settings_are_refused_before(self, wrong: dict[str, Any]) -> None:
        async with served("stock", agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.url_actions.update(1, **wrong)
            assert server.requests == []
