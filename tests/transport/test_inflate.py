"""Packed answers: whole or none, in slices, whatever the pieces in which they come."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import many
from trmm_async.transport.inflate import CutStreamError, Inflater, UnsupportedCodingError, coding_of


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def members(body: bytes) -> bytes:
    return gzip.compress(body[:5]) + gzip.compress(b"") + gzip.compress(body[5:])


PACKINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", members),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
]


def pieces(packed: bytes, cuts: set[int]) -> Iterator[bytes]:
    places = [0, *sorted(cut for cut in cuts if cut < len(packed)), len(packed)]
    return (packed[first:last] for first, last in pairwise(places))


def inflated(coding: str, parts: Iterator[bytes]) -> bytes:
    inflater = Inflater(coding)
    body = b"".join(b"".join(inflater.feed(part)) for part in parts)
    inflater.finish()
    return body


@given(st.sampled_from(PACKINGS), st.binary(max_size=60), st.sets(st.integers(1, 150), max_size=6))
@settings(max_examples=many(30))
def test_in_whatever_pieces_it_comes_it_is_what_was_packed(
    packing: tuple[str, Callable[[bytes], bytes]], body: bytes, cuts: set[int]
) -> None:
    coding, pack = packing
    assert inflated(coding, pieces(pack(body), cuts)) == body


@given(st.sampled_from(PACKINGS), st.binary(min_size=1, max_size=60), st.integers(1, 30))
@settings(max_examples=many(30))
def test_cut_anywhere_near_its_end_it_is_none(
    packing: tuple[str, Callable[[bytes], bytes]], body: bytes, missing: int
) -> None:
    coding, pack = packing
    if pack is members:
        pack = gzip.compress  # cut between two members, it would be whole
    packed = pack(body)[: -min(missing, len(pack(body)) - 1)]
    with pytest.raises(CutStreamError, match=r"cut|damaged"):
        inflated(coding, iter([packed]))


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_without_a_byte_and_with_junk_it_is_none(coding: str) -> None:
    with pytest.raises(CutStreamError, match=f"its {coding} stream was cut"):
        inflated(coding, iter([b""]))
    with pytest.raises(CutStreamError, match=f"its {coding} stream is damaged"):
        inflated(coding, iter([b"\x7f no stream"]))
    whole = dict(PACKINGS)[coding](b"body")
    with pytest.raises(CutStreamError, match=r"damaged|something stands behind"):
        inflated(coding, iter([whole, b"\x7f more"]))


def test_one_stream_of_deflate_is_all() -> None:
    whole = zlib.compress(b"body")
    with pytest.raises(CutStreamError, match="something stands behind the end"):
        inflated("deflate", iter([whole + whole]))


def test_a_bomb_comes_in_slices_that_can_be_stopped() -> None:
    slices = Inflater("gzip").feed(gzip.compress(b"x" * 10_000_000, 1))
    assert max(len(next(slices)) for _ in range(3)) == 2**16
    slices.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("said", "coding"),
    [
        ("", None),
        ("identity", None),
        (" GZIP ", "gzip"),
        ("identity, X-Gzip,", "x-gzip"),
        ("deflate", "deflate"),
    ],
)
def test_codings_that_are_known(said: str, coding: str | None) -> None:
    assert coding_of(said) == coding


@pytest.mark.parametrize("said", ["br", "zstd", "gzip, gzip", "deflate,br", "\u212aunknown" * 30])
def test_codings_that_were_not_asked_for_are_named(said: Any) -> None:
    with pytest.raises(UnsupportedCodingError, match=r"packed as .*, which was not asked for") as caught:
        coding_of(said)
    assert len(str(caught.value)) < 110
