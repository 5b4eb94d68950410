"""What is on the endpoints: made when it is looked at, and changed for one agent alone."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.testing.kit import Clock
from trmm_async.testing import Simulator
from trmm_async.testing.stock.machines import Machines

if TYPE_CHECKING:
    from trmm_async.testing.nouns import Agent


@pytest.fixture
def agents() -> list[Agent]:
    found = Simulator(agents=2).agents
    for agent in found:
        agent.plat = "windows"
    return list(found)


@pytest.fixture
def machines() -> Machines:
    return Machines(Random(1), Clock())


def test_a_process_that_is_ended_is_gone_there_alone(machines: Machines, agents: list[Agent]) -> None:
    first = agents[0]
    machines.kill(first, 1234)
    machines.kill(first, 99_999)
    found = [{row["pid"] for row in machines.processes(agent)} for agent in agents]
    assert found[1] - found[0] == {1234}
    assert len(found[0]) == len(found[1]) - 1


def test_a_service_is_changed_on_one_agent_and_an_unknown_one_is_made_nowhere(
    machines: Machines, agents: list[Agent]
) -> None:
    first = agents[0]
    machines.service(first, "Spooler")["status"] = "stopped"
    assert [machines.service(agent, "Spooler")["status"] for agent in agents] == ["stopped", "running"]
    assert {row["name"]: row["status"] for row in machines.services(first)}["Spooler"] == "stopped"
    unknown = machines.service(first, "nope")
    assert (unknown["name"], unknown["pid"], unknown["autodelay"]) == ("", 0, False)
    unknown["status"] = "running"
    assert machines.service(first, "nope")["status"] == ""
    assert "nope" not in {row["name"] for row in machines.services(first)}


def test_a_service_that_is_stopped_has_no_process(machines: Machines, agents: list[Agent]) -> None:
    rows = machines.services(agents[0])
    assert {(row["status"], row["pid"] == 0) for row in rows} == {("running", False), ("stopped", True)}


def test_software_and_updates_are_for_windows_alone(machines: Machines, agents: list[Agent]) -> None:
    first, second = agents
    second.plat = "linux"
    assert (machines.software(second), machines.updates(second)) == (None, [])
    kept = machines.software(first)
    assert kept is not None
    assert kept is machines.software(first)
    assert kept["agent"] == first.pk


def test_updates_come_newest_first_and_are_found_by_their_number(
    machines: Machines, agents: list[Agent]
) -> None:
    first, second = (machines.updates(agent) for agent in agents)
    numbers = [row["id"] for row in (*first, *second)]
    assert len(set(numbers)) == 4
    for rows, agent in ((first, agents[0]), (second, agents[1])):
        assert rows == sorted(rows, key=lambda row: int(str(row["id"])), reverse=True)
        assert {row["agent"] for row in rows} == {agent.pk}
    assert machines.update(int(str(second[0]["id"]))) is second[0]
    assert machines.update(99_999) is None


def test_an_event_log_is_of_its_agent_and_of_now(machines: Machines, agents: list[Agent]) -> None:
    rows = machines.event_log(agents[1], "Security")
    assert {row["computer"] for row in rows} == {agents[1].hostname}
    assert {row["source"] for row in rows} == {"Security source"}
    assert {row["time"] for row in rows} == {"Tue Apr 21 10:32:15 2026"}
    assert len({row["record"] for row in rows}) == len(rows)


def test_names_are_made_up_as_the_generator_has_it() -> None:
    names = [Machines(Random(seed), Clock()).word(8) for seed in (1, 1, 2)]
    assert (len(names[0]), names[0] == names[1], names[0] == names[2]) == (8, True, False)
    assert names[0].isalpha()
