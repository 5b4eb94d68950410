"""How a field is read, alone and in a form, and in which words the server says no."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from trmm_async.testing.forms import BodyFields, Field, Form, optional_integer
from trmm_async.testing.ledger import Request
from trmm_async.testing.replies import AnsweredError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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


def row(body: bytes, kind: str = "application/json") -> Request:
    return Request(method="POST", path="/", query={}, headers={"content-type": kind}, at=0.0, body=body)


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b"{}", "text/plain", 415, "text/plain"),
        (b"{}", "", 415, "Unsupported media type"),
        (b"{", "application/json", 400, "JSON parse error"),
        (b"\xff", "application/json", 400, "JSON parse error"),
        (b"[]", "application/json", 400, "Expected a dictionary"),
    ],
)
def test_an_unreadable_body_is_refused(body: bytes, kind: str, status: int, words: str) -> None:
    with pytest.raises(RefusedError) as refused:
        BodyFields.of(row(body, kind))
    assert refused.value.status == status
    assert words in str(refused.value.detail)


def test_a_charset_is_no_obstacle() -> None:
    assert BodyFields.of(row(b'{"a": 1}', "Application/JSON; charset=utf-8")).integer("a") == 1


BODY = BodyFields(
    {
        "number": 5, "yes": True, "float": 1.5, "word": "word", "blank": " ", "words": ["a", "b"],
        "mixed": ["a", 1], "time": "2026-04-22T10:00:00Z", "naive": "2026-04-22T10:00:00", "null": None,
    }
)  # fmt: skip


def test_good_fields_are_read() -> None:
    assert BODY.integer("number", 5, 5) == 5
    assert BODY.key("number", {5: "five"}) == 5
    assert BODY.text("word") == "word"
    assert BODY.text("blank", default="") == " "
    assert BODY.text("missing", default="x") == "x"
    assert BODY.choice("word", ("word", "other")) == "word"
    assert BODY.words("words") == ("a", "b")
    assert BODY.flag("yes", default=False) is True
    assert BODY.flag("missing", default=True) is True
    assert BODY.moment("time") == 1776852000.0


@pytest.mark.parametrize(
    ("read", "detail"),
    [
        (lambda: BODY.integer("missing"), "missing: This field is required."),
        (lambda: BODY.integer("yes"), "yes: A valid integer is required."),
        (lambda: BODY.integer("float"), "float: A valid integer is required."),
        (lambda: BODY.integer("number", 6), "number: Ensure this value is greater than or equal to 6."),
        (lambda: BODY.integer("number", 1, 4), "number: Ensure this value is less than or equal to 4."),
        (lambda: BODY.key("number", {6: "six"}), 'number: Invalid pk "5" - object does not exist.'),
        (lambda: BODY.text("missing"), "missing: This field is required."),
        (lambda: BODY.text("blank"), "blank: This field may not be blank."),
        (lambda: BODY.text("null"), "null: This field may not be null."),
        (lambda: BODY.choice("word", ("other",)), 'word: "word" is not a valid choice.'),
        (lambda: BODY.choice("words", ("other",)), "is not a valid choice."),
        (lambda: BODY.words("word"), 'word: Expected a list of items but got type "str".'),
        (lambda: BODY.words("mixed"), "mixed: Has the wrong type."),
        (lambda: BODY.flag("number", default=True), "number: Must be a valid boolean."),
        (lambda: BODY.moment("word"), "word: Datetime has wrong format"),
        (lambda: BODY.moment("naive"), "naive: Datetime needs an offset"),
        (lambda: optional_integer({"client": "x"}, "client"), "client: Enter a number."),
    ],
)
def test_a_wrong_field_is_named(read: Callable[[], object], detail: str) -> None:
    with pytest.raises(RefusedError) as refused:
        read()
    assert refused.value.status == 400
    assert detail in str(refused.value.detail)


def test_a_number_may_be_missing_from_a_query() -> None:
    assert optional_integer({}, "client") is None
    assert optional_integer({"client": "34"}, "client") == 34
