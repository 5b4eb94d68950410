"""Automated tasks as a stock server spells them: task types with bit masks in place of cron.

A task's time is a wall clock's on the agent, though it is written with a Z. Facts: Tactical RMM's own source
(`autotasks/models.py`, `constants.py`).
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from trmm_async import codec
from trmm_async.cron import cron_values
from trmm_async.dialects.base import TaskOrder
from trmm_async.errors import UnsupportedError
from trmm_async.models import Moment, Task, no_extra

__all__ = ["Owner", "task_body", "task_of", "tasks_of"]

_ALL_MONTHS: Final = 0xFFF
_LAST_DAY: Final = 0x80000000
_SCRIPT_SECONDS: Final = 90


class _Outcome(msgspec.Struct):
    status: str | None = None
    last_run: Moment | None = None


class _Task(msgspec.Struct):
    id: int
    name: str = ""
    enabled: bool | None = None
    task_type: str = ""
    schedule: str | None = None
    agent: int | None = None
    policy: int | None = None
    actions: list[dict[str, Any]] = []
    run_time_date: Moment | None = None
    daily_interval: int | None = None
    weekly_interval: int | None = None
    run_time_bit_weekdays: int | None = None
    monthly_days_of_month: int | None = None
    monthly_months_of_year: int | None = None
    task_repetition_interval: str | None = None
    task_result: _Outcome | None = None
    extra: Mapping[str, Any] = no_extra()


def task_body(order: TaskOrder) -> dict[str, Any]:
    """The body of the call that makes it.

    Raises:
        UnsupportedError: the schedule is one that a stock server has no task type for.
    """
    action = {
        "type": "script",
        "script": order.script,
        "name": order.name,
        "script_args": [],
        "timeout": _SCRIPT_SECONDS,
        "env_vars": [],
    }
    return {
        "agent": order.agent,
        "name": order.name,
        "enabled": order.enabled,
        "actions": [action],
        **_timing(order),
    }


def _timing(order: TaskOrder) -> dict[str, Any]:
    minutes, hours, days, months, weekdays = cron_values(order.schedule)
    if minutes is None or hours is None or len(minutes) != 1 or len(hours) != 1:
        raise _unsupported(order.schedule, "it runs at several times of a day")
    (minute,), (hour,) = minutes, hours
    at = {"run_time_date": f"{order.today.isoformat()}T{hour:02}:{minute:02}:00Z"}
    if days is None and months is None:
        if weekdays is None or len(weekdays) == len(range(7)):
            return {"task_type": "daily", "daily_interval": 1, **at}
        return {
            "task_type": "weekly",
            "weekly_interval": 1,
            "run_time_bit_weekdays": _mask(weekdays, 0),
            **at,
        }
    if weekdays is not None:
        raise _unsupported(order.schedule, "it restricts the days of the week and those of the month")
    every_day = range(1, 32)
    return {
        "task_type": "monthly",
        "monthly_months_of_year": _ALL_MONTHS if months is None else _mask(months, 1),
        "monthly_days_of_month": _mask(every_day if days is None else days, 1),
        **at,
    }


def _unsupported(schedule: str, why: str) -> UnsupportedError:
    return UnsupportedError(
        f"a stock server can't express the schedule {schedule!r}: {why}. It has daily, weekly and monthly "
        "tasks at one time of the day: create several tasks, or word one yourself with "
        'trmm.request("POST", "/tasks/", …)'
    )


def tasks_of(agent_ids: Mapping[int, str]) -> codec.ListDecoder[list[Task]]:
    """Reads the tasks of a list; `agent_ids` by the integers that stand for them here."""
    return codec.listed(_Task, partial(_noun, agent_ids=agent_ids))


class Owner(msgspec.Struct, frozen=True):
    """What a task belongs to: the integer of an agent, or a policy."""

    agent: int | None = None
    policy: int | None = None


def task_of(body: bytes) -> tuple[Task, Owner]:
    """One task, without its agent's id, and what it belongs to."""
    return _noun(codec.decoder(_Task)(body), {}), codec.decoder(Owner)(body)


def _noun(task: _Task, agent_ids: Mapping[int, str]) -> Task:
    scripts = [action["script"] for action in task.actions if isinstance(action.get("script"), int)]
    return Task(
        id=task.id,
        name=task.name,
        agent_id=None if task.agent is None else agent_ids.get(task.agent),
        script=scripts[0] if scripts else None,
        schedule=_cron(task),
        enabled=task.enabled,
        task_type=task.task_type,
        schedule_text=task.schedule,
        policy=task.policy,
        status=task.task_result.status if task.task_result else None,
        last_run=task.task_result.last_run if task.task_result else None,
        extra=task.extra,
    )


def _cron(task: _Task) -> str | None:
    """The schedule in five fields; None where they can't say it."""
    if task.run_time_date is None or task.task_repetition_interval:
        return None
    at = f"{task.run_time_date.minute} {task.run_time_date.hour}"
    match task.task_type:
        case "daily" if task.daily_interval == 1:
            return f"{at} * * *"
        case "weekly" if task.weekly_interval == 1:
            weekdays = _list(task.run_time_bit_weekdays or 0, 7, 0)
            return f"{at} * * {weekdays}" if weekdays else None
        case "monthly":
            return _monthly(at, task.monthly_days_of_month or 0, task.monthly_months_of_year or 0)
    return None


def _monthly(at: str, days: int, months: int) -> str | None:
    on, during = _list(days, 31, 1), _list(months, 12, 1)
    if days & _LAST_DAY or not on or not during:
        return None
    return f"{at} {on} {during} *"


def _mask(values: Iterable[int], least: int) -> int:
    return sum(1 << (value - least) for value in values)


def _list(mask: int, size: int, least: int) -> str:
    """The values of a mask as a cron field; empty where it has none that such a field can have."""
    if mask == (1 << size) - 1:
        return "*"
    return ",".join(str(place + least) for place in range(size) if mask >> place & 1)
