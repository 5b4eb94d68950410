"""The coder against msgspec itself: in any chunks what a whole decode gives, or an error where that errs."""

import random
import re
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.properties import many
from trmm_async import codec
from trmm_async.codec import ArrayDecoder, ArrayTruncatedError, Decoder, decoder, encode
from trmm_async.models import Moment

DEEP = 100_000
"""Nesting beyond the interpreter's limit, on every version of it."""


class Ref(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    id: int
    name: str = ""


class Disk(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    device: str = ""
    percent: float = 0


class Agent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    agent_id: str
    hostname: str = "unnamed"
    client: Ref | None = None
    last_seen: Moment | None = None
    disks: tuple[Disk, ...] = ()
    detail: Any = None
    labels: dict[str, int | None] = {}


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """Nested in itself, so that what separates elements also stands inside them; `pair` errs on a bad cut."""

    id: int = 0
    name: str = ""
    nodes: tuple["Node", ...] = ()
    pair: tuple[int, int] | None = None


class Cat(msgspec.Struct, tag="cat"):
    lives: int = 9


class Dog(msgspec.Struct, tag="dog"):
    lives: int | None = 1


class Camel(msgspec.Struct, rename="camel"):
    hump_count: int = 2


def an_agent(number: int, disks: int = 1) -> bytes:
    return (
        b'{"agent_id":"%08d","hostname":"JADE \\"%d\\"","client":{"id":%d,"name":"Hermes, [Inc.]"},'
        b'"last_seen":"2026-04-21T10:32:15Z","disks":[%b]}'
    ) % (number, number, number % 7, b",".join([b'{"device":"C:","percent":75}'] * disks))


def array_of(elements: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(elements) + b"]"


def pieces(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def batches(array: ArrayDecoder[Any], chunks: Iterable[bytes]) -> Iterator[list[Any]]:
    for chunk in chunks:
        yield from array.feed(chunk)
    yield array.finish()


def streamed(kind: Any, chunks: Iterable[bytes], batch: int = 1) -> list[Any]:
    return [item for items in batches(ArrayDecoder(kind, batch=batch), chunks) for item in items]


# --- whole bodies


def test_encode_gives_compact_utf8() -> None:
    assert encode({"name": "Zoë", "at": datetime(2026, 4, 21, tzinfo=UTC)}) == (
        '{"name":"Zoë","at":"2026-04-21T00:00:00Z"}'.encode()
    )


def test_encode_refuses_what_has_no_json_form() -> None:
    with pytest.raises(TypeError):
        encode({"socket": object()})


def test_a_decoder_is_built_once_for_each_type() -> None:
    assert decoder(list[Agent]) is decoder(list[Agent])
    assert decoder(list[Ref])(b'[{"id":1}]') == [Ref(id=1)]


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_a_decoder_takes_any_bytes(wrap: Callable[[bytes], bytes]) -> None:
    agents = decoder(list[Agent])(wrap(array_of([an_agent(5)])))
    assert agents[0].client == Ref(id=5, name="Hermes, [Inc.]")
    assert agents[0].last_seen == datetime(2026, 4, 21, 10, 32, 15, tzinfo=UTC)


NULLS = [
    (list[Agent], b'[{"agent_id":"a","disks":null,"hostname":null}]', [Agent(agent_id="a")]),
    (Agent, b'{"agent_id":"a","disks":[{"percent":null}]}', Agent(agent_id="a", disks=(Disk(),))),
    (Agent, b'{"agent_id":"a","client":{"id":1,"name":null}}', Agent(agent_id="a", client=Ref(id=1))),
    (dict[str, Disk], b'{"C":{"device":null}}', {"C": Disk()}),
    (Cat | Dog, b'{"type":"cat","lives":null}', Cat(lives=9)),
    (list[Cat | Dog], b'[{"type":"dog","lives":null},{"type":"cat","lives":null}]', [Dog(lives=None), Cat()]),
    (list[Camel], b'[{"humpCount":null}]', [Camel()]),
    (Node, b'{"nodes":[{"nodes":[{"id":null}]}]}', Node(nodes=(Node(nodes=(Node(),)),))),
]


@pytest.mark.parametrize(("kind", "body", "expected"), NULLS)
def test_a_null_field_that_takes_no_null_counts_as_absent(kind: Any, body: bytes, expected: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=kind)
    assert decoder(kind)(body) == expected


def test_nulls_that_are_values_stay() -> None:
    body = b'{"agent_id":"a","disks":null,"detail":{"k":null,"l":[null]},"labels":{"x":null},"client":null}'
    agent = decoder(Agent)(body)
    assert (agent.disks, agent.detail, agent.labels) == ((), {"k": None, "l": [None]}, {"x": None})


def test_a_null_stays_where_none_is_not_the_default() -> None:
    class Patch(msgspec.Struct):
        note: str | None = "unchanged"
        kind: Literal["x"] | None = "x"
        name: str | int = ""

    assert decoder(Patch)(b'{"note":null,"kind":null,"name":null}') == Patch(note=None, kind=None)


@given(st.sets(st.sampled_from(["hostname", "disks", "labels"])), st.booleans())
def test_a_null_field_is_the_same_as_none_sent(nulls: set[str], in_client: bool) -> None:
    sent: dict[str, Any] = {
        "agent_id": "a",
        "hostname": "h",
        "disks": [{"device": "C:"}],
        "labels": {"x": None},
    }
    sent["client"] = {"id": 1} | ({"name": None} if in_client else {})
    without = {name: value for name, value in sent.items() if name not in nulls} | {"client": {"id": 1}}
    assert decoder(Agent)(encode(sent | dict.fromkeys(nulls))) == msgspec.convert(without, Agent)


def test_the_second_try_keeps_every_digit() -> None:
    class Price(msgspec.Struct):
        amount: Decimal
        count: int = 0
        note: str = ""

    body = b'{"amount":0.1234567890123456789012345,"count":123456789012345678901234567890,"note":null}'
    assert decoder(Price)(body) == Price(
        Decimal("0.1234567890123456789012345"), 123456789012345678901234567890
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'[{"agent_id":"a"},{"agent_id":null}]', "Expected `str`, got `null` - at `$[1].agent_id`"),
        (b'[{"agent_id":"a","disks":null},null]', "Expected `object`, got `null` - at `$[1]`"),
        (b'[{"agent_id":"a"},{}]', "Object missing required field `agent_id` - at `$[1]`"),
        (b'[{"agent_id":"a","disks":null} x', "JSON is malformed"),
        (b'[{"agent_id":"a","detail":' + b"[" * DEEP + b"]" * DEEP + b"}]", "recursion"),
        (b'{"agent_id":"a"}', "Expected `array`, got `object`"),
    ],
)
def test_if_the_second_try_fails_too_its_error_says_where(body: bytes, words: str) -> None:
    with pytest.raises(msgspec.DecodeError, match=re.escape(words)):
        decoder(list[Agent])(body)


NOT_JSON = rb'[| [1,]| [1] x| ["a|[nul'.split(b"|")
NOT_JSON += [b"", b"\xff", b"[" * DEEP, b"[" * DEEP + b"]" * DEEP]


@pytest.mark.parametrize("body", NOT_JSON)
def test_all_that_is_no_json_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError) as whole:
        decoder(list[Any])(body)
    assert not isinstance(whole.value, msgspec.ValidationError)
    with pytest.raises(msgspec.DecodeError):
        streamed(Any, pieces(body, 3))


def test_no_decoder_for_a_type_that_has_none() -> None:
    with pytest.raises(TypeError):
        Decoder(dict[str, Ref | Disk])(b"{}")  # type: ignore[arg-type,unused-ignore]


# --- arrays in pieces


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
    for items in batches(ArrayDecoder(kind, batch=batch), chunks):
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
    array = ArrayDecoder(int, batch=1)
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
    array = ArrayDecoder(int, batch=10)
    body = array_of(b"%d" % number for number in range(100))
    first = next(array.feed(body[:200]))
    second = next(array.feed(body[200:]))
    assert first + second + array.finish() == list(range(100))


def test_a_chunk_may_be_changed_after_it_was_fed() -> None:
    array, chunk = ArrayDecoder(int, batch=1000), bytearray(b"[1,2]")
    given = array.feed(chunk)
    chunk[:] = b"xxxxx"
    assert [*given, array.finish()] == [[1, 2]]


def test_an_array_decoder_shows_where_it_is() -> None:
    array = ArrayDecoder(int, batch=1)
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
    advance, boundary = codec._Scan.advance, codec._boundary

    def counting_scan(scan: codec._Scan, buffer: bytearray, stop: int) -> int:
        scanned.append(stop - scan.position)
        return advance(scan, buffer, stop)

    def counting_walk(text: bytes, depth: int, in_string: bool) -> int:
        walked.append(len(text))
        return boundary(text, depth, in_string)

    array = ArrayDecoder(kind, batch=batch)
    counted = Counted(array._decode)
    array._decode = counted  # type: ignore[assignment]
    buffered, items = 0, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec._Scan, "advance", counting_scan)
        patch.setattr(codec, "_boundary", counting_walk)
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
    array = ArrayDecoder(int, batch=1)
    for chunk in [b" \n" * 5000, b"[1]", b" \n" * 5000]:
        list(array.feed(chunk))
        assert len(array._buffer) < 4


