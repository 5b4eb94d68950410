"""The actions and schedules of tasks of a stock server: how they are written, and read again.

Reading is the inverse of writing. Times are those of the agent's own clock; the server requires them to be
written as if they were UTC.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar, get_args

import msgspec

from trmm_async import arguments
from trmm_async.dialects.stock.checks import SEVERITIES, env_pairs
from trmm_async.errors import InvalidRequestError
from trmm_async.kinds import (
    CommandAction,
    Daily,
    Manual,
    Monthly,
    MonthlyByWeekday,
    OnBoarding,
    Once,
    OnFailure,
    ScriptAction,
    TaskAction,
    TaskSchedule,
    Weekly,
)
from trmm_async.models import Moment
from trmm_async.words import InstancePolicy, Platform

__all__ = [
    "INSTANCE_POLICIES",
    "LAST_DAY",
    "TASK_SETTINGS",
    "ScheduleColumns",
    "actions_of",
    "schedule_body",
    "timing_of",
]

T = TypeVar("T")

_DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
LAST_DAY: Final = 0x80000000
_LAST_WEEK: Final = 16
_MONTHS: Final = range(1, 13)
_SMALL_MOST: Final = 2**15 - 1
INSTANCE_POLICIES: Final[tuple[str, ...]] = get_args(InstancePolicy)
"""In the order of the numbers that the server and Windows have for them."""

_interval: Final = partial(arguments.integer, minimum=1)


def _action(given: object, what: str) -> dict[str, Any]:
    if not isinstance(given, TaskAction):
        raise InvalidRequestError(f"{what} must be ScriptAction(…) or CommandAction(…), not {given!r}")
    timeout = arguments.integer(given.timeout, f"{what}: timeout", minimum=1, maximum=_SMALL_MOST)
    name = arguments.plain_text(given.name, f"{what}: name", empty=True)
    if isinstance(given, CommandAction):
        # The server doesn't require the shell, but without it, the agent fails to get its tasks.
        return {
            "type": "cmd",
            "name": name,
            "shell": arguments.plain_text(given.shell, f"{what}: shell"),
            "command": arguments.command(given.command),
            "timeout": timeout,
        }
    return {
        "type": "script",
        "name": name,
        "script": arguments.reference(given.script, f"{what}: script"),
        "script_args": list(arguments.script_args(given.args)),
        "env_vars": list(arguments.env_vars(given.env_vars)),
        "timeout": timeout,
    }


def _actions(given: object, what: str) -> object:
    if not (found := arguments.each(_action)(given, what)):
        raise InvalidRequestError(f"{what} must not be empty")
    return found


TASK_SETTINGS: Final[arguments.Checks] = {
    "name": partial(arguments.short_text, most=255),
    "actions": _actions,
    "enabled": arguments.boolean,
    "continue_on_error": arguments.boolean,
    "severity": ("alert_severity", partial(arguments.choice, allowed=SEVERITIES)),
    "email_alert": arguments.boolean,
    "text_alert": arguments.boolean,
    "dashboard_alert": arguments.boolean,
    "collector": ("custom_field", arguments.or_none(arguments.object_id)),
    "collector_all_output": arguments.boolean,
    "platforms": (
        "task_supported_platforms",
        arguments.each(partial(arguments.choice, allowed=get_args(Platform))),
    ),
    "instance_policy": (
        "task_instance_policy",
        lambda value, what: INSTANCE_POLICIES.index(arguments.choice(value, what, INSTANCE_POLICIES)),
    ),
}
"""How the settings of a task are checked, except its schedule."""


def schedule_body(schedule: TaskSchedule, *, change: bool = False) -> dict[str, Any]:
    """The type of a task with all columns of that type. Without the type, the server ignores the rest.

    In a `change`, columns of other types become null, such as the check that started the task before.

    Raises:
        InvalidRequestError: a value is wrong.
    """
    body: dict[str, Any] = dict.fromkeys(_OF_ONE_TYPE) if change else {}
    body["task_type"] = schedule.__struct_config__.tag
    if isinstance(schedule, OnFailure):
        body["assigned_check"] = arguments.object_id(schedule.check, "schedule: check")
    if isinstance(schedule, _DATED):
        body |= _dated(schedule)
    if isinstance(schedule, Daily):
        body["daily_interval"] = _interval(schedule.every, "schedule: every", maximum=255)
    if isinstance(schedule, Weekly):
        body["weekly_interval"] = _interval(schedule.every, "schedule: every", maximum=52)
        body["run_time_bit_weekdays"] = _weekdays(schedule.days)
    if isinstance(schedule, Monthly | MonthlyByWeekday):
        body["monthly_months_of_year"] = _bits(schedule.months or _MONTHS, "months", 12)
    if isinstance(schedule, Monthly):
        body["monthly_days_of_month"] = _bits(schedule.days, "days", 31, last=LAST_DAY)
    if isinstance(schedule, MonthlyByWeekday):
        body["monthly_weeks_of_month"] = _bits(schedule.weeks, "weeks", 4, last=_LAST_WEEK)
        body["run_time_bit_weekdays"] = _weekdays(schedule.weekdays)
    return body


_DATED: Final = (Once, Daily, Weekly, Monthly, MonthlyByWeekday)
_OF_ONE_TYPE: Final = (
    "assigned_check",
    "daily_interval",
    "weekly_interval",
    "run_time_bit_weekdays",
    "monthly_days_of_month",
    "monthly_months_of_year",
    "monthly_weeks_of_month",
)


def _dated(schedule: Once | Daily | Weekly | Monthly | MonthlyByWeekday) -> dict[str, Any]:
    if (schedule.repeat_every is None) != (schedule.repeat_for is None):
        raise InvalidRequestError("schedule: repeat_every and repeat_for go together")
    expires, remove = schedule.expires, schedule.remove_when_expired
    return {
        "run_time_date": _clock(schedule.at, "at"),
        "expire_date": None if expires is None else _clock(expires, "expires"),
        "random_task_delay": _span(schedule.random_delay, "random_delay"),
        "task_repetition_interval": _span(schedule.repeat_every, "repeat_every"),
        "task_repetition_duration": _span(schedule.repeat_for, "repeat_for"),
        "stop_task_at_duration_end": arguments.boolean(schedule.stop_at_duration_end, "stop_at_duration_end"),
        "remove_if_not_scheduled": arguments.boolean(remove, "remove_when_expired"),
        "run_asap_after_missed": arguments.boolean(schedule.run_if_missed, "run_if_missed"),
    }


def _clock(value: object, what: str) -> str:
    if not isinstance(value, datetime):
        raise InvalidRequestError(f"schedule: {what} must be a datetime, not {value!r}")
    if value.utcoffset() is not None:
        raise InvalidRequestError(
            f"schedule: {what} is by the agent's own clock: give a datetime without a zone, not {value!r}"
        )
    return f"{value.replace(microsecond=0).isoformat()}Z"


def _span(value: object, what: str) -> str | None:
    """A duration as the server has it: whole minutes, such as "30M", "4H", "1D"."""
    if value is None:
        return None
    minutes = value / timedelta(minutes=1) if isinstance(value, timedelta) else 0.0
    if minutes < 1 or minutes != int(minutes):
        raise InvalidRequestError(f"schedule: {what} must be a timedelta of whole minutes, not {value!r}")
    for unit, size in (("D", 1440), ("H", 60)):
        if minutes % size == 0:
            return f"{int(minutes // size)}{unit}"
    return f"{int(minutes)}M"


def _weekdays(values: object) -> int:
    found: Any = arguments.each(partial(arguments.choice, allowed=_DAYS))(values, "schedule: weekdays")
    if not found:
        raise InvalidRequestError("schedule: weekdays must not be empty")
    return sum(1 << _DAYS.index(day) for day in set(found))


def _bits(values: object, what: str, most: int, *, last: int | None = None) -> int:
    def bit(value: object, name: str) -> object:
        if value == "last" and last is not None:
            return last
        return 1 << (arguments.integer(value, name, minimum=1, maximum=most) - 1)

    found: Any = arguments.each(bit)(values, f"schedule: {what}")
    if not found:
        raise InvalidRequestError(f"schedule: {what} must not be empty")
    return sum(set(found))


# -- and read again ------------------------------------------------------------------------------------------


class ScheduleColumns(msgspec.Struct):
    """The columns of a task that say when it runs."""

    task_type: str = ""
    run_time_date: Moment | None = None
    expire_date: Moment | None = None
    random_task_delay: str | None = None
    task_repetition_interval: str | None = None
    task_repetition_duration: str | None = None
    stop_task_at_duration_end: bool = False
    remove_if_not_scheduled: bool = False
    run_asap_after_missed: bool = False
    daily_interval: int | None = None
    weekly_interval: int | None = None
    run_time_bit_weekdays: int | None = None
    monthly_days_of_month: int | None = None
    monthly_months_of_year: int | None = None
    monthly_weeks_of_month: int | None = None
    assigned_check: int | None = None


_DURATION: Final = re.compile(r"(?:(\d+)D)?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?", re.ASCII | re.IGNORECASE)


def actions_of(rows: Sequence[Mapping[str, Any]]) -> tuple[TaskAction, ...]:
    """The actions of a task that are scripts or commands, without those that can't be read."""
    found: list[TaskAction] = []
    for row in rows:
        more: dict[str, Any] = {name: row[name] for name in ("name", "timeout") if row.get(name) is not None}
        try:
            if row.get("type") == "cmd":
                more["shell"] = row.get("shell") or ""
                found.append(
                    msgspec.convert({**more, "type": "cmd", "command": row["command"]}, CommandAction)
                )
            elif row.get("type") == "script":
                more["args"] = row.get("script_args") or ()
                more["env_vars"] = env_pairs(tuple(row.get("env_vars") or ()))
                found.append(
                    msgspec.convert({**more, "type": "script", "script": row["script"]}, ScriptAction)
                )
        except (msgspec.ValidationError, KeyError, TypeError, AttributeError):
            continue  # like an action of another type: it is missing in the result
    return tuple(found)


