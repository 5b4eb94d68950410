"""The only JSON coder of the SDK: whole answers, and long arrays while they download. No I/O.

The calls and the dialects name the type of an answer, the transport has its bytes. A decoder is built once
for each type. An answer that does not fit its type is read a second time by `forgiving`, and an array that is
too long to hold is read by `json_arrays`.

Every error of decoding is a `msgspec.DecodeError`; its subclass `msgspec.ValidationError` means that the JSON
is valid and its shape is not.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property, partial
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast, get_args, get_origin

import msgspec
from msgspec import inspect

from trmm_async import forgiving
from trmm_async.forgiving import aware, from_epoch, http_date, instant, shifted, utc
from trmm_async.json_arrays import ArrayDecoder, index_in_body
from trmm_async.plaintext import log_of

__all__ = [
    "LARGE",
    "AnyDecoder",
    "DecodeFailure",
    "Decoder",
    "ListDecoder",
    "PairedDecoder",
    "array_decoder",
    "aware",
    "decoder",
    "encode",
    "exact",
    "from_epoch",
    "http_date",
    "instant",
    "listed",
    "shifted",
    "utc",
]

T = TypeVar("T")
U = TypeVar("U")
Body: TypeAlias = bytes | bytearray | memoryview

LARGE: Final = 1 << 18
"""Bytes of a batch for arrays that are held as a whole in the end: a little faster than small batches."""

_AGAIN_MOST: Final = 1 << 22
"""Bytes up to which an answer of wrong shape is read a second time, which takes a fraction of a second."""

_LOG: Final = log_of("codec")


def _plain(value: object) -> object:
    """Encode a hidden text as its text. From here on it is the body that must be hidden."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


_encoder = msgspec.json.Encoder(enc_hook=_plain)


def encode(obj: object) -> bytes:
    """Encode builtins, Structs, dataclasses, datetimes and enums as compact UTF-8 JSON.

    Raises `TypeError` for an object that has no JSON form.
    """
    return _encoder.encode(obj)


