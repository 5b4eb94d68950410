"""Tasks, by a cron expression and as they are set up: all kinds of schedules, of agents and of policies.

How a recorded body is read here shares nothing with how the package reads one.
"""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tests.asked import NOUNS, STOCK, request_of
from tests.recorded import Recording
from tests.replays.operation import But, differs, has, names, never, op
from trmm_async import kinds
from trmm_async.calls import Plan, Request
from trmm_async.dialects import TaskOrder
from trmm_async.resources import tasks

if TYPE_CHECKING:
    from collections.abc import Callable

_REFUSED: Final = (
    "task_create_action_no_command task_create_action_no_script task_create_action_no_script_args "
    "task_create_action_no_timeout task_create_action_no_type task_create_action_unknown_type "
    "task_create_agent_and_policy task_create_bad_choices task_create_checkfailure_no_check "
    "task_create_daily_no_date task_create_minimal task_create_monthly_no_days task_create_monthly_no_months "
    "task_create_monthlydow_no_weeks task_create_no_parent task_create_no_task_type_policy "
    "task_create_weekly_no_days task_create_weekly_no_interval task_create_no_actions"
)
"""What we never send: told as it is, for what was answered."""
_CREATED: Final = (
    "task_create_action_unknown_script task_create_agent_404 task_create_checkfailure task_create_daily_full "
    "task_create_expired task_create_limited_403 task_create_manual task_create_manual_cmd "
    "task_create_manual_full task_create_monthly_full task_create_monthly_last_day "
    "task_create_monthlydow_full task_create_onboarding task_create_onboarding_old_agent "
    "task_create_onboarding_too_old task_create_policy task_create_policy_404 "
    "task_create_policy_checkfailure task_create_policy_daily_full task_create_policy_onboarding "
    "task_create_posix task_create_runonce task_create_runonce_full task_create_weekly_full"
)
_BY_CRON: Final = (
    "task_create_daily task_create_weekly task_create_monthly task_create_bad_action task_create_bad_agent "
    "task_create_daily_missing_interval task_create_daily_missing_run_time task_create_empty_actions "
    "task_create_no_name task_create_no_type"
)
_DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_CRON_DAYS: Final = {"weekly": "* * 0-6", "monthly": "1 * *"}
_OURS: Final = {
    "alert_severity": "severity",
    "custom_field": "collector",
    "task_supported_platforms": "platforms",
}
_SETTINGS: Final = (
    *("enabled", "continue_on_error", "alert_severity", "email_alert", "text_alert", "dashboard_alert"),
    *("custom_field", "collector_all_output", "task_supported_platforms"),
)
_TIMES: Final = ("run_time_date", "expire_date")
_SPANS: Final = {"30M": timedelta(minutes=30), "15M": timedelta(minutes=15), "4H": timedelta(hours=4)}
_POLICIES: Final = ("parallel", "queue", "ignore", "stop")


def _by_cron(told: Recording) -> Plan[Any]:
    sent = told.sent
    days = _CRON_DAYS.get(sent.get("task_type", ""), "* * *")
    order = TaskOrder(
        name=sent.get("name", "x"),
        agent=sent["agent"],
        script=1,
        schedule=f"0 10 {days}",
        today=date(2026, 12, 1),
    )
    return STOCK.create_task(order)


def action_of(sent: dict[str, Any]) -> kinds.TaskAction:
    more = {"timeout": sent["timeout"], "name": sent.get("name", "")}
    if sent["type"] == "cmd":
        return kinds.CommandAction(command=sent["command"], shell=sent["shell"], **more)
    env_vars = dict(one.split("=", 1) for one in sent.get("env_vars", ()))
    return kinds.ScriptAction(
        script=sent["script"], args=tuple(sent["script_args"]), env_vars=env_vars, **more
    )


def _places(mask: int) -> list[int]:
    return [place for place in range(mask.bit_length()) if mask & (1 << place)]


