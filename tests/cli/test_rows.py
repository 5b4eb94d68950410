"""Rows for programs: their fields, their order, and no cell that is a formula."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trmm_async as sdk
from trmm_async.cli.rows import flat, flat_names, harmless, in_order, plain


@given(
    st.dictionaries(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=3))
)
def test_a_flat_row_has_no_lists_and_no_objects(row: dict[str, Any]) -> None:
    assert not [value for value in flat(row).values() if isinstance(value, list | dict)]


@given(st.lists(st.none() | st.integers() | st.text() | st.booleans()))
def test_anything_can_be_sorted(values: list[Any]) -> None:
    for order in ("x", "-x"):
        rows = in_order([{"x": value} for value in values], order)
        assert [row for row in rows if row["x"] is None] == rows[len(rows) - values.count(None) :]


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+1", "-1;=2", "\t=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert harmless([text])[0].startswith("'")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (datetime(2026, 5, 1, tzinfo=UTC), "2026-05-01T00:00:00+00:00"),
        (date(2026, 5, 1), "2026-05-01"),
        ({1: (b"a\xff",)}, {"1": ["hex:61ff"]}),
        (frozenset({3}), [3]),
        (sdk.NotFoundError(404, "gone"), {"type": "NotFoundError", "message": "404: gone"}),
        (sdk.Counts(done=1), {"done": 1, "failed": 0, "unknown": 0, "skipped": 0, "pending": 0}),
        (sdk.SiteRef(id=1, name="x"), {"id": 1, "name": "x"}),
        (1 + 2j, "(1+2j)"),
    ],
)
def test_everything_has_a_form_inas_json_text(value: Any, told: Any) -> None:
    assert plain(value) == told


def test_fields_go_by_their_attributes_names_and_not_by_those_on_the_wire() -> None:
    row = plain(sdk.Agent(agent_id="a", needs_reboot=True))
    assert set(row) == set(sdk.Agent.__struct_fields__)
    assert row["needs_reboot"] is True


def test_has_columns_by_the_type_and_not_by_the_rows() -> None:
    assert "result_retcode" in flat_names(sdk.HistoryEntry, None, hosted=True)
    assert flat_names(sdk.HistoryEntry, ["id", "result"], hosted=True)[:2] == ("id", "result_retcode")
    assert flat_names(sdk.StoredRun, ["counts", "counts.done"], hosted=False)[-1] == "counts.done"
    assert flat_names(("a", "b"), None, hosted=False) == ("a", "b")
    entry = {"before": {"x": [1]}, "client": {"id": 3}}
    assert flat(entry, {"before"}) == {"before": '{"x": [1]}', "client_id": 3}


def test_to_sort_by_are_several_and_what_has_none_comes_last() -> None:
    rows: list[dict[str, Any]] = [
        {"a": 1, "b": None},
        {"a": 2, "b": 1},
        {"a": 1, "b": 5},
        {"a": None, "b": 2},
    ]
    assert [(row["a"], row["b"]) for row in in_order(rows, "a,-b")] == [
        (1, 5),
        (1, None),
        (2, 1),
        (None, 2),
    ]
    assert [row["b"] for row in in_order(rows, "-b")] == [5, 2, 1, None]
    assert in_order(rows, "-a, b")[0] == {"a": 2, "b": 1}
