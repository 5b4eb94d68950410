"""Tasks as they are set up, by `tasks.set_up` and `tasks.update`, against the simulator over real HTTP."""

import asyncio
import typing
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import many
from tests.recorded import recording
from tests.replays import tasks as replayed
from tests.servers import count, served
from trmm_async import (
    TRMM,
    CommandAction,
    Daily,
    InvalidRequestError,
    Manual,
    Monthly,
    MonthlyByWeekday,
    NotFoundError,
    OnBoarding,
    Once,
    OnFailure,
    PingCheck,
    ScriptAction,
    Task,
    TaskAction,
    Weekly,
)
from trmm_async.dialects.stock.tasks import task_of
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


async def test_a_script_that_is_not_there_is_found_out_before() -> None:
    async with served("stock", agents=1) as (server, trmm):
        agent = server.agent_ids[0]
        made = await trmm.tasks.set_up(name="t", schedule=Manual(), actions=[ECHO], agent=agent)
        lost = [ScriptAction(script=1), ScriptAction(script=999_999)]
        before = count(server, "POST", "/tasks/")
        for act in (
            lambda: trmm.tasks.set_up(name="u", schedule=Manual(), actions=lost, agent=agent),
            lambda: trmm.tasks.create(name="u", agent=agent, script=999_999, schedule="0 3 * * *"),
            lambda: trmm.tasks.update(made, actions=lost),
        ):
            with pytest.raises(NotFoundError, match="/scripts/999999/"):
                await act()
        assert count(server, "POST", "/tasks/") == before
        assert count(server, "PUT", "/tasks/") == 0
        # Who may not see scripts is believed.
        with server.restrict("can_list_scripts"):
            await trmm.tasks.set_up(
                name="u", schedule=Manual(), actions=[ScriptAction(script=1)], agent=agent
            )


async def test_a_task_is_started_by_a_check_of_its_own_agent_or_policy() -> None:
    async with served("stock", agents=2) as (server, trmm):
        one, other = server.agent_ids
        of_one = await trmm.checks.create(PingCheck(ip="10.0.0.1"), agent=one)
        of_policy = await trmm.checks.create(PingCheck(ip="10.0.0.2"), policy=1)
        on = OnFailure(check=of_one), OnFailure(check=of_policy)
        made = [
            await trmm.tasks.set_up(name="t", schedule=on[0], actions=[ECHO], agent=one),
            await trmm.tasks.set_up(name="t", schedule=on[1], actions=[ECHO], policy=1),
        ]
        wrong: list[tuple[OnFailure, dict[str, Any]]] = [
            (on[0], {"agent": other}),
            (on[1], {"agent": one}),
            (on[0], {"policy": 1}),
            (on[1], {"policy": 2}),
        ]
        for when, whose in wrong:
            with pytest.raises(InvalidRequestError, match="a check of its own agent or policy"):
                await trmm.tasks.set_up(name="u", schedule=when, actions=[ECHO], **whose)
        for task, when in zip(made, reversed(on), strict=True):
            with pytest.raises(InvalidRequestError, match="a check of its own agent or policy"):
                await trmm.tasks.update(task, schedule=when)
        for task, when in zip(made, on, strict=True):
            await trmm.tasks.update(task, schedule=when)


WINDOWS_ALONE: dict[str, Any] = {
    "every=2": Daily(at=AT, every=2),
    "random_delay": Weekly(at=AT, days=("monday",), random_delay=timedelta(minutes=5)),
    "repeat_every": Once(at=AT, repeat_every=timedelta(minutes=5), repeat_for=timedelta(hours=1)),
    "run_if_missed": Monthly(at=AT, days=(1,), run_if_missed=True),
    "expires": Daily(at=AT, expires=datetime.fromisoformat("2031-01-01T00:00")),
}


