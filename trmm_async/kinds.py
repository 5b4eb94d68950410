"""The kinds of checks, and the actions and schedules of tasks, as users define them on a stock server.

Where they refer to another object, they take its id or the object; what comes from a server has ids only.
They are checked when they are sent. The server's field names are known only under `dialects/stock`. `Task`,
which holds actions and a schedule, is defined here, too.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from trmm_async.models import Check, Moment, Noun, Script, ScriptResult, no_extra
from trmm_async.words import CheckStatus, InstancePolicy, Open, Platform, Severity, TaskType

__all__ = [
    "CheckKind",
    "CommandAction",
    "CpuLoadCheck",
    "Daily",
    "DiskSpaceCheck",
    "EventLogCheck",
    "Manual",
    "MemoryCheck",
    "Monthly",
    "MonthlyByWeekday",
    "OnBoarding",
    "OnFailure",
    "Once",
    "PingCheck",
    "ScriptAction",
    "ScriptCheck",
    "ServiceCheck",
    "Task",
    "TaskAction",
    "TaskSchedule",
    "Weekly",
]


class _Alerting(Noun, frozen=True, kw_only=True, gc=False, tag_field="check_type"):
    """What all checks have in common.

    `fails_before_alert` is how many runs in a row must fail before there is an alert. `run_interval` is in
    seconds; 0: the interval of the agent.
    """

    email_alert: bool = False
    """Whether its alerts go out by e-mail."""
    text_alert: bool = False
    """Whether its alerts go out as text messages."""
    dashboard_alert: bool = False
    """Whether its alerts show on the dashboard."""
    fails_before_alert: int = 1
    run_interval: int = 0


class DiskSpaceCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="diskspace"):
    """A check of the free space of a disk, in percent.

    `warning_threshold` must be above `error_threshold`; 0: no threshold.
    """

    disk: str
    """The drive, such as "C:"."""
    warning_threshold: int = 0
    error_threshold: int = 0


class CpuLoadCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="cpuload"):
    """A check of the processor's load, in percent.

    `warning_threshold` must be below `error_threshold`; 0: no threshold.
    """

    warning_threshold: int = 0
    error_threshold: int = 0


class MemoryCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="memory"):
    """A check of the memory in use, in percent.

    `warning_threshold` must be below `error_threshold`; 0: no threshold.
    """

    warning_threshold: int = 0
    error_threshold: int = 0


class PingCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="ping"):
    """A check whether an address or a host name answers a ping. Without a `name`, its name is the address."""

    ip: str
    """The address, or the host name."""
    name: str = ""
    severity: Severity = "warning"
    """How serious it is."""


class ServiceCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="winsvc"):
    """A check whether a Windows service runs. `service` is its name, `display_name` the name for people.

    `policy_mode` says how the dashboard offers the services for a check of a policy.
    """

    service: str
    display_name: str = ""
    pass_if_start_pending: bool = False
    """Whether the check passes while the service is starting."""
    pass_if_missing: bool = False
    """Whether the check passes if the service doesn't exist."""
    restart_if_stopped: bool = False
    """Whether the agent starts the service if it has stopped."""
    policy_mode: Literal["default", "manual"] | None = None
    severity: Severity = "warning"
    """How serious it is."""


class ScriptCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="script"):
    """A check that runs a script, for at most `timeout` seconds. Return code 0 passes.

    Other return codes fail with the severity "error", unless they are in one of the three lists. `script` is
    the script's id, its name or the `Script`; a check read from the server has the id.
    """

    script: int | str | Script
    args: tuple[str, ...] = ()
    """The arguments."""
    env_vars: Mapping[str, str] = {}
    """The environment variables."""
    timeout: int = 90
    info_return_codes: tuple[int, ...] = ()
    """Return codes that fail with the severity "info"."""
    warning_return_codes: tuple[int, ...] = ()
    """Return codes that fail with the severity "warning"."""
    success_return_codes: tuple[int, ...] = ()
    """Return codes that pass, in addition to 0."""


class EventLogCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="eventlog"):
    """A check whether a Windows event log contains an event.

    Attributes:
        event_id: the id of the event; None: any.
        source, message: a text that the source or the message must contain; None: any.
        fail_when: whether the check fails if the log contains such an event, or if it does not.
        search_last_days: how many days back it searches.
        number_of_events: how many such events there must be.
    """

    name: str
    """The name."""
    log: Literal["Application", "System", "Security"]
    """Which of the logs."""
    event_id: int | None = None
    event_type: Literal["INFO", "WARNING", "ERROR", "AUDIT_SUCCESS", "AUDIT_FAILURE"] = "ERROR"
    """Which entries count."""
    source: str | None = None
    message: str | None = None
    fail_when: Literal["contains", "not_contains"] = "contains"
    search_last_days: int = 1
    number_of_events: int = 1
    severity: Severity = "warning"
    """How serious it is."""


CheckKind: TypeAlias = (
    DiskSpaceCheck | CpuLoadCheck | MemoryCheck | PingCheck | ServiceCheck | ScriptCheck | EventLogCheck
)
"""A check of one of the seven kinds."""


class ScriptAction(Noun, frozen=True, kw_only=True, gc=False, tag_field="type", tag="script"):
    """A task's action that runs a script (an id, a name or a `Script`) for at most `timeout` seconds."""

    script: int | str | Script
    """The script, by id."""
    args: tuple[str, ...] = ()
    """The arguments."""
    env_vars: Mapping[str, str] = {}
    """The environment variables."""
    timeout: int = 90
    name: str = ""
    """The name."""


class CommandAction(Noun, frozen=True, kw_only=True, gc=False, tag_field="type", tag="cmd"):
    """A task's action that runs a command."""

    command: str
    """The command line."""
    shell: str = "cmd"
    """"cmd" or "powershell" on Windows; the path of a shell on Linux and macOS."""
    timeout: int = 90
    """Seconds that it may take."""
    name: str = ""
    """The name."""


TaskAction: TypeAlias = ScriptAction | CommandAction
"""An action of a task."""


class _Scheduled(Noun, frozen=True, kw_only=True, gc=False, tag_field="task_type"):
    pass


class Manual(_Scheduled, frozen=True, kw_only=True, gc=False, tag="manual"):
    """The task runs only when somebody starts it."""


class OnBoarding(_Scheduled, frozen=True, kw_only=True, gc=False, tag="onboarding"):
    """The task runs once, as soon as the agent has received it."""


class OnFailure(_Scheduled, frozen=True, kw_only=True, gc=False, tag="checkfailure"):
    """The task runs when a check of the same agent or policy fails."""

    check: int | Check
    """The check, by id."""


class _Dated(_Scheduled, frozen=True, kw_only=True, gc=False):
    """The task runs from `at` until `expires`, by the agent's clock: both are datetimes without a time zone.

    Each run is repeated every `repeat_every`, for the time `repeat_for`. With `stop_at_duration_end`, a run
    that is in progress at the end of that time is stopped. With `remove_when_expired`, Windows deletes the
    task after `expires`.

    For Linux and macOS the server itself schedules the task, and ignores intervals, expiry, repetition and
    delays.
    """

    at: datetime
    expires: datetime | None = None
    random_delay: timedelta | None = None
    """Each run is delayed by a random time of up to this."""
    repeat_every: timedelta | None = None
    repeat_for: timedelta | None = None
    stop_at_duration_end: bool = False
    remove_when_expired: bool = False
    run_if_missed: bool = False
    """Whether it runs later if the machine was switched off at its time."""


class Once(_Dated, frozen=True, kw_only=True, gc=False, tag="runonce"):
    """The task runs once, at `at`. If the agent is offline then, it runs later in any case."""


class Daily(_Dated, frozen=True, kw_only=True, gc=False, tag="daily"):
    """The task runs every so many days."""

    every: int = 1
    """The number of days from one run to the next."""


