"""Arrays in any chunks: what a whole decode gives, or an error where that errs; in linear time."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.arrays import Agent, Node, an_agent, array_of, batches, pieces, streamed
from tests.properties import many
from trmm_async import json_arrays
from trmm_async.codec import array_decoder, decoder, encode
from trmm_async.json_arrays import ArrayDecoder, ArrayTruncatedError


def ascii_json(text: str) -> str:
    return '"' + re.sub("(....)", r"\\u\1", text.encode("utf-16-be").hex()) + '"'


SPACE = st.text(" \t\r\n", max_size=3)
NASTY = ["", ",", "]", "[", "},{", '},{"id":', '"', "\\", '\\"', "\\\\", "€😀\u2028", '","', "\n", "a" * 40]
STRINGS = st.lists(st.sampled_from(NASTY), max_size=3).map("".join)
# Both spellings of a text: characters as they are, and as escapes.
STRING_TEXTS = STRINGS.map(lambda text: encode(text).decode()) | STRINGS.map(ascii_json)
SCALARS = st.sampled_from(["0", "-1.5e3", "1234567890123456789012", "true", "null", "[]"]) | STRING_TEXTS
KEYS = st.sampled_from(['"id"', '"name"', '"nodes"', '"},{"', '"\\""'])


@st.composite
def joined(draw: st.DrawFn, items: st.SearchStrategy[str], ends: str, most: int = 4) -> str:
    left, right, before, after = (draw(SPACE) for _ in range(4))
    elements = draw(st.lists(items, max_size=most))
    return ends[0] + left + f"{before},{after}".join(elements) + right + ends[1]


@st.composite
def field(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    return f"{draw(KEYS)}{draw(SPACE)}:{draw(SPACE)}{draw(values)}"


def nested(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return joined(values, "[]") | joined(field(values), "{}")


def nodes(depth: int) -> st.SearchStrategy[str]:
    fields = [st.just('"id":1'), STRING_TEXTS.map('"name":{}'.format), st.just('"pair":[1,2]')]
    fields += [st.sampled_from(['"name":null', '"unknown":[{"id":1},{"id":2}]', '"nodes":null'])]
    fields += [joined(nodes(depth - 1), "[]", 3).map('"nodes":{}'.format)] if depth else []
    return joined(st.one_of(fields), "{}")


VALUES = st.recursive(SCALARS, nested, max_leaves=8)
ARRAYS = st.one_of(
    st.tuples(st.just(Any), joined(VALUES, "[]", 12)),
    st.tuples(st.just(Node), joined(nodes(1), "[]", 12)),
    st.tuples(st.just(str), joined(STRING_TEXTS, "[]", 12)),
    st.tuples(st.just(int), joined(st.integers(0, 999).map(str), "[]", 12)),
)
SIZES = st.sampled_from([1, 1, 2, 3, 7, 50, 10_000])


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> list[bytes]:
    if draw(st.booleans()):
        return pieces(body, draw(SIZES))
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=8)))
    return [body[start:end] for start, end in pairwise([0, *cuts, len(body)])]


def check_against_whole(kind: Any, body: bytes, chunks: list[bytes], batch: int) -> None:
    """The lists are the beginning of the whole decode and in the end all of it; or both sides raise."""
    try:
        expected = decoder(list[kind])(body)
    except msgspec.DecodeError:
        with pytest.raises(msgspec.DecodeError):
            streamed(kind, chunks, batch)
        return
    given: list[Any] = []
    for items in batches(array_decoder(kind, batch=batch), chunks):
        given += items
        assert given == expected[: len(given)]
    assert given == expected


@given(st.data(), ARRAYS, SPACE, SPACE, SIZES)
@settings(max_examples=many(100))
def test_any_array_in_any_chunks_is_the_whole_decode(
    data: st.DataObject, array: tuple[Any, str], before: str, after: str, batch: int
) -> None:
    kind, text = array
    body = (before + text + after).encode()
    check_against_whole(kind, body, data.draw(chunked(body)), batch)


SPLINTERS = b', ] [ } { " \\ x \xff ,, ],[ },{"id": 1 ]] []'.split()


@given(st.data(), ARRAYS, SIZES)
@settings(max_examples=many(100))
def test_a_damaged_body_is_an_error_where_the_whole_decode_is_one(
    data: st.DataObject, array: tuple[Any, str], batch: int
) -> None:
    kind, text = array
    body = text.encode()
    for _ in range(data.draw(st.integers(1, 2))):
        start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(body))] * 2)))
        body = body[:start] + data.draw(st.sampled_from([b"", *SPLINTERS])) + body[min(end, start + 3) :]
    check_against_whole(kind, body, data.draw(chunked(body)), batch)


TRAPS: list[tuple[Any, bytes]] = [
    (Any, b'[{"id":1},{"id":2,"x":[{"id":3},{"id":4},{"id":5}]},{"id":6}]'),
    (Node, b'[{"id":1},{"id":2,"nodes":[{"id":3},{"id":4,"pair":[5,6]}]},{"id":7,"pair":[8,9]},{"id":10}]'),
    (Any, b'[{"id":1},{"id":"},{\\"id\\":"},{"id":"},{"},{"id":3}]'),
    (Any, b'[["a"],["],["],["\\\\"],["]"],[["b"],["c"]],["d"]]'),
    (str, b'["a","\\\\",",","\\"","],[","\\\\\\"","[","]","{","b"]'),
    (Any, b"[1,[2,3],4,[5,[6,7]],8]"),
    (Any, '["😀","é","\\ud83d\\ude00"]'.encode()),
]


@pytest.mark.parametrize(("kind", "body"), TRAPS)
@pytest.mark.parametrize("batch", [1, 3, 16, 1000])
def test_what_looks_like_a_separator_is_not_taken_for_one(kind: Any, body: bytes, batch: int) -> None:
    body = array_of([body[1:-1]] * 6)
    for size in range(1, 40):
        check_against_whole(kind, body, pieces(body, size), batch)


@pytest.mark.parametrize(("kind", "body"), TRAPS)
@pytest.mark.parametrize("batch", [1, 16, 1000])
def test_a_body_cut_anywhere_is_truncated_and_never_a_short_list(kind: Any, body: bytes, batch: int) -> None:
    for length in range(len(body)):
        with pytest.raises(ArrayTruncatedError):
            streamed(kind, pieces(body[:length], 5), batch)


INVALID = rb'{"detail":"Not found"}|null|<html>|[,1]|[1,,2]|[1,]|[ , ]|[1}|[1}, 2]|[1]]|[1],'.split(b"|")
INVALID += [b"[1] [2]", b"[] x", b"[{]}", b'[{"id":1}},{"id":2}]', b"[1 2]", b"[1, nul]", b"[-]", b'["a\nb"]']
INVALID += [b"[1]\0", b"\xef\xbb[]", b" \xef\xbb\xbf[]"]


@pytest.mark.parametrize("body", INVALID)
@pytest.mark.parametrize("batch", [1, 1000])
def test_an_invalid_body_is_an_error_and_not_a_truncated_one(body: bytes, batch: int) -> None:
    for size in (1, 2, 100):
        with pytest.raises(msgspec.DecodeError) as caught:
            streamed(Any, pieces(body, size), batch)
        assert not isinstance(caught.value, ArrayTruncatedError)


def test_garbage_after_the_array_ends_the_feeding_at_once() -> None:
    array = array_decoder(int, batch=1)
    assert list(array.feed(b"[1]  ")) == [[1]]
    with pytest.raises(msgspec.DecodeError, match=re.escape("trailing characters (byte 7)")):
        list(array.feed(b"  x"))


@pytest.mark.parametrize(
    "damage",
    [
        b'{"agent_id":7}',
        b'{"agent_id":"a","labels":{"k":"v"}, "agent_id":[3]}',
        b'{"agent_id":x}',
        b'"a" "b"',
    ],
)
def test_an_error_is_told_with_index_and_byte_of_the_whole_body(damage: bytes) -> None:
    body = array_of([*[an_agent(number) for number in range(2000)], damage, *[an_agent(1)] * 50])
    with pytest.raises(msgspec.DecodeError) as whole:
        decoder(list[Agent])(body)
    with pytest.raises(msgspec.DecodeError) as caught:
        streamed(Agent, pieces(body, 9000), batch=4096)
    assert str(caught.value) == str(whole.value)
    assert type(caught.value) is type(whole.value)


def test_a_missing_element_is_told_with_its_byte() -> None:
    with pytest.raises(msgspec.DecodeError, match=re.escape("expected an element (byte 4)")):
        streamed(int, [b" [1,", b",2]"])


def test_nulls_are_forgiven_in_a_batch() -> None:
    sent = [an_agent(number).replace(b'"disks":[{', b'"disks":null,"x":[{') for number in range(300)]
    agents = streamed(Agent, pieces(array_of(sent), 1000), batch=500)
    assert [agent.agent_id for agent in agents] == [f"{number:08}" for number in range(300)]
    assert {agent.disks for agent in agents} == {()}


def test_a_null_for_a_required_field_is_an_error_in_its_batch() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"got `null` - at `\$\[2\]\.agent_id`"):
        streamed(Agent, [array_of([an_agent(0), an_agent(1), b'{"agent_id":null}'])])


def test_raw_elements_outlive_the_buffer_they_came_from() -> None:
    sent = [an_agent(number, disks=number % 3) for number in range(200)]
    elements = streamed(msgspec.Raw, pieces(array_of(sent), 100), batch=300)
    assert [bytes(element) for element in elements] == sent


def test_a_batch_of_no_bytes_is_one_byte() -> None:
    assert streamed(int, [b"[1,2", b",3]"], batch=0) == [1, 2, 3]


def test_batches_left_in_an_iterator_are_given_later() -> None:
    array = array_decoder(int, batch=10)
    body = array_of(b"%d" % number for number in range(100))
    first = next(array.feed(body[:200]))
    second = next(array.feed(body[200:]))
    assert first + second + array.finish() == list(range(100))


def test_a_chunk_may_be_changed_after_it_was_fed() -> None:
    array, chunk = array_decoder(int, batch=1000), bytearray(b"[1,2]")
    given = array.feed(chunk)
    chunk[:] = b"xxxxx"
    assert [*given, array.finish()] == [[1, 2]]


def test_an_array_decoder_shows_where_it_is() -> None:
    array = array_decoder(int, batch=1)
    assert repr(array) == "<ArrayDecoder new given=0 buffered=0>"
    list(array.feed(b"[1,2,3"))
    assert repr(array) == "<ArrayDecoder open given=2 buffered=1>"
    list(array.feed(b"]"))
    assert repr(array) == "<ArrayDecoder closed given=3 buffered=0>"


# --- what it costs, counted


class Counted:
    """A decoder that counts the bytes it is given."""

    def __init__(self, inner: Callable[..., Any]) -> None:
        self.inner, self.bytes, self.largest = inner, 0, 0

    def __call__(self, body: bytes, before: int = 0) -> Any:
        self.bytes += len(body)
        self.largest = max(self.largest, len(body))
        return self.inner(body, before)


@dataclass
class Cost:
    parsed: int
    largest_parsed: int
    buffered: int
    scanned: int
    scans: int
    walked: int
    items: int


def cost_of(kind: Any, body: bytes, chunk: int, batch: int) -> Cost:
    scanned: list[int] = []
    walked: list[int] = []
    advance, boundary = json_arrays._Scan.advance, json_arrays._boundary

    def counting_scan(scan: json_arrays._Scan, buffer: bytearray, stop: int) -> int:
        scanned.append(stop - scan.position)
        return advance(scan, buffer, stop)

    def counting_walk(text: bytes, depth: int, in_string: bool) -> int:
        walked.append(len(text))
        return boundary(text, depth, in_string)

    array = array_decoder(kind, batch=batch)
    counted = Counted(array._decode)
    array._decode = counted
    buffered, items = 0, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_arrays._Scan, "advance", counting_scan)
        patch.setattr(json_arrays, "_boundary", counting_walk)
        for piece in pieces(body, chunk):
            items += sum(map(len, array.feed(piece)))
            buffered = max(buffered, len(array._buffer))
        items += len(array.finish())
    return Cost(counted.bytes, counted.largest, buffered, sum(scanned), len(scanned), sum(walked), items)


MANY = array_of(an_agent(number) for number in range(4000))
FAKES = b",".join([b'{"agent_id":"x"}'] * 200)
BAIT = array_of([an_agent(1), *[b'{"agent_id":"a","hidden":[%b]}' % FAKES] * 100])
BAIT_IN_STRINGS = array_of([b'{"agent_id":"},{\\"agent_id\\":","x":"},{"}'] * 8000)
ONE_HUGE = array_of([b'{"agent_id":"a","hidden":[%b]}' % b",".join([FAKES] * 100)])
HUGE_STRING = array_of([an_agent(1), b'"' + b'},{\\"agent_id\\":' * 20_000 + b'"', b"1"])
HOSTILE: list[tuple[Any, bytes]] = [
    (Agent, MANY),
    (Agent, BAIT),
    (Any, BAIT),
    (Agent, BAIT_IN_STRINGS),
    (Agent, ONE_HUGE),
    (Any, HUGE_STRING),
    (Any, array_of([b"[]", b'"["', b"1", b'{"k":"}"}', b'[[1],"],["]'] * 6000)),
    (str, array_of([b'","'] * 60_000)),
    (Any, array_of([b"[" * 90 + b"]" * 90] * 1000)),
    (int, array_of([b"7" + b" " * 298] * 900)),
]


@pytest.mark.parametrize(
    ("kind", "body"), [*HOSTILE, (int, b"[1" + b" " * 400_000 + b",2" + b" " * 9999 + b"]")]
)
@pytest.mark.parametrize(("chunk", "batch"), [(500, 1000), (65536, 4096), (10**9, 32768)])
def test_work_is_linear_in_hostile_bodies_too(kind: Any, body: bytes, chunk: int, batch: int) -> None:
    cost = cost_of(kind, body, chunk, batch)
    assert cost.items == len(msgspec.json.decode(body, type=list[msgspec.Raw]))
    assert cost.parsed <= 2 * len(body) + 20 * batch
    assert cost.scanned <= len(body)
    assert cost.walked <= 3 * 256 * cost.scans  # token by token is slow, so only where the comma is


@pytest.mark.parametrize(("kind", "body"), HOSTILE)
def test_memory_is_a_chunk_a_batch_and_an_element(kind: Any, body: bytes) -> None:
    chunk, batch = 2000, 1000
    element = max(len(bytes(raw)) for raw in msgspec.json.decode(body, type=list[msgspec.Raw])) + 300
    cost = cost_of(kind, body, chunk, batch)
    assert cost.buffered <= chunk + batch + element
    assert cost.largest_parsed <= chunk + batch + element


def test_agents_are_cut_by_guess_and_hardly_scanned() -> None:
    cost = cost_of(Agent, MANY, 16384, 16384)
    assert cost.parsed <= len(MANY) * 1.01
    assert cost.scanned <= 3 * 16384


def test_space_round_the_array_is_not_kept() -> None:
    array = array_decoder(int, batch=1)
    for chunk in [b" \n" * 5000, b"[1]", b" \n" * 5000]:
        list(array.feed(chunk))
        assert len(array._buffer) < 4


# --- the parts


def test_a_guess_is_given_up_after_eight_misses_in_a_row() -> None:
    guess, buffer = json_arrays._Guess(), bytearray(b'{"a":1},{"a":2},{"a":3}')
    for _ in range(8):
        guess.learn(buffer, 7)
        assert guess.find(buffer, 0, len(buffer)) == 15
        guess.judge(right=False)
        assert guess.find(buffer, 0, len(buffer)) == -1
    guess.learn(buffer, 7)
    assert guess.find(buffer, 0, len(buffer)) == -1


def test_nothing_is_learned_from_a_comma_whose_surroundings_are_not_all_there() -> None:
    guess, buffer = json_arrays._Guess(), bytearray(b'{"a":1},')
    guess.learn(buffer, 7)
    assert guess.find(buffer, 0, len(buffer)) == -1


def test_a_guess_that_was_right_once_may_miss_again() -> None:
    guess, buffer = json_arrays._Guess(), bytearray(b'{"a":1},{"a":2},{"a":3}')
    for right in [False] * 7 + [True] + [False] * 7:
        guess.learn(buffer, 7)
        guess.judge(right=right)
    guess.learn(buffer, 7)
    assert guess.find(buffer, 0, len(buffer)) == 15


def plain_walk(text: bytes, depth: int, in_string: bool) -> tuple[int, int, bool]:
    """What a scan finds, byte by byte, as plainly as it can be said."""
    found = -1
    for index, char in enumerate(text):
        if char == ord('"'):
            in_string = not in_string
        elif not in_string and char in b"[{":
            depth += 1
        elif not in_string and char in b"]}":
            depth -= 1
            if depth < 0:
                return index, depth, in_string
        elif not in_string and char == ord(",") and depth == 0:
            found = index
    return found, depth, in_string


WALKED = st.lists(st.sampled_from(list(b'[]{},""x')), max_size=60).map(bytes)


@given(WALKED, st.integers(0, 3), st.booleans(), st.sampled_from([1, 2, 5, 100]))
@settings(max_examples=many(200))
@example(b'"[",[],"', 0, False, 5)
def test_a_search_in_blocks_finds_what_a_plain_walk_finds(
    text: bytes, depth: int, in_string: bool, size: int
) -> None:
    expected = plain_walk(text, depth, in_string)
    found, *state = json_arrays._search(text, depth, in_string, size)
    assert found == expected[0]
    if expected[1] >= 0:
        assert tuple(state) == expected[1:]


@pytest.mark.parametrize("seed", range(8))
def test_a_search_in_blocks_of_blocks_finds_what_a_plain_walk_finds(seed: int) -> None:
    dice = random.Random(seed)
    weights = [4, 4, 2, 2, dice.choice([1, 20]), dice.choice([0, 2]), 20]
    text = bytes(dice.choices(b'[]{},"x', weights, k=30_000))
    for depth in (0, 1, 30):
        for in_string in (False, True):
            assert json_arrays._search(text, depth, in_string)[0] == plain_walk(text, depth, in_string)[0]


@given(st.lists(st.sampled_from(NASTY), max_size=12).map("".join), st.data())
@settings(max_examples=many(60))
def test_a_scan_in_pieces_ends_where_a_scan_of_the_whole_does(text: str, data: st.DataObject) -> None:
    first = encode(text)
    body = bytearray(first + b"," + encode({text: [text]}))
    whole, piecewise = json_arrays._Scan(), json_arrays._Scan()
    expected = whole.advance(body, len(body))
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=len(body), max_size=len(body)))
    ends = [min(stop, len(body)) for stop in accumulate(sizes)]
    found = [piecewise.advance(body, stop) for stop in ends if stop > piecewise.position]
    assert max(found) == expected == len(first)
    assert vars(piecewise) == vars(whole)


def test_annotated_items_keep_their_constraints() -> None:
    small = Annotated[int, msgspec.Meta(le=9)]
    with pytest.raises(msgspec.ValidationError, match=r"`\$\[3\]`"):
        streamed(small, [b"[1,2,3,10]"])


@pytest.mark.parametrize("comma", [b",", b", "])
@pytest.mark.parametrize("size", [9_000, 1 << 15, 100_000])
def test_a_large_batch_is_decoded_as_soon_as_it_is_worth_it(comma: bytes, size: int) -> None:
    row = b'{"id":1,"text":"%b"}' % (b"x" * 200)
    body = b"[" + comma.join([row] * 4000) + b"]"
    array: ArrayDecoder[Any] = array_decoder(object, batch=1 << 18)
    found = list(batches(array, [body[at : at + size] for at in range(0, len(body), size)]))
    assert sum(map(len, found)) == 4000
    assert max(map(len, found)) * len(row) <= max(3 << 15, size + (1 << 15))
