"""What the views of the stock API share: reading a body as the server does, and its kinds of refusals.

Below: `replies.py`. Above: every other module here. Pure.

The server reads most bodies by hand, so that a missing key is an exception there and a 500 page for the
client; what a serializer reads is answered 400 with the field's name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn, Protocol
from urllib.parse import parse_qsl

from trmm_async.testing.replies import AnsweredError, HTTPReply, RefusedError, html_reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trmm_async.testing.replies import Asked
    from trmm_async.testing.routing import Route

__all__ = ["Fields", "Json", "View", "crash", "invalid", "refuse", "said", "whole"]

Json = dict[str, object]


class View(Protocol):
    """One part of the API. It is made from a `Backend`."""

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        ...


def said(payload: object) -> HTTPReply:
    """Answer 200 with this value, which is a sentence for most writes."""
    return json_reply(200, payload)


def crash() -> NoReturn:
    """Answer as the server does after an exception: with its 500 page."""
    raise AnsweredError(html_reply(500))


def refuse(words: str) -> NoReturn:
    """Answer 400 with a bare string."""
    raise AnsweredError(json_reply(400, words))


def invalid(**errors: str) -> NoReturn:
    """Answer 400 with what is wrong with each field; `non_field_errors` is about all of them."""
    raise AnsweredError(json_reply(400, {name: [words] for name, words in errors.items()}))


def whole(value: object) -> int:
    """Return a number, from digits too; anything else crashes the server."""
    if not isinstance(value, int | float | str):
        crash()
    try:
        return int(value)
    except ValueError:
        crash()


class Fields:
    """The body of a request. Asking for a key that is not there crashes the server; `get` does not."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    @classmethod
    def of(cls, asked: Asked) -> Fields:
        """Read a body, JSON or a form: 415 for any other type, 400 for broken JSON.

        No body at all is an empty one. Anything but an object crashes the server, here as there.
        """
        row = asked.row
        kind = row.headers.get("content-type", "")
        bare = kind.partition(";")[0].strip().lower()
        if not row.body:
            return cls({})
        if bare == "application/x-www-form-urlencoded":
            return cls(dict(parse_qsl(row.body.decode(errors="replace"), keep_blank_values=True)))
        if bare != "application/json":
            raise RefusedError(415, f'Unsupported media type "{kind}" in request.')
        try:
            fields = json.loads(row.body)
        except ValueError as error:
            raise RefusedError(400, f"JSON parse error - {error}") from None
        return cls(fields) if isinstance(fields, Mapping) else crash()

    def __getitem__(self, name: str) -> object:
        return self._fields[name] if name in self._fields else crash()

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def get(self, name: str, default: object = None) -> object:
        """Return a value, or `default` where the key is missing."""
        return self._fields.get(name, default)

    def plain(self) -> Json:
        """Return all of it, to be changed at will."""
        return dict(self._fields)

    def whole(self, name: str) -> int:
        """Return a number that must be there."""
        return whole(self[name])

    def inner(self, name: str) -> Fields:
        """Return an object within the body."""
        value = self[name]
        return Fields(value) if isinstance(value, Mapping) else crash()

    def rows(self, name: str) -> list[Fields]:
        """Return the objects of a list within the body; an absent list has none."""
        value = self.get(name, [])
        if not isinstance(value, list):
            crash()
        return [Fields(each) if isinstance(each, Mapping) else crash() for each in value]
