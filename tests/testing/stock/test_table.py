"""Rows of the stock server's database."""

from __future__ import annotations

import json

import pytest

from tests.testing.kit import Clock
from trmm_async.testing.forms import Field, Form
from trmm_async.testing.replies import AnsweredError, iso
from trmm_async.testing.stock.table import Table

FORM = Form({"name": Field.text("", limit=5, required=True), "tags": Field.many()})


def _table(clock: Clock | None = None) -> Table:
    return Table("Thing", FORM, clock or Clock(), first=7)


def test_a_row_has_a_number_its_columns_and_who_made_and_changed_it() -> None:
    clock = Clock()
    table = _table(clock)
    made = iso(clock.now)
    row = table.create({"name": "a", "unknown": 1}, "eve")
    stamps = {"created_by": "eve", "created_time": made, "modified_by": "eve", "modified_time": made}
    assert row == {"id": 7, **stamps, "name": "a", "tags": row["tags"]}
    assert row["tags"] is not table.create({"name": "b"}, "eve")["tags"]
    clock.now += 60
    table.update("7", {"tags": ["x"]}, "ann")
    assert (row["name"], row["tags"]) == ("a", ["x"])
    assert (row["created_by"], row["created_time"]) == ("eve", made)
    assert (row["modified_by"], row["modified_time"]) == ("ann", iso(clock.now))


def test_one_of_no_importance_has_no_such_columns() -> None:
    table = Table("Thing", FORM, Clock(), audited=False)
    row = table.create({"name": "a"}, "eve")
    assert table.change(row, {"name": "b"}, "ann") is row
    assert row == {"id": 1, "name": "b", "tags": row["tags"]}


def test_numbers_are_given_once() -> None:
    table = _table()
    assert table.add({}, number=99)["id"] == 99
    first = table.add({})
    table.remove(first["id"])  # type: ignore[arg-type]
    assert table.add({})["id"] == 8
    assert (7 in table, 8 in table, 99 in table) == (False, True, True)


def test_rows_can_be_removed_while_they_are_walked_through() -> None:
    table = _table()
    for _ in range(3):
        table.add({})
    assert [table.remove(int(str(row["id"])))["id"] for row in table] == [7, 8, 9]
    assert list(table) == []


def test_what_is_not_there_is_404_in_the_words_of_the_model() -> None:
    for ask in (_table().get, _table().remove, lambda number: _table().update(number, {}, "eve")):
        with pytest.raises(AnsweredError) as caught:
            ask(5)
        assert caught.value.reply.status == 404
        assert json.loads(caught.value.reply.body) == {"detail": "No Thing matches the given query."}


def test_what_is_wrong_is_not_stored() -> None:
    table = _table()
    row = table.create({"name": "a"}, "eve")
    for given in ({"name": "too long"}, {"name": None}):
        with pytest.raises(AnsweredError):
            table.update(7, given, "eve")
        with pytest.raises(AnsweredError):
            table.create(given, "eve")
    with pytest.raises(AnsweredError):
        table.create({}, "eve", partial=False)
    assert list(table) == [row]
    assert row["name"] == "a"
