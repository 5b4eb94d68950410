"""What policies give an agent: where they are set, what blocks them, whose check goes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import stock
from trmm_async.testing import Simulator
from trmm_async.testing.stock.database import StockDatabase
from trmm_async.testing.stock.reach import given_checks, policies_of, reached_by

if TYPE_CHECKING:
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
