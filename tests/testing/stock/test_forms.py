"""How a serializer reads a field, and in which words it says no."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from trmm_async.testing.replies import AnsweredError
from trmm_async.testing.stock.forms import Field, Form

if TYPE_CHECKING:
    from collections.abc import Mapping

FORM = Form(
    {
        "text": Field.text("", limit=5),
        "blank": Field.text("", blank=True),
        "words": Field.text(),
        "number": Field.number(1, low=0, high=9),
        "flag": Field.flag(),
        "maybe": Field.flag(None),
        "choice": Field.choice(("a", "b"), "a"),
        "many": Field.many(),
        "key": Field.key(lambda key: key == 7),
        "moment": Field.moment(),
        "anything": Field.anything(),
    }
)
FORMATS = "YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]"


def refusal(given: Mapping[str, object], **options: bool) -> object:
    with pytest.raises(AnsweredError) as caught:
        FORM.read(given, **options)
    assert caught.value.reply.status == 400
    return json.loads(caught.value.reply.body)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("text", "123456", "Ensure this field has no more than 5 characters."),
        ("text", " ", "This field may not be blank."),
        ("text", None, "This field may not be null."),
        ("text", [1], "Not a valid string."),
        ("text", True, "Not a valid string."),
        ("number", "x", "A valid integer is required."),
        ("number", -1, "Ensure this value is greater than or equal to 0."),
        ("number", 10, "Ensure this value is less than or equal to 9."),
        ("number", None, "This field may not be null."),
        ("flag", "perhaps", "Must be a valid boolean."),
        ("flag", [], "Must be a valid boolean."),
        ("choice", "c", '"c" is not a valid choice.'),
        ("many", "a", 'Expected a list of items but got type "str".'),
        ("key", 8, 'Invalid pk "8" - object does not exist.'),
        ("key", "x", "Incorrect type. Expected pk value, received str."),
        ("key", True, "Incorrect type. Expected pk value, received bool."),
        ("moment", "soon", f"Datetime has wrong format. Use one of these formats instead: {FORMATS}."),
    ],
)
def test_what_is_wrong(name: str, value: object, words: str) -> None:
    assert refusal({name: value}) == {name: [words]}


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("text", 12, "12"),
        ("blank", "", ""),
        ("words", None, None),
        ("number", "7", 7),
        ("flag", "true", True),
        ("flag", 0, False),
        ("maybe", None, None),
        ("many", [1, "a"], [1, "a"]),
        ("key", "7", 7),
        ("key", None, None),
        ("moment", "2026-12-01T10:00:00+02:00", "2026-12-01T08:00:00Z"),
        ("moment", "2026-12-01T10:00:00", "2026-12-01T10:00:00Z"),
        ("anything", {"x": [1]}, {"x": [1]}),
    ],
)
def test_what_is_right(name: str, value: object, stored: object) -> None:
    assert FORM.read({name: value}) == {name: stored}


def test_all_that_is_wrong_is_said_together() -> None:
    assert refusal({"number": 10, "choice": "c", "nonsense": 1}) == {
        "number": ["Ensure this value is less than or equal to 9."],
        "choice": ['"c" is not a valid choice.'],
    }


def test_a_form_has_its_defaults_afresh() -> None:
    first = FORM.blank()
    many = first["many"]
    assert isinstance(many, list)
    many.append(1)
    assert FORM.blank()["many"] == []