@pytest.mark.parametrize("what", WINDOWS_ALONE)
async def test_what_counts_on_windows_alone_is_refused_elsewhere(what: str) -> None:
    schedule = WINDOWS_ALONE[what]
    async with served("stock", agents=1) as (server, trmm):
        agent = server.agents[0]
        agent.plat = "linux"
        whose: dict[str, Any]
        for whose in ({"agent": agent.agent_id}, {"policy": 1, "platforms": ["darwin", "linux"]}):
            with pytest.raises(InvalidRequestError, match=f"{what} would be passed over on"):
                await trmm.tasks.set_up(name="t", schedule=schedule, actions=[ECHO], **whose)
        made = await trmm.tasks.set_up(name="t", schedule=Daily(at=AT), actions=[ECHO], agent=agent.agent_id)
        with pytest.raises(InvalidRequestError, match=f"{what} would be passed over on linux"):
            await trmm.tasks.update(made, schedule=schedule)
        going = Daily(at=AT, expires=datetime.fromisoformat("2031-01-01T00:00"), remove_when_expired=True)
        await trmm.tasks.update(made, schedule=going)
        agent.plat = "windows"
        await trmm.tasks.update(made, schedule=schedule)
        await trmm.tasks.set_up(name="p", schedule=schedule, actions=[ECHO], policy=1)


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

