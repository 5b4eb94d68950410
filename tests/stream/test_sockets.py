"""When a peer is asked whether it is there, and when it counts as gone. (The socket itself: test_stream.)"""

from hypothesis import given
from hypothesis import strategies as st

from trmm_async.stream.sockets import Pulse, Verdict

SECONDS = st.floats(0.5, 60.0)


def test_a_peer_that_talks_is_not_asked() -> None:
    pulse = Pulse(20.0, 20.0, now=0.0)
    pulse.heard = 15.0
    assert pulse.look(20.0) == (Verdict.FINE, 15.0)


def test_a_silent_peer_is_asked_and_then_given_up_on() -> None:
    pulse = Pulse(20.0, 10.0, now=0.0)
    assert pulse.look(20.0) == (Verdict.ASK, 10.0)
    assert pulse.look(25.0) == (Verdict.FINE, 5.0)
    assert pulse.look(30.0) == (Verdict.DEAD, 0.0)


def test_any_sign_of_life_is_an_answer() -> None:
    pulse = Pulse(20.0, 10.0, now=0.0)
    pulse.look(20.0)
    pulse.heard = 21.0
    assert pulse.look(30.0) == (Verdict.FINE, 11.0)


def test_silence_says_nothing_while_we_did_not_listen() -> None:
    pulse = Pulse(20.0, 10.0, now=0.0)
    pulse.look(20.0)
    pulse.excuse(100.0)
    assert pulse.look(100.0) == (Verdict.FINE, 20.0)


@given(interval=SECONDS, timeout=SECONDS, signs=st.lists(st.floats(0.01, 100.0), max_size=10))
def test_a_peer_that_falls_silent_is_noticed_within_the_sum_of_both(
    interval: float, timeout: float, signs: list[float]
) -> None:
    pulse = Pulse(interval, timeout, now=0.0)
    now, look_at, coming = 0.0, interval, iter(signs)
    sign_at: float | None = next(coming, None)
    for _ in range(1000):
        if sign_at is not None and sign_at <= look_at:
            now = pulse.heard = sign_at
            step = next(coming, None)
            sign_at = now + step if step is not None else None
            continue
        now = look_at
        verdict, again = pulse.look(now)
        if verdict is Verdict.DEAD:
            assert now - pulse.heard >= timeout - 1e-6
            break
        look_at = now + again
    else:
        raise AssertionError("never noticed")
    assert now - pulse.heard <= interval + timeout + 1e-6
