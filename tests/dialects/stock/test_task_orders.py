"""Schedules of tasks, as a stock server is told them."""

import json
from collections.abc import Iterable
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dialects.stock.carried import AGENT, STOCK, follow
from tests.recorded import recording, sent_by
from trmm_async.cron import cron_expression, cron_values
from trmm_async.dialects import TaskOrder
from trmm_async.errors import UnsupportedError


def _same(one_: str, other: str) -> bool:
    return list(map(_full, cron_values(one_), RANGES)) == list(map(_full, cron_values(other), RANGES))


RANGES = (range(60), range(24), range(1, 32), range(1, 13), range(7))


def _full(values: Iterable[int] | None, every: range) -> set[int]:
    return set(every if values is None else values)


class TestSchedules:
    @staticmethod
    def body(schedule: str) -> dict[str, Any]:
        order = TaskOrder(name="API task", agent=AGENT, script=1, schedule=schedule, today=date(2026, 12, 1))
        steps = STOCK.create_task(order).steps()
        call = next(steps)
        # Its script is looked up, and which tasks there are.
        while call.method == "GET":
            call = steps.send([])
        sent: dict[str, Any] = sent_by(call)[3]
        return sent

    @pytest.mark.parametrize(
        ("schedule", "name"),
        [
            ("0 10 * * *", "task_create_daily"),
            ("0 10 * * 0-6", "task_create_weekly"),
            ("0 10 1 * *", "task_create_monthly"),
        ],
    )
    def test_are_said_as_recorded(self, schedule: str, name: str) -> None:
        told, body = recording(name).sent, self.body(schedule)
        if name == "task_create_weekly":
            # Every day of the week is daily; the recorded one says it in the other way.
            assert body["task_type"] == "daily"
            body = self.body("0 10 * * 0-5")
            told = told | {"run_time_bit_weekdays": 0b0111111}
        times = {"run_time_date": told["run_time_date"].rstrip("Z") + "Z"}
        keys = {
            key for key in told if key.startswith(("task_type", "monthly", "weekly", "daily", "run_time"))
        }
        assert {key: body[key] for key in keys} == {key: (told | times)[key] for key in keys}
        assert body["actions"][0].keys() == told["actions"][0].keys()

    @pytest.mark.parametrize(
        ("schedule", "timing"),
        [
            ("30 6 * * 7", {"task_type": "weekly", "run_time_bit_weekdays": 1}),
            ("30 6 * * MON,FRI", {"task_type": "weekly", "run_time_bit_weekdays": 0b100010}),
            ("30 6 1,31 * *", {"monthly_days_of_month": 1 | 1 << 30, "monthly_months_of_year": 0xFFF}),
            ("30 6 * JAN,DEC *", {"monthly_days_of_month": 0x7FFFFFFF, "monthly_months_of_year": 0x801}),
        ],
    )
    def test_are_masks(self, schedule: str, timing: dict[str, Any]) -> None:
        body = self.body(schedule)
        assert {key: body[key] for key in timing} == timing
        assert body["run_time_date"] == "2026-12-01T06:30:00Z"

    @pytest.mark.parametrize(
        "schedule", ["* 3 * * *", "0 * * * *", "0,30 3 * * *", "*/5 * * * *", "0 3 1 * 1", "0 3 * 1 1"]
    )
    def test_that_it_can_not_say_are_refused(self, schedule: str) -> None:
        with pytest.raises(UnsupportedError, match="several tasks, or"):
            self.body(schedule)

    @given(
        st.integers(0, 59),
        st.integers(0, 23),
        st.one_of(
            st.just("* * *"),
            st.sets(st.integers(0, 6), min_size=1).map(lambda days: f"* * {','.join(map(str, days))}"),
            st.tuples(st.sets(st.integers(1, 31), min_size=1), st.sets(st.integers(1, 12), min_size=1)).map(
                lambda both: f"{','.join(map(str, both[0]))} {','.join(map(str, both[1]))} *"
            ),
        ),
    )
    def test_come_back_as_they_were(self, minute: int, hour: int, days: str) -> None:
        schedule = cron_expression(f"{minute} {hour} {days}")
        sent = self.body(schedule) | {"id": 1, "agent": 1}
        listed = follow(STOCK.list_tasks(None), b"[]", json.dumps([sent]).encode())[1]
        assert _same(listed[0].schedule, schedule)

    @pytest.mark.parametrize(
        "timing",
        [
            {"task_type": "weekly", "weekly_interval": 1, "run_time_bit_weekdays": 128},
            {"task_type": "weekly", "weekly_interval": 1},
            {"task_type": "monthly", "monthly_days_of_month": 1, "monthly_months_of_year": 4096},
            {"task_type": "monthly", "monthly_days_of_month": 0, "monthly_months_of_year": 1},
        ],
    )
    def test_that_name_no_day_are_none(self, timing: dict[str, Any]) -> None:
        sent = {"id": 1, "name": "t", "run_time_date": "2026-12-01T03:00:00Z"} | timing
        (task,) = follow(STOCK.list_tasks(None), b"[]", json.dumps([sent]).encode())[1]
        assert task.schedule is None
