"""Decodes an answer field by field, so that one odd value costs only itself. Pure.

`codec` uses it for an answer that msgspec refused as a whole. An optional field whose value does not fit has
its default, and the value is kept in `extra` of its Struct (or of the next one around it that has an
`extra`). Only fields without a default must fit.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache, partial
from types import UnionType
from typing import Annotated, Any, Final, TypeAlias, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import inspect

from trmm_async.models import EXTRA, Extra

__all__ = [
    "Odd",
    "aware",
    "cleaned",
    "from_epoch",
    "has_extra",
    "http_date",
    "instant",
    "names_extra",
    "read",
    "shifted",
    "utc",
]

T = TypeVar("T")
Body: TypeAlias = bytes | bytearray | memoryview

_raw_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_array: Final = msgspec.json.Decoder(list[msgspec.Raw])
_strict: Final[Callable[[Any], msgspec.json.Decoder[Any]]] = cache(msgspec.json.Decoder)
_fields: Final = cache(msgspec.structs.fields)

_EXTRA_NAMED: Final = b'"%b"' % EXTRA.encode()
_ESCAPES: Final = re.compile(
    rb"\\u[dD][89aAbB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"  # half of one
    rb"|\\.",
    re.DOTALL,
)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_NO_NUMBERS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|(-?Infinity|NaN)', re.DOTALL)


@cache
def has_extra(kind: Any) -> bool:
    """Whether there is a Struct with the field `extra` in this type."""
    return _holds_extra(inspect.type_info(kind), set())


def _holds_extra(info: Any, seen: set[type]) -> bool:
    if isinstance(info, tuple):
        return any(_holds_extra(part, seen) for part in info)
    if isinstance(info, inspect.StructType):
        if info.cls in seen:
            return False
        seen.add(info.cls)
        if any(field.name == EXTRA for field in info.fields):
            return True
    if not isinstance(info, inspect.Type | inspect.Field):
        return False
    return any(_holds_extra(getattr(info, name), seen) for name in info.__struct_fields__)


def names_extra(body: Body) -> bool:
    """Whether the body has a key "extra". Quotes within a text have backslashes, so a text does not count."""
    return _EXTRA_NAMED in (body if isinstance(body, bytes | bytearray) else bytes(body))


class Odd:
    """The values of one answer that did not fit: how many, and what is wrong with the first."""

    def __init__(self) -> None:
        self.count: int = 0
        self.first: str = ""

    def note(self, error: msgspec.ValidationError) -> None:
        """Count one more value."""
        self.count += 1
        self.first = self.first or str(error)


def aware(moment: datetime) -> datetime:
    """A server's time. If it has no time zone, it is UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def shifted(moment: datetime, by: timedelta) -> datetime:
    """An aware time moved by so much, but not beyond the first or last day of the calendar.

    Servers send such times (for many, "never" is the year 1 or 9999), and arithmetic with them overflows.
    """
    try:
        return moment + by
    except OverflowError:
        return min(moment, _FIRST) if by < timedelta() else max(moment, _LAST)


