from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trmm_async.testing.faults import Cut, Delay, Failure, Fault, Faults, Refusal

DOWN = Failure(502, html=True)


def rule(method: str = "GET", path: str = "/a/", *, times: int | None = 1, after: bool = False) -> Fault:
    return Fault(method, path, DOWN, times=times, after=after)


@pytest.mark.parametrize(
    ("method", "path", "hit"),
    [
        ("GET", "/a/", True),
        ("get", "/a/", True),
        ("*", "/a/", True),
        ("POST", "/a/", False),
        ("GET", "/x/a/y/", True),
        ("GET", "/b/", False),
    ],
)
def test_a_path_without_a_star_is_a_part(method: str, path: str, hit: bool) -> None:
    request = "/x/a/y/" if path == "/x/a/y/" else "/a/"
    assert rule(method, "/a/" if path != "/b/" else "/b/").matches("GET", request) is hit


@pytest.mark.parametrize(
    ("pattern", "hit"),
    [("/v3/*/run/", True), ("*/run/", True), ("/v3/*", True), ("/*/walk/", False), ("*/RUN/", False)],
)
def test_a_path_with_a_star_is_a_pattern_for_the_whole(pattern: str, hit: bool) -> None:
    assert rule(path=pattern).matches("GET", "/v3/agents/x/run/") is hit


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_rules_strike_one_after_the_other(counts: list[int]) -> None:
    faults = Faults()
    rules = [faults.add(rule(times=count)) for count in counts]
    struck: list[Fault] = []
    for _ in range(sum(counts)):
        before = [each.hits for each in rules]
        assert faults.take("GET", "/a/", after=False) is DOWN
        struck += [each for each, hits in zip(rules, before, strict=True) if each.hits == hits + 1]
    assert struck == [each for each, count in zip(rules, counts, strict=True) for _ in range(count)]
    assert faults.take("GET", "/a/", after=False) is None


def test_a_rule_without_times_strikes_until_it_is_removed() -> None:
    faults = Faults()
    forever = faults.add(rule(times=None))
    assert all(faults.take("GET", "/a/", after=False) for _ in range(50))
    assert forever.hits == 50
    forever.remove()
    forever.remove()
    assert faults.take("GET", "/a/", after=False) is None


def test_the_end_of_the_block_removes_the_rule() -> None:
    faults = Faults()
    with faults.add(rule(times=None)) as handle:
        faults.take("GET", "/a/", after=False)
    assert handle.over
    assert handle.hits == 1
    assert faults.take("GET", "/a/", after=False) is None


def test_before_and_after_are_queues_of_their_own() -> None:
    faults = Faults()
    faults.add(rule(after=True))
    assert faults.take("GET", "/a/", after=False) is None
    assert faults.take("GET", "/a/", after=True) is DOWN


def test_a_delay_is_met_besides_another_fault() -> None:
    faults = Faults()
    faults.add(Fault("GET", "/a/", Delay(1.5), times=1, after=True))
    faults.add(Fault("GET", "/a/", Cut("reset"), times=1, after=True))
    assert faults.take_delay("GET", "/a/", after=True) == 1.5
    assert faults.take_delay("GET", "/a/", after=True) == 0.0
    assert faults.take("GET", "/a/", after=True) == Cut("reset")


def test_clear_ends_every_rule() -> None:
    faults = Faults()
    handle = faults.add(Fault("*", "*", Refusal(403), times=None, after=False))
    faults.clear()
    assert handle.over
    assert faults.take("GET", "/a/", after=False) is None


def test_no_times_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        rule(times=0)


def test_its_repr_says_what_is_left() -> None:
    faults = Faults()
    handle = faults.add(rule(times=3))
    faults.take("GET", "/a/", after=False)
    assert "hits=1 2 left" in repr(handle)
    assert "for ever" in repr(rule(times=None))
