"""Tasks as they are set up, by `tasks.set_up` and `tasks.update`, against the simulator over real HTTP."""

import asyncio
import typing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.servers import served
from trmm_async import (
    TRMM,
    CommandAction,
    Daily,
    InvalidRequestError,
    Manual,
    Monthly,
    MonthlyByWeekday,
    OnBoarding,
    Once,
    OnFailure,
    PingCheck,
    ScriptAction,
    Task,
    TaskAction,
    Weekly,
)
from trmm_async.resources.tasks import TaskSettings

pytestmark = pytest.mark.usefixtures("nothing_is_odd")

AT = datetime.fromisoformat("2030-03-01T09:30")
SCHEDULES: list[Any] = [
    Manual(),
    OnBoarding(),
    Once(at=AT),
    Daily(
        at=AT, every=2, random_delay=timedelta(hours=1), expires=datetime.fromisoformat("2031-01-01T00:00")
    ),
    Weekly(
        at=AT, days=("monday", "friday"), repeat_every=timedelta(minutes=90), repeat_for=timedelta(days=1)
    ),
    Monthly(at=AT, days=(1, "last"), months=(2,)),
    MonthlyByWeekday(at=AT, weekdays=("tuesday",), weeks=(2, "last")),
]
ECHO = CommandAction(command="echo hello")


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda one: type(one).__name__)
async def test_any_schedule_is_set_up_on_an_agent_and_on_a_policy(schedule: Any) -> None:
    async with served("stock", agents=1) as (server, trmm):
        actions: list[TaskAction] = [ScriptAction(script=1, args=("C:",), env_vars={"A": "1"}), ECHO]
        made = await trmm.tasks.set_up(
            name="t", schedule=schedule, actions=actions, agent=server.agent_ids[0], severity="error"
        )
        assert (made.agent_id, made.task_type) == (server.agent_ids[0], schedule.__struct_config__.tag)
        assert made.extra == {} or "actions" not in made.extra
        of_policy = await trmm.tasks.set_up(
            name="p", schedule=schedule, actions=[ECHO], policy=1, platforms=["windows", "linux"]
        )
        assert of_policy.policy == 1


async def test_one_runs_when_a_check_fails() -> None:
    async with served("stock", agents=1) as (_, trmm):
        check = await trmm.checks.create(PingCheck(ip="10.0.0.1"), policy=1)
        await trmm.tasks.set_up(name="t", schedule=OnFailure(check=check), actions=[ECHO], policy=1)
        assert len((await trmm.checks.get(check)).tasks) == 1


async def test_an_update_of_the_schedule_says_its_type() -> None:
    async with served("stock", agents=1) as (server, trmm):
        made = await trmm.tasks.set_up(name="t", schedule=Manual(), actions=[ECHO], agent=server.agent_ids[0])
        await trmm.tasks.update(made, schedule=Daily(at=AT), enabled=False)
        changed = await trmm.tasks.get(made)
        assert (changed.schedule, changed.enabled, changed.name) == ("30 9 * * *", False, "t")
        await trmm.tasks.update(made, actions=[ScriptAction(script=2)])
        changed = await trmm.tasks.get(made)
        assert (changed.script, changed.schedule) == (2, "30 9 * * *")


async def test_another_schedule_takes_its_check_away() -> None:
    async with served("stock", agents=1) as (server, trmm):
        agent = server.agent_ids[0]
        check = await trmm.checks.create(PingCheck(ip="10.0.0.1"), agent=agent)
        made = await trmm.tasks.set_up(name="t", schedule=OnFailure(check=check), actions=[ECHO], agent=agent)
        await trmm.tasks.update(made, schedule=Manual())
        assert (await trmm.tasks.get(made)).timing == Manual()
        assert (await trmm.checks.get(check)).tasks == ()


async def test_what_came_of_the_last_run_is_told_with_the_tasks_of_an_agent() -> None:
    async with served("stock", agents=1) as (server, trmm):
        agent = server.agent_ids[0]
        made = await trmm.tasks.set_up(name="t", schedule=Manual(), actions=[ECHO], agent=agent)
        assert made.result is None
        await trmm.tasks.run(made)
        async with asyncio.timeout(10):
            while (seen := await _with_result(trmm, agent, made)).result is None:
                await asyncio.sleep(0.01)
        assert seen.result.ok
        assert seen.status == "passing"


