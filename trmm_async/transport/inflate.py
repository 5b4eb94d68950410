"""Decompresses answers in bounded slices, and notices a stream that was cut.

aiohttp's own decompression raises nothing when a gzip stream ends early, has no limit for the size, and
passes on unknown codings as they are. So it is switched off, and this takes its place. A gzip or zlib stream
contains its own end and a checksum.
"""

from collections.abc import Iterator
from typing import Any, Final

import aiohttp
from aiohttp.compression_utils import ZLibBackend

__all__ = ["CutStreamError", "Inflater", "UnsupportedCodingError", "coding_of"]

_OUTPUT_SLICE: Final = 1 << 16
"""The largest number of bytes that is produced at once."""
_INPUT_SLICE: Final = 1 << 14
"""The largest number of bytes that is read at once: the rest after a stream's end is copied each time."""

_PLAIN: Final = frozenset({"", "identity"})
_ZLIB: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_RAW: Final = -15


class CutStreamError(aiohttp.ClientPayloadError):
    """A compressed stream is damaged, or was cut."""


class UnsupportedCodingError(Exception):
    """The answer has a coding that was not asked for."""


def coding_of(said: str) -> str | None:
    """The coding of an answer, by its `Content-Encoding`; None if it is not compressed.

    Raises:
        UnsupportedCodingError: the coding is not supported here.
    """
    codings = [coding for coding in map(str.strip, said.lower().split(",")) if coding not in _PLAIN]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in _ZLIB:
        raise UnsupportedCodingError(f"the answer is packed as {said[:50]!r}, which was not asked for")
    return codings[0]


class Inflater:
    """Decompresses one answer of a coding by `coding_of`: any number of gzip members, or deflate."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._stream: Any = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decompress these bytes, in slices of 64 KiB at most. Raises `CutStreamError`."""
        for at in range(0, len(data), _INPUT_SLICE):
            yield from self._take(data[at : at + _INPUT_SLICE])

    def finish(self) -> None:
        """The answer has ended. Raises `CutStreamError` if its stream has not."""
        if self._stream is None or not self._stream.eof:
            raise CutStreamError(f"its {self._coding} stream was cut")

    def _take(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._stream is None or self._stream.eof:
                self._stream = self._begin(data)
            yield from self._inflate(data)
            data = self._stream.unused_data

    def _begin(self, data: bytes) -> Any:
        if self._stream is not None and self._coding == "deflate":
            raise CutStreamError("something stands behind the end of its deflate stream")
        # By the standard, "deflate" has a zlib header; some servers send none.
        has_header = self._coding != "deflate" or data[0] & 0x0F == 8
        return ZLibBackend.decompressobj(wbits=_ZLIB[self._coding] if has_header else _RAW)

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                piece = self._stream.decompress(data, _OUTPUT_SLICE)
            except Exception as error:  # noqa: BLE001 - aiohttp allows other libraries in zlib's place
                raise CutStreamError(f"its {self._coding} stream is damaged: {error}") from None
            data = self._stream.unconsumed_tail
            if piece:
                yield piece
            # Without new input, zlib may still hold output of earlier input: go on until nothing comes.
            if self._stream.eof or not (data or piece):
                return
