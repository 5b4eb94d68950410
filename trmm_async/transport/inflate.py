"""Inflates what a server has compressed: in bounded slices, and never taking a cut stream for a whole one.

aiohttp's own inflating says nothing when a gzip stream ends in its middle, knows no bound for what it comes
to, and passes on as they are the codings that it doesn't know. So it is switched off, and this takes its
place. A stream of gzip or zlib says itself where it ends, and its checksum whether it is what was packed.
"""

from collections.abc import Iterator
from typing import Any, Final

import aiohttp
from aiohttp.compression_utils import ZLibBackend

__all__ = ["CutStreamError", "Inflater", "PackedOtherwiseError", "packing"]

_SLICE: Final = 1 << 16
"""The most that is inflated at once. Bytes."""
_MOUTHFUL: Final = 1 << 14
"""The most that is taken in at once: what stands behind the end of a stream is copied each time. Bytes."""

_PLAIN: Final = frozenset({"", "identity"})
_ZLIB: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_RAW: Final = -15


class CutStreamError(aiohttp.ClientPayloadError):
    """What was packed is damaged, or ended before its end."""


class PackedOtherwiseError(Exception):
    """The answer is packed in a way that was not asked for."""


def packing(said: str) -> str | None:
    """How an answer is packed, by its `Content-Encoding`; None for not at all.

    Raises:
        PackedOtherwiseError: in a way that can't be undone here.
    """
    codings = [coding for coding in map(str.strip, said.lower().split(",")) if coding not in _PLAIN]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in _ZLIB:
        raise PackedOtherwiseError(f"the answer is packed as {said[:50]!r}, which was not asked for")
    return codings[0]


class Inflater:
    """Undoes one packing, as `packing` gives it: members of gzip behind each other, or one of deflate."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._stream: Any = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What these bytes come to, in slices of 64 KiB at most. Raises `CutStreamError`."""
        for at in range(0, len(data), _MOUTHFUL):
            yield from self._take(data[at : at + _MOUTHFUL])

    def finish(self) -> None:
        """Say that no more comes. Raises `CutStreamError` if that was not all."""
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
        # What is called deflate has zlib's header by the standard, and none from some servers.
        has_header = self._coding != "deflate" or data[0] & 0x0F == 8
        return ZLibBackend.decompressobj(wbits=_ZLIB[self._coding] if has_header else _RAW)

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                piece = self._stream.decompress(data, _SLICE)
            except Exception as error:  # noqa: BLE001 - zlib's, or that of what was set in its place
                raise CutStreamError(f"its {self._coding} stream is damaged: {error}") from None
            data = self._stream.unconsumed_tail
            if piece:
                yield piece
            # Without input there may be more of what was taken in before: until nothing comes.
            if self._stream.eof or not (data or piece):
                return
