"""The columns of what the stock server keeps: what they are at first, and what is not taken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from trmm_async.testing.gate import PERMISSIONS
from trmm_async.testing.replies import AnsweredError
from trmm_async.testing.stock import models

from .replay import recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trmm_async.testing.forms import Form


def _first(number: int) -> bool:
    return number == 1


AGENT = models.agent(_first, _first)
CHECK = models.check(_first, _first, _first)
TASK = models.task(_first, _first, _first, _first)
TEMPLATE = models.alert_template(_first, _first)
WRONG = [
    (AGENT, {"site": None}, "This field may not be null."),
    (AGENT, {"offline_time": -1}, "Ensure this value is greater than or equal to 0."),
    (AGENT, {"default_shell": "fish"}, '"fish" is not a valid choice.'),
    (AGENT, {"time_zone": "Mars/Base"}, '"Mars/Base" is not a valid choice.'),
    (models.alert(_first), {"severity": "fatal"}, '"fatal" is not a valid choice.'),
    (CHECK, {"error_threshold": 100}, "Ensure this value is less than or equal to 99."),
    (CHECK, {"disk": "C:\\"}, "Ensure this field has no more than 2 characters."),
    (CHECK, {"script": 2}, 'Invalid pk "2" - object does not exist.'),
    (CHECK, {"log_name": "Setup"}, '"Setup" is not a valid choice.'),
    (TASK, {"weekly_interval": 53}, "Ensure this value is less than or equal to 52."),
    (TASK, {"daily_interval": 0}, "Ensure this value is greater than or equal to 1."),
    (TASK, {"task_type": "hourly"}, '"hourly" is not a valid choice.'),
    (TASK, {"assigned_check": 2}, 'Invalid pk "2" - object does not exist.'),
    (TEMPLATE, {"action": 2}, 'Invalid pk "2" - object does not exist.'),
    (TEMPLATE, {"action_type": "email"}, '"email" is not a valid choice.'),
    (models.SCRIPT, {"shell": "fish"}, '"fish" is not a valid choice.'),
    (models.SNIPPET, {"name": "x" * 41}, "Ensure this field has no more than 40 characters."),
    (models.KEY, {"name": "x" * 26}, "Ensure this field has no more than 25 characters."),
    (models.CUSTOM_FIELD, {"model": "script"}, '"script" is not a valid choice.'),
    (models.policy(_first), {"alert_template": 2}, 'Invalid pk "2" - object does not exist.'),
    (models.PATCH_POLICY, {"run_time_hour": 24}, '"24" is not a valid choice.'),
    (models.SETTINGS, {"terminal_mode": "old"}, '"old" is not a valid choice.'),
]


@pytest.mark.parametrize(("form", "given", "words"), WRONG, ids=lambda value: str(value)[:40])
def test_what_a_column_does_not_take(form: Form, given: dict[str, object], words: str) -> None:
    with pytest.raises(AnsweredError) as caught:
        form.read(given, partial=True)
    assert json.loads(caught.value.reply.body) == {name: [words] for name in given}


@pytest.mark.parametrize(
    ("form", "needed"),
    [
        (AGENT, {"site"}), (CHECK, set()), (TASK, {"name"}), (TEMPLATE, set()), (models.SNIPPET, {"name"}),
        (models.role(_first, _first), {"name"}), (models.SCRIPT, set()), (models.SCHEDULE, set()),
    ],
)  # fmt: skip
def test_what_must_be_there(form: Form, needed: set[str]) -> None:
    if not needed:
        assert form.read({}) == {}
        return
    with pytest.raises(AnsweredError) as caught:
        form.read({})
    assert json.loads(caught.value.reply.body) == {name: ["This field is required."] for name in needed}


def test_a_role_allows_nothing_at_first_and_has_every_permission() -> None:
    blank = models.role(_first, _first).blank()
    assert {name for name, value in blank.items() if value is False} == {*PERMISSIONS, "is_superuser"}


RECORDED = [
    ("policy_get_minimal", models.policy(_first), {"name"}),
    ("alert_template_get_minimal", TEMPLATE, {"name"}),
    ("checks_agent_minimal", CHECK, {"check_type", "agent"}),
    ("audit_logs_page2", TASK, {"name", "win_task_name", "agent"}),
    ("agent_detail_windows", models.PATCH_POLICY, {"agent"}),
    ("schedules_list", models.SCHEDULE, {"run_time"}),
    ("accounts_roles", models.role(_first, _first), {"name"}),
    ("scripts_list_after", models.SCRIPT.without("script_body"), set()),
    ("alerts_filter_time", models.alert(_first), {"agent", "message"}),
    ("urlactions_list_after_update", models.URL_ACTION, set()),
    ("core_customfields_model", models.CUSTOM_FIELD, {"model", "name"}),
    ("core_settings", models.SETTINGS, set()),
]
"""Where a row was recorded of which only these columns had been given, or none that are not the usual."""


@pytest.mark.parametrize(("name", "form", "given"), RECORDED, ids=[row[0] for row in RECORDED])
def test_what_is_not_given_is_as_recorded(name: str, form: Form, given: set[str]) -> None:
    blank = form.blank()
    whole = [row for row in _objects(recording(name).body) if blank.keys() <= row.keys()]
    assert given in [{column for column, usual in blank.items() if row[column] != usual} for row in whole]


def _objects(value: object) -> Iterator[dict[str, object]]:
    """All objects in a body, however deep."""
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from _objects(each)


def test_lists_are_made_anew_for_each_row() -> None:
    for form, column in ((TEMPLATE, "excluded_agents"), (TASK, "task_supported_platforms")):
        assert form.blank()[column] is not form.blank()[column]
