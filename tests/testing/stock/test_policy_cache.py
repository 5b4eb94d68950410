"""What policies give shows late: the server's cache, and what empties it.

As in checks_agent_block_inheritance_stale and checks_agent_policy_enforced_first_read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import stock
from trmm_async import PingCheck
from trmm_async.testing.stock.policy_cache import PolicyCache

if TYPE_CHECKING:
    from trmm_async import TRMM


class _Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


async def _given(trmm: TRMM, agent: str) -> list[str]:
    """The addresses that policies have an agent pinged at."""
    rows = await trmm.request("GET", f"/agents/{agent}/checks/")
    return [row["ip"] for row in rows if row["policy"] is not None]


async def _baseline(trmm: TRMM, ip: str = "10.1.0.1") -> int:
    policy = await trmm.policies.create(name=f"of {ip}", active=True)
    await trmm.checks.create(PingCheck(name="p", ip=ip), policy=policy)
    return policy.id


async def test_a_policy_on_an_agent_shows_within_ten_minutes_or_when_the_cache_is_cleared() -> None:
    clock = _Clock()
    async with stock(clock=clock) as (server, trmm):
        agent = server.agents[0].agent_id
        policy = await _baseline(trmm)
        assert await _given(trmm, agent) == []
        await trmm.agents.update(agent, policy=policy)
        assert (await trmm.request("GET", f"/agents/{agent}/"))["policy"] == policy
        assert await _given(trmm, agent) == []
        clock.now += 599
        assert await _given(trmm, agent) == []
        clock.now += 1
        assert await _given(trmm, agent) == ["10.1.0.1"]
        await trmm.agents.update(agent, policy=None)
        assert await _given(trmm, agent) == ["10.1.0.1"]
        await trmm.core.clear_cache()
        assert await _given(trmm, agent) == []


CHANGES: dict[str, Any] = {
    "a check of the policy": lambda trmm, it: trmm.checks.create(
        PingCheck(name="q", ip="10.1.0.2"), policy=it
    ),
    "the policy is switched off": lambda trmm, it: trmm.policies.update(it, active=False),
    "the policy is deleted": lambda trmm, it: trmm.policies.delete(it, with_contents=True, in_use=True),
    "the default policy": lambda trmm, it: trmm.core.update_settings(server_policy=it, workstation_policy=it),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_what_clears_it_shows_at_once(what: str) -> None:
    async with stock() as (server, trmm):
        agent = server.agents[0].agent_id
        policy = await _baseline(trmm)
        await trmm.agents.update(agent, policy=policy)
        assert await _given(trmm, agent) == ["10.1.0.1"]
        await CHANGES[what](trmm, policy)
        shown = await _given(trmm, agent)
        expected = {"a check of the policy": ["10.1.0.1", "10.1.0.2"], "the default policy": ["10.1.0.1"]}
        assert shown == expected.get(what, [])


async def test_a_policy_of_a_site_shows_at_once_on_agents_without_checks_of_their_own_alone() -> None:
    async with stock(agents=2) as (server, trmm):
        with_own, without = server.agents
        without.site = with_own.site
        without.monitoring_type = with_own.monitoring_type
        server.world.checks_of(without.agent_id).clear()
        names = with_own.agent_id, without.agent_id
        policy = await _baseline(trmm)
        assert [await _given(trmm, one) for one in names] == [[], []]
        await trmm.request(
            "PUT",
            f"/clients/sites/{with_own.site.id}/",
            json={"site": {f"{with_own.monitoring_type}_policy": policy}},
        )
        assert [await _given(trmm, one) for one in names] == [[], ["10.1.0.1"]]


async def test_that_a_check_is_overridden_shows_from_the_second_read_on() -> None:
    async with stock() as (server, trmm):
        agent = server.agents[0].agent_id
        mine = await trmm.checks.create(PingCheck(name="own", ip="10.1.0.1"), agent=agent)
        policy = await _baseline(trmm)
        await trmm.policies.update(policy, enforced=True)
        await trmm.agents.update(agent, policy=policy)
        seen = []
        for _ in range(2):
            rows = await trmm.request("GET", f"/agents/{agent}/checks/")
            seen += [row["overridden_by_policy"] for row in rows if row["id"] == mine.id]
        assert seen == [False, True]


def test_what_is_kept_is_made_anew_after_ten_minutes_or_where_it_was_forgotten() -> None:
    clock = _Clock()
    made: list[str] = []
    cache = PolicyCache(clock)

    def age(name: str) -> int:
        """How often what is kept under this name had to be made."""

        def make() -> list[dict[str, object]]:
            made.append(name)
            return []

        cache.get(name, make)
        return made.count(name)

    names = ("site_1_checks", "agent_a_checks", "agent_a_tasks")
    assert [age(name) for name in names * 2] == [1, 1, 1] * 2
    cache.forget("agent_*_checks")
    assert [age(name) for name in names] == [1, 2, 1]
    cache.forget("site_*_tasks", "agent_b_checks")
    assert [age(name) for name in names] == [1, 2, 1]
    clock.now += 599
    assert [age(name) for name in names] == [1, 2, 1]
    clock.now += 1
    assert [age(name) for name in names] == [2, 3, 2]
    cache.forget_all()
    assert [age(name) for name in names] == [3, 4, 3]
