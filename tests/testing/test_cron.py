from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trmm_async.testing.cron import cron_error

LIMITS = ((0, 59), (0, 23), (1, 28), (1, 12), (0, 7))  # days that each month has


@st.composite
def item(draw: st.DrawFn, low: int, high: int) -> str:
    first = draw(st.integers(low, high))
    span = draw(st.sampled_from(["*", str(first), f"{first}-{draw(st.integers(first, high))}"]))
    return span + draw(st.sampled_from(["", "/1", "/5"]))


@st.composite
def field(draw: st.DrawFn, low: int, high: int) -> str:
    return ",".join(draw(st.lists(item(low, high), min_size=1, max_size=3)))


expressions = st.tuples(*(field(low, high) for low, high in LIMITS)).map(" ".join)


@given(expressions)
def test_every_expression_of_the_grammar_is_good(expression: str) -> None:
    assert cron_error(expression) is None


@given(
    expressions,
    st.integers(0, 4),
    st.sampled_from(["", "x", "60", "-1", "1-", "-", "5-1", "*/0", "*/", "1/x", "²"]),
)
def test_one_spoiled_field_spoils_the_expression(expression: str, place: int, junk: str) -> None:
    fields = expression.split()
    fields[place] += f",{junk}"
    assert cron_error(" ".join(fields)) is not None


@pytest.mark.parametrize(
    "expression", ["0 3 * * 0", "*/15 9-17 * jan-mar mon-fri", "0 0 1,15 * SUN", "0 0 * * 7"]
)
def test_usual_schedules_are_good(expression: str) -> None:
    assert cron_error(expression) is None


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 3 * *", "five fields, this one has 4"),
        ("", "has 0"),
        ("60 3 * * 0", "'60' is not a minute"),
        ("0 24 * * *", "'24' is not a hour"),
        ("0 0 0 * *", "day of month"),
        ("0 0 * 13 *", "month"),
        ("0 0 * * fri-mon", "day of week"),
        ("@daily", "has 1"),
    ],
)
def test_what_is_wrong_is_said(expression: str, words: str) -> None:
    assert words in str(cron_error(expression))


@pytest.mark.parametrize(
    "expression",
    [
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        "0 0 30-31 FEB */2",
        "0 0 31 apr-jun/2 *",
        "0 0 31 2-2 0-7",
        "0 0 31 2 mon-sun",
    ],
)
def test_a_day_that_never_comes_makes_no_sense(expression: str) -> None:
    assert "never comes" in str(cron_error(expression))


@pytest.mark.parametrize(
    "expression",
    ["0 0 29 2 *", "0 0 */30 2 *", "0 0 31 2 mon", "0 0 31 4-5 *", "0 0 * * FRI-SUN", "0 0 * * 1-sun/2"],
)
def test_a_day_that_comes_now_and_then_does(expression: str) -> None:
    assert cron_error(expression) is None
