"""Whole answers and lists, read strictly and forgiving, against msgspec itself."""

import re
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.arrays import Agent, Disk, Node, Ref, an_agent, array_of, pieces, streamed
from trmm_async import codec
from trmm_async.codec import Decoder, decoder, encode
from trmm_async.json_arrays import ArrayTruncatedError

DEEP = 100_000
"""Nesting beyond the interpreter's limit, on every version of it."""


class Cat(msgspec.Struct, tag="cat"):
    lives: int = 9


class Dog(msgspec.Struct, tag="dog"):
    lives: int | None = 1


class Camel(msgspec.Struct, rename="camel"):
    hump_count: int = 2


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
        streamed(Any, pieces(body, max(3, len(body) // 100)))


def test_no_decoder_for_a_type_that_has_none() -> None:
    with pytest.raises(TypeError):
        Decoder(dict[str, Ref | Disk])(b"{}")  # type: ignore[arg-type,unused-ignore]


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
