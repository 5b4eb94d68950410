"""What a check looks at, what a task does and when: values that users make, and that a stock server keeps.

Over the nouns, which they may hold where an id would do. What comes from a server has ids alone. How they are
spelled on the wire is known under `dialects/stock` alone; what they may hold is checked where they are sent.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from trmm_async.models import Check, Noun, Script
from trmm_async.words import Severity

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


class ScriptAction(Noun, frozen=True, kw_only=True, gc=False):
    """A script that a task runs, by id, name or object, for `timeout` seconds at most."""

    script: int | str | Script
    args: tuple[str, ...] = ()
    env_vars: Mapping[str, str] = {}
    timeout: int = 90
    name: str = ""


class CommandAction(Noun, frozen=True, kw_only=True, gc=False):
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


class Once(_Scheduled, frozen=True, kw_only=True, gc=False, tag="runonce"):
    """At one time, by the agent's own clock: a datetime without a time zone."""

    at: datetime
    run_if_missed: bool = False


class _Repeated(_Scheduled, frozen=True, kw_only=True, gc=False):
    """From `at` on, to `expires`, by the agent's own clock: datetimes without a time zone.

    On Linux and macOS the server schedules by itself, and heeds no interval, expiry, repetition or delay.
    """

    at: datetime
    expires: datetime | None = None
    random_delay: timedelta | None = None
    repeat_every: timedelta | None = None
    repeat_for: timedelta | None = None
    run_if_missed: bool = False


class Daily(_Repeated, frozen=True, kw_only=True, gc=False, tag="daily"):
    """Every so many days."""

    every: int = 1


class Weekly(_Repeated, frozen=True, kw_only=True, gc=False, tag="weekly"):
    """On these days ("monday") of every so many weeks."""

    days: tuple[str, ...]
    every: int = 1


class Monthly(_Repeated, frozen=True, kw_only=True, gc=False, tag="monthly"):
    """On these days (1 to 31, "last") of these months (1 to 12); of all without any."""

    days: tuple[int | Literal["last"], ...]
    months: tuple[int, ...] = ()


class MonthlyByWeekday(_Repeated, frozen=True, kw_only=True, gc=False, tag="monthlydow"):
    """On these weekdays ("tuesday") of these weeks (1 to 4, "last") of these months."""

    weekdays: tuple[str, ...]
    weeks: tuple[int | Literal["last"], ...]
    months: tuple[int, ...] = ()


TaskSchedule: TypeAlias = Manual | OnBoarding | OnFailure | Once | Daily | Weekly | Monthly | MonthlyByWeekday
"""When a task runs."""
