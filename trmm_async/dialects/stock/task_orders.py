"""Tasks as they are set up on a stock server: several actions, every kind of schedule, policies' tasks.

Times are the agent's own wall clock; the server wants them written as if they were UTC.
"""

from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from trmm_async import arguments
from trmm_async.errors import InvalidRequestError
from trmm_async.kinds import (
    CommandAction,
    Daily,
    Monthly,
    MonthlyByWeekday,
    Once,
    OnFailure,
    TaskAction,
    TaskSchedule,
    Weekly,
)

__all__ = ["TASK_SETTINGS", "schedule_body"]

_DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_LAST_DAY: Final = 0x80000000
_SMALL_MOST: Final = 2**15 - 1
_interval: Final = partial(arguments.integer, minimum=1)


def _action(given: object, what: str) -> dict[str, Any]:
    if not isinstance(given, TaskAction):
        raise InvalidRequestError(f"{what} must be ScriptAction(…) or CommandAction(…), not {given!r}")
    timeout = arguments.integer(given.timeout, f"{what}: timeout", minimum=1, maximum=_SMALL_MOST)
    name = arguments.plain_text(given.name, f"{what}: name", empty=True)
    if isinstance(given, CommandAction):
        # The server does not ask for the shell, and the agent's fetch of its tasks fails without it.
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
    "severity": ("alert_severity", partial(arguments.choice, allowed=("info", "warning", "error"))),
    "email_alert": arguments.boolean,
    "text_alert": arguments.boolean,
    "dashboard_alert": arguments.boolean,
    "collector": ("custom_field", arguments.or_none(arguments.object_id)),
    "collector_all_output": arguments.boolean,
    "platforms": (
        "task_supported_platforms",
        arguments.each(partial(arguments.choice, allowed=("windows", "linux", "darwin"))),
    ),
}
"""How the settings of a task are checked, but for its schedule."""


def schedule_body(schedule: TaskSchedule) -> dict[str, Any]:
    """The type of a task with all that belongs to it: without the type the server drops the rest in silence.

    Raises:
        InvalidRequestError: a value is wrong.
    """
    body: dict[str, Any] = {"task_type": schedule.__struct_config__.tag}
    if isinstance(schedule, OnFailure):
        body["assigned_check"] = arguments.object_id(schedule.check, "schedule: check")
    if isinstance(schedule, Once):
        body |= {
            "run_time_date": _clock(schedule.at, "at"),
            "run_asap_after_missed": arguments.boolean(schedule.run_if_missed, "run_if_missed"),
        }
    if isinstance(schedule, Daily | Weekly | Monthly | MonthlyByWeekday):
        body |= _repeated(schedule)
    if isinstance(schedule, Daily):
        body["daily_interval"] = _interval(schedule.every, "schedule: every", maximum=255)
    if isinstance(schedule, Weekly):
        body["weekly_interval"] = _interval(schedule.every, "schedule: every", maximum=52)
        body["run_time_bit_weekdays"] = _weekdays(schedule.days)
    if isinstance(schedule, Monthly | MonthlyByWeekday):
        body["monthly_months_of_year"] = _bits(schedule.months or range(1, 13), "months", 12)
    if isinstance(schedule, Monthly):
        body["monthly_days_of_month"] = _bits(schedule.days, "days", 31, last=_LAST_DAY)
    if isinstance(schedule, MonthlyByWeekday):
        body["monthly_weeks_of_month"] = _bits(schedule.weeks, "weeks", 4, last=16)
        body["run_time_bit_weekdays"] = _weekdays(schedule.weekdays)
    return body


def _repeated(schedule: Daily | Weekly | Monthly | MonthlyByWeekday) -> dict[str, Any]:
    if (schedule.repeat_every is None) != (schedule.repeat_for is None):
        raise InvalidRequestError("schedule: repeat_every and repeat_for go together")
    expires = schedule.expires
    return {
        "run_time_date": _clock(schedule.at, "at"),
        "expire_date": None if expires is None else _clock(expires, "expires"),
        "random_task_delay": _span(schedule.random_delay, "random_delay"),
        "task_repetition_interval": _span(schedule.repeat_every, "repeat_every"),
        "task_repetition_duration": _span(schedule.repeat_for, "repeat_for"),
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
    """A duration in the server's words: whole minutes, as "30M", "4H", "1D"."""
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
