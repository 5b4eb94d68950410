"""The columns of what the stock server keeps in its database, with their checks and their defaults.

Below: `forms.py`. Above: `database.py` makes tables of them. Literal tables, as recorded and looked up in the
models of the real server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from trmm_async.testing.forms import Field, Form
from trmm_async.testing.gate import PERMISSIONS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CHECK_TYPES",
    "CUSTOM_FIELD",
    "KEY",
    "NOTE",
    "PATCH_POLICY",
    "SCHEDULE",
    "SCRIPT",
    "SETTINGS",
    "SNIPPET",
    "TASK_TYPES",
    "URL_ACTION",
    "agent",
    "alert",
    "alert_template",
    "check",
    "policy",
    "role",
    "task",
]

CHECK_TYPES = {
    "diskspace": "Disk Space Check",
    "ping": "Ping Check",
    "cpuload": "CPU Load Check",
    "memory": "Memory Check",
    "winsvc": "Service Check",
    "script": "Script Check",
    "eventlog": "Event Log Check",
}
TASK_TYPES = (
    "daily", "weekly", "monthly", "monthlydow", "checkfailure", "manual", "runonce", "onboarding",
    "scheduled",
)  # fmt: skip
TIME_ZONES = available_timezones()
PLATFORMS = ("windows", "linux", "darwin")
SEVERITIES = ("info", "warning", "error")
ACTION_TYPES = ("script", "server", "rest")
AGENT_SHELLS = ("use_global", "cmd", "powershell", "bash", "custom")
SHELLS = ("powershell", "cmd", "python", "shell", "nushell", "deno")
EVENT_TYPES = ("INFO", "WARNING", "ERROR", "AUDIT_SUCCESS", "AUDIT_FAILURE")
FIELD_TYPES = ("text", "number", "single", "multiple", "checkbox", "datetime")


def agent(policies: Callable[[int], bool], sites: Callable[[int], bool]) -> Form:
    """Return the columns of an agent that can be edited."""
    return Form(
        {
            "maintenance_mode": Field.flag(),
            "policy": Field.key(policies),
            "block_policy_inheritance": Field.flag(),
            "monitoring_type": Field.choice(("server", "workstation"), "server"),
            "description": Field.text(blank=True),
            "overdue_email_alert": Field.flag(),
            "overdue_text_alert": Field.flag(),
            "overdue_dashboard_alert": Field.flag(),
            "offline_time": Field.number(4, low=0),
            "overdue_time": Field.number(30, low=0),
            "check_interval": Field.number(120, low=0),
            "time_zone": Field.choice(TIME_ZONES),
            "site": Field.key(sites, required=True),
            "default_shell": Field.choice(AGENT_SHELLS, "use_global"),
            "default_shell_custom": Field.text(blank=True),
        }
    )


def alert(agents: Callable[[int], bool]) -> Form:
    """Return the columns of an alert that can be edited."""
    return Form(
        {
            "agent": Field.key(agents),
            "assigned_check": Field.number(low=0),
            "assigned_task": Field.number(low=0),
            "alert_type": Field.choice(("availability", "check", "task", "custom"), "availability"),
            "severity": Field.choice(SEVERITIES, "info"),
            "message": Field.text(blank=True),
            "snoozed": Field.flag(),
            "resolved": Field.flag(),
            "hidden": Field.flag(),
        }
    )


def check(
    agents: Callable[[int], bool], policies: Callable[[int], bool], scripts: Callable[[int], bool]
) -> Form:
    """Return the columns of a check."""
    return Form(
        {
            "overridden_by_policy": Field.flag(),
            "name": Field.text(limit=255, blank=True),
            "check_type": Field.choice(CHECK_TYPES, "diskspace"),
            "email_alert": Field.flag(),
            "text_alert": Field.flag(),
            "dashboard_alert": Field.flag(),
            "fails_b4_alert": Field.number(1, low=0),
            "run_interval": Field.number(0, low=0),
            "alert_severity": Field.choice(SEVERITIES, "warning"),
            "error_threshold": Field.number(0, low=0, high=99),
            "warning_threshold": Field.number(0, low=0, high=99),
            "disk": Field.text(limit=2, blank=True),
            "ip": Field.text(limit=255, blank=True),
            "script_args": Field.many(),
            "env_vars": Field.many(),
            "info_return_codes": Field.many(of=Field.number()),
            "warning_return_codes": Field.many(of=Field.number()),
            "success_return_codes": Field.many(of=Field.number()),
            "timeout": Field.number(low=0),
            "svc_name": Field.text(limit=255, blank=True),
            "svc_display_name": Field.text(limit=255, blank=True),
            "pass_if_start_pending": Field.flag(None),
            "pass_if_svc_not_exist": Field.flag(),
            "restart_if_stopped": Field.flag(None),
            "svc_policy_mode": Field.text(limit=20, blank=True),
            "log_name": Field.choice(("Application", "System", "Security")),
            "event_id": Field.number(),
            "event_id_is_wildcard": Field.flag(),
            "event_type": Field.choice(EVENT_TYPES),
            "event_source": Field.text(limit=255, blank=True),
            "event_message": Field.text(blank=True),
            "fail_when": Field.choice(("contains", "not_contains")),
            "search_last_days": Field.number(low=0),
            "number_of_events_b4_alert": Field.number(1, low=0),
            "managed_by_policy": Field.flag(),
            "agent": Field.key(agents),
            "policy": Field.key(policies),
            "script": Field.key(scripts),
        }
    )


def task(
    agents: Callable[[int], bool],
    policies: Callable[[int], bool],
    checks: Callable[[int], bool],
    custom_fields: Callable[[int], bool],
) -> Form:
    """Return the columns of a task."""
    return Form(
        {
            "run_time_date": Field.moment(),
            "expire_date": Field.moment(),
            "actions": Field.many(),
            "name": Field.text(limit=255, required=True),
            "collector_all_output": Field.flag(),
            "enabled": Field.flag(default=True),
            "continue_on_error": Field.flag(default=True),
            "alert_severity": Field.choice(SEVERITIES, "info"),
            "email_alert": Field.flag(),
            "text_alert": Field.flag(),
            "dashboard_alert": Field.flag(),
            "task_type": Field.choice(TASK_TYPES, "manual"),
            "win_task_name": Field.text("", limit=255, blank=True),
            "daily_interval": Field.number(low=1, high=255),
            "run_time_bit_weekdays": Field.number(),
            "weekly_interval": Field.number(low=1, high=52),
            "run_time_minute": Field.text(limit=5, blank=True),
            "monthly_days_of_month": Field.number(low=0),
            "monthly_months_of_year": Field.number(low=0),
            "monthly_weeks_of_month": Field.number(low=0),
            "task_repetition_duration": Field.text(limit=10, blank=True),
            "task_repetition_interval": Field.text(limit=10, blank=True),
            "stop_task_at_duration_end": Field.flag(),
            "random_task_delay": Field.text(limit=10, blank=True),
            "remove_if_not_scheduled": Field.flag(),
            "run_asap_after_missed": Field.flag(),
            "task_instance_policy": Field.number(1, low=0),
            "task_supported_platforms": Field.many(default=["windows"], of=Field.choice(PLATFORMS)),
            "managed_by_policy": Field.flag(),
            "agent": Field.key(agents),
            "policy": Field.key(policies),
            "custom_field": Field.key(custom_fields),
            "assigned_check": Field.key(checks),
        }
    )


def alert_template(scripts: Callable[[int], bool], actions: Callable[[int], bool]) -> Form:
    """Return the columns of an alert template."""

    def ids() -> Field[list[int]]:
        return Field.keys(lambda _: True)

    about: dict[str, Field[Any]] = {}
    for what in ("agent", "check", "task"):
        if what != "agent":
            for way in ("email", "text", "dashboard"):
                about[f"{what}_{way}_alert_severity"] = Field.many(of=Field.choice(SEVERITIES))
        about[f"{what}_email_on_resolved"] = Field.flag()
        about[f"{what}_text_on_resolved"] = Field.flag()
        for way in ("email", "text", "alert"):
            about[f"{what}_always_{way}"] = Field.flag(None)
        about[f"{what}_periodic_alert_days"] = Field.number(0, low=0)
        about[f"{what}_script_actions"] = Field.flag(default=True)
    return Form(
        {
            "name": Field.text("", limit=255, blank=True),
            "is_active": Field.flag(default=True),
            "action_type": Field.choice(ACTION_TYPES, "script"),
            "action_args": Field.many(),
            "action_env_vars": Field.many(),
            "action_timeout": Field.number(15, low=0),
            "resolved_action_type": Field.choice(ACTION_TYPES, "script"),
            "resolved_action_args": Field.many(),
            "resolved_action_env_vars": Field.many(),
            "resolved_action_timeout": Field.number(15, low=0),
            "email_recipients": Field.many(),
            "text_recipients": Field.many(),
            "email_from": Field.email(),
            **about,
            "exclude_workstations": Field.flag(),
            "exclude_servers": Field.flag(),
            "action": Field.key(scripts),
            "action_rest": Field.key(actions),
            "resolved_action": Field.key(scripts),
            "resolved_action_rest": Field.key(actions),
            "excluded_sites": ids(),
            "excluded_clients": ids(),
            "excluded_agents": ids(),
        }
    )


SCRIPT = Form(
    {
        "name": Field.text("", limit=255),
        "description": Field.text("", blank=True),
        "shell": Field.choice(SHELLS, "powershell"),
        "args": Field.many(),
        "category": Field.text(limit=100, blank=True),
        "favorite": Field.flag(),
        "script_body": Field.text("", blank=True),
        "default_timeout": Field.number(90, low=0),
        "syntax": Field.text(blank=True),
        "filename": Field.text(limit=255),
        "hidden": Field.flag(),
        "supported_platforms": Field.many(),
        "run_as_user": Field.flag(),
        "env_vars": Field.many(),
    }
)
SETTINGS = Form(
    {
        "email_alert_recipients": Field.many(of=Field.email()),
        "sms_alert_recipients": Field.many(of=Field.text()),
        "smtp_port": Field.number(587, low=0),
        "default_time_zone": Field.choice(TIME_ZONES, "America/New_York"),
        "agent_debug_level": Field.choice(("info", "warning", "error", "critical"), "info"),
        "default_shell_windows": Field.choice(("cmd", "powershell", "custom"), "cmd"),
        "default_shell_linux": Field.choice(("bash", "custom"), "bash"),
        "default_shell_darwin": Field.choice(("bash", "custom"), "bash"),
        "terminal_mode": Field.choice(("new", "legacy"), "new"),
    }
)
"""What is checked of the server's settings, but for what they point at."""
SNIPPET = Form(
    {
        "name": Field.text("", limit=40, required=True),
        "desc": Field.text("", limit=50, blank=True),
        "code": Field.text(""),
        "shell": Field.choice(SHELLS, "powershell"),
    }
)
SCHEDULE = Form(
    {
        "name": Field.text("", limit=255, blank=True),
        "run_time": Field.clock(),
        "run_time_weekdays": Field.numbers(),
        "monthly_months_of_year": Field.numbers(),
        "monthly_days_of_month": Field.numbers(),
        "monthly_weeks_of_month": Field.numbers(),
        "schedule_type": Field.choice(("daily", "weekly", "monthly"), "weekly"),
        "monthly_type": Field.choice(("days", "weeks"), "days"),
    }
)


