"""Checking bodies as the serializers of Django REST framework do, in their words.

Below: `room.py` has read the body by then. Above: `table.py` and the rooms that have tables. Pure. A
serializer checks field by field, and answers all that is wrong together (400).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trmm_async.testing.replies import AnsweredError, json_reply

if TYPE_CHECKING:
    from collections.abc import Container

    from .room import Fields

__all__ = ["Field", "Form", "no_match", "wrong"]

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
    """A value that a field does not take; the first argument says so in the server's words."""


Reader = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a model: how a value is read, what it is without one, and whether it may be null."""

    read: Reader
    default: object = None
    null: bool = False
    required: bool = False

    @classmethod
    def text(
        cls,
        default: str | None = None,
        *,
        limit: int | None = None,
        blank: bool = False,
        required: bool = False,
    ) -> Field:
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

        return cls(read, default, null=default is None and not required, required=required)

    @classmethod
    def number(cls, default: int | None = None, *, low: int | None = None, high: int | None = None) -> Field:
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

        return cls(read, default, null=default is None)

    @classmethod
    def flag(cls, default: bool | None = False) -> Field:
        """True or false, in any of the spellings that Django knows."""

        def read(value: object) -> bool:
            if isinstance(value, (str, int)) and value in TRUE:
                return True
            if isinstance(value, (str, int)) and value in FALSE:
                return False
            raise InvalidError("Must be a valid boolean.")

        return cls(read, default, null=default is None)

    @classmethod
    def choice(cls, options: Container[str], default: str | None = None) -> Field:
        """One of several words."""

        def read(value: object) -> object:
            if not isinstance(value, str) or value not in options:
                msg = f'"{value}" is not a valid choice.'
                raise InvalidError(msg)
            return value

        return cls(read, default, null=default is None)

    @classmethod
    def many(cls, *, default: list[object] | None = None) -> Field:
        """A list of words or numbers, whichever they are."""

        def read(value: object) -> list[object]:
            if not isinstance(value, list):
                msg = f'Expected a list of items but got type "{type(value).__name__}".'
                raise InvalidError(msg)
            return list(value)

        return cls(read, [] if default is None else default, null=True)

    @classmethod
    def key(cls, known: Callable[[int], bool]) -> Field:
        """The id of something that exists, or null."""

        def read(value: object) -> int:
            if isinstance(value, bool) or not str(value).isdecimal():
                msg = f"Incorrect type. Expected pk value, received {type(value).__name__}."
                raise InvalidError(msg)
            if not known(int(str(value))):
                msg = f'Invalid pk "{value}" - object does not exist.'
                raise InvalidError(msg)
            return int(str(value))

        return cls(read, null=True)

    @classmethod
    def moment(cls) -> Field:
        """A time, which comes out as the server writes it; without an offset it is UTC."""

        def read(value: object) -> str:
            try:
                when = datetime.fromisoformat(str(value))
            except ValueError:
                msg = f"Datetime has wrong format. Use one of these formats instead: {FORMATS}."
                raise InvalidError(msg) from None
            aware = when if when.tzinfo else when.replace(tzinfo=UTC)
            return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")

        return cls(read, null=True)

    @classmethod
    def anything(cls, default: object = None) -> Field:
        """Any JSON value."""
        return cls(lambda value: value, default, null=True)


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a model by name, and what may be said of all of them together."""

    fields: Mapping[str, Field]

    def read(self, given: Fields | Mapping[str, object], *, partial: bool = False) -> dict[str, object]:
        """Return what was given and is known, each value as it is stored; 400 names all that is wrong.

        With `partial` nothing has to be there. Fields that the model does not have are ignored.
        """
        found: dict[str, object] = {}
        faults: dict[str, list[str]] = {}
        for name, field in self.fields.items():
            if name not in given:
                if field.required and not partial:
                    faults[name] = ["This field is required."]
                continue
            try:
                found[name] = _value(field, given[name])
            except InvalidError as fault:
                faults[name] = [str(fault)]
        if faults:
            raise wrong(faults)
        return found

    def blank(self) -> dict[str, object]:
        """Return what every field is where nothing was given."""
        return {name: _fresh(field.default) for name, field in self.fields.items()}


def _value(field: Field, value: object) -> object:
    if value is None:
        if not field.null:
            raise InvalidError("This field may not be null.")
        return None
    return field.read(value)


def _fresh(default: object) -> object:
    return list(default) if isinstance(default, list) else default