def utc(moment: datetime) -> datetime:
    """An aware time in UTC, but not beyond the first or last day of the calendar."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return _FIRST if moment.year == 1 else _LAST


def instant(moment: datetime, timespec: str = "auto") -> str:
    """An aware time as servers read it: ISO 8601 in UTC, with a `Z`."""
    return utc(moment).isoformat(timespec=timespec).replace("+00:00", "Z")


def from_epoch(seconds: float | None) -> datetime | None:
    """A time given in seconds since 1970; None for 0, and for a number that is no time."""
    try:
        return None if not seconds else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def http_date(text: str) -> datetime | None:
    """The aware time in a header such as `Date`; None if the text is no date."""
    try:
        return aware(parsedate_to_datetime(text))
    except (ValueError, OverflowError):
        return None


def cleaned(body: Body) -> bytes:
    """Replace what is invalid JSON, but is sent by some servers; equal to the body if there is nothing such.

    A byte order mark is dropped, half of a surrogate pair and bad UTF-8 become U+FFFD, and NaN and Infinity
    become texts.
    """
    text = bytes(body).removeprefix(BOM_UTF8)
    try:
        text.decode()
    except UnicodeDecodeError:
        text = text.decode(errors="replace").encode()
    if b"\\ud" in text or b"\\uD" in text:
        text = _ESCAPES.sub(lambda found: b"\\ufffd" if found[1] else found[0], text)
    if b"NaN" in text or b"Infinity" in text:
        text = _NO_NUMBERS.sub(lambda found: b'"%b"' % found[1] if found[1] else found[0], text)
    return text


def read(body: Body, kind: Any, odd: Odd) -> Any:
    """Decode `body` as `kind`. A part that does not fit costs only that part.

    Raises:
        msgspec.ValidationError: a required field is missing or does not fit; the text says where.
        msgspec.DecodeError: the body is no JSON.
    """
    return _read(body, kind, "$", _Rest(odd, "$"))


class _Rest:
    """The values of one object that do not fit, by their places within it. They go into its `extra`."""

    def __init__(self, odd: Odd, base: str) -> None:
        self.odd = odd
        self.values: dict[str, Any] = {}
        self._base = base

    def keep(self, raw: Body, place: str, error: msgspec.ValidationError) -> None:
        """Keep a value that does not fit."""
        self.odd.note(error)
        self.values[place[len(self._base) :].lstrip(".")] = _read(raw, Any, place, self)


def _read(body: Body, kind: Any, place: str, rest: _Rest) -> Any:
    wrong = msgspec.ValidationError()
    try:
        found = _strict(kind).decode(body)
        if not (has_extra(kind) and names_extra(body)):
            return found
    except msgspec.ValidationError as error:
        wrong = _placed(str(error), place)
    in_parts = _by_parts(kind)
    if in_parts is None:
        raise wrong
    return in_parts(body, place, rest, wrong)


_InParts: TypeAlias = Callable[[Body, str, _Rest, msgspec.ValidationError], Any]
"""(body, place, rest, the error of the whole value) -> the value."""


@cache
def _by_parts(kind: Any) -> _InParts | None:
    """The function that reads a value of this type in parts; None if the type has no parts."""
    origin, types = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _time if types[0] is datetime else _by_parts(types[0])
    if origin in {Union, UnionType}:
        return _union([one for one in types if _by_parts(one) is not None])
    if kind in {Any, object}:
        return _anything
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and not kind.__struct_config__.array_like:
        return partial(_struct, kind)
    return _collection(origin, types)


def _collection(origin: Any, types: tuple[Any, ...]) -> _InParts | None:
    if origin is list:
        return partial(_array, types[0])
    if origin is tuple and types[1:] == (...,):
        return lambda *rest: tuple(_array(types[0], *rest))
    if origin in {dict, Mapping} and types[0] is str:
        return partial(_mapping, types[1])
    return None


def _time(body: Body, place: str, rest: _Rest, wrong: msgspec.ValidationError) -> datetime:
    try:
        return aware(_strict(datetime).decode(body))
    except msgspec.ValidationError:
        raise wrong from None


def _union(members: Sequence[Any]) -> _InParts | None:
    if len(members) < 2:
        return _by_parts(members[0]) if members else None

    def by_tag(body: Body, place: str, rest: _Rest, wrong: msgspec.ValidationError) -> Any:
        for member in members:
            if _is_tagged(member, body):
                return _struct(member, body, place, rest, wrong)
        raise wrong

    return by_tag


def _is_tagged(kind: Any, body: Body) -> bool:
    config = getattr(kind, "__struct_config__", None)
    if config is None or config.tag is None:
        return False
    try:
        return bool(_strict(Any).decode(_raw_object.decode(body)[config.tag_field]) == config.tag)
    except (msgspec.ValidationError, KeyError):
        return False


def _array(kind: Any, body: Body, place: str, rest: _Rest, wrong: msgspec.ValidationError) -> list[Any]:
    items = _split(_raw_array, body, wrong)
    return [_read(item, kind, f"{place}[{index}]", rest) for index, item in enumerate(items)]


def _mapping(kind: Any, body: Body, place: str, rest: _Rest, wrong: msgspec.ValidationError) -> Any:
    items = _split(_raw_object, body, wrong)
    return {name: _read(item, kind, f"{place}[...]", rest) for name, item in items.items()}


def _anything(body: Body, place: str, rest: _Rest, wrong: msgspec.ValidationError) -> Any:
    """Read any JSON. A number that no float can hold is returned as its text."""
    text = bytes(body)
    if text[:1] == b"[":
        return _array(Any, body, place, rest, wrong)
    if text[:1] == b"{":
        return _mapping(Any, body, place, rest, wrong)
    return text.decode()


def _struct(kind: Any, body: Body, place: str, rest: _Rest, wrong: msgspec.ValidationError) -> Any:
    sent = _split(_raw_object, body, wrong)
    if kind.__struct_config__.tag is not None and not _is_tagged(kind, body):
        raise wrong
    fields = _fields(kind)
    own = _Rest(rest.odd, place) if any(field.encode_name == EXTRA for field in fields) else rest
    values = {}
    for field in fields:
        raw = sent.get(field.encode_name)
        where = f"{place}.{field.encode_name}"
        if raw is None and field.required:
            raise _placed(f"Object missing required field `{field.encode_name}`", place)
        if raw is None:
            continue
        if field.encode_name == EXTRA:
            own.values[EXTRA] = _read(raw, Any, where, own)
            continue
        try:
            values[field.name] = _read(raw, field.type, where, own)
        except msgspec.ValidationError as error:
            if field.required:
                raise
            # Null counts as absent.
            if bytes(raw) != b"null":
                own.keep(raw, where, error)
    if own is not rest and own.values:
        values["extra"] = Extra(own.values)
    return kind(**values)


def _split(decoder: "msgspec.json.Decoder[T]", body: Body, wrong: msgspec.ValidationError) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise wrong from None


def _placed(text: str, place: str) -> msgspec.ValidationError:
    """The error with its place in the whole answer, not in the part that was read."""
    before, found, after = text.rpartition("`$")
    if not found:
        return msgspec.ValidationError(f"{text} - at `{place}`" if place != "$" else text)
    return msgspec.ValidationError(f"{before}`{place}{after}")