def role(clients: Callable[[int], bool], sites: Callable[[int], bool]) -> Form:
    """Return the columns of a role."""
    return Form(
        {
            "name": Field.text("", limit=255, required=True),
            "is_superuser": Field.flag(),
            **{name: Field.flag() for name in sorted(PERMISSIONS)},
            "can_view_clients": Field.keys(clients),
            "can_view_sites": Field.keys(sites),
        }
    )


def policy(templates: Callable[[int], bool]) -> Form:
    """Return the columns of a policy."""
    return Form({**POLICY_COLUMNS, "alert_template": Field.key(templates)})


POLICY_COLUMNS: dict[str, Field[Any]] = {
    "name": Field.text("", limit=255),
    "desc": Field.text(limit=255, blank=True),
    "active": Field.flag(),
    "enforced": Field.flag(),
    "excluded_sites": Field.keys(lambda _: True),
    "excluded_clients": Field.keys(lambda _: True),
    "excluded_agents": Field.keys(lambda _: True),
}
PATCHES = ("manual", "approve", "ignore", "inherit")
PATCH_POLICY = Form(
    {
        **{
            name: Field.choice(PATCHES, "inherit")
            for name in ("critical", "important", "moderate", "low", "other")
        },
        "run_time_hour": Field.option(range(24), 3),
        "run_time_frequency": Field.choice(("daily", "monthly", "inherit"), "inherit"),
        "run_time_days": Field.many(of=Field.number()),
        "run_time_day": Field.option(range(1, 32), 1),
        "reboot_after_install": Field.choice(("never", "required", "always", "inherit"), "inherit"),
        "reprocess_failed_inherit": Field.flag(default=True),
        "reprocess_failed": Field.flag(),
        "reprocess_failed_times": Field.number(5, low=0),
        "email_if_fail": Field.flag(),
        "agent": Field.anything(),
        "policy": Field.anything(),
    }
)
CUSTOM_FIELD = Form(
    {
        "order": Field.number(0, low=0),
        "model": Field.choice(("client", "site", "agent"), ""),
        "type": Field.choice(FIELD_TYPES, "text"),
        "options": Field.many(),
        "name": Field.text("", limit=100),
        "required": Field.flag(),
        "default_value_string": Field.text(blank=True),
        "default_value_bool": Field.flag(),
        "default_values_multiple": Field.many(),
        "hide_in_ui": Field.flag(),
        "hide_in_summary": Field.flag(),
    }
)
KEY = Form({"name": Field.text("", limit=25), "value": Field.text("")})
URL_ACTION = Form(
    {
        "name": Field.text("", limit=255),
        "desc": Field.text(limit=255, blank=True),
        "pattern": Field.text(""),
        "action_type": Field.choice(("web", "rest"), "web"),
        "rest_method": Field.choice(("get", "post", "put", "delete", "patch"), "post"),
        "rest_body": Field.text("", blank=True),
        "rest_headers": Field.text("", blank=True),
    }
)
NOTE = Form({"note": Field.text(blank=True)})
