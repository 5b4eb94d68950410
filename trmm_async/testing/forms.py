"""Checking bodies as the serializers of Django REST framework do, in their words.

Below: `replies.py`. Above: the dialects. Pure. A `Field` says how one value is read. A `Form` checks field by
field, and answers all that is wrong together (400), as stock serializers do; a `BodyFields` is asked field by
field, and says no to the first that is wrong, as a gateway does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .replies import AnsweredError, RefusedError, json_reply

if TYPE_CHECKING:
    from collections.abc import Container

    from .ledger import Request
    from .stock.view import Fields

__all__ = ["BodyFields", "Field", "Form", "no_match", "optional_integer", "wrong"]

T = TypeVar("T")

FORMATS = "YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]"
TRUE = ("true", "True", "1", 1, "on", "yes", True)
FALSE = ("false", "False", "0", 0, "off", "no", False)


def wrong(words: object) -> AnsweredError:
    """Return the error that ends a request with 400 and a JSON value."""
    return AnsweredError(json_reply(400, words))


def no_match(model: str) -> AnsweredError:
    """Return the error for something that is not there, by the name of the server's model."""
    return AnsweredError(json_reply(404, {"detail": f"No {model} matches the given query."}))


class InvalidError(Exception):
    """A value that a field does not take; the first argument says so in the server's words.

    Of a list they are by the places of what is wrong in it.
    """