# --- the parts


def test_a_guess_is_given_up_after_eight_misses_in_a_row() -> None:
    guess, buffer = codec._Guess(), bytearray(b'{"a":1},{"a":2},{"a":3}')
    for _ in range(8):
        guess.learn(buffer, 7)
        assert guess.find(buffer, 0, len(buffer)) == 15
        guess.judge(right=False)
        assert guess.find(buffer, 0, len(buffer)) == -1
    guess.learn(buffer, 7)
    assert guess.find(buffer, 0, len(buffer)) == -1


def test_nothing_is_learned_from_a_comma_whose_surroundings_are_not_all_there() -> None:
    guess, buffer = codec._Guess(), bytearray(b'{"a":1},')
    guess.learn(buffer, 7)
    assert guess.find(buffer, 0, len(buffer)) == -1


def test_a_guess_that_was_right_once_may_miss_again() -> None:
    guess, buffer = codec._Guess(), bytearray(b'{"a":1},{"a":2},{"a":3}')
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
    found, *state = codec._search(text, depth, in_string, size)
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
            assert codec._search(text, depth, in_string)[0] == plain_walk(text, depth, in_string)[0]


@given(st.lists(st.sampled_from(NASTY), max_size=12).map("".join), st.data())
@settings(max_examples=many(60))
def test_a_scan_in_pieces_ends_where_a_scan_of_the_whole_does(text: str, data: st.DataObject) -> None:
    first = encode(text)
    body = bytearray(first + b"," + encode({text: [text]}))
    whole, piecewise = codec._Scan(), codec._Scan()
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


