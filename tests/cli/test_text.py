"""Texts as a terminal may show them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trmm_async.cli.text import ago, alike, folded, named, span, wrapped

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_540, "59 min"),
        (7_200, "2 h"),
        (86_399, "24 h"),
        (90_000, "1 d"),
    ],
)
def test_a_span_is_told_in_its_largest_unit(seconds: int, words: str) -> None:
    assert span(timedelta(seconds=seconds)) == words
    assert ago(NOON - timedelta(seconds=seconds), NOON) == f"{words} ago"


def test_a_time_to_come_is_told_as_such() -> None:
    assert ago(NOON + timedelta(hours=3), NOON) == "in 3 h"
    assert ago(None) == ""


def test_names_that_could_have_been_meant() -> None:
    assert alike("jade", ["SRV-1", "JADE-PC"]) == "; did you mean 'JADE-PC'?"
    assert alike("", ["SRV-1"]) == alike("zzz", ["SRV-1"]) == ""


def test_the_first_names_and_how_many_more() -> None:
    assert named(list("abc"), 3) == "a, b, c"
    assert named(list("abcde"), 3) == "a, b, c, and 2 more"


def test_names_are_broken_behind_commas() -> None:
    names = "web-[01-03,05,07,09-11,13], JADE-PC, SRV-1"
    assert wrapped(names, 20) == "web-[01-03,05,07,\n09-11,13], JADE-PC,\nSRV-1"
    assert wrapped(names, 80) == names
    assert wrapped("x" * 30 + ", y", 20) == "x" * 30 + ",\ny"


def test_names_are_folded_as_clush_folds_them() -> None:
    names = ["web-10", "web-08", "JADE-PC", "web-09", "SRV-1", "web-12", "db1a", "db2a"]
    assert folded(names) == "db[1-2]a, JADE-PC, SRV-1, web-[08-10,12]"
    assert folded(["n1", "n01"]) == "n01, n1"
    assert folded([]) == ""


def test_digits_of_another_script_and_numbers_without_end_are_names() -> None:
    assert folded(["pc\u0663", "pc3"]) == "pc3, pc\u0663"
    assert folded(["9" * 5000]) == "9" * 5000


@given(st.sets(st.integers(0, 40), min_size=1))
def test_folding_loses_no_one(numbers: set[int]) -> None:
    text = folded(f"pc{number:02}" for number in numbers)
    found: set[int] = set()
    for part in text.removeprefix("pc").strip("[]").split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    assert found == numbers
