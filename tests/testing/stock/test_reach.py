"""What policies give an agent: where they are set, what blocks them, and whose check goes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trmm_async.testing import Simulator
from trmm_async.testing.stock.database import Database
from trmm_async.testing.stock.reach import given_checks, policies_of, reached_by

if TYPE_CHECKING:
    from trmm_async.testing.nouns import Agent, Client, Site

PLACES = ("own", "site", "client", "all")
PING = {"check_type": "ping", "ip": "10.0.0.1", "name": "p"}


def _set() -> tuple[Database, Agent, dict[str, int]]:
    """Policies that are set on an agent and on all that is above it."""
    server = Simulator(dialect="stock", agents=3)
    database, agent = Database(server.world), server.agents[0]
    numbers = {name: int(str(database.policies.add({"name": name, "active": True})["id"])) for name in PLACES}
    kind = f"{agent.monitoring_type}_policy"
    agent.policy = numbers["own"]
    setattr(agent.site, kind, numbers["site"])
    setattr(agent.site.client, kind, numbers["client"])
    database.settings[kind] = numbers["all"]
    return database, agent, numbers


def _names(database: Database, agent: Agent) -> list[object]:
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
