"""What a check looks at, what a task does and when: values that users make, and that a stock server keeps.

Over the nouns, which they may hold where an id would do; the noun that holds them, `Task`, stands here, too.
What comes from a server has ids alone. How they are spelled on the wire is known under `dialects/stock`
alone; what they may hold is checked where they are sent.
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
    """What all checks have.

    `fails_before_alert` is a number of runs in a row; `run_interval` is in seconds, 0 for the agent's own.
    """

    email_alert: bool = False
    text_alert: bool = False
    dashboard_alert: bool = False
    fails_before_alert: int = 1
    run_interval: int = 0


class DiskSpaceCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="diskspace"):
    """Free space of a disk ("C:"), in per cent: `warning_threshold` is above `error_threshold`; 0 is none."""

    disk: str
    warning_threshold: int = 0
    error_threshold: int = 0


class CpuLoadCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="cpuload"):
    """Use of the processor, in per cent: `warning_threshold` is below `error_threshold`; 0 is none."""

    warning_threshold: int = 0
    error_threshold: int = 0


class MemoryCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="memory"):
    """Use of the memory, in per cent: `warning_threshold` is below `error_threshold`; 0 is none."""

    warning_threshold: int = 0
    error_threshold: int = 0


class PingCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="ping"):
    """Whether an address, or a domain name, answers. Without a `name` it has that of its address."""

    ip: str
    name: str = ""
    severity: Severity = "warning"


class ServiceCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="winsvc"):
    """Whether a Windows service runs: `service` is its name, `display_name` the one that people read.

    `policy_mode` says how the dashboard lets one choose the service of a policy's check.
    """

    service: str
    display_name: str = ""
    pass_if_start_pending: bool = False
    pass_if_missing: bool = False
    restart_if_stopped: bool = False
    policy_mode: Literal["default", "manual"] | None = None
    severity: Severity = "warning"


class ScriptCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="script"):
    """What a script returns, which may take `timeout` seconds: 0 passes.

    Other codes fail as an error, unless they are among those of a milder severity, or of success. `script` is
    its id, its name or the script; read back it is the id.
    """

    script: int | str | Script
    args: tuple[str, ...] = ()
    env_vars: Mapping[str, str] = {}
    timeout: int = 90
    info_return_codes: tuple[int, ...] = ()
    warning_return_codes: tuple[int, ...] = ()
    success_return_codes: tuple[int, ...] = ()


class EventLogCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="eventlog"):
    """Whether a Windows event log has an event, or has it not.

    Attributes:
        event_id: None for any.
        source, message: what these have to contain; None for anything.
        fail_when: there is such an event ("contains"), or there is none.
        search_last_days: how far back it looks.
        number_of_events: how many it takes.
    """

    name: str
    log: Literal["Application", "System", "Security"]
    event_id: int | None = None
    event_type: Literal["INFO", "WARNING", "ERROR", "AUDIT_SUCCESS", "AUDIT_FAILURE"] = "ERROR"
    source: str | None = None
    message: str | None = None
    fail_when: Literal["contains", "not_contains"] = "contains"
    search_last_days: int = 1
    number_of_events: int = 1
    severity: Severity = "warning"


CheckKind: TypeAlias = (
    DiskSpaceCheck | CpuLoadCheck | MemoryCheck | PingCheck | ServiceCheck | ScriptCheck | EventLogCheck
)
"""What a check looks at, one of the seven types."""


class ScriptAction(Noun, frozen=True, kw_only=True, gc=False, tag_field="type", tag="script"):
    """A script that a task runs, by id, name or object, for `timeout` seconds at most."""

    script: int | str | Script
    args: tuple[str, ...] = ()
    env_vars: Mapping[str, str] = {}
    timeout: int = 90
    name: str = ""


class CommandAction(Noun, frozen=True, kw_only=True, gc=False, tag_field="type", tag="cmd"):
    """A command that a task runs in "cmd", "powershell", or a shell's path on Linux and macOS."""

    command: str
    shell: str = "cmd"
    timeout: int = 90
    name: str = ""


TaskAction: TypeAlias = ScriptAction | CommandAction
"""What a task does."""


class _Scheduled(Noun, frozen=True, kw_only=True, gc=False, tag_field="task_type"):
    pass


