"""Cron expressions: what crontab(5) allows, and nothing else; a refusal says which field."""

from calendar import monthrange
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.properties import many
from trmm_async import InvalidRequestError
from trmm_async.cron import cron_expression, cron_values


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
        ("1,2,60 * * * *", "minute '1,2,60'.*not between"),
        ("* * * dec-jan *", "month 'dec-jan'.*backwards"),
        ("* * * * fri-mon", "day of week 'fri-mon'.*backwards"),
        pytest.param("1" * 5000 + " * * * *", "minute", id="an endless minute"),
        pytest.param("*/" + "1" * 5000 + " * * * *", "minute", id="an endless step"),
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


@dataclass(frozen=True)
class Oracle:
    """The same grammar by brute force: all the values that there are, written out."""

    least: int
    most: int

    def accepts(self, text: str) -> bool:
        return all(map(self.item, text.split(",")))

    def item(self, text: str) -> bool:
        span, *steps = text.split("/")
        steps_fit = len(steps) <= 1 and all(step in STEPS for step in steps)
        if span == "*":
            return steps_fit
        if "-" not in span:
            return not steps and span in self.values
        low, _, high = span.partition("-")
        return steps_fit and low in self.values and high in self.values and int(low) <= int(high)

    @cached_property
    def values(self) -> set[str]:
        return {f"{value:0{width}}" for value in range(self.least, self.most + 1) for width in range(1, 5)}


STEPS = {str(step) for step in range(1, 10_000)}
ORACLES = tuple(Oracle(*ends) for ends in ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7)))
numbers = st.integers(0, 70).map(str)
junk = st.text(st.sampled_from("0123456789*/,-"), max_size=6)
pieces = st.lists(st.one_of(numbers, st.sampled_from("*/,-")), min_size=1, max_size=7).map("".join)


@settings(max_examples=many(200))
@given(st.integers(0, 4), st.one_of(junk, pieces))
@example(0, "0-59/9999")
@example(0, "*/10000")
def test_a_field_passes_just_if_the_grammar_spelt_out_has_it(place: int, text: str) -> None:
    fields = ["*"] * 5
    fields[place] = text or "?"
    try:
        cron_expression(" ".join(fields))
    except InvalidRequestError:
        assert not ORACLES[place].accepts(text)
    else:
        assert ORACLES[place].accepts(text)


MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


def with_field(place: int, text: str) -> str:
    return " ".join(["*"] * place + [text] + ["*"] * (4 - place))


@pytest.mark.parametrize(("place", "first", "names"), [(3, 1, MONTHS), (4, 0, DAYS)])
def test_a_name_is_as_good_as_its_number_and_good_in_its_own_field_only(
    place: int, first: int, names: list[str]
) -> None:
    for number, name in enumerate(names, first):
        for text in (f"{number}-{name}", f"{name.lower()}-{name.title()},{number}", f"{name}-{number}/2"):
            assert cron_expression(with_field(place, text)) == with_field(place, text)
        if number > first:
            with pytest.raises(InvalidRequestError, match="backwards"):
                cron_expression(with_field(place, f"{name}-{number - 1}"))
        for other in {0, 1, 2, 3, 4} - {place}:
            with pytest.raises(InvalidRequestError, match=f"'{name}' is no value"):
                cron_expression(with_field(other, name))


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


NEVER = [
    *("0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30-31 FEB *", "0 0 31 2-2 *", "0 0 31,30 feb */1"),
    *("0 0 30/1 2 *", "0 0 30-31/1 2 *", "0 0 31 APR-JUN/2 *", "0 0 31 4-12/5 */2", "0 0 31 11 *,1"),
    *("0 0 30 2 0-6", "0 0 30 2 0-7", "0 0 30 2 SUN-SAT", "0 0 30 2 MON-SUN", "0 0 30 2 1,2,3,4,5,6,0"),
]
STILL = [
    *("0 0 29 2 *", "0 0 31 * *", "0 0 30,1 2 *", "0 0 31 4-5 *", "0 0 */30 2 *", "0 0 * 2 *"),
    *("0 0 30 2 1", "0 0 31 2 1-5", "0 0 31 2 SAT,SUN"),  # on these days of the week, by crontab(5)
]


@pytest.mark.parametrize("schedule", NEVER)
def test_days_that_never_come_are_refused_in_whatever_way_they_are_written(schedule: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"never runs|step needs"):
        cron_expression(schedule)


@pytest.mark.parametrize("schedule", STILL)
def test_days_that_come_now_and_then_are_not(schedule: str) -> None:
    assert cron_expression(schedule) == schedule


@given(st.sets(st.integers(1, 31), min_size=1), st.sets(st.integers(1, 12), min_size=1))
def test_some_day_comes_just_if_the_calendar_has_it(days: set[int], months: set[int]) -> None:
    schedule = f"0 0 {','.join(map(str, days))} {','.join(map(str, months))} *"
    has = any(day <= monthrange(2024, month)[1] for day in days for month in months)
    try:
        cron_expression(schedule)
    except InvalidRequestError:
        assert not has
    else:
        assert has


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("FRI-SUN", frozenset({5, 6, 0})),
        ("fri-sun", frozenset({5, 6, 0})),
        ("1-SUN/2", frozenset({1, 3, 5, 0})),
        ("SUN-SUN", frozenset({0})),
        ("0-SUN", frozenset({0})),
        ("SUN-TUE", frozenset({0, 1, 2})),
        ("5-7", frozenset({5, 6, 0})),
    ],
)
def test_a_range_may_end_in_sunday(text: str, days: frozenset[int]) -> None:
    schedule = f"0 3 * * {text}"
    assert cron_expression(schedule) == schedule
    assert cron_values(schedule)[4] == days