class TestALargeAnswerOfWrongShape:
    """The second try takes ten times as long, and as much memory: not of what can't be right."""

    @pytest.mark.parametrize("kind", [list[Agent], Agent, dict[str, Agent]])
    @pytest.mark.parametrize(
        "body", [b"[" + b"1," * 3_000_000 + b"1]", b'{"a":[' + b"1," * 3_000_000 + b"1]}"]
    )
    def test_is_refused_without_making_all_of_it(self, kind: Any, body: bytes) -> None:
        read = decoder(kind)
        with pytest.raises(msgspec.ValidationError):
            read(b"7")
        tracemalloc.start()
        try:
            with pytest.raises(msgspec.ValidationError) as caught:
                read(body)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 2 * len(body)
        with pytest.raises(msgspec.ValidationError) as first:
            msgspec.json.decode(body, type=kind)
        assert str(caught.value) == str(first.value)

    def test_a_large_list_with_nulls_here_and_there_is_read(self) -> None:
        sent = [
            {"agent_id": str(number), "hostname": None if number % 997 == 0 else "h"}
            for number in range(60_000)
        ]
        found = decoder(list[Agent])(encode(sent))
        assert found == [
            Agent(agent_id=one["agent_id"] or "", hostname=one["hostname"] or "unnamed") for one in sent
        ]

    def test_only_a_list_has_rows(self) -> None:
        assert decoder(Agent).rows is None
        rows = decoder(list[Ref]).rows
        assert rows is not None
        reader = rows()
        assert [one for batch in reader.feed(b'[{"id":1}]') for one in batch] + reader.finish() == [Ref(id=1)]


