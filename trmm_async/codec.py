"""The only JSON coder of the SDK: whole answers, and long arrays while they download.

Above lie the calls and dialects, which name the type of an answer, and the transport, which has its bytes.
Below lie msgspec and `forgiving`. The room is for what every answer needs: decoders built once for each type,
a second, forgiving reading of what didn't read, and `ArrayDecoder` for arrays too long to hold. No I/O.

Every error of decoding is a `msgspec.DecodeError`; its subclass `msgspec.ValidationError` says that the JSON
was good and its shape was not.
"""

import re
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache, cached_property, partial
from itertools import accumulate
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast, get_args, get_origin

import msgspec
from msgspec import inspect

from trmm_async import forgiving
from trmm_async.forgiving import BOM, aware, from_epoch, http_date, shifted, utc
from trmm_async.plaintext import log_of

__all__ = [
    "LARGE",
    "AnyDecoder",
    "ArrayDecoder",
    "ArrayTruncatedError",
    "DecodeFailure",
    "Decoder",
    "ListDecoder",
    "PairedDecoder",
    "aware",
    "decoder",
    "encode",
    "exact",
    "from_epoch",
    "http_date",
    "listed",
    "shifted",
    "utc",
]

T = TypeVar("T")
U = TypeVar("U")
Body: TypeAlias = bytes | bytearray | memoryview

LARGE: Final = 1 << 18
"""A batch for arrays that are held as a whole in the end: a little faster than a small one."""

_AGAIN_MOST: Final = 1 << 22
"""Bytes up to which a piece of wrong shape is tried again: a fraction of a second's work."""

_LOG: Final = log_of("codec")


def _plain(value: object) -> object:
    """A hidden text as the text it is: the body that comes of it is what is to be hidden then."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


_encoder = msgspec.json.Encoder(enc_hook=_plain)


def encode(obj: object) -> bytes:
    """Give `obj` as compact UTF-8 JSON: builtins, Structs, dataclasses, datetimes, enums.

    Raises `TypeError` for an object that has no JSON form: the caller's mistake, not the server's.
    """
    return _encoder.encode(obj)


class Decoder(Generic[T]):
    """Turns a whole JSON body into a `T`; `decoder` keeps one for each type."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._item = get_args(kind)[0] if get_origin(kind) is list else None

    # Both on first use: hundreds are declared on import, of which a program needs a few.
    @cached_property
    def _strict(self) -> "msgspec.json.Decoder[T]":
        _check_times(inspect.type_info(self._kind), set())
        return msgspec.json.Decoder(self._kind)

    @cached_property
    def _has_extra(self) -> bool:
        return forgiving.has_extra(self._kind)  # type: ignore[arg-type] # a type is hashable

    @property
    def rows(self) -> "Callable[[], ArrayDecoder[Any]] | None":
        """Makes a reader of the same list while it downloads; None if it is none."""
        return None if self._item is None else partial(ArrayDecoder, self._item, batch=LARGE)

    def __call__(self, body: Body) -> T:
        """Decode `body`; where it does not read, once more, field by field and forgiving (see `forgiving`).

        An optional field that doesn't read has its default then (nearly always None), and its value stands in
        `extra`; so has one that is null. It is logged, once for each answer. A time without a zone is UTC.
        A large list is read again piece by piece, and another answer only up to 4 MiB.

        Raises `msgspec.ValidationError` if the shape is wrong (a field that has to be there, such as an id),
        and `msgspec.DecodeError` for all else: bad syntax, nesting beyond the interpreter's limit.
        """
        return self._decoded(body, self._piecemeal, 0)

    def at_once(self, body: Body, before: int = 0) -> T:
        """The same of a piece of a list, before which came so many elements; it is not divided further."""
        return self._decoded(body, self._forgiving, before)

    def _decoded(self, body: Body, again: Callable[[Body, int], T], before: int) -> T:
        try:
            # A key of that name goes into `extra` as any other, and is not taken for the whole of it.
            if not (self._has_extra and forgiving.names_extra(body)):
                return self._strict.decode(body)
        except msgspec.ValidationError:
            pass
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if isinstance(error, RecursionError) or (body := forgiving.cleaned(was := body)) == was:
                raise msgspec.DecodeError(str(error)) from error
        return again(body, before)

    def _piecemeal(self, body: Body, before: int) -> T:
        if len(body) <= LARGE or self._item is None:
            return self._forgiving(body, before)
        if not bytes(body[:LARGE]).lstrip(b" \t\r\n").startswith(b"["):
            return self._strict.decode(body)
        reader: ArrayDecoder[Any] = ArrayDecoder(self._item, batch=LARGE)
        found: list[Any] = []
        for at in range(0, len(body), LARGE):
            for items in reader.feed(body[at : at + LARGE]):
                found += items
        return cast("T", found + reader.finish())

    def _forgiving(self, body: Body, before: int) -> T:
        if len(body) > _AGAIN_MOST and not (self._has_extra and forgiving.names_extra(body)):
            return self._strict.decode(body)
        odd = forgiving.Odd()
        try:
            found: T = forgiving.read(forgiving.cleaned(body), self._kind, odd)
        except RecursionError as error:
            raise msgspec.DecodeError(str(error)) from error
        if odd.count:
            first = _in_body(odd.first, before)
            _LOG.warning("%d odd values in an answer are left out, the first: %s", odd.count, first)
        return found


