"""Rows of the stock server's database, as plain dicts of what its JSON shows.

Below: `forms.py` checks what comes in. Above: the views that have such things. Pure: the clock is handed in.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from trmm_async.testing.forms import no_match
from trmm_async.testing.replies import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from trmm_async.testing.forms import Form

    from .view import Fields

__all__ = ["Row", "Table"]

Row = dict[str, object]
"""One row, by the names of its columns."""


class Table:
    """Things of one kind by their ids.

    `model` is what the server calls them when one is not found. With `audited` a row has its four columns of
    who made and changed it, and when.
    """

    def __init__(
        self, model: str, form: Form, clock: Callable[[], float], *, first: int = 1, audited: bool = True
    ) -> None:
        self.model = model
        self.form = form
        self._clock = clock
        self._numbers = count(first)
        self._audited = audited
        self.rows: dict[int, Row] = {}

    def __iter__(self) -> Iterator[Row]:
        return iter(list(self.rows.values()))

    def __contains__(self, number: int) -> bool:
        return number in self.rows

    def get(self, number: int | str) -> Row:
        """Return a row; 404 in the server's words if there is none."""
        row = self.rows.get(int(number))
        if row is None:
            raise no_match(self.model)
        return row

    def add(self, values: Mapping[str, object], user: str | None = None, number: int | None = None) -> Row:
        """Add a row and return it; `user` made it, or nobody, at the beginning."""
        key = next(self._numbers) if number is None else number
        now = iso(self._clock())
        stamps = {"created_by": user, "created_time": now, "modified_by": user, "modified_time": now}
        row = {"id": key, **(stamps if self._audited else {}), **self.form.blank(), **values}
        self.rows[key] = row
        return row

    def create(self, given: Fields | Mapping[str, object], user: str, *, partial: bool = True) -> Row:
        """Add what a client gave; 400 says what is wrong with it."""
        return self.add(self.form.read(given, partial=partial), user)

    def change(self, row: Row, values: Mapping[str, object], user: str) -> Row:
        """Change some values of a row."""
        row.update(values)
        if self._audited:
            row.update(modified_by=user, modified_time=iso(self._clock()))
        return row

    def update(self, number: int | str, given: Fields | Mapping[str, object], user: str) -> Row:
        """Change a row as a client wants it: only what was given."""
        row = self.get(number)
        return self.change(row, self.form.read(given, partial=True), user)

    def remove(self, number: int | str) -> Row:
        """Remove a row and return it as it was."""
        row = self.get(number)
        del self.rows[int(number)]
        return row
