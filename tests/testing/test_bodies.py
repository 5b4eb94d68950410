from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trmm_async.testing.bodies import Body, optional_integer
from trmm_async.testing.ledger import Request
from trmm_async.testing.replies import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable


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
        Body.of(row(body, kind))
    assert refused.value.status == status
    assert words in str(refused.value.detail)


def test_a_charset_is_no_obstacle() -> None:
    assert Body.of(row(b'{"a": 1}', "Application/JSON; charset=utf-8")).integer("a") == 1


BODY = Body(
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
        (lambda: BODY.text("null"), "null: Not a valid string."),
        (lambda: BODY.choice("word", ("other",)), 'word: "word" is not a valid choice.'),
        (lambda: BODY.choice("words", ("other",)), "is not a valid choice."),
        (lambda: BODY.words("word"), "word: Expected a list of strings."),
        (lambda: BODY.words("mixed"), "mixed: Expected a list of strings."),
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