def _check_times(info: object, seen: set[object]) -> None:
    """Refuse types with times that may lack a zone, which nothing can be compared with."""
    if isinstance(info, inspect.DateTimeType) and info.tz is not True:
        raise TypeError("a time in an answer must be a models.Moment")
    if isinstance(info, inspect.StructType):
        if info.cls in seen:
            return
        seen.add(info.cls)
    if isinstance(info, tuple):
        for item in info:
            _check_times(item, seen)
    elif isinstance(info, inspect.Type | inspect.Field):
        for name in info.__struct_fields__:
            _check_times(getattr(info, name), seen)


_built = cache(Decoder)


def decoder(kind: type[T]) -> Decoder[T]:
    """The decoder of a type (any that msgspec knows, such as `list[Agent]`), built on first use, then kept.

    That first use raises `TypeError` for a type that msgspec cannot decode.
    """
    return _built(kind)  # type: ignore[arg-type] # a type is hashable


DecodeFailure = msgspec.DecodeError
"""What `exact` raises, for those who know no msgspec."""


def exact(kind: type[T], text: str | bytes) -> T:
    """Decode what we ourselves have written, without forgiving: what is left out there changes its meaning.

    Raises as a `Decoder` does.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (UnicodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error


class ListDecoder(Generic[T]):
    """Makes something else of a list: a call's decoder, and by `rows` the same while the list downloads.

    A long answer is read in pieces, so that the event loop has its turn between them: whatever reads a list
    that may be long is one of these, or a `Decoder` itself.

    Args:
        kind: of the elements as they are sent.
        many: makes some elements into what the list is to hold.
        whole: makes the whole list of those into a `T`; None: it is one.
    """

    def __init__(
        self,
        kind: Any,
        many: Callable[[list[Any]], list[Any]],
        whole: Callable[[list[Any]], T] | None = None,
    ) -> None:
        self._kind: Any = kind
        self._many = many
        self._whole = whole or cast("Callable[[list[Any]], T]", _as_it_is)

    def __repr__(self) -> str:
        return f"<ListDecoder of {self._kind.__name__}>"

    def __call__(self, body: Body) -> T:
        """Decode a whole body. Raises as a `Decoder` does."""
        return self._whole(self._many(self._list(body)))

    def then(self, whole: Callable[[list[Any]], U]) -> "ListDecoder[U]":
        """The same, with that made of the whole list."""
        return ListDecoder(self._kind, self._many, whole)

    def at_once(self, body: Body) -> T:
        """The same of what is a part of another answer; see `Decoder.at_once`."""
        return self._whole(self._many(self._list.at_once(body)))

    @property
    def _list(self) -> Decoder[list[Any]]:
        kind = self._kind
        return decoder(list[kind])  # type: ignore[valid-type]

    def rows(self, batch: int = LARGE) -> "_RowReader":
        """Makes a reader of the same list while it downloads."""
        return _RowReader(ArrayDecoder(self._kind, batch=batch), self._many, self._whole)


def listed(
    kind: Any, each: Callable[[Any], object], whole: Callable[[list[Any]], T] | None = None
) -> ListDecoder[T]:
    """The decoder of a list, of which `each` element is made into another."""
    return ListDecoder(kind, partial(_made, each), whole)


def _made(each: Callable[[Any], object], rows: list[Any]) -> list[Any]:
    return [each(row) for row in rows]


def _as_it_is(rows: list[Any]) -> list[Any]:
    return rows


class PairedDecoder(ListDecoder[list[T]]):
    """The decoder of a list, of which `each` is made of an element and of all that was sent of it, by name.

    For elements whose names only the server knows all.
    """

    def __init__(self, kind: Any, each: Callable[[Any, Mapping[str, Any]], T]) -> None:
        self._pairs = partial(_Pairs, kind, each)
        super().__init__(msgspec.Raw, self._at_once)

    def rows(self, batch: int = LARGE) -> "_RowReader":
        """Makes a reader of the same list while it downloads."""
        return _RowReader(ArrayDecoder(msgspec.Raw, batch=batch), self._pairs(), _as_it_is)

    def _at_once(self, rows: list[Any]) -> list[Any]:
        return self._pairs()(rows)


class _Pairs:
    """Reads elements that were told apart, some at a time; knows how many came before."""

    def __init__(self, kind: Any, each: Callable[[Any, Mapping[str, Any]], object]) -> None:
        self._sent: Decoder[list[Any]] = decoder(list[kind])
        self._each = each
        self._before = 0

    def __call__(self, rows: list[Any]) -> list[Any]:
        body = b"[%b]" % b",".join(rows)
        try:
            sent = self._sent.at_once(body, self._before)
            columns = decoder(list[dict[str, Any]]).at_once(body, self._before)
        except msgspec.DecodeError as error:
            raise type(error)(_in_body(str(error), self._before)) from error
        self._before += len(rows)
        return [self._each(*pair) for pair in zip(sent, columns, strict=True)]


class _RowReader:
    """See `calls.RowReader`."""

    def __init__(
        self,
        sent: "ArrayDecoder[Any]",
        many: Callable[[list[Any]], list[Any]],
        whole: Callable[[list[Any]], Any],
    ) -> None:
        self._sent, self._many = sent, many
        self.whole: Callable[[list[Any]], Any] = whole

    def feed(self, chunk: Body) -> Iterator[list[Any]]:
        return map(self._many, self._sent.feed(chunk))

    def finish(self) -> list[Any]:
        return self._many(self._sent.finish())


def _is_blank(body: Body) -> bool:
    # In pieces: a body may be large, and its first piece nearly always says it.
    return all(not bytes(body[at : at + 64]).strip() for at in range(0, len(body), 64))


class AnyDecoder:
    """The decoder of whatever JSON there is, None for no body at all; a list of it is read in pieces, too."""

    def __call__(self, body: Body) -> Any:
        """Decode a whole body. Raises as a `Decoder` does."""
        return None if _is_blank(body) else decoder(object)(body)

    def rows(self) -> "_AnyReader":
        """Makes a reader while it downloads."""
        return _AnyReader(self)


class _AnyReader:
    """See `calls.RowReader`: of a list the elements, of all else the one value, when it is whole."""

    def __init__(self, decode: AnyDecoder) -> None:
        self._decode = decode
        self._begun = bytearray()
        self._is_list: bool | None = None
        self._array: ArrayDecoder[Any] | None = None

    def feed(self, chunk: Body) -> Iterator[list[Any]]:
        if self._array is not None:
            return self._array.feed(chunk)
        self._begun += chunk
        if self._is_list is None and (begun := self._begun.lstrip()):
            self._is_list = begun.startswith(b"[")
        if not self._is_list:
            return iter(())
        self._array = ArrayDecoder(object, batch=LARGE)
        return self._array.feed(bytes(self._begun))

    def finish(self) -> list[Any]:
        return [self._decode(self._begun)] if self._array is None else self._array.finish()

    def whole(self, rows: list[Any]) -> Any:
        return rows[0] if self._array is None else rows


class ArrayTruncatedError(msgspec.DecodeError):
    """The body ended before its array did: the download was cut."""


class ArrayDecoder(Generic[T]):
    """Decodes one JSON array while it downloads: sans-IO, synchronous, exact, in flat memory.

    The lists of `feed` and `finish` together equal `decoder(list[T])(body)` whatever the chunks, and are its
    beginning until then. Where that call would raise, one of these does, at that element or later; after an
    error use neither again.

    Memory: about one chunk, one element and `batch` bytes (a `msgspec.Raw` keeps its whole batch alive).
    Time: linear in the body, whatever it holds; a list takes as long as `batch` bytes (of agents 0.1 ms).

    Why it is exact: a batch is what stands before some comma, put between brackets and decoded. A parser
    reads from left to right; if it takes the `]` in place of the comma, after at least one element, then the
    comma was in no string and in no element: it separates two. So where to cut may be guessed (`_Guess`),
    which costs next to nothing. Only where the guess is wrong is the comma looked for (`_Scan`).
    """

    def __init__(self, item_type: type[T], *, batch: int = 1 << 15) -> None:
        """Decode elements of `item_type`, those of about `batch` bytes at a time."""
        whole: Decoder[list[T]] = decoder(list[item_type])  # type: ignore[valid-type]
        self._decode = whole.at_once
        self._batch = max(batch, 1)
        # However large a batch may be, it is decoded once it has this: the event loop waits meanwhile.
        self._small = min(self._batch, 1 << 15)
        self._chunk, self._read = b"", 0  # a chunk that is gone through, and how far
        self._buffer = bytearray()
        self._consumed = 0  # bytes before the buffer, which starts with the first element not given yet
        self._given = 0
        self._opened = self._closed = False
        self._guess = _Guess()
        self._scan = _Scan()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open" if self._opened else "new"
        buffered = len(self._buffer) + len(self._chunk) - self._read
        return f"<ArrayDecoder {state} given={self._given} buffered={buffered}>"

    def feed(self, chunk: Body) -> Iterator[list[T]]:
        """Take the next bytes of the body and give the elements that are complete and make a batch.

        The chunk is taken at the call; batches left in the iterator are given by the next `feed` or `finish`.
        Raises (from the iterator) what a `Decoder` raises, with indexes and byte positions in the whole body.
        """
        self._keep_rest()
        if isinstance(chunk, bytes) and self._opened and not self._closed and not self._scan.position:
            self._chunk = chunk
            return self._through()
        self._buffer += chunk
        return self._batches(self._small)

    def finish(self) -> list[T]:
        """Say that the body has ended and give the elements that are left.

        Raises `ArrayTruncatedError` if the array has not ended (a cut body is no short list), else as `feed`.
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
        """What all elements come to: a list."""
        return found

    def _last(self) -> list[T]:
        """What is left in the end, which is less than a batch."""
        if self._opened and not self._closed:
            # With its bracket it is an array: where the parser takes it, there is nothing to look for.
            with suppress(msgspec.DecodeError):
                items = self._decode(b"".join((b"[", self._buffer)), self._given)
                if items or not self._given:
                    self._closed = True
                    self._given += len(items)
                    self._drop(len(self._buffer))
                    return items
        return [item for items in self._batches(1) for item in items]

    def _batches(self, enough: int) -> Iterator[list[T]]:
        """Go on while there are `enough` bytes that were not looked at."""
        if not self._opened:
            self._open()
        while not self._closed and len(self._buffer) - self._scan.position >= enough:
            stop = min(self._scan.position + self._batch, len(self._buffer))
            if items := self._by_guess(stop) or self._by_scan(stop):
                self._given += len(items)
                yield items
        if self._closed and self._next_byte() is not None:
            raise self._malformed("trailing characters", 0)

    def _open(self) -> None:
        if not self._consumed and self._buffer[:1] == BOM[:1]:
            if len(self._buffer) < len(BOM):
                return
            self._drop(len(BOM) if self._buffer.startswith(BOM) else 0)
        first = self._next_byte()
        if first not in {None, ord("[")}:
            raise self._malformed("expected an array", 0)
        self._opened = first is not None
        self._drop(int(self._opened))
        self._guess.begin(self._buffer)

    def _through(self) -> Iterator[list[T]]:
        """Go through the chunk by the guess alone, for as long as it is right: without copying it first."""
        while len(self._buffer) + len(self._chunk) - self._read >= self._small:
            stop = min(self._read + self._batch, len(self._chunk))
            cut = self._guess.find(self._chunk, self._read, stop)
            if cut < 0:
                break
            items: list[T] = []
            with suppress(msgspec.DecodeError):
                # The buffer has what was left of the chunk before.
                parts = (b"[", self._buffer, memoryview(self._chunk)[self._read : cut], b"]")
                items = self._decode(b"".join(parts), self._given)
            self._guess.judge(right=bool(items))
            if not items:
                break
            self._given += len(items)
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
        """What stands before the comma of the guess, or nothing if there is no guess or it is wrong."""
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
        """What stands before the last comma between elements or before the array's end, or nothing yet."""
        end = self._scan.advance(self._buffer, stop)
        if end < 0:
            return []
        try:
            items = self._before(end)
        except msgspec.DecodeError as error:
            raise self._in_body(error) from error
        closing = self._buffer[end] == ord("]")
        if not items and (self._given or not closing):
            raise self._malformed("expected an element", end)
        self._closed = closing
        self._guess.learn(self._buffer, end)
        self._drop(end + 1)
        self._scan.position -= end + 1
        return items

    def _before(self, end: int) -> list[T]:
        last = self._buffer[end : end + 1].replace(b",", b"]")
        # Joined into immutable bytes, because a msgspec.Raw points into them.
        return self._decode(b"".join((b"[", memoryview(self._buffer)[:end], last)), self._given)

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
        text = _in_body(str(error), self._given)
        text = _BYTE.sub(lambda found: f"(byte {int(found[1]) - 1 + self._consumed})", text)
        return type(error)(text)


