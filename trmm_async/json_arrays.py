"""Decodes a long JSON array while it downloads.

Below `codec`, which says how one batch of elements is decoded. Pure: it finds the commas between elements
in the bytes that have arrived.
"""

import re
from array import array
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import accumulate
from typing import Generic, TypeVar

import msgspec

__all__ = ["ArrayDecoder", "ArrayTruncatedError", "index_in_body"]

T = TypeVar("T")


class ArrayTruncatedError(msgspec.DecodeError):
    """The body ended before its array did: the download was cut."""


class ArrayDecoder(Generic[T]):
    """Decodes one JSON array while it downloads: sans-I/O, synchronous, exact, in flat memory.

    The lists that `feed` and `finish` return are together equal to what the whole body decodes to, however it
    was cut into chunks. Where decoding the whole body would raise, one of them raises, at that element or
    later. After an error neither may be called again.

    Memory: about one chunk, one element and `batch` bytes (a `msgspec.Raw` keeps its whole batch alive).
    Time: linear in the body, whatever it holds; one list takes as long as `batch` bytes (0.1 ms for agents).

    Why it is exact: the bytes before some comma are put between brackets and decoded. A parser reads from
    left to right. If it accepts a `]` in place of the comma, after at least one element, then the comma was
    in no string and in no element, so it separates two elements. That is why the place of the cut may be
    guessed (`_Guess`), which costs next to nothing. The comma is searched for (`_Scan`) only if the guess is
    wrong.

    Args:
        decode: decodes a body that is an array; its second argument is how many elements came before. Raises
            `msgspec.DecodeError`.
        batch: about how many bytes to decode at a time.
    """

    def __init__(self, decode: Callable[[bytes, int], list[T]], *, batch: int = 1 << 15) -> None:
        self._decode = decode
        self._batch = max(batch, 1)
        # However large a batch may be, these bytes are decoded as soon as they are there, while the event
        # loop waits for more.
        self._small = min(self._batch, 1 << 15)
        self._chunk, self._read = b"", 0  # the chunk that is being read, and how much of it has been
        self._buffer = bytearray()  # starts with the first element that was not returned yet
        self._consumed = 0  # bytes of the body before the buffer
        self._returned = 0
        self._opened = self._closed = False
        self._guess = _Guess()
        self._scan = _Scan()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open" if self._opened else "new"
        buffered = len(self._buffer) + len(self._chunk) - self._read
        return f"<ArrayDecoder {state} given={self._returned} buffered={buffered}>"

    def feed(self, chunk: bytes | bytearray | memoryview) -> Iterator[list[T]]:
        """Take the next bytes of the body; the elements that are complete, in batches.

        The chunk is taken at the call. Batches that are left in the iterator come from the next `feed` or
        `finish`. The iterator raises what `decode` raises, with indexes and byte positions of the whole body.
        """
        self._keep_rest()
        if isinstance(chunk, bytes) and self._opened and not self._closed and not self._scan.position:
            self._chunk = chunk
            return self._through()
        self._buffer += chunk
        return self._batches(self._small)

    def finish(self) -> list[T]:
        """The body has ended; the elements that are left.

        Raises `ArrayTruncatedError` if the array has not ended, since a cut body must not be taken for a
        short list. Otherwise raises as `feed` does.
        """
        self._keep_rest()
        rest: list[T] = []
        for items in self._batches(self._batch):
            rest += items
        rest += self._last()
        if not self._closed:
            raise ArrayTruncatedError("Input data was truncated: the body ended before its array")
        return rest

    @staticmethod
    def whole(found: list[T]) -> list[T]:
        """The answer that all elements make together: the list itself."""
        return found

    def _last(self) -> list[T]:
        """The elements at the end of the body, which are less than a batch."""
        if self._opened and not self._closed:
            # The rest has the closing bracket: if the parser accepts it, nothing has to be searched.
            with suppress(msgspec.DecodeError):
                items = self._decode(b"".join((b"[", self._buffer)), self._returned)
                if items or not self._returned:
                    self._closed = True
                    self._returned += len(items)
                    self._drop(len(self._buffer))
                    return items
        return [item for items in self._batches(1) for item in items]

    def _batches(self, enough: int) -> Iterator[list[T]]:
        """Decode batches while at least `enough` bytes have not been read."""
        if not self._opened:
            self._open()
        while not self._closed and len(self._buffer) - self._scan.position >= enough:
            stop = min(self._scan.position + self._batch, len(self._buffer))
            if items := self._by_guess(stop) or self._by_scan(stop):
                self._returned += len(items)
                yield items
        if self._closed and self._next_byte() is not None:
            raise self._malformed("trailing characters", 0)

    def _open(self) -> None:
        if not self._consumed and self._buffer[:1] == BOM_UTF8[:1]:
            if len(self._buffer) < len(BOM_UTF8):
                return
            self._drop(len(BOM_UTF8) if self._buffer.startswith(BOM_UTF8) else 0)
        first = self._next_byte()
        if first not in {None, ord("[")}:
            raise self._malformed("expected an array", 0)
        self._opened = first is not None
        self._drop(int(self._opened))
        self._guess.begin(self._buffer)

    def _through(self) -> Iterator[list[T]]:
        """Decode from the chunk by the guess alone, without copying the chunk, while the guess is right."""
        while len(self._buffer) + len(self._chunk) - self._read >= self._small:
            stop = min(self._read + self._batch, len(self._chunk))
            cut = self._guess.find(self._chunk, self._read, stop)
            if cut < 0:
                break
            items: list[T] = []
            with suppress(msgspec.DecodeError):
                # The buffer has what was left of the previous chunk.
                parts = (b"[", self._buffer, memoryview(self._chunk)[self._read : cut], b"]")
                items = self._decode(b"".join(parts), self._returned)
            self._guess.judge(right=bool(items))
            if not items:
                break
            self._returned += len(items)
            self._consumed += len(self._buffer) + cut + 1 - self._read
            self._buffer.clear()
            self._read = cut + 1
            yield items
        self._keep_rest()
        yield from self._batches(self._small)

    def _keep_rest(self) -> None:
        self._buffer += memoryview(self._chunk)[self._read :]
        self._chunk, self._read = b"", 0

    def _by_guess(self, stop: int) -> list[T]:
        """The elements before the guessed comma; none if there is no guess, or it is wrong."""
        cut = self._guess.find(self._buffer, self._scan.position, stop)
        if cut < 0:
            return []
        items: list[T] = []
        with suppress(msgspec.DecodeError):
            items = self._before(cut)
        self._guess.judge(right=bool(items))
        if items:
            self._drop(cut + 1)
            self._scan = _Scan()
        return items

    def _by_scan(self, stop: int) -> list[T]:
        """The elements before the last comma between elements, or before the array's end; none yet if []."""
        end = self._scan.advance(self._buffer, stop)
        if end < 0:
            return []
        try:
            items = self._before(end)
        except msgspec.DecodeError as error:
            raise self._in_body(error) from error
        closing = self._buffer[end] == ord("]")
        if not items and (self._returned or not closing):
            raise self._malformed("expected an element", end)
        self._closed = closing
        self._guess.learn(self._buffer, end)
        self._drop(end + 1)
        self._scan.position -= end + 1
        return items

    def _before(self, end: int) -> list[T]:
        last = self._buffer[end : end + 1].replace(b",", b"]")
        # Joined into immutable bytes, since a msgspec.Raw points into them.
        return self._decode(b"".join((b"[", memoryview(self._buffer)[:end], last)), self._returned)

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._consumed += count

    def _next_byte(self) -> int | None:
        self._drop(len(self._buffer) - len(self._buffer.lstrip(b" \t\r\n")))
        return self._buffer[0] if self._buffer else None

    def _malformed(self, what: str, at: int) -> msgspec.DecodeError:
        return msgspec.DecodeError(f"JSON is malformed: {what} (byte {self._consumed + at})")

    def _in_body(self, error: msgspec.DecodeError) -> msgspec.DecodeError:
        """The same error with its index and byte position in the body instead of in the batch."""
        text = index_in_body(str(error), self._returned)
        text = _BYTE.sub(lambda found: f"(byte {int(found[1]) - 1 + self._consumed})", text)
        return type(error)(text)


