from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import many
from trmm_async.testing import UnknownThingError, World
from trmm_async.testing.nouns import AlertChanged, CameOnline, Event, WentOffline

from .kit import START, Clock

if TYPE_CHECKING:
    from collections.abc import Callable


def world(agents: int = 4, seed: int = 0, clock: Clock | None = None) -> World:
    return World(agents=agents, seed=seed, clock=clock or Clock())


def told(it: World) -> list[Event]:
    events: list[Event] = []
    it.listen(events.append)
    return events


@settings(max_examples=many(40))
@given(agents=st.integers(0, 60), seed=st.integers())
def test_the_same_seed_makes_the_same_world(agents: int, seed: int) -> None:
    one, other = world(agents, seed), world(agents, seed)
    assert [asdict(agent) for agent in one.agents.values()] == [
        asdict(agent) for agent in other.agents.values()
    ]
    assert one.checks_of() == other.checks_of()
    assert len(one.agents) == agents


@settings(max_examples=many(20))
@given(seed=st.integers())
def test_names_and_ids_are_taken_once(seed: int) -> None:
    it = world(150, seed)
    assert len({agent.hostname for agent in it.agents.values()}) == 150
    assert len({agent.pk for agent in it.agents.values()}) == 150
    checks = it.checks_of()
    assert len({check.id for check in checks}) == len(checks) > 150


def test_a_fleet_is_mixed() -> None:
    agents = world(300).agents.values()
    assert {agent.plat for agent in agents} == {"windows", "linux", "darwin"}
    assert {agent.monitoring_type for agent in agents} == {"server", "workstation"}
    assert len({agent.site.client.id for agent in agents}) == 5
    assert all(agent.online for agent in agents)
    assert all(agent.disks for agent in agents)


def test_the_examples_of_the_documentation_are_there() -> None:
    it = world(1)
    (agent,) = it.agents.values()
    assert (agent.hostname, agent.plat, agent.logged_in_username) == ("JADE-PC", "windows", "jerem")
    assert (agent.site.client.id, agent.site.client.name) == (34, "Hermes Network Inc.")
    assert (agent.site.id, agent.site.name) == (41, "Jakarta Office")
    assert (it.scripts[1].name, it.scripts[1].shell) == ("Get-DiskInfo", "powershell")


def test_a_negative_fleet_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="-1"):
        world(-1)


def test_filters_are_joined() -> None:
    it = world(200)
    servers = it.find_agents(monitoring_type="server", client=34)
    assert servers
    assert all(agent.monitoring_type == "server" and agent.site.client.id == 34 for agent in servers)
    assert it.find_agents(hostname="JADE-PC", site=41) == [it.find_agents()[0]]
    assert it.find_agents(hostname="jade-pc") == []


@pytest.mark.parametrize(
    "look",
    [
        lambda it: it.agent("nobody"),
        lambda it: it.client(1),
        lambda it: it.site(1),
        lambda it: it.sites_of(1),
        lambda it: it.script(99),
        lambda it: it.alert(1),
        lambda it: it.deployment(1),
        lambda it: it.go_offline("nobody"),
        lambda it: it.come_online("nobody"),
        lambda it: it.delete_agent("nobody"),
        lambda it: it.add_agent(site=1),
        lambda it: it.create_site(1, "x"),
        lambda it: it.raise_alert("nobody", severity="error", message="", alert_type="check"),
        lambda it: it.resolve_alert(1),
        lambda it: it.revoke_deployment(1),
    ],
)
def test_what_is_not_there_is_a_lookup_error(look: Callable[[World], object]) -> None:
    with pytest.raises(UnknownThingError, match="in this world"):
        look(world())


def test_going_and_coming_is_told_once_and_moves_last_seen() -> None:
    clock = Clock()
    it = world(clock=clock)
    events, who = told(it), next(iter(it.agents))
    clock.now += 100
    it.go_offline(who)
    it.go_offline(who)
    clock.now += 100
    it.come_online(who)
    it.come_online(who)
    assert events == [WentOffline(who, START + 100), CameOnline(who, START + 200)]
    assert it.agent(who).last_seen == START + 200