def _in_body(text: str, before: int) -> str:
    """What an error says, with its index in the whole array, of which so many elements came before."""
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
    """Where a comma between elements probably is: where it has the bytes around it that an earlier one had.

    They go up to the first key (`}]},{"agent_id":`), so that objects inside an element seldom look like it.
    """

    def __init__(self) -> None:
        self._mark = b""
        self._comma = 0  # where it is in the mark
        self._misses = 0

    def find(self, buffer: bytes | bytearray, start: int, stop: int) -> int:
        """The last such comma in `buffer[start:stop]`, or -1."""
        at = buffer.rfind(self._mark, start, stop) if self._mark else -1
        return at if at < 0 else at + self._comma

    def judge(self, *, right: bool) -> None:
        """Keep a guess that was right; eight wrong ones in a row, each of which cost a decoding, end it."""
        self._misses = 0 if right else self._misses + 1
        self._mark = self._mark if right else b""

    def begin(self, buffer: bytearray) -> None:
        """Guess by how the first element begins, that of an array without any space around its commas."""
        first = _FIRST_KEY.match(buffer)
        if first:
            self._mark, self._comma = b"}," + first[0], 1

    def learn(self, buffer: bytearray, comma: int) -> None:
        """Guess from now on by what is around this comma, which is known to separate two elements."""
        before = _BEFORE_COMMA.search(buffer[max(comma - 32, 0) : comma])
        after = _FROM_COMMA.match(buffer, comma)
        if before and after and after.end() < len(buffer) and self._misses < 8:
            self._mark, self._comma = before[0] + after[0], len(before[0])