def index_in_body(text: str, before: int) -> str:
    """An error's text about a part of an array, with the index in the whole array.

    `before` is the number of elements before that part.
    """
    return _INDEX.sub(lambda found: f"`$[{int(found[1]) + before}]", text)


_INDEX = re.compile(r"`\$\[(\d+)\](?=[^`]*`$)")
_BYTE = re.compile(r"\(byte (\d+)\)$")
_BEFORE_COMMA = re.compile(rb'(?:"|[\]}\s]*)\s*\Z')
_FROM_COMMA = re.compile(rb',[\[{\s]{0,64}(?:"[^"\\]{1,64}"\s{0,8}:|"|)')
_FIRST_KEY = re.compile(rb'\{"[^"\\]{1,64}":')
_TOKENS = re.compile(rb'"[^"]*"?|[\[\]{},]')
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NOISE = bytes(set(range(256)) - set(b'[{]}"'))


class _Guess:
    """Guesses where a comma between elements is: where the same bytes are around it as around an earlier one.

    These bytes go up to the first key (`}]},{"agent_id":`), so objects inside an element seldom look like it.
    """

    def __init__(self) -> None:
        self._mark = b""
        self._comma = 0  # where it is in the mark
        self._misses = 0

    def find(self, buffer: bytes | bytearray, start: int, stop: int) -> int:
        """The index of the last such comma in `buffer[start:stop]`, or -1."""
        at = buffer.rfind(self._mark, start, stop) if self._mark else -1
        return at if at < 0 else at + self._comma

    def judge(self, *, right: bool) -> None:
        """Keep a guess that was right. Eight wrong ones in a row, each of which costs a decoding, end it."""
        self._misses = 0 if right else self._misses + 1
        self._mark = self._mark if right else b""

    def begin(self, buffer: bytearray) -> None:
        """Guess by the beginning of the first element, for an array that has no spaces around its commas."""
        first = _FIRST_KEY.match(buffer)
        if first:
            self._mark, self._comma = b"}," + first[0], 1

    def learn(self, buffer: bytearray, comma: int) -> None:
        """Guess from now on by the bytes around this comma, which is known to separate two elements."""
        before = _BEFORE_COMMA.search(buffer[max(comma - 32, 0) : comma])
        after = _FROM_COMMA.match(buffer, comma)
        if before and after and after.end() < len(buffer) and self._misses < 8:
            self._mark, self._comma = before[0] + after[0], len(before[0])


