"""Kinds of checks, actions and schedules: told apart by their tags, and light."""

import json
from datetime import datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest

from trmm_async.kinds import (
    CheckKind,
    CommandAction,
    Daily,
    DiskSpaceCheck,
    Monthly,
    MonthlyByWeekday,
    Once,
    PingCheck,
    ScriptAction,
    ScriptCheck,
    TaskAction,
    TaskSchedule,
    Weekly,
)

AT = datetime.fromisoformat("2030-03-01T09:30")


@pytest.mark.parametrize(
    ("union", "tags"),
    [
        (CheckKind, {"diskspace", "cpuload", "memory", "ping", "winsvc", "script", "eventlog"}),
        (TaskAction, {"script", "cmd"}),
        (
            TaskSchedule,
            {
                *("manual", "onboarding", "checkfailure", "runonce"),
                *("daily", "weekly", "monthly", "monthlydow"),
            },
        ),
    ],
)
def test_each_has_the_servers_own_name(union: Any, tags: set[str]) -> None:
    assert {kind.__struct_config__.tag for kind in get_args(union)} == tags
    assert len({kind.__struct_config__.tag_field for kind in get_args(union)}) == 1


@pytest.mark.parametrize(
    ("union", "value"),
    [
        (CheckKind, DiskSpaceCheck(disk="C:", warning_threshold=20, fails_before_alert=3)),
        (CheckKind, PingCheck(ip="10.0.0.1")),
        (CheckKind, ScriptCheck(script=1, args=("a",), env_vars={"A": "b"}, success_return_codes=(3,))),
        (TaskAction, ScriptAction(script=1)),
        (TaskAction, CommandAction(command="x", shell="/bin/sh")),
        (TaskSchedule, Once(at=AT, expires=AT, random_delay=timedelta(minutes=5))),
        (TaskSchedule, Daily(at=AT, every=3, run_if_missed=True)),
        (TaskSchedule, Weekly(at=AT, days=("monday",))),
        (TaskSchedule, Monthly(at=AT, days=(1, "last"))),
        (TaskSchedule, MonthlyByWeekday(at=AT, weekdays=("friday",), weeks=(2, "last"), months=(1,))),
    ],
)
def test_each_is_written_and_read_again_as_its_own_kind(union: Any, value: Any) -> None:
    told = msgspec.convert(value.to_dict(), union)
    assert told == value
    assert type(told) is type(value)
    assert json.loads(json.dumps(value.to_dict())) == value.to_dict()


def test_two_of_one_kind_share_no_environment() -> None:
    one, other = ScriptAction(script=1), ScriptAction(script=2)
    assert one.env_vars == other.env_vars == {}
    with pytest.raises(AttributeError):
        one.env_vars = {"A": "b"}  # type: ignore[misc]
