"""Tasks as they are set up: several actions, every kind of schedule, of agents and of policies."""

from datetime import datetime, timedelta
from typing import Any, Final

from tests.asked import NOUNS, request_of
from tests.recorded import Recording
from tests.replays.operation import But, names, op
from trmm_async import kinds

_AT: Final = datetime.fromisoformat("2027-03-01T09:30")
_REPEATED: Final[dict[str, Any]] = {
    "at": _AT,
    "expires": datetime.fromisoformat("2028-01-01T00:00"),
    "random_delay": timedelta(minutes=30),
    "repeat_every": timedelta(minutes=15),
    "repeat_for": timedelta(hours=4),
    "run_if_missed": True,
}
_SCHEDULES: Final[dict[str, kinds.TaskSchedule]] = {
    "task_create_daily_full": kinds.Daily(every=2, **_REPEATED),
    "task_create_policy_daily_full": kinds.Daily(**_REPEATED),
    "task_create_monthly_full": kinds.Monthly(days=(1, 15), months=(1, 7), **_REPEATED),
    "task_create_monthlydow_full": kinds.MonthlyByWeekday(weekdays=("tuesday",), weeks=(2,), **_REPEATED),
    "task_create_runonce_full": kinds.Once(at=datetime.fromisoformat("2027-05-05T05:05"), run_if_missed=True),
    "task_create_policy_checkfailure": kinds.OnFailure(check=106),
    "task_create_policy_onboarding": kinds.OnBoarding(),
    "task_create_manual_cmd": kinds.Manual(),
    "task_create_policy": kinds.Manual(),
    "task_create_policy_404": kinds.Manual(),
    "task_create_agent_404": kinds.Manual(),
}
_OURS: Final = {"alert_severity": "severity", "custom_field": "collector"}
_ASKED: Final = ("enabled", "continue_on_error", "alert_severity", "email_alert", "text_alert")
_ALSO: Final = ("dashboard_alert", "custom_field", "collector_all_output")


def _action(sent: dict[str, Any]) -> kinds.TaskAction:
    more = {"timeout": sent["timeout"], "name": sent.get("name", "")}
    if sent["type"] == "cmd":
        return kinds.CommandAction(command=sent["command"], shell=sent["shell"], **more)
    env_vars = dict(one.split("=", 1) for one in sent["env_vars"])
    return kinds.ScriptAction(
        script=sent["script"], args=tuple(sent["script_args"]), env_vars=env_vars, **more
    )


def _set_up(told: Recording) -> Any:
    sent = told.sent
    settings = {_OURS.get(name, name): sent[name] for name in (*_ASKED, *_ALSO) if name in sent}
    if "task_supported_platforms" in sent:
        settings["platforms"] = sent["task_supported_platforms"]
    owner = {name: sent[name] for name in ("agent", "policy") if name in sent}
    return request_of(
        NOUNS.tasks.set_up(
            name=sent["name"],
            schedule=_SCHEDULES[told.name],
            actions=[_action(one) for one in sent["actions"]],
            **owner,
            **settings,
        )
    )


OPERATIONS: Final = [op("tasks.set_up", "POST /tasks/", _set_up, None, " ".join(_SCHEDULES))]
DIFFERENT: Final = {
    **{
        name: But(
            "these we leave to the server",
            without=("stop_task_at_duration_end", "remove_if_not_scheduled", "task_instance_policy"),
        )
        for name in names(
            "task_create_daily_full task_create_policy_daily_full task_create_monthly_full "
            "task_create_monthlydow_full"
        )
    },
    "task_create_runonce_full": But(
        "an end, which a task that runs once needs none", without=("remove_if_not_scheduled", "expire_date")
    ),
    "task_create_manual_cmd": But("a name of the action", more=True, without=("actions",)),
}
