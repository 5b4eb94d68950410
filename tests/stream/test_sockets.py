"""When a peer is asked whether it is there, and when it counts as gone. (The socket itself: test_stream.)"""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.fake_gateway import Gateway, data, nothing_is_left, running, subscribe, take
from trmm_async.errors import DecodeError, PermissionDeniedError
from trmm_async.events import ScriptOutput
from trmm_async.stream.sockets import InterimAnswers, Liveness, PingSchedule

gateway = pytest.fixture(running)
nothing_left = pytest.fixture(autouse=True)(nothing_is_left)

SECONDS = st.floats(0.5, 60.0)


def test_a_peer_that_talks_is_not_asked() -> None:
    pulse = PingSchedule(20.0, 20.0, now=0.0)
    pulse.heard = 15.0
    assert pulse.check(20.0) == (Liveness.FINE, 15.0)


def test_a_silent_peer_is_asked_and_then_given_up_on() -> None:
    pulse = PingSchedule(20.0, 10.0, now=0.0)
    assert pulse.check(20.0) == (Liveness.ASK, 10.0)
    assert pulse.check(25.0) == (Liveness.FINE, 5.0)
    assert pulse.check(30.0) == (Liveness.DEAD, 0.0)


def test_any_sign_of_life_is_an_answer() -> None:
    pulse = PingSchedule(20.0, 10.0, now=0.0)
    pulse.check(20.0)
    pulse.heard = 21.0
    assert pulse.check(30.0) == (Liveness.FINE, 11.0)


def test_silence_says_nothing_while_we_did_not_listen() -> None:
    pulse = PingSchedule(20.0, 10.0, now=0.0)
    pulse.check(20.0)
    pulse.excuse(100.0)
    assert pulse.check(100.0) == (Liveness.FINE, 20.0)


@given(interval=SECONDS, timeout=SECONDS, signs=st.lists(st.floats(0.01, 100.0), max_size=10))
def test_a_peer_that_falls_silent_is_noticed_within_the_sum_of_both(
    interval: float, timeout: float, signs: list[float]
) -> None:
    pulse = PingSchedule(interval, timeout, now=0.0)
    now, look_at, coming = 0.0, interval, iter(signs)
    sign_at: float | None = next(coming, None)
    for _ in range(1000):
        if sign_at is not None and sign_at <= look_at:
            now = pulse.heard = sign_at
            step = next(coming, None)
            sign_at = now + step if step is not None else None
            continue
        now = look_at
        liveness, again = pulse.check(now)
        if liveness is Liveness.DEAD:
            assert now - pulse.heard >= timeout - 1e-6
            break
        look_at = now + again
    else:
        raise AssertionError("never noticed")
    assert now - pulse.heard <= interval + timeout + 1e-6


# Interim answers in front of the real one.

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x.css>; rel=preload\r\n\r\n"
INTERIM = st.sampled_from(
    [HINTS, b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102\r\n\r\n", b"HTTP/1.0 199 x\r\nA: 1\r\n\r\n"]
)


@given(
    interim=st.lists(INTERIM, max_size=5),
    answer=st.sampled_from(
        [b"HTTP/1.1 101 Switching\r\nA: 1\r\n\r\n\x81\x00", b"HTTP/1.1 403 No\r\n\r\n", b"x" * 20]
    ),
    cuts=st.sets(st.integers(1, 400)),
)
def test_whatever_the_pieces_only_the_real_answer_is_left(
    interim: list[bytes], answer: bytes, cuts: set[int]
) -> None:
    whole = b"".join([*interim, answer])
    places = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    passed, got, begun = InterimAnswers(), b"", False
    for first, last in pairwise(places):
        piece = whole[first:last] if begun else passed.feed(whole[first:last])
        begun = piece is not None
        got += piece or b""
    assert got == answer


@given(data=st.binary(max_size=12), most=st.integers(0, 3))
def test_what_is_no_answer_gets_through(data: bytes, most: int) -> None:
    passed = InterimAnswers(most)
    assert (passed.feed(data) or b"") + passed.rest() == data


def test_what_never_ends_is_not_kept() -> None:
    passed = InterimAnswers()
    assert passed.feed(HINTS[:-2] + b"A: 1\r\n" * 1000) is None
    assert passed.feed(b"A: 1\r\n" * 2000) is not None
    assert InterimAnswers(2).feed(HINTS * 3) == HINTS


@pytest.mark.parametrize("interim", [[HINTS], [HINTS * 2], [HINTS[:9], HINTS[9:]]])
async def test_an_interim_answer_before_the_101_is_passed_over(
    gateway: Gateway, interim: list[bytes]
) -> None:
    gateway.interim = interim
    async with subscribe(gateway) as events:
        (await gateway.peer()).send(data("script.output", output="x"))
        assert await take(events, 1) == [ScriptOutput(agent_id="a", output="x")]


async def test_a_refusal_behind_an_interim_answer_is_still_one(gateway: Gateway) -> None:
    gateway.interim = [HINTS]
    gateway.answers["a"] = [(403, {}, "no")]
    with pytest.raises(PermissionDeniedError):
        async with subscribe(gateway):
            pass


async def test_interim_answers_without_an_end_are_no_websocket(gateway: Gateway) -> None:
    gateway.interim = [HINTS * 20]
    with pytest.raises(DecodeError, match="103: not a WebSocket"):
        async with subscribe(gateway):
            pass