class _Scan:
    """Finds commas between elements by counting brackets outside strings. Reads each byte once.

    Token by token that takes ten times as long as decoding. So brackets are counted in blocks, by a few
    passes in C, and tokens are read only in the small block that has the comma.
    """

    def __init__(self) -> None:
        self.position = 0
        self._depth, self._in_string, self._escaped = 0, False, False

    def advance(self, buffer: bytearray, stop: int) -> int:
        """Read on to `stop`; the index of the bracket that ends the array, or of the last comma, or -1."""
        start, self.position = self.position, stop
        text = self._without_escapes(bytes(buffer[start:stop]))
        found, self._depth, self._in_string = _search(text, self._depth, self._in_string)
        return found if found < 0 else start + found

    def _without_escapes(self, text: bytes) -> bytes:
        if self._escaped:
            text = b"_" + text[1:]
        if b"\\" in text:
            text = text.replace(b"\\\\", b"__").replace(b'\\"', b"__")
        self._escaped = text.endswith(b"\\")
        return text


def _search(text: bytes, depth: int, in_string: bool, size: int = 16384) -> tuple[int, int, bool]:
    """What `_Scan.advance` returns, for a text that starts in this state; and the state at its end."""
    candidates = []
    for start in range(0, len(text), size):
        block = (text[start : start + size], depth, in_string)
        depth, in_string, lowest = _count(*block)
        if lowest < 0 or (lowest == 0 and b"," in block[0]):
            candidates.append((start, block))
        if lowest < 0:
            break
    for start, block in reversed(candidates):
        found = _search(*block, size=256)[0] if size > 256 else _boundary(*block)
        if found >= 0:
            return start + found, depth, in_string
    return -1, depth, in_string


def _count(text: bytes, depth: int, in_string: bool) -> tuple[int, bool, int]:
    """The state at the end of `text`, and the lowest depth in it, which is below 0 after the array's end."""
    if in_string and b'"' not in text:
        return depth, in_string, 1
    # Two adjacent quotes (a string without brackets) do not change whether what follows is in a string.
    parts = text.translate(_STEPS, _NOISE).replace(b'""', b"").split(b'"')
    steps = b"".join(parts[in_string::2])
    for _ in range(3):
        steps = steps.replace(b"\x01\xff", b"")  # up and down again changes neither the end nor the minimum
    depths = list(accumulate(array("b", steps), initial=depth))
    return depths[-1], in_string ^ (len(parts) % 2 == 0), min(depths)


def _boundary(text: bytes, depth: int, in_string: bool) -> int:
    """What `_search` finds, token by token."""
    found = -1
    for token in _TOKENS.finditer(text, text.find(b'"') + 1 if in_string else 0):
        char = token[0]
        if char == b",":
            found = found if depth else token.start()
        elif char in b"[{":
            depth += 1
        elif char in b"]}" and not depth:
            return token.start()
        elif char in b"]}":
            depth -= 1
    return found