class _Scan:
    """Finds commas between elements by counting brackets outside strings; looks at each byte once.

    Token by token that takes ten times as long as decoding. So blocks are counted, in a few passes of C, and
    tokens are looked at only in the small block that holds the comma.
    """

    def __init__(self) -> None:
        self.position = 0
        self._depth, self._in_string, self._escaped = 0, False, False

    def advance(self, buffer: bytearray, stop: int) -> int:
        """Read on to `stop`: the index of the bracket that ends the array or of the last comma, or -1."""
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
    """What `_Scan.advance` looks for, in `text` that starts in this state; and the state at the end of it."""
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
    """The state at the end of `text`, and the lowest depth in it: below 0 past the array's end."""
    if in_string and b'"' not in text:
        return depth, in_string, 1
    # Two quotes side by side (a string without brackets) leave what follows in or out of a string.
    parts = text.translate(_STEPS, _NOISE).replace(b'""', b"").split(b'"')
    steps = b"".join(parts[in_string::2])
    for _ in range(3):
        steps = steps.replace(b"\x01\xff", b"")  # up and down again: neither end nor minimum changes
    depths = list(accumulate(array("b", steps), initial=depth))
    return depths[-1], in_string ^ (len(parts) % 2 == 0), min(depths)


def _boundary(text: bytes, depth: int, in_string: bool) -> int:
    """The same as `_search`, token by token."""
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