def schedule_of(sent: dict[str, Any]) -> kinds.TaskSchedule:
    at, ends = (
        sent.get(name) and datetime.fromisoformat(sent[name]).astimezone(UTC).replace(tzinfo=None)
        for name in _TIMES
    )
    times: dict[str, Any] = {
        "at": at,
        "expires": ends,
        "random_delay": _SPANS.get(sent.get("random_task_delay") or ""),
        "repeat_every": _SPANS.get(sent.get("task_repetition_interval") or ""),
        "repeat_for": _SPANS.get(sent.get("task_repetition_duration") or ""),
        "stop_at_duration_end": sent.get("stop_task_at_duration_end", False),
        "remove_when_expired": sent.get("remove_if_not_scheduled", False),
        "run_if_missed": sent.get("run_asap_after_missed", False),
    }
    weekdays = tuple(_DAYS[place] for place in _places(sent.get("run_time_bit_weekdays") or 0))
    months = tuple(place + 1 for place in _places(sent.get("monthly_months_of_year") or 0))
    days: Any = ["last" if at == 31 else at + 1 for at in _places(sent.get("monthly_days_of_month") or 0)]
    weeks = tuple(place + 1 for place in _places(sent.get("monthly_weeks_of_month") or 0))
    of_each: dict[str, Callable[[], kinds.TaskSchedule]] = {
        "manual": kinds.Manual,
        "onboarding": kinds.OnBoarding,
        "checkfailure": lambda: kinds.OnFailure(check=sent["assigned_check"]),
        "runonce": lambda: kinds.Once(**times),
        "daily": lambda: kinds.Daily(every=sent["daily_interval"], **times),
        "weekly": lambda: kinds.Weekly(days=weekdays, every=sent["weekly_interval"], **times),
        "monthly": lambda: kinds.Monthly(days=tuple(days), months=months, **times),
        "monthlydow": lambda: kinds.MonthlyByWeekday(weekdays=weekdays, weeks=weeks, months=months, **times),
    }
    return of_each[sent["task_type"]]()


def settings_of(sent: dict[str, Any]) -> dict[str, Any]:
    found = {_OURS.get(name, name): sent[name] for name in _SETTINGS if name in sent}
    if "task_instance_policy" in sent:
        found["instance_policy"] = _POLICIES[sent["task_instance_policy"]]
    return found


def _set_up(told: Recording) -> Any:
    sent = told.sent
    if told.name in names(_REFUSED):
        return tasks.SET_UP.call(body=sent)
    owner = {name: sent[name] for name in ("agent", "policy") if name in sent}
    return request_of(
        NOUNS.tasks.set_up(
            name=sent["name"],
            schedule=schedule_of(sent),
            actions=[action_of(one) for one in sent["actions"]],
            **owner,
            **settings_of(sent),
        )
    )


def _update(told: Recording, number: str) -> Any:
    sent = told.sent
    if told.name in {"task_update_actions_empty", "task_update_type_without_date"}:
        return tasks.UPDATE.call(int(number), body=sent)  # we don't let it through
    changes = {**settings_of(sent), **{name: sent[name] for name in ("name",) if name in sent}}
    if "actions" in sent:
        changes["actions"] = [action_of(one) for one in sent["actions"]]
    if "task_type" in sent:
        changes["schedule"] = schedule_of(sent)
    if told.name == "task_update_schedule_without_type":
        changes = {"schedule": kinds.Weekly(days=("sunday",), every=5, at=datetime(2027, 3, 1))}  # noqa: DTZ001
    return request_of(NOUNS.tasks.update(int(number), **changes))


def _run(told: Recording, number: str) -> Request[None]:
    made: Request[None] = request_of(NOUNS.tasks.run(int(number), agent=has(told).get("agent_id")))
    return made


