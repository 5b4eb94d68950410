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
    """Whether its alerts go out by e-mail."""
    text_alert: bool = False
    """Whether its alerts go out as text messages."""
    dashboard_alert: bool = False
    """Whether its alerts show on the dashboard."""
    fails_before_alert: int = 1
    run_interval: int = 0


class DiskSpaceCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="diskspace"):
    """Free space of a disk ("C:"), in per cent: `warning_threshold` is above `error_threshold`; 0 is none."""

    disk: str
    """The drive, such as "C:"."""
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
    """The address, or the host name."""
    name: str = ""
    severity: Severity = "warning"
    """How serious it is."""


class ServiceCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="winsvc"):
    """Whether a Windows service runs: `service` is its name, `display_name` the one that people read.

    `policy_mode` says how the dashboard lets one choose the service of a policy's check.
    """

    service: str
    display_name: str = ""
    pass_if_start_pending: bool = False
    """Whether one that is just starting passes."""
    pass_if_missing: bool = False
    """Whether it passes where there is no such service."""
    restart_if_stopped: bool = False
    """Whether one that has stopped is started."""
    policy_mode: Literal["default", "manual"] | None = None
    severity: Severity = "warning"
    """How serious it is."""


class ScriptCheck(_Alerting, frozen=True, kw_only=True, gc=False, tag="script"):
    """What a script returns, which may take `timeout` seconds: 0 passes.

    Other codes fail as an error, unless they are among those of a milder severity, or of success. `script` is
    its id, its name or the script; read back it is the id.
    """

    script: int | str | Script
    args: tuple[str, ...] = ()
    """The arguments."""
    env_vars: Mapping[str, str] = {}
    """The environment variables."""
    timeout: int = 90
    info_return_codes: tuple[int, ...] = ()
    """Return codes that are an information."""
    warning_return_codes: tuple[int, ...] = ()
    """Return codes that are a warning."""
    success_return_codes: tuple[int, ...] = ()
    """Return codes that are a success besides 0."""


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
    """What it is called."""
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
"""What a check looks at, one of the seven types."""


class ScriptAction(Noun, frozen=True, kw_only=True, gc=False, tag_field="type", tag="script"):
    """A script that a task runs, by id, name or object, for `timeout` seconds at most."""

    script: int | str | Script
    """The script, by id."""
    args: tuple[str, ...] = ()
    """The arguments."""
    env_vars: Mapping[str, str] = {}
    """The environment variables."""
    timeout: int = 90
    name: str = ""
    """What it is called."""


class CommandAction(Noun, frozen=True, kw_only=True, gc=False, tag_field="type", tag="cmd"):
    """A command that a task runs in "cmd", "powershell", or a shell's path on Linux and macOS."""

    command: str
    """The command line."""
    shell: str = "cmd"
    """What carries it out."""
    timeout: int = 90
    """Seconds that it may take."""
    name: str = ""
    """What it is called."""


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
    """The check, by id."""


class _Dated(_Scheduled, frozen=True, kw_only=True, gc=False):
    """From `at` on, to `expires`, by the agent's own clock: datetimes without a time zone.

    Repeated each time every `repeat_every`, as long as `repeat_for`; what runs then is stopped with
    `stop_at_duration_end`. With `remove_when_expired` Windows forgets it when `expires` is past.

    On Linux and macOS the server schedules by itself, and heeds no interval, expiry, repetition or delay.
    """

    at: datetime
    expires: datetime | None = None
    random_delay: timedelta | None = None
    """A random delay of at most so much."""
    repeat_every: timedelta | None = None
    repeat_for: timedelta | None = None
    stop_at_duration_end: bool = False
    remove_when_expired: bool = False
    run_if_missed: bool = False
    """Whether it runs later if the machine was off at its time."""


class Once(_Dated, frozen=True, kw_only=True, gc=False, tag="runonce"):
    """At one time. What was missed is always run when the agent is back, whatever `run_if_missed` says."""


class Daily(_Dated, frozen=True, kw_only=True, gc=False, tag="daily"):
    """Every so many days."""

    every: int = 1
    """Every so many days."""


class Weekly(_Dated, frozen=True, kw_only=True, gc=False, tag="weekly"):
    """On these days ("monday") of every so many weeks."""

    days: tuple[str, ...]
    """The days of the week, such as "monday"."""
    every: int = 1
    """Every so many weeks."""


class Monthly(_Dated, frozen=True, kw_only=True, gc=False, tag="monthly"):
    """On these days (1 to 31, "last") of these months (1 to 12); of all without any."""

    days: tuple[int | Literal["last"], ...]
    """The days of the month: 1 to 31, or "last"."""
    months: tuple[int, ...] = ()
    """The months, 1 to 12; none for all."""


class MonthlyByWeekday(_Dated, frozen=True, kw_only=True, gc=False, tag="monthlydow"):
    """On these weekdays ("tuesday") of these weeks (1 to 4, "last") of these months."""

    weekdays: tuple[str, ...]
    """The days of the week, such as "monday"."""
    weeks: tuple[int | Literal["last"], ...]
    """Which weeks of the month: 1 to 4, or "last"."""
    months: tuple[int, ...] = ()
    """The months, 1 to 12; none for all."""


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
    """The server's number for it."""
    name: str = ""
    """What it is called."""
    agent_id: str | None = None
    """The agent that has it; None for a policy's."""
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
    """Whether the next action is done after one that has failed."""
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
    """What is done while it still runs."""
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