async def _with_result(trmm: TRMM, agent: str, task: Task) -> Task:
    (found,) = [one for one in await trmm.tasks.list(agent=agent) if one.id == task.id]
    return found


# -- what is written is read again ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"schedule": Daily(at=datetime(2030, 1, 1, tzinfo=UTC))}, "without a zone"),
        ({"schedule": Daily(at=AT, every=256)}, "every"),
        ({"schedule": Weekly(at=AT, days=())}, "weekdays must not be empty"),
        ({"schedule": Weekly(at=AT, days=("someday",))}, "weekdays"),
        ({"schedule": Monthly(at=AT, days=(32,))}, "days"),
        ({"schedule": MonthlyByWeekday(at=AT, weekdays=("monday",), weeks=(5,))}, "weeks"),
        ({"schedule": Daily(at=AT, repeat_every=timedelta(hours=1))}, "go together"),
        ({"schedule": Daily(at=AT, random_delay=timedelta(seconds=90))}, "whole minutes"),
        ({"schedule": "0 3 * * *"}, "schedule must be"),
        ({"actions": []}, "must not be empty"),
        ({"actions": [{"type": "cmd"}]}, "ScriptAction"),
        ({"actions": [CommandAction(command="", shell="cmd")]}, "command"),
        ({"agent": None}, "give one of agent and policy"),
        ({"severity": "critical"}, "severity"),
        ({"instance_policy": "stop_old"}, "did you mean 'stop'"),
    ],
)
async def test_what_the_server_would_fail_on_or_take_is_refused_before(
    wrong: dict[str, Any], words: str
) -> None:
    async with served("stock", agents=1) as (server, trmm):
        order: dict[str, Any] = {"name": "t", "schedule": Manual(), "actions": [ECHO], "agent": "x" * 40}
        with pytest.raises(InvalidRequestError, match=words):
            await trmm.tasks.set_up(**{**order, **wrong})
        assert server.requests == []


EVERY_SETTING: dict[str, Any] = {
    "actions": (
        ScriptAction(script=1, args=("a", "b c", ""), env_vars={"A": "1=2"}, timeout=77),
        CommandAction(command="dir\nver", shell="powershell", timeout=5),
    ),
    "enabled": False,
    "continue_on_error": False,
    "severity": "error",
    "email_alert": True,
    "text_alert": True,
    "dashboard_alert": True,
    "collector_all_output": True,
    "platforms": ("linux", "windows"),
    "instance_policy": "stop",
}


async def test_every_setting_of_a_task_is_read_as_it_was_written() -> None:
    async with served("stock", agents=1) as (server, trmm):
        field = await trmm.custom_fields.create(name="Collected", model="agent")
        settings = EVERY_SETTING | {"collector": field.id}
        assert settings.keys() == typing.get_type_hints(TaskSettings).keys()
        policy = (await trmm.policies.list())[0]
        owners: list[dict[str, Any]] = [{"agent": server.agent_ids[0]}, {"policy": policy}]
        for owner in owners:
            made = await trmm.tasks.set_up(name=" all ", schedule=Manual(), **settings, **owner)
            read = await trmm.tasks.get(made)
            assert {name: getattr(read, name) for name in settings} == settings
            changed = await trmm.tasks.set_up(
                name="u", schedule=Manual(), actions=[CommandAction(command="x")], **owner
            )
            for name, value in settings.items():
                before = await trmm.tasks.get(changed)
                change: dict[str, Any] = {name: value}
                await trmm.tasks.update(changed, **change)
                after = await trmm.tasks.get(changed)
                assert getattr(after, name) == value
                rest = {"modified_time", "extra", name, *(["script"] if name == "actions" else [])}
                others = set(Task.__struct_fields__) - rest
                assert {one for one in others if getattr(before, one) != getattr(after, one)} == set()
            await trmm.tasks.update(changed, collector=None)
            assert (await trmm.tasks.get(changed)).collector is None