class TestWhatIsNotKnownBefore:
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3), st.lists, max_leaves=9
        ),
        st.lists(st.integers(0, 60), max_size=4),
        st.sampled_from(["", " ", "\r\n  "]),
    )
    def test_reads_the_same_in_pieces(self, value: Any, cuts: list[int], blank: str) -> None:
        body = blank.encode() + encode(value) + blank.encode()
        reader = codec.AnyDecoder().rows()
        rows = [
            row
            for start, stop in pairwise([0, *sorted(min(cut, len(body)) for cut in cuts), len(body)])
            for batch in reader.feed(body[start:stop])
            for row in batch
        ]
        assert reader.whole(rows + reader.finish()) == codec.AnyDecoder()(body) == value

    def test_a_long_list_comes_in_many_pieces(self) -> None:
        body = encode([{"id": number, "fill": "x" * 1000} for number in range(4000)])
        reader = codec.AnyDecoder().rows()
        pieces = list(reader.feed(body))
        assert len(pieces) >= len(body) // codec.LARGE
        assert len([row for piece in pieces for row in piece] + reader.finish()) == 4000

    def test_no_body_is_none_and_a_cut_list_is_none_at_all(self) -> None:
        assert codec.AnyDecoder()(b" ") is None
        reader = codec.AnyDecoder().rows()
        assert list(reader.feed(b"[1,")) == []
        with pytest.raises(ArrayTruncatedError):
            reader.finish()


class TestPairs:
    class Row(msgspec.Struct):
        id: int

    def test_are_an_element_and_all_that_was_sent_of_it_in_pieces_too(self) -> None:
        sent = [{"id": number, "more": number % 7} for number in range(500)]
        pairs = codec.PairedDecoder(self.Row, lambda row, columns: (row.id, columns["more"]))
        expected = [(row["id"], row["more"]) for row in sent]
        assert pairs(encode(sent)) == expected
        reader = pairs.rows(batch=256)
        body = encode(sent)
        batches = [batch for at in range(0, len(body), 700) for batch in reader.feed(body[at : at + 700])]
        assert len(batches) > 20
        assert [one for batch in batches for one in batch] + reader.finish() == expected

    def test_one_that_does_not_read_is_named_by_its_place_in_the_whole(self) -> None:
        sent: list[dict[str, Any]] = [{"id": number} for number in range(300)]
        sent[222] = {"id": None}
        reader = codec.PairedDecoder(self.Row, lambda row, _: row).rows(batch=64)
        with pytest.raises(msgspec.ValidationError, match=r"\$\[222\]\.id"):
            [list(reader.feed(encode(sent))), reader.finish()]


@pytest.mark.parametrize("comma", [b",", b", "])
@pytest.mark.parametrize("size", [9_000, 1 << 15, 100_000])
def test_a_large_batch_is_decoded_as_soon_as_it_is_worth_it(comma: bytes, size: int) -> None:
    row = b'{"id":1,"text":"%b"}' % (b"x" * 200)
    body = b"[" + comma.join([row] * 4000) + b"]"
    array: ArrayDecoder[Any] = ArrayDecoder(object, batch=1 << 18)
    found = list(batches(array, [body[at : at + size] for at in range(0, len(body), size)]))
    assert sum(map(len, found)) == 4000
    assert max(map(len, found)) * len(row) <= max(3 << 15, size + (1 << 15))