OPERATIONS: Final = [
    op(
        "tasks.list",
        "GET /tasks/",
        lambda _: STOCK.list_tasks(),
        "Task",
        "tasks_list_all tasks_list_global",
    ),
    op(
        "tasks.list",
        "GET /agents/<agent>/tasks/",
        lambda _, agent: STOCK.list_tasks(agent),
        "Task",
        "tasks_agent tasks_agent_all_types tasks_agent_pending_deletion tasks_agent_policy_mixed",
    ),
    op("tasks.list", "GET /agents/", lambda _: STOCK.list_tasks(), str, "agents_list_detail_false"),
    op(
        "tasks.get",
        "GET /tasks/<id>/",
        lambda _, number: request_of(NOUNS.tasks.get(int(number))),
        ("Task", "Owner"),
        "task_get tasks_detail_policy task_get_404 task_get_after_schedule_without_type "
        "task_get_after_update "
        "task_get_agent_and_policy_still_there task_get_daily_full task_get_monthly_full "
        "task_get_offline_agent task_get_on_ping_failure task_get_onboarding task_get_once "
        "task_get_second_tuesday task_get_weekly_full",
    ),
    op("tasks.create", "POST /tasks/", _by_cron, None, _BY_CRON),
    op("tasks.set_up", "POST /tasks/", _set_up, None, f"{_REFUSED} {_CREATED}"),
    op(
        "tasks.run",
        "POST /tasks/<id>/run/",
        _run,
        None,
        "task_run task_run_manual task_run_policy_on_agent task_run_nobody task_run_404",
    ),
    op(
        "tasks.run",
        "GET /tasks/<id>/",
        lambda _, number: request_of(NOUNS.tasks.run(int(number))),
        ("Task", "Owner"),
        "task_get task_get_404",
    ),
    op(
        "tasks.update",
        "PUT /tasks/<id>/",
        _update,
        None,
        "task_update task_update_404 task_update_actions_empty task_update_actions_only "
        "task_update_checkfailure_to_manual task_update_enabled_only task_update_full "
        "task_update_limited_403 task_update_policy_task task_update_schedule_without_type "
        "task_update_type_without_date",
    ),
    op(
        "tasks.delete",
        "DELETE /tasks/<id>/",
        lambda _, number: request_of(NOUNS.tasks.delete(int(number), in_use=True)),
        None,
        "task_delete task_delete_404 task_delete_agent task_delete_agent_and_policy "
        "task_delete_offline_agent task_delete_policy",
    ),
]


def _tasked(name: str, **keys: object) -> dict[str, Any]:
    action = {
        "type": "script",
        "script": 1,
        "name": name,
        "script_args": [],
        "timeout": 90,
        "env_vars": [],
    }
    return {"enabled": True, "actions": [action], **keys}


DIFFERENT: Final = {
    "task_create_daily": But("a name of the action, and enabled", body=_tasked("API daily")),
    "task_create_weekly": But(
        "every day of the week is daily with us",
        body=_tasked("API weekly", task_type="daily", daily_interval=1),
        without=("weekly_interval", "run_time_bit_weekdays"),
    ),
    "task_create_monthly": But(
        "a name of the action, enabled, and a Z behind the time",
        body=_tasked("API monthly", run_time_date="2026-12-01T10:00:00Z"),
    ),
    **never(
        "a body that we never send: other types of tasks, or without a key",
        "task_create_bad_action task_create_bad_agent task_create_daily_missing_interval "
        "task_create_daily_missing_run_time task_create_empty_actions task_create_no_name "
        "task_create_no_type",
    ),
    **differs("we send an object", {}, "task_run_nobody"),
    **{
        name: But("we send every key of a schedule with a time", more=True)
        for name in names(
            "task_create_expired task_create_monthly_last_day task_create_runonce task_create_runonce_full"
        )
    },
    **{
        name: But("an action has all of its keys", more=True, without=("actions",))
        for name in names(
            "task_create_action_unknown_script task_create_manual_cmd task_create_onboarding_too_old "
            "task_create_posix"
        )
    },
    "task_create_weekly_full": But(
        "the agent's own clock, without a zone", body={"run_time_date": "2027-03-01T08:30:00Z"}
    ),
    **{
        name: But("what belongs to another type of schedule is taken away", more=True)
        for name in names("task_update_checkfailure_to_manual task_update_full")
    },
    **never(
        "a schedule goes with its type, without which it is dropped in silence",
        "task_update_schedule_without_type",
    ),
}
