"""What a check looks at: values that users make, and that a stock server keeps.

Over the nouns, which they may hold where an id would do. What comes from a server has ids alone. How they are
spelled on the wire is known under `dialects/stock` alone; what they may hold is checked where they are sent.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from trmm_async.models import Noun, Script

__all__ = [
    "CheckKind",
    "CpuLoadCheck",
    "DiskSpaceCheck",
    "EventLogCheck",
    "MemoryCheck",
    "PingCheck",
    "ScriptCheck",
    "ServiceCheck",
    "Severity",
]

Severity = Literal["info", "warning", "error"]


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
