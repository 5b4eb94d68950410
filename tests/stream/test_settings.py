"""Settings of a stream: what is refused; when it polls, and when it connects again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.fake_gateway import quick
from trmm_async.errors import InvalidRequestError
from trmm_async.stream.settings import Backoff, PollTiming, StreamSettings


@given(
    first=st.floats(0.001, 10), most=st.floats(0.001, 100), jitter=st.floats(0, 1), times=st.integers(1, 200)
)
def test_the_wait_is_never_nothing_never_beyond_the_bound_and_doubles(
    first: float, most: float, jitter: float, times: int
) -> None:
    backoff = Backoff(StreamSettings(backoff_first=first, backoff_most=most, jitter=lambda: jitter))
    waits = [backoff.next() for _ in range(times)]
    share = 0.5 + jitter / 2
    assert all(wait > 0 for wait in waits)
    for number, wait in enumerate(waits):
        assert wait == min(most, first * 2.0 ** min(number, 64)) * share
    backoff.reset()
    assert backoff.next() == waits[0]


@pytest.mark.parametrize(
    ("took", "share", "interval", "jitter", "wait"),
    [
        (0.1, 0.1, 5.0, 0.0, 5.0),
        (12.0, 0.1, 5.0, 0.0, 108.0),
        (12.0, 1.0, 5.0, 1.0, 6.25),
        (1, 0.5, 0.1, 0, 1),
    ],
)
def test_the_rhythm_keeps_to_the_share_of_a_worker(
    took: float, share: float, interval: float, jitter: float, wait: float
) -> None:
    settings = StreamSettings(poll_share=share, poll_interval=interval, jitter=lambda: jitter)
    timing = PollTiming(settings)
    timing.polled(took)
    assert timing.next() == pytest.approx(wait)
    assert took / (took + timing.next()) <= share + 1e-9


@pytest.mark.parametrize("wrong", [{"poll_share": 0.0}, {"poll_share": 1.5}, {"poll_interval": 0.0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidRequestError):
        StreamSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"queue": 0}, {"connect_attempts": 0}, {"backoff_first": 0.0}, {"ping_timeout": -1.0}]
)
def test_settings_that_can_not_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
        quick(**wrong)
