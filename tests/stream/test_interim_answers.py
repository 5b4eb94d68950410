"""Interim answers in front of the real one, by themselves and on a real socket."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.fake_gateway import Gateway, data, running, subscribe, take
from trmm_async.errors import DecodeError, PermissionDeniedError
from trmm_async.events import ScriptOutput
from trmm_async.stream.interim_answers import InterimAnswers

gateway = pytest.fixture(running)

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