@dataclass(frozen=True, slots=True)
class Field(Generic[T]):
    """One field of a model: how a value is read, what it is without one, and whether it may be null."""

    read: Callable[[object], T]
    default: object = None
    null: bool = False
    required: bool = False

    @staticmethod
    def text(
        default: str | None = None,
        *,
        limit: int | None = None,
        blank: bool = False,
        required: bool = False,
    ) -> Field[str]:
        """Words; with a default of None they may be null unless they are required."""

        def read(value: object) -> str:
            if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                raise InvalidError("Not a valid string.")
            words = str(value)
            if not words.strip() and not blank:
                raise InvalidError("This field may not be blank.")
            if limit is not None and len(words) > limit:
                msg = f"Ensure this field has no more than {limit} characters."
                raise InvalidError(msg)
            return words

        return Field(read, default, null=default is None and not required, required=required)

    @staticmethod
    def number(default: int | None = None, *, low: int | None = None, high: int | None = None) -> Field[int]:
        """A whole number, also as a string of digits."""

        def read(value: object) -> int:
            try:
                number = int(str(value))
            except ValueError:
                raise InvalidError("A valid integer is required.") from None
            if low is not None and number < low:
                msg = f"Ensure this value is greater than or equal to {low}."
                raise InvalidError(msg)
            if high is not None and number > high:
                msg = f"Ensure this value is less than or equal to {high}."
                raise InvalidError(msg)
            return number

        return Field(read, default, null=default is None)

    @staticmethod
    def flag(default: bool | None = False) -> Field[bool]:
        """True or false, in any of the spellings that Django knows."""

        def read(value: object) -> bool:
            if isinstance(value, (str, int)) and value in TRUE:
                return True
            if isinstance(value, (str, int)) and value in FALSE:
                return False
            raise InvalidError("Must be a valid boolean.")

        return Field(read, default, null=default is None)

    @staticmethod
    def choice(options: Container[str], default: str | None = None) -> Field[str]:
        """One of several words."""

        def read(value: object) -> str:
            if not isinstance(value, str) or value not in options:
                msg = f'"{value}" is not a valid choice.'
                raise InvalidError(msg)
            return value

        return Field(read, default, null=default is None)

    @staticmethod
    def option(options: Container[int], default: int) -> Field[int]:
        """One of several numbers."""

        def read(value: object) -> int:
            if isinstance(value, bool) or not isinstance(value, int) or value not in options:
                msg = f'"{value}" is not a valid choice.'
                raise InvalidError(msg)
            return value

        return Field(read, default)

    @staticmethod
    def many(*, default: list[object] | None = None, of: Field[Any] | None = None) -> Field[list[object]]:
        """A list of words or numbers, whichever they are, or each as a field; what is wrong says where."""

        def read(value: object) -> list[object]:
            if not isinstance(value, list):
                msg = f'Expected a list of items but got type "{type(value).__name__}".'
                raise InvalidError(msg)
            if of is None:
                return list(value)
            found: list[object] = []
            faults: dict[str, list[str]] = {}
            for place, each in enumerate(value):
                try:
                    found.append(of.read(each))
                except InvalidError as fault:
                    faults[str(place)] = [str(fault)]
            if faults:
                raise InvalidError(faults)
            return found

        return Field(read, [] if default is None else default, null=True)

    @staticmethod
    def key(known: Callable[[int], bool], *, required: bool = False) -> Field[int]:
        """The id of something that exists, or null unless it is required."""

        def read(value: object) -> int:
            if isinstance(value, bool) or not str(value).isdecimal():
                msg = f"Incorrect type. Expected pk value, received {type(value).__name__}."
                raise InvalidError(msg)
            if not known(int(str(value))):
                msg = f'Invalid pk "{value}" - object does not exist.'
                raise InvalidError(msg)
            return int(str(value))

        return Field(read, null=not required, required=required)

    @staticmethod
    def keys(known: Callable[[int], bool]) -> Field[list[int]]:
        """The ids of several things that exist."""
        one = Field.key(known)

        def read(value: object) -> list[int]:
            return [one.read(each) for each in Field.many().read(value)]

        return Field(read, [])

    @staticmethod
    def numbers() -> Field[list[object]]:
        """Whole numbers; what is wrong says where."""
        return Field(Field.many(of=Field.number(0)).read, [])

    @staticmethod
    def clock() -> Field[str]:
        """A time of day, with its seconds."""

        def read(value: object) -> str:
            try:
                return time.fromisoformat(str(value)).isoformat()
            except ValueError:
                msg = "Time has wrong format. Use one of these formats instead: hh:mm[:ss[.uuuuuu]]."
                raise InvalidError(msg) from None

        return Field(read)

    @staticmethod
    def moment() -> Field[str]:
        """A time, which comes out as the server writes it; without an offset it is UTC."""

        def read(value: object) -> str:
            try:
                when = datetime.fromisoformat(str(value))
                aware = when if when.tzinfo else when.replace(tzinfo=UTC)
                return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
            except (ValueError, OverflowError):
                msg = f"Datetime has wrong format. Use one of these formats instead: {FORMATS}."
                raise InvalidError(msg) from None

        return Field(read, null=True)

    @staticmethod
    def email() -> Field[str]:
        """An address of mail, or null."""

        def read(value: object) -> str:
            if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", str(value)) is None:
                raise InvalidError("Enter a valid email address.")
            return str(value)

        return Field(read, null=True)

    @staticmethod
    def anything(default: object = None) -> Field[object]:
        """Any JSON value."""
        return Field(lambda value: value, default, null=True)


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a model by name, and what may be said of all of them together."""

    fields: Mapping[str, Field[Any]]

    def read(self, given: Fields | Mapping[str, object], *, partial: bool = False) -> dict[str, object]:
        """Return what was given and is known, each value as it is stored; 400 names all that is wrong.

        With `partial` nothing has to be there. Fields that the model does not have are ignored.
        """
        found: dict[str, object] = {}
        faults: dict[str, object] = {}
        for name, field in self.fields.items():
            if name not in given:
                if field.required and not partial:
                    faults[name] = ["This field is required."]
                continue
            try:
                found[name] = _value(field, given[name])
            except InvalidError as fault:
                words = fault.args[0]
                faults[name] = words if isinstance(words, dict) else [words]
        if faults:
            raise wrong(faults)
        return found

    def without(self, *names: str) -> Form:
        """Return the same model without some of its fields, as an older release has it."""
        return Form({name: field for name, field in self.fields.items() if name not in names})

    def blank(self) -> dict[str, object]:
        """Return what every field is where nothing was given."""
        return {name: _fresh(field.default) for name, field in self.fields.items()}


def _value(field: Field[Any], value: object) -> object:
    if value is None:
        if not field.null:
            raise InvalidError("This field may not be null.")
        return None
    return field.read(value)


def _fresh(default: object) -> object:
    return list(default) if isinstance(default, list) else default


class BodyFields:
    """The fields of a JSON object, each read by name and type.

    Every reader raises `RefusedError` 400 that names the field it could not read. Fields that nobody asks for
    are ignored, as Django REST framework does.
    """

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    @classmethod
    def of(cls, row: Request) -> BodyFields:
        """Read the body of a request. 415 if it does not say that it is JSON, 400 if it is not an object."""
        kind = row.headers.get("content-type", "")
        if kind.partition(";")[0].strip().lower() != "application/json":
            raise RefusedError(415, f'Unsupported media type "{kind}" in request.')
        try:
            fields = json.loads(row.body)
        except ValueError as error:
            raise RefusedError(400, f"JSON parse error - {error}") from None
        if not isinstance(fields, Mapping):
            raise RefusedError(400, "Invalid data. Expected a dictionary.")
        return cls(fields)

    def _read(self, name: str, field: Field[T]) -> T:
        if name not in self._fields:
            raise RefusedError(400, f"{name}: This field is required.")
        if (value := self._fields[name]) is None:
            raise RefusedError(400, f"{name}: This field may not be null.")
        read = _checked(name, field, value)
        # A serializer takes "3" for 3. A gateway does not, so that a client who mixes them up is found out.
        if type(read) is not type(value) or read != value:
            raise RefusedError(400, f"{name}: Has the wrong type.")
        return read

    def integer(self, name: str, low: int | None = None, high: int | None = None) -> int:
        """Return a whole number between `low` and `high`, both included."""
        return self._read(name, Field.number(low=low, high=high))

    def key(self, name: str, known: Container[int]) -> int:
        """Return the id of something that exists."""
        return self._read(name, Field.key(known.__contains__))

    def text(self, name: str, *, default: str | None = None) -> str:
        """Return words; without a `default` the field must be there and must not be empty."""
        if default is not None and name not in self._fields:
            return default
        return self._read(name, Field.text(blank=default is not None))

    def choice(self, name: str, options: Container[str]) -> str:
        """Return one of several words."""
        return self._read(name, Field.choice(options))

    def words(self, name: str) -> tuple[str, ...]:
        """Return a list of words."""
        word = Field.text(blank=True)
        return tuple(self._read(name, Field(lambda value: [*map(word.read, Field.many().read(value))])))

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        return self._read(name, Field.flag()) if name in self._fields else default

    def moment(self, name: str) -> float:
        """Return a time, in seconds since the epoch, from ISO 8601 with an offset."""
        text = self.text(name)
        when = _checked(name, Field.moment(), text)
        if datetime.fromisoformat(text).tzinfo is None:
            raise RefusedError(400, f"{name}: Datetime needs an offset, such as Z.")
        return datetime.fromisoformat(when).timestamp()


def _checked(name: str, field: Field[T], value: object) -> T:
    try:
        return field.read(value)
    except InvalidError as fault:
        raise RefusedError(400, f"{name}: {fault}") from None


def optional_integer(query: Mapping[str, str], name: str) -> int | None:
    """Return a number from a query string, None if it is not there; `RefusedError` 400 if it is no number."""
    if name not in query:
        return None
    try:
        return int(query[name])
    except ValueError:
        raise RefusedError(400, f"{name}: Enter a number.") from None
