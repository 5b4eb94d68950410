from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trmm_async.testing.throttle import Throttle

from .kit import Clock

# Eighths of a second are exact in floating point, so that both sides see the same boundary.
steps = st.integers(0, 24).map(lambda eighths: eighths / 8)


class Naive:
    """The rule in its plainest words: refuse if `allowed` admitted requests are younger than `seconds`."""

    def __init__(self, allowed: int, seconds: float) -> None:
        self.allowed = allowed
        self.seconds = seconds
        self.admitted: list[tuple[str, float]] = []

    def admit(self, key: str, now: float) -> bool:
        young = [moment for owner, moment in self.admitted if owner == key and now - moment < self.seconds]
        if len(young) >= self.allowed:
            return False
        self.admitted.append((key, now))
        return True


@given(
    allowed=st.integers(0, 5),
    seconds=st.sampled_from([0.5, 1.0, 2.0, 7.5]),
    calls=st.lists(st.tuples(steps, st.sampled_from("ab")), max_size=60),
)
def test_it_admits_what_a_naive_model_admits(
    allowed: int, seconds: float, calls: list[tuple[float, str]]
) -> None:
    clock = Clock(now=1000.0)
    throttle, model = Throttle((allowed, seconds), clock), Naive(allowed, seconds)
    for step, key in calls:
        clock.now += step
        assert throttle.admit(key).admitted is model.admit(key, clock.now)


@given(allowed=st.integers(1, 5), gaps=st.lists(steps, min_size=5, max_size=30))
def test_whoever_waits_as_long_as_it_says_gets_in(allowed: int, gaps: list[float]) -> None:
    clock = Clock(now=1000.0)
    throttle = Throttle((allowed, 2.0), clock)
    for gap in gaps:
        clock.now += gap
        verdict = throttle.admit("key")
        if not verdict.admitted:
            assert verdict.wait is not None
            clock.now += verdict.wait - 0.125
            assert not throttle.admit("key").admitted
            clock.now += 0.125
            assert throttle.admit("key").admitted


def test_the_hundred_and_first_request_gets_in_when_the_first_is_a_minute_old(clock: Clock) -> None:
    throttle = Throttle((100, 60.0), clock)
    start = clock.now
    for second in range(100):
        clock.now = start + second / 2
        assert throttle.admit("key").admitted
    clock.now = start + 59.875
    assert throttle.admit("key").wait == 0.125
    clock.now = start + 60
    assert throttle.admit("key").admitted
    assert not throttle.admit("key").admitted


def test_refused_requests_do_not_count(clock: Clock) -> None:
    throttle = Throttle((1, 10.0), clock)
    throttle.admit("key")
    clock.now += 9
    assert not throttle.admit("key").admitted
    assert throttle.used("key") == 1
    clock.now += 1
    assert throttle.admit("key").admitted


def test_without_a_rate_everything_gets_in_and_nothing_counts(clock: Clock) -> None:
    throttle = Throttle(None, clock)
    assert all(throttle.admit("key").admitted for _ in range(1000))
    assert throttle.used("key") == 0


def test_a_limit_lowered_below_what_is_used_suggests_no_wait(clock: Clock) -> None:
    throttle = Throttle((5, 10.0), clock)
    for _ in range(5):
        throttle.admit("key")
    throttle.rate = (3, 10.0)
    verdict = throttle.admit("key")
    assert not verdict.admitted
    assert verdict.wait is None


def test_a_rate_of_nothing_refuses_with_the_whole_window_as_wait(clock: Clock) -> None:
    assert Throttle((0, 7.5), clock).admit("key").wait == 7.5


def test_reset_forgets(clock: Clock) -> None:
    throttle = Throttle((1, 10.0), clock)
    throttle.admit("key")
    throttle.reset()
    assert throttle.admit("key").admitted
