"""`trmm.policies.patches`."""

from typing import Any

import pytest

from tests.servers import count, served
from trmm_async import InvalidRequestError, NotFoundError

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


async def test_a_policy_has_one_patch_policy() -> None:
    async with served("stock", agents=3) as (_, trmm):
        policy = (await trmm.policies.list())[0]
        made = await trmm.policies.patches.create(policy, critical="approve", run_time_days=[2, 0, 2])
        assert (made.policy, made.critical, made.low, made.run_time_days) == (
            policy.id, "approve", "inherit", (0, 2),
        )  # fmt: skip
        with pytest.raises(InvalidRequestError, match="update that one"):
            await trmm.policies.patches.create(policy)
        await trmm.policies.patches.update(made, run_time_frequency="daily", reprocess_failed_times=2)
        (there,) = [one for one in await trmm.policies.list() if one.id == policy.id]
        assert there.patch_policy is not None
        assert (there.patch_policy.run_time_frequency, there.patch_policy.critical) == ("daily", "approve")
        await trmm.policies.patches.delete(made)
        with pytest.raises(NotFoundError):
            await trmm.policies.patches.update(made, low="ignore")
        with pytest.raises(NotFoundError, match="no policy 999999"):
            await trmm.policies.patches.create(999_999)


async def test_a_reset_of_all_is_said_and_not_left_out() -> None:
    async with served("stock", agents=3) as (server, trmm):
        for agent in server.agents:
            agent.update_policy["critical"] = "approve"
        wrong: dict[str, Any]
        for wrong in ({}, {"client": 1, "everywhere": True}, {"everywhere": False}):
            with pytest.raises(InvalidRequestError, match="everywhere"):
                await trmm.policies.patches.reset(**wrong)
        assert server.requests == []
        with pytest.raises(NotFoundError, match="/clients/999999/"):
            await trmm.policies.patches.reset(client=999_999)
        with pytest.raises(NotFoundError, match="/sites/999999/"):
            await trmm.policies.patches.reset(site=999_999)
        assert count(server, "POST", "/reset/") == 0
        site = server.agents[0].site
        await trmm.policies.patches.reset(site=site.id)
        assert [one.update_policy["critical"] for one in server.agents if one.site is not site] != []
        for agent in server.agents:
            assert agent.update_policy["critical"] == ("inherit" if agent.site is site else "approve")
        await trmm.policies.patches.reset(everywhere=True)
        assert {one.update_policy["critical"] for one in server.agents} == {"inherit"}
