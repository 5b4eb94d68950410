"""What policies give an agent: where they are set, what blocks them, whose check goes first, what is late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import stock
from trmm_async import PingCheck
from trmm_async.testing import Simulator
from trmm_async.testing.stock.database import StockDatabase
from trmm_async.testing.stock.reach import given_checks, policies_of, reached_by

if TYPE_CHECKING:
    from trmm_async import TRMM
    from trmm_async.testing.nouns import Agent, Client, Site

PLACES = ("own", "site", "client", "all")
PING = {"check_type": "ping", "ip": "10.0.0.1", "name": "p"}


def _set() -> tuple[StockDatabase, Agent, dict[str, int]]:
    """Policies that are set on an agent and on all that is above it."""
    server = Simulator(dialect="stock", agents=3)
    database, agent = StockDatabase(server.world, (1, 5, 1)), server.agents[0]
    numbers = {name: int(str(database.policies.add({"name": name, "active": True})["id"])) for name in PLACES}
    kind = f"{agent.monitoring_type}_policy"
    agent.policy = numbers["own"]
    setattr(agent.site, kind, numbers["site"])
    setattr(agent.site.client, kind, numbers["client"])
    database.settings[kind] = numbers["all"]
    return database, agent, numbers


def _names(database: StockDatabase, agent: Agent) -> list[object]:
    return [row["name"] for row in policies_of(database, agent)]


@pytest.mark.parametrize(
    ("place", "left"), [("agent", PLACES[:1]), ("site", PLACES[:2]), ("client", PLACES[:3]), ("", PLACES)]
)
def test_what_blocks_inheritance_cuts_what_comes_from_above(place: str, left: tuple[str, ...]) -> None:
    database, agent, _ = _set()
    holders: dict[str, Agent | Site | Client] = {
        "agent": agent,
        "site": agent.site,
        "client": agent.site.client,
    }
    if place:
        holders[place].block_policy_inheritance = True
    assert _names(database, agent) == list(left)


def test_an_inactive_one_and_one_that_excludes_it_give_nothing() -> None:
    database, agent, numbers = _set()
    database.policies.rows[numbers["own"]]["active"] = False
    database.policies.rows[numbers["site"]]["excluded_agents"] = [agent.pk]
    database.policies.rows[numbers["client"]]["excluded_clients"] = [agent.site.client.id]
    assert _names(database, agent) == ["all"]


@pytest.mark.parametrize("enforced", [False, True])
def test_an_agents_own_check_goes_before_that_of_a_policy_that_is_not_enforced(enforced: bool) -> None:
    database, agent, numbers = _set()
    policy = database.policies.rows[numbers["own"]]
    policy["enforced"] = enforced
    mine = database.new_check({**PING, "agent": agent.pk}, "admin")
    theirs = database.checks.add({**PING, "policy": numbers["own"]})
    other = database.checks.add({**PING, "ip": "10.0.0.2", "policy": numbers["site"]})
    assert given_checks(database, agent) == ([theirs, other] if enforced else [other])
    assert mine["overridden_by_policy"] is enforced


def test_a_policy_that_is_nowhere_reaches_nobody() -> None:
    database, _, _ = _set()
    lonely = database.policies.add({"name": "lonely", "active": True})
    assert reached_by(database, database._world, lonely["id"]) == []


def test_a_kind_that_is_for_windows_is_given_to_nothing_else() -> None:
    database, agent, numbers = _set()
    database._world.checks_of(agent.agent_id).clear()
    kinds = ("winsvc", "ping", "memory", "diskspace")
    for kind in kinds:
        database.checks.add({"check_type": kind, "ip": "10.0.0.9", "disk": "Z:", "policy": numbers["own"]})
    for plat, given in (("windows", ["diskspace", "ping", "memory", "winsvc"]), ("linux", ["ping"])):
        agent.plat = plat
        database.policy_cache.forget_all()
        assert [row["check_type"] for row in given_checks(database, agent)] == given


# -- what shows late, as in checks_agent_block_inheritance_stale and checks_agent_policy_enforced_first_read -


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


async def test_an_agents_alert_template_is_its_nearest_places_and_stands_where_the_server_shows_it() -> None:
    async with stock(agents=3) as (server, trmm):
        agent = server.agents[0]
        kind: Any = agent.monitoring_type
        # As the server takes them: a policy's goes before its place's, but for the default one's.
        names = ("agent", "of site", "site", "of client", "client", "all", "of all")
        templates = {name: await trmm.alert_templates.create(name=name) for name in names}
        await trmm.tasks.create(name="t", agent=agent.agent_id, script=1, schedule="0 3 * * *")
        policies = {
            name: await trmm.policies.create(name=name, active=True, alert_template=templates[template].id)
            for name, template in zip(
                ("a", "s", "c", "d"), ("agent", "of site", "of client", "of all"), strict=True
            )
        }
        site, client = agent.site.id, agent.site.client.id
        await trmm.policies.assign(policies["a"], agent=agent.agent_id)
        await trmm.policies.assign(policies["s"], site=site, monitoring_type=kind)
        await trmm.policies.assign(policies["c"], client=client, monitoring_type=kind)
        await trmm.policies.assign(policies["d"], everywhere=True, monitoring_type=kind)
        await trmm.alert_templates.assign(templates["site"], site=site)
        await trmm.alert_templates.assign(templates["client"], client=client)
        await trmm.alert_templates.assign(templates["all"], everywhere=True)
        assert (await trmm.alert_templates.get(templates["site"])).applied_count == 1

        beside = [
            f"/agents/{agent.agent_id}/",
            f"/agents/{agent.agent_id}/checks/",
            f"/agents/{agent.agent_id}/tasks/",
        ]

        async def has() -> set[str | None]:
            (listed,) = [
                one for one in await trmm.request("GET", "/agents/") if one["agent_id"] == agent.agent_id
            ]
            detail, (check, *_), (task, *_) = [await trmm.request("GET", path) for path in beside]
            return {
                one["alert_template"] and one["alert_template"]["name"]
                for one in (listed, detail, check, task)
            }

        left_out: tuple[dict[str, Any], ...] = (
            {"is_active": False},
            {"excluded_agents": [agent.agent_id]},
            {"excluded_sites": [site]},
            {"excluded_clients": [client]},
            {f"exclude_{kind}s": True},
            {"is_active": False},
            {"is_active": False},
        )
        for name, change in zip(names, left_out, strict=True):
            assert await has() == {name}
            await trmm.alert_templates.update(templates[name], **change)
        assert await has() == {None}


async def test_an_agent_tells_its_policies_and_the_patch_policy_that_they_give_it() -> None:
    async with stock(agents=3) as (server, trmm):
        agent = server.agents[0]
        kind: Any = agent.monitoring_type
        policy = await trmm.policies.create(name="Base", active=True)
        await trmm.policies.patches.create(policy, critical="approve", important="approve", run_time_hour=7)
        await trmm.policies.assign(policy, site=agent.site.id, monitoring_type=kind)
        await trmm.agents.update(agent.agent_id, patch_policy={"important": "ignore"})
        detail = await trmm.agents.get(agent.agent_id)
        applied = detail.extra["applied_policies"]
        assert [place for place, each in applied.items() if each] == ["site_policy"]
        effective = detail.extra["effective_patch_policy"]
        assert [effective[name] for name in ("critical", "important", "run_time_hour")] == [
            "approve",
            "ignore",
            7,
        ]
        await trmm.policies.update(policy, active=False)
        effective = (await trmm.agents.get(agent.agent_id)).extra["effective_patch_policy"]
        assert [effective[name] for name in ("critical", "important")] == ["inherit", "ignore"]
