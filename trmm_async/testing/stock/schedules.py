"""When a task runs, in the words of the stock server, and what it says of a schedule that has a part missing.

Below: `view.py`. Above: `tasks.py`. Pure. A schedule is a `task_type` and bit masks; there are no cron
expressions.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from .view import Fields, crash, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .table import Row

__all__ = ["examine", "words"]

DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
WEEKS = ("First Week", "Second Week", "Third Week", "Fourth Week", "Last Week")
LAST_DAY = 1 << 31
DATED = ("runonce", "daily", "weekly", "monthly", "monthlydow")
NEEDED = {
    "daily": ("daily_interval",),
    "weekly": ("weekly_interval", "run_time_bit_weekdays"),
    "monthly": ("monthly_months_of_year", "monthly_days_of_month"),
    "monthlydow": ("monthly_months_of_year", "monthly_weeks_of_month", "run_time_bit_weekdays"),
    "checkfailure": ("assigned_check",),
}
SCHEDULE = (
    "run_time_date", "expire_date", "daily_interval", "weekly_interval", "run_time_bit_weekdays",
    "monthly_months_of_year", "monthly_days_of_month", "monthly_weeks_of_month", "assigned_check",
)  # fmt: skip
"""What is left as it is where a change does not name the `task_type`."""


def examine(values: Row, now: float) -> None:
    """Say no to a schedule with a part missing; no `task_type`, or no needed time at all, is a 500."""
    fields = Fields(values)
    kind = str(fields["task_type"])
    expires = values.get("expire_date")
    if isinstance(expires, str) and datetime.fromisoformat(expires).timestamp() < now:
        invalid(non_field_errors="Expires date/time is in the past")
    for name in ("run_time_date",) * (kind in DATED):
        if not fields[name]:
            invalid(non_field_errors=_required(name, kind))
    for name in NEEDED.get(kind, ()):
        if not values.get(name):
            invalid(non_field_errors=_required(name, kind))


def _required(name: str, kind: str) -> str:
    return f"{name} is required for task_type '{kind}'"


def words(task: Mapping[str, object]) -> str | None:
    """Return the schedule of a task as a person reads it; None for a type that has none any more."""
    kind = str(task["task_type"])
    fixed = {
        "manual": "Manual",
        "checkfailure": "Every time check fails",
        "onboarding": "Onboarding: Runs once on task creation.",
    }
    if kind in fixed or kind not in DATED:
        return fixed.get(kind)
    if not isinstance(task["run_time_date"], str):
        crash()
    when = datetime.fromisoformat(task["run_time_date"])
    if kind == "runonce":
        return f"Run once on {when:%m/%d/%Y %I:%M%p}"
    return DATED_WORDS[kind](task, f"{when:%I:%M%p}")


def _daily(task: Mapping[str, object], time: str) -> str:
    interval = task["daily_interval"]
    return f"Daily at {time}" if interval == 1 else f"Every {interval} days at {time}"


def _weekly(task: Mapping[str, object], time: str) -> str:
    days, interval = _weekdays(task), task["weekly_interval"]
    # The wrong way round, as on the real server.
    return f"{days} at {time}" if interval != 1 else f"{days} at {time} every {interval} weeks"


def _monthly(task: Mapping[str, object], time: str) -> str:
    return f"Runs on {_months(task)} on days {_month_days(_bits(task, 'monthly_days_of_month'))} at {time}"


def _monthly_dow(task: Mapping[str, object], time: str) -> str:
    weeks = _bits(task, "monthly_weeks_of_month")
    named = "Every week" if weeks == 31 else _names(weeks, WEEKS)
    return f"Runs on {_months(task)} on {named} on {_weekdays(task)} at {time}"


DATED_WORDS: dict[str, Callable[[Mapping[str, object], str], str]] = {
    "daily": _daily,
    "weekly": _weekly,
    "monthly": _monthly,
    "monthlydow": _monthly_dow,
}


def _bits(task: Mapping[str, object], name: str) -> int:
    value = task[name]
    return value if isinstance(value, int) else 0


def _weekdays(task: Mapping[str, object]) -> str:
    bits = _bits(task, "run_time_bit_weekdays")
    return "Every day" if bits == 127 else _names(bits, DAYS)


def _months(task: Mapping[str, object]) -> str:
    bits = _bits(task, "monthly_months_of_year")
    return "Every month" if bits == 4095 else _names(bits, MONTHS)


def _month_days(bits: int) -> str:
    if bits == LAST_DAY:
        return "Last day"
    if bits in {2**31 - 1, 2**32 - 1}:
        return "Every day"
    return _names(bits, [*(str(day) for day in range(1, 32)), "Last Day"])


def _names(bits: int, names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(name for place, name in enumerate(names) if bits & 1 << place)