def test_alerts_are_told_when_raised_and_when_resolved_and_not_when_acknowledged() -> None:
    it = world()
    events, who = told(it), next(iter(it.agents))
    alert = it.raise_alert(who, severity="warning", message="full", alert_type="check")
    assert (alert.id, alert.created_at, alert.resolved) == (5001, START, False)
    assert it.acknowledge_alert(alert.id).acknowledged
    it.resolve_alert(alert.id)
    it.resolve_alert(alert.id)
    assert events == [AlertChanged(who, alert)] * 2
    assert alert.resolved


def test_a_deleted_agent_takes_what_is_its_own_with_it() -> None:
    it = world()
    who, other = list(it.agents)[:2]
    for owner in (who, other):
        it.raise_alert(owner, severity="error", message="", alert_type="check")
    assert it.checks_of(who)
    it.delete_agent(who)
    assert who not in it.agents
    assert it.checks_of(who) == []
    assert {alert.agent_id for alert in it.alerts.values()} == {other}
    assert who not in {task.agent_id for task in it.tasks.values()}
    assert len({check.agent_id for check in it.checks_of()}) == 3


def test_an_id_is_not_used_again() -> None:
    it = world()
    who, other = list(it.agents)[:2]
    gone = it.raise_alert(who, severity="error", message="", alert_type="check")
    it.delete_agent(who)
    assert it.raise_alert(other, severity="error", message="", alert_type="check").id == gone.id + 1


def test_a_check_stays_as_a_test_has_left_it() -> None:
    it = world()
    who = next(iter(it.agents))
    it.checks_of(who)[0].status = "failing"
    assert it.checks_of(who)[0].status == "failing"
    assert it.checks_of()[0].status == "failing"


def test_checks_suit_the_agent() -> None:
    it = world(60)
    kinds = {
        agent.plat: {check.check_type for check in it.checks_of(agent.agent_id)} for agent in it.find_agents()
    }
    assert {"diskspace", "ping", "cpuload", "memory", "winsvc", "eventlog"} >= kinds["windows"]
    assert "winsvc" in kinds["windows"]
    assert "script" in kinds["linux"]
    assert "winsvc" not in kinds["linux"]


def test_an_added_agent_is_like_the_others() -> None:
    it = world(2)
    named, placed = it.add_agent(hostname="NEW-PC"), it.add_agent(site=45)
    assert it.find_agents(hostname="NEW-PC") == [named]
    assert placed.site.id == 45
    assert len({agent.pk for agent in it.agents.values()}) == 4
    assert it.checks_of(named.agent_id)


def test_clients_get_sites_and_names_are_taken_once() -> None:
    it = world()
    client = it.create_client("New tenant")
    assert it.sites_of(client.id) == []
    site = it.create_site(client.id, "Main")
    assert it.sites_of(client.id) == [site]
    with pytest.raises(ValueError, match="already"):
        it.create_client("New tenant")


def test_a_deployment_is_active_until_it_expires_or_is_revoked() -> None:
    clock = Clock()
    it = world(clock=clock)
    first, second = (
        it.create_deployment(client=34, site=41, expiry=clock.now + 60, arch="amd64") for _ in range(2)
    )
    assert (first.id, second.id) == (123, 124)
    assert it.deployment(first.uuid) is it.deployment(first.id) is first
    assert it.deployment(second.uuid) is it.deployment(second.id) is second
    it.revoke_deployment(first.id)
    assert it.active_deployments() == [second]
    clock.now += 59.875
    assert it.active_deployments() == [second]
    clock.now += 0.125
    assert it.active_deployments() == []


def test_a_deployment_needs_a_site_of_its_client() -> None:
    with pytest.raises(ValueError, match="site 43 does not belong to client 34"):
        world().create_deployment(client=34, site=43, expiry=START + 60, arch="amd64")
