"""Schedules, in words."""

from __future__ import annotations

import pytest

from trmm_async.testing.stock.schedules import words

Row = dict[str, object]
DATED = {"run_time_date": "2026-12-01T10:00:00Z"}


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"task_type": "daily", "daily_interval": 1}, "Daily at 10:00AM"),
        ({"task_type": "daily", "daily_interval": 3}, "Every 3 days at 10:00AM"),
        (
            {"task_type": "weekly", "weekly_interval": 2, "run_time_bit_weekdays": 3},
            "Sunday, Monday at 10:00AM",
        ),
        (
            {"task_type": "weekly", "weekly_interval": 1, "run_time_bit_weekdays": 127},
            "Every day at 10:00AM every 1 weeks",
        ),
        (
            {"task_type": "monthly", "monthly_months_of_year": 4095, "monthly_days_of_month": 2147483648},
            "Runs on Every month on days Last day at 10:00AM",
        ),
        (
            {"task_type": "monthly", "monthly_months_of_year": 3, "monthly_days_of_month": 5},
            "Runs on January, February on days 1, 3 at 10:00AM",
        ),
        (
            {"task_type": "monthly", "monthly_months_of_year": 1, "monthly_days_of_month": 2147483647},
            "Runs on January on days Every day at 10:00AM",
        ),
        (
            {
                "task_type": "monthlydow", "monthly_months_of_year": 1, "monthly_weeks_of_month": 1,
                "run_time_bit_weekdays": 2,
            },
            "Runs on January on First Week on Monday at 10:00AM",
        ),
        ({"task_type": "runonce"}, "Run once on 12/01/2026 10:00AM"),
        ({"task_type": "onboarding"}, "Onboarding: Runs once on task creation."),
        ({"task_type": "scheduled"}, None),
    ],
)  # fmt: skip
def test_schedules_in_words(task: Row, said: str | None) -> None:
    assert words(DATED | task) == said
