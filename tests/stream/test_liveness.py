"""When a peer is asked whether it is there, and when it counts as gone."""

from hypothesis import given
from hypothesis import strategies as st

from trmm_async.stream.liveness import Liveness, PingSchedule

SECONDS = st.floats(0.5, 60.0)


def test_a_peer_that_talks_is_not_asked() -> None:
    schedule = PingSchedule(20.0, 20.0, now=0.0)
    schedule.heard = 15.0
    assert schedule.check(20.0) == (Liveness.FINE, 15.0)


def test_a_silent_peer_is_asked_and_then_given_up_on() -> None:
    schedule = PingSchedule(20.0, 10.0, now=0.0)
    assert schedule.check(20.0) == (Liveness.ASK, 10.0)
    assert schedule.check(25.0) == (Liveness.FINE, 5.0)
    assert schedule.check(30.0) == (Liveness.DEAD, 0.0)


def test_any_sign_of_life_is_an_answer() -> None:
    schedule = PingSchedule(20.0, 10.0, now=0.0)
    schedule.check(20.0)
    schedule.heard = 21.0
    assert schedule.check(30.0) == (Liveness.FINE, 11.0)


def test_silence_says_nothing_while_we_did_not_listen() -> None:
    schedule = PingSchedule(20.0, 10.0, now=0.0)
    schedule.check(20.0)
    schedule.excuse(100.0)
    assert schedule.check(100.0) == (Liveness.FINE, 20.0)


@given(interval=SECONDS, timeout=SECONDS, signs=st.lists(st.floats(0.01, 100.0), max_size=10))
def test_a_peer_that_falls_silent_is_noticed_within_the_sum_of_both(
    interval: float, timeout: float, signs: list[float]
) -> None:
    schedule = PingSchedule(interval, timeout, now=0.0)
    now, look_at, coming = 0.0, interval, iter(signs)
    sign_at: float | None = next(coming, None)
    for _ in range(1000):
        if sign_at is not None and sign_at <= look_at:
            now = schedule.heard = sign_at
            step = next(coming, None)
            sign_at = now + step if step is not None else None
            continue
        now = look_at
        liveness, again = schedule.check(now)
        if liveness is Liveness.DEAD:
            assert now - schedule.heard >= timeout - 1e-6
            break
        look_at = now + again
    else:
        raise AssertionError("never noticed")
    assert now - schedule.heard <= interval + timeout + 1e-6