def timing_of(row: ScheduleColumns) -> TaskSchedule | None:
    """When a task runs; None for a type or a value that `schedule_body` doesn't write."""
    try:
        return _KINDS[row.task_type](row)
    except (LookupError, ValueError):
        return None


_KINDS: Final[Mapping[str, Callable[[ScheduleColumns], TaskSchedule]]] = {
    "manual": lambda _: Manual(),
    "onboarding": lambda _: OnBoarding(),
    # Its check may have been deleted; then nothing starts it, and this raises.
    "checkfailure": lambda row: OnFailure(check=_there(row.assigned_check)),
    "runonce": lambda row: Once(**_times_of(row)),
    "daily": lambda row: Daily(every=_there(row.daily_interval), **_times_of(row)),
    "weekly": lambda row: Weekly(days=_weekdays_of(row), every=_there(row.weekly_interval), **_times_of(row)),
    "monthly": lambda row: Monthly(
        days=_bits_of(row.monthly_days_of_month, 31, LAST_DAY), months=_months_of(row), **_times_of(row)
    ),
    "monthlydow": lambda row: MonthlyByWeekday(
        weekdays=_weekdays_of(row),
        weeks=_bits_of(row.monthly_weeks_of_month, 4, _LAST_WEEK),
        months=_months_of(row),
        **_times_of(row),
    ),
}


