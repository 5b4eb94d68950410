"""Tasks as a stock server has them: what was sent is read again."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import many
from tests.recorded import recording
from tests.replays import tasks as replayed
from tests.servers import served
from trmm_async import (
    CommandAction,
    Daily,
    Manual,
    Monthly,
    MonthlyByWeekday,
    OnBoarding,
    Once,
    OnFailure,
    PingCheck,
    ScriptAction,
    Weekly,
)
from trmm_async.dialects.stock.tasks import task_of

pytestmark = pytest.mark.usefixtures("nothing_is_odd")

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