_MINUTES: Final = st.integers(1, 9_999).map(lambda minutes: timedelta(minutes=minutes))
_MOMENTS: Final = st.datetimes(
    datetime.fromisoformat("2030-01-01"), datetime.fromisoformat("2090-01-01")
).map(lambda at: at.replace(microsecond=0))
_DAY_NAMES: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def _some(*values: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.sets(st.sampled_from(values), min_size=1).map(
        lambda chosen: tuple(value for value in values if value in chosen)
    )


@st.composite
def _times(draw: st.DrawFn) -> dict[str, Any]:
    repeated = draw(st.booleans())
    return {
        "at": draw(_MOMENTS),
        "expires": draw(st.none() | _MOMENTS),
        "random_delay": draw(st.none() | _MINUTES),
        "repeat_every": draw(_MINUTES) if repeated else None,
        "repeat_for": draw(_MINUTES) if repeated else None,
        **{
            name: draw(st.booleans())
            for name in ("stop_at_duration_end", "remove_when_expired", "run_if_missed")
        },
    }


_MONTHS: Final = st.just(()) | _some(*range(1, 13)).filter(lambda months: len(months) < 12)
_DAYS: Final = _some(*range(1, 32), "last")
_WEEKS: Final = _some(1, 2, 3, 4, "last")
_WEEKDAYS: Final = _some(*_DAY_NAMES)


@st.composite
def _schedules(draw: st.DrawFn) -> Any:
    times = draw(_times())
    made: dict[Any, Any] = {
        Manual: dict,
        OnBoarding: dict,
        OnFailure: lambda: {"check": 1},
        Once: lambda: times,
        Daily: lambda: {"every": draw(st.integers(1, 255)), **times},
        Weekly: lambda: {"every": draw(st.integers(1, 52)), "days": draw(_WEEKDAYS), **times},
        Monthly: lambda: {"days": draw(_DAYS), "months": draw(_MONTHS), **times},
        MonthlyByWeekday: lambda: {
            "weekdays": draw(_WEEKDAYS),
            "weeks": draw(_WEEKS),
            "months": draw(_MONTHS),
            **times,
        },
    }
    kind = draw(st.sampled_from(list(made)))
    return kind(**made[kind]())


_WORDS: Final = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
_FULL: Final = _WORDS.filter(str.strip)
_NAMES: Final = st.text("abcDEF_", min_size=1, max_size=5)
_ACTIONS: Final = st.one_of(
    st.builds(
        CommandAction,
        command=_FULL,
        shell=st.sampled_from(["cmd", "powershell", "/bin/bash"]),
        timeout=st.integers(1, 32_767),
        name=_WORDS,
    ),
    st.builds(
        ScriptAction,
        script=st.integers(1, 3),
        args=st.lists(_WORDS, max_size=3).map(tuple),
        env_vars=st.dictionaries(_NAMES, _WORDS, max_size=2),
        timeout=st.integers(1, 32_767),
        name=_WORDS,
    ),
)
_TASKS: Final = st.fixed_dictionaries(
    {
        "name": _FULL.map(str.strip),
        "schedule": _schedules(),
        "actions": st.lists(_ACTIONS, min_size=1, max_size=3),
        **dict.fromkeys(
            (
                "enabled",
                "continue_on_error",
                "email_alert",
                "text_alert",
                "dashboard_alert",
                "collector_all_output",
            ),
            st.booleans(),
        ),
        "severity": st.sampled_from(["info", "warning", "error"]),
        "collector": st.none() | st.just(1),
        "platforms": _some("linux", "darwin").map(lambda others: ("windows", *others)),
        "instance_policy": st.sampled_from(["parallel", "queue", "ignore", "stop"]),
    }
)
_OURS: Final = {"schedule": "timing"}


@settings(max_examples=many(3), deadline=None)
@given(st.lists(_TASKS, min_size=6, max_size=6))
def test_what_was_set_up_is_read_again(orders: list[dict[str, Any]]) -> None:
    asyncio.run(_set_up_and_read(orders))


async def _set_up_and_read(orders: list[dict[str, Any]]) -> None:
    async with served("stock", agents=1) as (server, trmm):
        server.agents[0].plat = "windows"
        field = await trmm.custom_fields.create(name="Output", model="agent", type="text")
        owners: list[dict[str, Any]] = [{"agent": server.agent_ids[0]}, {"policy": 1}]
        checks = [await trmm.checks.create(PingCheck(ip="10.0.0.1"), **owner) for owner in owners]
        for place, order in enumerate(orders):
            order["collector"] = order["collector"] and field.id
            owner = owners[place % 2]
            if isinstance(order["schedule"], OnFailure):
                order["schedule"] = OnFailure(check=checks[place % 2].id)
            made = await trmm.tasks.set_up(**order, **owner)
            read = await trmm.tasks.get(made)
            told = {name: getattr(read, _OURS.get(name, name)) for name in order}
            assert told == {**order, "actions": tuple(order["actions"])}
            again = {**order, "name": "again", "enabled": not order["enabled"]}
            await trmm.tasks.update(read, **{**again, "schedule": read.timing, "actions": read.actions})
            assert (await trmm.tasks.get(made)).timing == read.timing


@pytest.mark.parametrize(
    ("made", "read"),
    [
        ("task_create_daily_full", "task_get_daily_full"),
        ("task_create_weekly_full", "task_get_weekly_full"),
        ("task_create_monthly_full", "task_get_monthly_full"),
        ("task_create_monthlydow_full", "task_get_second_tuesday"),
        ("task_create_runonce_full", "task_get_once"),
        ("task_create_onboarding", "task_get_onboarding"),
        ("task_create_checkfailure", "task_get_on_ping_failure"),
    ],
)
def test_what_a_real_server_was_sent_it_told_again(made: str, read: str) -> None:
    sent = recording(made).sent
    task, _ = task_of(recording(read).answer)
    months: Any = {"months": ()} if sent.get("monthly_months_of_year") == 4095 else {}
    assert task.timing == msgspec.structs.replace(replayed.schedule_of(sent), **months)
    assert task.actions == tuple(map(replayed.action_of, sent["actions"]))
    wanted = {
        name: tuple(one) if isinstance(one, list) else one for name, one in replayed.settings_of(sent).items()
    }
    assert {name: getattr(task, name) for name in wanted} == wanted
    assert {"timing", "actions"} & task.extra.keys() == set()
    assert "win_task_name" in task.extra


def test_an_action_that_does_nothing_and_a_schedule_of_an_old_kind_are_told_as_they_are() -> None:
    row: dict[str, Any] = recording("task_get_daily_full").body
    odd = {**row, "task_type": "scheduled", "actions": [{"type": "reboot"}, *row["actions"]]}
    task, _ = task_of(msgspec.json.encode(odd))
    assert (task.timing, len(task.actions)) == (None, 3)
    assert task.extra["actions"] == odd["actions"]
    assert task.extra["run_time_date"].isoformat() == "2027-03-01T09:30:00+00:00"
    assert task.extra["random_task_delay"] == "30M"


@pytest.mark.parametrize(
    "odd",
    [
        {"monthly_days_of_month": 1 << 32},
        {"monthly_days_of_month": 0},
        {"monthly_months_of_year": 1 << 12},
        {"run_time_date": None},
        {"random_task_delay": "soon"},
    ],
)
def test_a_schedule_that_makes_no_sense_is_none(odd: dict[str, Any]) -> None:
    row: dict[str, Any] = recording("task_get_monthly_full").body
    task, _ = task_of(msgspec.json.encode({**row, **odd}))
    assert task.timing is None
    assert task.extra.items() >= {name: value for name, value in odd.items() if value is not None}.items()


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