class Weekly(_Dated, frozen=True, kw_only=True, gc=False, tag="weekly"):
    """The task runs on some days of the week."""

    days: tuple[str, ...]
    """The days of the week, such as "monday"."""
    every: int = 1
    """1: every week; 2: every second week; and so on."""


class Monthly(_Dated, frozen=True, kw_only=True, gc=False, tag="monthly"):
    """The task runs on some days of some months."""

    days: tuple[int | Literal["last"], ...]
    """The days of the month: 1 to 31, or "last"."""
    months: tuple[int, ...] = ()
    """The months, 1 to 12; none for all."""


class MonthlyByWeekday(_Dated, frozen=True, kw_only=True, gc=False, tag="monthlydow"):
    """The task runs on some weekdays in some weeks of some months."""

    weekdays: tuple[str, ...]
    """The days of the week, such as "monday"."""
    weeks: tuple[int | Literal["last"], ...]
    """Which weeks of the month: 1 to 4, or "last"."""
    months: tuple[int, ...] = ()
    """The months, 1 to 12; none for all."""


TaskSchedule: TypeAlias = Manual | OnBoarding | OnFailure | Once | Daily | Weekly | Monthly | MonthlyByWeekday
"""The schedule of a task."""


class Task(Noun, frozen=True, kw_only=True, gc=False):
    """An automated task. `schedule` is a cron expression of five fields.

    The fields after `enabled` are sent by a stock server; there, `schedule` is None if cron can't express it.
    `extra` has the values that `tasks.get` received and that have no field here.

    Attributes:
        timing: when the task runs, as `tasks.set_up` takes it. None if it can't be read; see `extra`.
        schedule_text: the server's description of the schedule, which is wrong for weekly schedules.
        actions: what the task does, in order, as `tasks.set_up` takes it. The server ignores an action that
            is neither a script nor a command; if there is one, `extra` has all actions unchanged.
        severity to instance_policy: see `TaskSettings`.
        status, last_run, result: of the last run, if the tasks of one agent were read.
        sync_status: whether the agent has received the task, if the tasks of one agent were read.
            "pendingdeletion": it was deleted while the agent was offline.
    """

    id: int
    """The server's number for it."""
    name: str = ""
    """The name."""
    agent_id: str | None = None
    """The agent that has it; None for a policy's, or if the key may not see the agent."""
    script: int | None = None
    """The script, by id."""
    schedule: str | None = None
    enabled: bool | None = None
    task_type: Open[TaskType] | None = None
    """What kind of task it is."""
    schedule_text: str | None = None
    timing: TaskSchedule | None = None
    actions: tuple[TaskAction, ...] = ()
    policy: int | None = None
    """The policy that it is part of, by id; None for none."""
    continue_on_error: bool | None = None
    """Whether the next action is run after one that failed."""
    severity: Open[Severity] | None = None
    """How serious it is."""
    email_alert: bool | None = None
    """Whether its alerts go out by e-mail."""
    text_alert: bool | None = None
    """Whether its alerts go out as text messages."""
    dashboard_alert: bool | None = None
    """Whether its alerts show on the dashboard."""
    collector: int | None = None
    """The custom field that takes its output, by id."""
    collector_all_output: bool | None = None
    """Whether that takes all of it, and not only the last line."""
    platforms: tuple[Open[Platform], ...] = ()
    """What it is for."""
    instance_policy: Open[InstancePolicy] | None = None
    """What happens if it should start while it still runs."""
    status: Open[CheckStatus] | None = None
    last_run: Moment | None = None
    result: ScriptResult | None = None
    sync_status: str | None = None
    created_by: str | None = None
    """Who made it, by user name."""
    created_time: Moment | None = None
    """When it was made."""
    modified_by: str | None = None
    """Who changed it last, by user name."""
    modified_time: Moment | None = None
    """When it was changed last."""
    extra: Mapping[str, Any] = no_extra()