def _there(value: T | None) -> T:
    if value is None:
        raise ValueError("it is missing")
    return value


def _times_of(row: ScheduleColumns) -> dict[str, Any]:
    expires = row.expire_date
    return {
        "at": _there(row.run_time_date).replace(tzinfo=None),
        "expires": None if expires is None else expires.replace(tzinfo=None),
        "random_delay": _span_of(row.random_task_delay),
        "repeat_every": _span_of(row.task_repetition_interval),
        "repeat_for": _span_of(row.task_repetition_duration),
        "stop_at_duration_end": row.stop_task_at_duration_end,
        "remove_when_expired": row.remove_if_not_scheduled,
        "run_if_missed": row.run_asap_after_missed,
    }


def _span_of(text: str | None) -> timedelta | None:
    if not text:
        return None
    if (found := _DURATION.fullmatch(text)) is None:
        raise ValueError(text)
    days, hours, minutes, seconds = (int(one or 0) for one in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _months_of(row: ScheduleColumns) -> tuple[int, ...]:
    months: Any = _bits_of(row.monthly_months_of_year, 12)
    return () if len(months) == len(_MONTHS) else months


def _weekdays_of(row: ScheduleColumns) -> tuple[str, ...]:
    return tuple(_DAYS[place - 1] for place in _bits_of(row.run_time_bit_weekdays, 7))


def _bits_of(mask: int | None, most: int, last: int = 0) -> tuple[Any, ...]:
    """The numbers of the bits that are set, from 1; `last` is the bit that means "last"."""
    if not mask or not 0 < mask < max(last << 1, 1 << most):
        raise ValueError(mask)
    places = [place for place in range(1, most + 1) if mask >> (place - 1) & 1]
    return (*places, "last") if mask & last else tuple(places)