class Manual(_Scheduled, frozen=True, kw_only=True, gc=False, tag="manual"):
    """When somebody says so."""


class OnBoarding(_Scheduled, frozen=True, kw_only=True, gc=False, tag="onboarding"):
    """Once, as soon as the agent has it."""


class OnFailure(_Scheduled, frozen=True, kw_only=True, gc=False, tag="checkfailure"):
    """When a check of the same agent, or policy, fails."""

    check: int | Check


class _Dated(_Scheduled, frozen=True, kw_only=True, gc=False):
    """From `at` on, to `expires`, by the agent's own clock: datetimes without a time zone.

    Repeated each time every `repeat_every`, as long as `repeat_for`; what runs then is stopped with
    `stop_at_duration_end`. With `remove_when_expired` Windows forgets it when `expires` is past.

    On Linux and macOS the server schedules by itself, and heeds no interval, expiry, repetition or delay.
    """

    at: datetime
    expires: datetime | None = None
    random_delay: timedelta | None = None
    repeat_every: timedelta | None = None
    repeat_for: timedelta | None = None
    stop_at_duration_end: bool = False
    remove_when_expired: bool = False
    run_if_missed: bool = False


class Once(_Dated, frozen=True, kw_only=True, gc=False, tag="runonce"):
    """At one time. What was missed is always run when the agent is back, whatever `run_if_missed` says."""


class Daily(_Dated, frozen=True, kw_only=True, gc=False, tag="daily"):
    """Every so many days."""

    every: int = 1


class Weekly(_Dated, frozen=True, kw_only=True, gc=False, tag="weekly"):
    """On these days ("monday") of every so many weeks."""

    days: tuple[str, ...]
    every: int = 1


class Monthly(_Dated, frozen=True, kw_only=True, gc=False, tag="monthly"):
    """On these days (1 to 31, "last") of these months (1 to 12); of all without any."""

    days: tuple[int | Literal["last"], ...]
    months: tuple[int, ...] = ()


class MonthlyByWeekday(_Dated, frozen=True, kw_only=True, gc=False, tag="monthlydow"):
    """On these weekdays ("tuesday") of these weeks (1 to 4, "last") of these months."""

    weekdays: tuple[str, ...]
    weeks: tuple[int | Literal["last"], ...]
    months: tuple[int, ...] = ()


TaskSchedule: TypeAlias = Manual | OnBoarding | OnFailure | Once | Daily | Weekly | Monthly | MonthlyByWeekday
"""When a task runs."""


class Task(Noun, frozen=True, kw_only=True, gc=False):
    """An automated task; `schedule` is a five-field cron expression.

    The fields behind `enabled` are what a stock server tells, where `schedule` is None if cron can't say it.
    `extra` holds what `tasks.get` was sent beyond them.

    Attributes:
        timing: when it runs, as `tasks.set_up` takes it; None for what we can't read, which is in `extra`.
        schedule_text: the same in the server's own words, which it gets wrong for weeks.
        actions: what it does, in order, as `tasks.set_up` takes it. One that is no script and no command
            does nothing on the server; all then stand in `extra` as they are.
        severity to instance_policy: see `TaskSettings`.
        status, last_run, result: of the last run, where one agent's tasks were asked for.
        sync_status: there, too: how far the agent has it ("pendingdeletion": deleted, while it is off).
    """

    id: int
    name: str = ""
    agent_id: str | None = None
    script: int | None = None
    schedule: str | None = None
    enabled: bool | None = None
    task_type: Open[TaskType] | None = None
    schedule_text: str | None = None
    timing: TaskSchedule | None = None
    actions: tuple[TaskAction, ...] = ()
    policy: int | None = None
    continue_on_error: bool | None = None
    severity: Open[Severity] | None = None
    email_alert: bool | None = None
    text_alert: bool | None = None
    dashboard_alert: bool | None = None
    collector: int | None = None
    collector_all_output: bool | None = None
    platforms: tuple[Open[Platform], ...] = ()
    instance_policy: Open[InstancePolicy] | None = None
    status: Open[CheckStatus] | None = None
    last_run: Moment | None = None
    result: ScriptResult | None = None
    sync_status: str | None = None
    created_by: str | None = None
    created_time: Moment | None = None
    modified_by: str | None = None
    modified_time: Moment | None = None
    extra: Mapping[str, Any] = no_extra()
