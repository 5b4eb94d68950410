"""Automated tasks of a stock server, which has task types with bit masks instead of cron expressions.

Writes tasks with a cron expression, and reads all tasks. The time of a task is that of the agent's clock,
although it is sent with a Z. Facts: the source of Tactical RMM (`autotasks/models.py` and `constants.py`).
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from trmm_async import codec
from trmm_async.cron import cron_values
from trmm_async.dialects.base import TaskOrder, float_of
from trmm_async.dialects.stock.task_orders import (
    INSTANCE_POLICIES,
    LAST_DAY,
    ScheduleColumns,
    actions_of,
    timing_of,
)
from trmm_async.errors import UnsupportedError
from trmm_async.kinds import Task
from trmm_async.models import Extra, Moment, ScriptResult, no_extra

__all__ = ["Owner", "task_body", "task_of", "tasks_of"]

_ALL_MONTHS: Final = 0xFFF
_SCRIPT_SECONDS: Final = 90


class _Outcome(msgspec.Struct, frozen=True):
    """The result of a task on an agent; all None where the server sends no results."""

    status: str | None = None
    last_run: Moment | None = None
    retcode: int | None = None
    stdout: str | None = None
    stderr: str | None = None
    execution_time: str | float | None = None
    sync_status: str | None = None


class _Row(ScheduleColumns, kw_only=True):
    id: int
    name: str = ""
    enabled: bool | None = None
    schedule: str | None = None
    agent: int | None = None
    policy: int | None = None
    actions: tuple[dict[str, Any], ...] = ()
    continue_on_error: bool | None = None
    alert_severity: str | None = None
    email_alert: bool | None = None
    text_alert: bool | None = None
    dashboard_alert: bool | None = None
    custom_field: int | None = None
    collector_all_output: bool | None = None
    task_supported_platforms: tuple[str, ...] = ()
    task_instance_policy: int | None = None
    created_by: str | None = None
    created_time: Moment | None = None
    modified_by: str | None = None
    modified_time: Moment | None = None
    task_result: _Outcome = _Outcome()
    extra: Mapping[str, Any] = no_extra()


def task_body(order: TaskOrder) -> dict[str, Any]:
    """The body of the call that creates a task.

    Raises:
        UnsupportedError: a stock server has no type of task for this schedule.
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
        "tasks at one time of the day: create several tasks, or use tasks.set_up(schedule=…), which has all "
        "that the server has"
    )


def tasks_of(agent_ids: Mapping[int, str]) -> codec.ListDecoder[list[Task]]:
    """Reads a list of tasks; `agent_ids` by the integers that the server has for agents."""
    return codec.listed(_Row, partial(_noun, agent_ids=agent_ids))


class Owner(msgspec.Struct, frozen=True):
    """What a task belongs to: the integer of an agent, or a policy."""

    agent: int | None = None
    policy: int | None = None


def task_of(body: bytes) -> tuple[Task, Owner]:
    """One task, without its agent's id, and its owner."""
    task = _noun(codec.decoder(_Row)(body), {})
    rest = {
        name: value
        for name, value in codec.decoder(dict[str, Any])(body).items()
        if name not in _Row.__struct_fields__
    }
    extra = Extra({**rest, **task.extra})
    return msgspec.structs.replace(task, extra=extra), codec.decoder(Owner)(body)


def _noun(row: _Row, agent_ids: Mapping[int, str]) -> Task:
    scripts = [action["script"] for action in row.actions if isinstance(action.get("script"), int)]
    actions, timing = actions_of(row.actions), timing_of(row)
    unread: dict[str, Any] = {} if len(actions) == len(row.actions) else {"actions": list(row.actions)}
    if timing is None:
        unread |= {
            name: value
            for name in ScheduleColumns.__struct_fields__
            if (value := getattr(row, name)) is not None
        }
    result = row.task_result
    return Task(
        id=row.id,
        name=row.name,
        agent_id=None if row.agent is None else agent_ids.get(row.agent),
        script=scripts[0] if scripts else None,
        schedule=_cron(row),
        enabled=row.enabled,
        task_type=row.task_type,
        schedule_text=row.schedule,
        timing=timing,
        actions=actions,
        policy=row.policy,
        continue_on_error=row.continue_on_error,
        severity=row.alert_severity,
        email_alert=row.email_alert,
        text_alert=row.text_alert,
        dashboard_alert=row.dashboard_alert,
        collector=row.custom_field,
        collector_all_output=row.collector_all_output,
        platforms=row.task_supported_platforms,
        instance_policy=_INSTANCE_POLICY_OF.get(row.task_instance_policy),
        status=result.status,
        last_run=result.last_run,
        result=_result(result),
        sync_status=result.sync_status,
        created_by=row.created_by,
        created_time=row.created_time,
        modified_by=row.modified_by,
        modified_time=row.modified_time,
        extra=Extra({**row.extra, **unread}) if unread else row.extra,
    )


_INSTANCE_POLICY_OF: Final[Mapping[int | None, str]] = dict(enumerate(INSTANCE_POLICIES))


def _result(told: _Outcome) -> ScriptResult | None:
    if told.last_run is None:
        return None
    return ScriptResult(
        retcode=told.retcode,
        stdout=told.stdout or "",
        stderr=told.stderr or "",
        execution_time=float_of(told.execution_time),
    )


def _cron(row: _Row) -> str | None:
    """The schedule as five fields of cron; None if they can't express it."""
    if row.run_time_date is None or row.task_repetition_interval:
        return None
    at = f"{row.run_time_date.minute} {row.run_time_date.hour}"
    match row.task_type:
        case "daily" if row.daily_interval == 1:
            return f"{at} * * *"
        case "weekly" if row.weekly_interval == 1:
            weekdays = _list(row.run_time_bit_weekdays or 0, 7, 0)
            return f"{at} * * {weekdays}" if weekdays else None
        case "monthly":
            return _monthly(at, row.monthly_days_of_month or 0, row.monthly_months_of_year or 0)
    return None


def _monthly(at: str, days: int, months: int) -> str | None:
    on, during = _list(days, 31, 1), _list(months, 12, 1)
    if days & LAST_DAY or not on or not during:
        return None
    return f"{at} {on} {during} *"


def _mask(values: Iterable[int], least: int) -> int:
    return sum(1 << (value - least) for value in values)


def _list(mask: int, size: int, least: int) -> str:
    """The values of a mask as a field of cron; empty if the mask has none of them."""
    if mask == (1 << size) - 1:
        return "*"
    return ",".join(str(place + least) for place in range(size) if mask >> place & 1)
