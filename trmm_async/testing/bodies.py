"""Reading what a client sent: JSON bodies and query strings, each field checked and named when it is wrong.

Below: `replies.py`. Above: the dialects. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from .replies import RefusedError

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from .ledger import Request

__all__ = ["Body", "optional_integer"]


class Body:
    """The fields of a JSON object, each read by name and type.

    Every reader raises `RefusedError` 400 that names the field it could not read. Fields that nobody asks for
    are ignored, as Django REST framework does.
    """

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    @classmethod
    def of(cls, row: Request) -> Body:
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

    def _required(self, name: str) -> object:
        if name not in self._fields:
            raise RefusedError(400, f"{name}: This field is required.")
        return self._fields[name]

    def integer(self, name: str, low: int | None = None, high: int | None = None) -> int:
        """Return a whole number between `low` and `high`, both included."""
        value = self._required(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise RefusedError(400, f"{name}: A valid integer is required.")
        if low is not None and value < low:
            raise RefusedError(400, f"{name}: Ensure this value is greater than or equal to {low}.")
        if high is not None and value > high:
            raise RefusedError(400, f"{name}: Ensure this value is less than or equal to {high}.")
        return value

    def key(self, name: str, known: Container[int]) -> int:
        """Return the id of something that exists."""
        value = self.integer(name)
        if value not in known:
            raise RefusedError(400, f'{name}: Invalid pk "{value}" - object does not exist.')
        return value

    def text(self, name: str, *, default: str | None = None) -> str:
        """Return words; without a `default` the field must be there and must not be empty."""
        value = self._required(name) if default is None else self._fields.get(name, default)
        if not isinstance(value, str):
            raise RefusedError(400, f"{name}: Not a valid string.")
        if default is None and not value.strip():
            raise RefusedError(400, f"{name}: This field may not be blank.")
        return value

    def choice(self, name: str, options: Sequence[str]) -> str:
        """Return one of several words."""
        value = self._required(name)
        if not isinstance(value, str) or value not in options:
            raise RefusedError(400, f'{name}: "{value}" is not a valid choice.')
        return value

    def words(self, name: str) -> tuple[str, ...]:
        """Return a list of words."""
        value = self._required(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise RefusedError(400, f"{name}: Expected a list of strings.")
        return tuple(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._fields.get(name, default)
        if not isinstance(value, bool):
            raise RefusedError(400, f"{name}: Must be a valid boolean.")
        return value

    def moment(self, name: str) -> float:
        """Return a time, in seconds since the epoch, from ISO 8601 with an offset."""
        try:
            value = datetime.fromisoformat(self.text(name))
        except ValueError:
            raise RefusedError(400, f"{name}: Datetime has wrong format, ISO 8601 is wanted.") from None
        if value.tzinfo is None:
            raise RefusedError(400, f"{name}: Datetime needs an offset, such as Z.")
        return value.timestamp()


def optional_integer(query: Mapping[str, str], name: str) -> int | None:
    """Return a number from a query string, None if it is not there; `RefusedError` 400 if it is no number."""
    if name not in query:
        return None
    try:
        return int(query[name])
    except ValueError:
        raise RefusedError(400, f"{name}: Enter a number.") from None
