"""The stock server's tables, and what the world has in them."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.testing.kit import Clock
from trmm_async.testing import Simulator
from trmm_async.testing.replies import AnsweredError
from trmm_async.testing.stock.database import RESULTS, StockDatabase

if TYPE_CHECKING:
    from collections.abc import Callable

    from trmm_async.testing.nouns import Agent
    from trmm_async.testing.stock.table import Row


@pytest.fixture
def database() -> StockDatabase:
    return StockDatabase(Simulator(agents=2, clock=Clock()).world, (1, 5, 1))


@pytest.fixture
def agents(database: StockDatabase) -> list[Agent]:
    return list(database._world.agents.values())


def _is_unknown(ask: Callable[[], object], words: str) -> None:
    with pytest.raises(AnsweredError) as caught:
        ask()
    reply = caught.value.reply
    assert (reply.status, json.loads(reply.body)) == (404, {"detail": words})


def test_checks_of_the_world_are_rows_of_their_agent(database: StockDatabase, agents: list[Agent]) -> None:
    first, second = agents
    rows = database.checks_of(first)
    assert [row["id"] for row in rows] == [check.id for check in database._world.checks_of(first.agent_id)]
    assert {row["agent"] for row in rows} == {first.pk}
    assert database.checks_of(first) == rows
    mine = database.new_check({"check_type": "memory", "agent": second.pk}, "eve")
    assert database.checks_of(second)[-1] is mine
    assert mine not in database.checks_of(first)
    policy = database.new_check({"check_type": "memory", "policy": 1}, "eve")
    assert database.policy_checks() == [policy]
    assert database.all_checks() == [policy, *rows, *database.checks_of(second)]


def test_a_check_goes_with_its_agent_and_its_result_with_both(
    database: StockDatabase, agents: list[Agent]
) -> None:
    first, second = agents
    number = int(str(database.checks_of(first)[0]["id"]))
    assert database.check(str(number))["agent"] == first.pk
    assert database.result(RESULTS + number).id == number
    _is_unknown(lambda: database.result(number), "No CheckResult matches the given query.")
    _is_unknown(lambda: database.check(99), "No Check matches the given query.")
    del database._world.agents[first.agent_id]
    _is_unknown(lambda: database.check(number), "No Check matches the given query.")
    _is_unknown(lambda: database.result(RESULTS + number), "No CheckResult matches the given query.")
    assert {row["agent"] for row in database.all_checks()} == {second.pk}


def test_a_check_that_is_dropped_is_gone_from_the_world_and_from_tasks(
    database: StockDatabase, agents: list[Agent]
) -> None:
    row, other = database.checks_of(agents[0])[:2]
    tasks = [database.tasks.add({"name": "t", "assigned_check": one["id"]}) for one in (row, other)]
    database.drop_check(row)
    assert [task["assigned_check"] for task in tasks] == [None, other["id"]]
    assert row["id"] not in {check.id for check in database._world.checks_of(agents[0].agent_id)}
    assert row not in database.checks_of(agents[0])
    _is_unknown(lambda: database.check(int(str(row["id"]))), "No Check matches the given query.")


def test_a_check_that_runs_first_is_passing_and_one_that_ran_keeps_its_state(
    database: StockDatabase, agents: list[Agent]
) -> None:
    agent, now = agents[0], database._world.clock()
    made = database.new_check({"check_type": "ping", "name": "gw", "agent": agent.pk}, "eve")
    ran = database.has_run(made, agent)
    assert (ran.status, ran.check_type, ran.name, ran.agent_id, ran.last_run) == (
        "passing", "ping", "gw", agent.agent_id, now,
    )  # fmt: skip
    old = database._world.checks_of(agent.agent_id)[0]
    old.status, old.last_run = "failing", 5.0
    assert database.has_run(database.check(old.id), agent) is old
    assert (old.status, old.last_run) == ("failing", now)


def test_a_check_of_a_policy_is_forgotten_for_all_and_one_of_an_agent_for_that_agent(
    database: StockDatabase, agents: list[Agent]
) -> None:
    names = ["site_1_checks", *(f"agent_{agent.agent_id}_checks" for agent in agents), "agent_x_tasks"]

    def left_by(change: Callable[[], object]) -> list[str]:
        database.policy_cache.forget_all()
        for name in names:
            database.policy_cache.get(name, list)
        change()
        made: list[str] = []

        def make(name: str) -> list[Row]:
            made.append(name)
            return []

        for name in names:
            database.policy_cache.get(name, partial(make, name))
        return [name for name in names if name not in made]

    row: Row = {"check_type": "ping", "agent": None, "policy": None}
    assert left_by(lambda: database.new_check({**row, "policy": 1}, "eve")) == names[3:]
    mine = {**row, "agent": agents[0].pk}
    assert left_by(lambda: database.new_check(mine, "eve")) == [names[0], *names[2:]]
    assert left_by(lambda: database.task_changed({"policy": 1})) == names[:3]
    assert left_by(lambda: database.task_changed({"policy": None})) == names


@pytest.mark.parametrize(
    ("schedule", "bits", "time"),
    [("30 2 * * 1", 2, "02:30:00"), ("0 3 * * 0", 1, "03:00:00"), ("5 * * * *", 127, "00:05:00")],
)
def test_a_task_of_the_world_is_weekly(
    database: StockDatabase, agents: list[Agent], schedule: str, bits: int, time: str
) -> None:
    world = database._world
    world.tasks.clear()
    made = world.create_task(
        name="Tidy", agent_id=agents[0].agent_id, script=1, schedule=schedule, enabled=True
    )
    row = database.task(made.id)
    assert (row["task_type"], row["run_time_bit_weekdays"], row["weekly_interval"]) == ("weekly", bits, 1)
    assert str(row["run_time_date"])[11:-1] == time
    actions: Any = row["actions"]
    (action,) = actions
    assert (action["type"], action["script"], action["name"]) == ("script", 1, world.scripts[1].name)
    assert database.results[made.id]["status"] == "pending"
    world.agents.pop(agents[0].agent_id)
    assert database.all_tasks() == []


def test_a_result_of_a_policy_is_one_for_each_agent(database: StockDatabase, agents: list[Agent]) -> None:
    rows = [
        database.result_of_policy(what, 7, agent)
        for what in ("check", "task")
        for agent in (*agents, agents[0])
    ]
    assert [rows[0] is rows[2], rows[3] is rows[5]] == [True, True]
    assert len({row["id"] for row in rows}) == 4
    assert [row["agent"] for row in rows[:2]] == [agent.pk for agent in agents]
    assert {row["status"] for row in rows} == {"pending"}
    assert (rows[0]["assigned_check"], rows[3]["task"], rows[3]["sync_status"]) == (7, 7, "initial")


def test_scripts_and_custom_fields_are_those_of_the_world(database: StockDatabase) -> None:
    world = database._world
    script = world.scripts[1]
    row = database.script(script)
    row["category"] = "kept"
    script.name = "Renamed"
    assert database.script(script) is row
    assert (row["name"], row["category"], row["script_type"]) == ("Renamed", "kept", "userdefined")
    assert len(database.all_scripts()) == len(world.scripts)
    assert database.all_custom_fields() == []


@pytest.mark.parametrize(("release", "calls"), [((0, 18, 2), False), ((0, 19), True), ((1, 5, 1), True)])
def test_an_older_release_has_no_calls_in_its_templates(release: tuple[int, ...], calls: bool) -> None:
    database = StockDatabase(Simulator(agents=1).world, release)
    assert ("rest_method" in database.url_actions.add({})) is calls
    assert ("action_rest" in database.alert_templates.add({})) is calls
    assert ("resolved_action_type" in database.alert_templates.add({})) is calls


def test_an_agent_is_found_by_its_number_until_it_is_gone(
    database: StockDatabase, agents: list[Agent]
) -> None:
    first, second = agents
    found = [database.agent_of({"agent": number}) for number in (first.pk, second.pk, None, 99)]
    assert found == [first, second, None, None]
    assert (database.is_agent(first.pk), database.is_agent(99)) == (True, False)
    del database._world.agents[first.agent_id]
    assert database.agent_of({"agent": first.pk}) is None
    assert not database.is_agent(first.pk)


def test_what_a_new_installation_has(database: StockDatabase) -> None:
    database.begin()
    policies = [(row["name"], row["active"], row["enforced"]) for row in database.policies]
    assert policies == [("Server baseline", True, True), ("Workstation baseline", True, False)]
    assert [row["policy"] for row in (*database.policy_checks(), *database.tasks)] == [1, 1]
    scripts = {row["name"]: (row["script_type"], row["hidden"]) for row in database.all_scripts()}
    assert scripts["Win_Defender_Status_Report"] == ("builtin", False)
    assert scripts["Hidden helper"] == ("userdefined", True)
    named = [
        [row["name"] for row in table] for table in (database.snippets, database.keys, database.url_actions)
    ]
    assert named == [["WriteLog"], ["smtp_host"], ["Lookup IP"]]
