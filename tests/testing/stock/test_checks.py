"""Checks: their results, their histories, and what can be set up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testing.kit import Row, one, rows

if TYPE_CHECKING:
    from tests.testing.kit import Clock, Http
    from trmm_async.testing import Simulator


async def test_a_check_and_its_result_have_two_numbers(http: Http, server: Simulator) -> None:
    agent = server.agents[0]
    path = f"/agents/{agent.agent_id}/checks/"
    check = server.world.checks_of(agent.agent_id)[0]
    check.status = "failing"
    shown = await one(http, path, id=check.id)
    result = shown["check_result"]
    assert isinstance(result, dict)
    assert (result["status"], result["assigned_check"], result["agent"]) == ("failing", check.id, agent.pk)
    assert result["id"] != check.id
    assert (await http("POST", f"/checks/{check.id}/reset/")).status == 404
    assert (await http("POST", f"/checks/{result['id']}/reset/")).status == 200
    assert check.status == "passing"


async def test_resetting_resolves_the_alert(http: Http, server: Simulator) -> None:
    agent_id = server.agent_ids[0]
    check = server.world.checks_of(agent_id)[0]
    alert = server.world.alerts[server.raise_alert(agent_id)]
    other = server.world.alerts[server.raise_alert(agent_id)]
    alert.assigned_check = check.id
    assert (await http("POST", f"/checks/{agent_id}/resetall/")).status == 200
    assert (alert.resolved, other.resolved) == (True, False)


async def test_only_the_list_of_one_agent_has_results(http: Http, server: Simulator) -> None:
    everybodys = await rows(http, "/checks/")
    assert all(row["check_result"] == {} for row in everybodys)
    assert {row["agent"] for row in everybodys} == {None, *(agent.pk for agent in server.agents)}
    assert (await http.get(f"/checks/{everybodys[-1]['id']}/")).fields["check_result"] == {}


async def test_a_check_that_was_made_has_no_result_until_it_ran(http: Http, server: Simulator) -> None:
    agent_id = server.agent_ids[0]
    body = {"agent": agent_id, "check_type": "ping", "name": "gw", "ip": "10.0.0.1"}
    assert (await http("POST", "/checks/", body)).json == "Ping Check: gw was added!"
    path = f"/agents/{agent_id}/checks/"
    made = await one(http, path, name="gw")
    assert made["check_result"] == {}
    assert (await http("POST", f"/checks/{agent_id}/run/")).status == 200
    result = (await one(http, path, name="gw"))["check_result"]
    assert isinstance(result, dict)
    assert result["status"] == "passing"
    answer = await http("PUT", f"/checks/{made['id']}/", {"ip": "example.com", "check_type": "memory"})
    assert answer.json == "Ping Check: gw was edited!"
    changed = await one(http, path, id=made["id"])
    assert (changed["ip"], changed["check_type"], changed["modified_by"]) == ("example.com", "ping", "admin")
    assert (await http("DELETE", f"/checks/{made['id']}/")).json == "Ping Check: gw was deleted!"
    assert (await http.get(f"/checks/{made['id']}/")).status == 404


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"check_type": "ping", "name": "x", "ip": "no address"},
            "Please enter a valid IP address or domain name",
        ),
        ({"check_type": "diskspace", "disk": "C:"}, "A disk check for Drive C: already exists!"),
        (
            {"check_type": "diskspace", "disk": "X:", "warning_threshold": 0, "error_threshold": 0},
            "Warning threshold or Error Threshold must be set",
        ),
        (
            {"check_type": "diskspace", "disk": "X:", "warning_threshold": 5, "error_threshold": 20},
            "Warning threshold must be greater than Error Threshold",
        ),
        ({"check_type": "cpuload", "warning_threshold": 5}, "A cpuload check for this agent already exists"),
    ],
)
async def test_a_check_that_makes_no_sense(http: Http, server: Simulator, body: Row, words: str) -> None:
    answer = await http("POST", "/checks/", body | {"agent": server.agent_ids[0]})
    assert (answer.status, answer.json) == (400, {"non_field_errors": [words]})


async def test_a_check_with_a_threshold_missing_is_a_500(http: Http, server: Simulator) -> None:
    body = {"check_type": "diskspace", "disk": "X:", "agent": server.agent_ids[0]}
    assert (await http("POST", "/checks/", body)).status == 500
    answer = await http("POST", "/checks/", {"policy": 2, "check_type": "memory", "warning_threshold": 90,
                                             "error_threshold": 10})  # fmt: skip
    assert answer.json == {"non_field_errors": ["Warning threshold must be less than Error Threshold"]}
    assert (await http("POST", "/checks/", {"policy": 99, "check_type": "memory"})).status == 400


async def test_deleting_a_check_takes_it_from_the_agent(http: Http, server: Simulator) -> None:
    check = server.world.checks_of(server.agent_ids[0])[0]
    assert (await http("DELETE", f"/checks/{check.id}/")).status == 200
    assert check not in server.world.checks_of(server.agent_ids[0])


async def test_an_uninstalled_agent_has_no_checks_and_tasks(http: Http, server: Simulator) -> None:
    agent = server.agents[0]
    check = server.world.checks_of(agent.agent_id)[0]
    assert (await http.get(f"/checks/{check.id}/")).status == 200
    await http("DELETE", f"/agents/{agent.agent_id}/")
    assert (await http.get(f"/checks/{check.id}/")).status == 404
    assert agent.pk not in {row["agent"] for row in await rows(http, "/checks/")}
    assert agent.pk not in {row["agent"] for row in await rows(http, "/tasks/")}


async def test_history_is_as_long_as_was_asked_for(http: Http, server: Simulator) -> None:
    shown = (await rows(http, f"/agents/{server.agent_ids[0]}/checks/"))[0]["check_result"]
    assert isinstance(shown, dict)
    path = f"/checks/{shown['id']}/history/"
    assert len((await http("PATCH", path, {})).items) == 30
    assert 0 < len((await http("PATCH", path, {"timeFilter": 0.01})).items) < 30


async def test_checks_of_many_agents_run(http: Http, server: Simulator, clock: Clock) -> None:
    clock.now += 1000
    site = server.agents[0].site
    there = server.world.find_agents(site=site.id)
    answer = await http("POST", f"/checks/site/{site.id}/csbulkrun/")
    assert answer.json == f"Checks will now be run on {len(there)} agents"
    assert server.world.checks_of(there[0].agent_id)[0].last_run == clock.now