class Decoder(Generic[T]):
    """Decodes a whole JSON body as a `T`. `decoder` keeps one for each type."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._item = get_args(kind)[0] if get_origin(kind) is list else None

    # Both are built on first use: hundreds of decoders are declared on import, and a program needs a few.
    @cached_property
    def _strict(self) -> "msgspec.json.Decoder[T]":
        _check_times(inspect.type_info(self._kind), set())
        return msgspec.json.Decoder(self._kind)

    @cached_property
    def _has_extra(self) -> bool:
        return forgiving.has_extra(self._kind)  # type: ignore[arg-type] # a type is hashable

    @property
    def rows(self) -> "Callable[[], ArrayDecoder[Any]] | None":
        """Makes a reader of the same list while it downloads; None if the type is no list."""
        return None if self._item is None else partial(array_decoder, self._item, batch=LARGE)

    def __call__(self, body: Body) -> T:
        """Decode `body`. If it does not fit the type, decode it again, field by field (see `forgiving`).

        Then an optional field whose value does not fit has its default (nearly always None), and the value is
        in `extra`. A null counts as absent. This is logged once for each answer. A time without a zone is
        UTC. A large list is read again piece by piece, any other answer only up to 4 MiB.

        Raises `msgspec.ValidationError` if a required field, such as an id, is missing or does not fit, and
        `msgspec.DecodeError` for everything else: bad syntax, nesting beyond the interpreter's limit.
        """
        return self._decoded(body, self._piecemeal, 0)

    def at_once(self, body: Body, before: int = 0) -> T:
        """Decode a part of a list without dividing it further; `before` elements of the list came earlier."""
        return self._decoded(body, self._forgiving, before)

    def _decoded(self, body: Body, again: Callable[[Body, int], T], before: int) -> T:
        try:
            # A key `extra` in the answer is put into our `extra`, and must not be taken for all of it.
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
        reader = array_decoder(self._item, batch=LARGE)
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
            first = index_in_body(odd.first, before)
            _LOG.warning("%d odd values in an answer are left out, the first: %s", odd.count, first)
        return found


def _check_times(info: object, seen: set[object]) -> None:
    """Refuse types with times that may have no zone: they can't be compared with ours."""
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

    That first use raises `TypeError` for a type that msgspec can't decode.
    """
    return _built(kind)  # type: ignore[arg-type] # a type is hashable


def array_decoder(item: Any, *, batch: int = 1 << 15) -> ArrayDecoder[Any]:
    """A reader of one array of these elements while it downloads; see `ArrayDecoder`."""
    whole: Decoder[list[Any]] = decoder(list[item])
    return ArrayDecoder(whole.at_once, batch=batch)


DecodeFailure = msgspec.DecodeError
"""What `exact` raises, for modules that must not import msgspec."""


def exact(kind: type[T], text: str | bytes) -> T:
    """Decode a text that we have written ourselves, as it is: a value that is left out changes its meaning.

    Raises as a `Decoder` does.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (UnicodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error


class ListDecoder(Generic[T]):
    """Decodes a list and converts it: a call's decoder, and by `rows` the same while the list downloads.

    A long answer is read in pieces, so that the event loop can run other tasks between them. So a list that
    may be long is read by one of these, or by a `Decoder` itself.

    Args:
        kind: the type of the elements as they are sent.
        many: converts some elements.
        whole: converts the whole list of converted elements into a `T`; None: the list is the `T`.
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
        """A decoder of the same elements, with another conversion of the whole list."""
        return ListDecoder(self._kind, self._many, whole)

    def at_once(self, body: Body) -> T:
        """Decode a list that is a part of another answer; see `Decoder.at_once`."""
        return self._whole(self._many(self._list.at_once(body)))

    @property
    def _list(self) -> Decoder[list[Any]]:
        kind = self._kind
        return decoder(list[kind])  # type: ignore[valid-type]

    def rows(self, batch: int = LARGE) -> "_RowReader":
        """Makes a reader of the same list while it downloads."""
        return _RowReader(array_decoder(self._kind, batch=batch), self._many, self._whole)


def listed(
    kind: Any, each: Callable[[Any], object], whole: Callable[[list[Any]], T] | None = None
) -> ListDecoder[T]:
    """The decoder of a list whose elements are converted one by one."""
    return ListDecoder(kind, partial(_made, each), whole)


def _made(each: Callable[[Any], object], rows: list[Any]) -> list[Any]:
    return [each(row) for row in rows]


def _as_it_is(rows: list[Any]) -> list[Any]:
    return rows


class PairedDecoder(ListDecoder[list[T]]):
    """The decoder of a list of which each element is made of two: the typed one, and all its fields by name.

    For elements that may have fields which only the server knows.
    """

    def __init__(self, kind: Any, each: Callable[[Any, Mapping[str, Any]], T]) -> None:
        self._pairs = partial(_Pairs, kind, each)
        super().__init__(msgspec.Raw, self._at_once)

    def rows(self, batch: int = LARGE) -> "_RowReader":
        """Makes a reader of the same list while it downloads."""
        return _RowReader(array_decoder(msgspec.Raw, batch=batch), self._pairs(), _as_it_is)

    def _at_once(self, rows: list[Any]) -> list[Any]:
        return self._pairs()(rows)


class _Pairs:
    """Decodes raw elements, some at a time, and counts them for the index in an error."""

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
            raise type(error)(index_in_body(str(error), self._before)) from error
        self._before += len(rows)
        return [self._each(*pair) for pair in zip(sent, columns, strict=True)]


class _RowReader:
    """A `calls.RowReader` that converts the elements."""

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
    # In pieces: a body may be large, and its first bytes nearly always say it.
    return all(not bytes(body[at : at + 64]).strip() for at in range(0, len(body), 64))


class AnyDecoder:
    """Decodes any JSON, and no body as None. A list is read in pieces, as by `ListDecoder`."""

    def __call__(self, body: Body) -> Any:
        """Decode a whole body. Raises as a `Decoder` does."""
        return None if _is_blank(body) else decoder(object)(body)

    def rows(self) -> "_AnyReader":
        """Makes a reader while it downloads."""
        return _AnyReader(self)


class _AnyReader:
    """A `calls.RowReader` of any JSON: the elements of a list, or one value once its body is whole."""

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
        self._array = array_decoder(object, batch=LARGE)
        return self._array.feed(bytes(self._begun))

    def finish(self) -> list[Any]:
        return [self._decode(self._begun)] if self._array is None else self._array.finish()

    def whole(self, rows: list[Any]) -> Any:
        return rows[0] if self._array is None else rows
