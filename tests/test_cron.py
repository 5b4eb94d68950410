"""Cron expressions: what crontab(5) allows, and nothing else; a refusal says which field."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trmm_async import InvalidRequestError
from trmm_async.cron import cron_expression


@pytest.mark.parametrize(
    "good",
    [
        "* * * * *",
        "0 3 * * 0",
        "*/15 0-6/2 1,15 JAN-mar MON-FRI",
        "59 23 31 12 7",
        "0,30 8-18 * * 1-5",
        "5 4 * * sun",
        "00 03 01 01 *",
    ],
)
def test_good_ones_pass(good: str) -> None:
    assert cron_expression(good) == good


def test_spaces_are_made_single() -> None:
    assert cron_expression("  0\t3  * * 0 ") == "0 3 * * 0"


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("60 * * * *", "minute '60'.*not between 0 and 59"),
        ("* 24 * * *", "hour '24'"),
        ("* * 0 * *", "day of month '0'"),
        ("* * * 13 *", "month '13'"),
        ("* * * * 8", "day of week '8'"),
        ("*/0 * * * *", "minute '\\*/0'.*no step"),
        ("5/10 * * * *", "minute '5/10'.*range"),
        ("9-5 * * * *", "minute '9-5'.*backwards"),
        ("1,,2 * * * *", "minute '1,,2'"),
        ("* * L * *", "day of month 'L'"),
        ("* * * * 1#2", "day of week '1#2'"),
        ("* * ? * *", "day of month"),
        ("* * * JANUARY *", "month 'JANUARY'"),
        ("-1 * * * *", "minute"),
        ("1- * * * *", "minute"),
        ("٣ * * * *", "minute"),
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("@daily", "macros"),
        ("", "cron expression"),
        (None, "cron expression"),
        (5, "cron expression"),
    ],
)
def test_bad_ones_say_which_field(bad: object, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=said):
        cron_expression(bad)


def field(least: int, most: int) -> st.SearchStrategy[str]:
    value = st.integers(least, most)
    span = st.tuples(value, value).map(lambda ends: f"{min(ends)}-{max(ends)}")
    stepped = st.tuples(st.one_of(st.just("*"), span), st.integers(1, 99)).map(
        lambda both: f"{both[0]}/{both[1]}"
    )
    one = st.one_of(value.map(str), span, stepped, st.just("*"))
    return st.lists(one, min_size=1, max_size=3).map(",".join)


@given(st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7)))
def test_whatever_the_grammar_makes_passes(fields: tuple[str, ...]) -> None:
    assert cron_expression(" ".join(fields)) == " ".join(fields)


@given(st.text(max_size=30))
def test_anything_else_is_refused_with_our_error_or_is_five_fields(text: str) -> None:
    with suppress(InvalidRequestError):
        assert len(cron_expression(text).split(" ")) == 5
