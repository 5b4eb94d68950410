"""Rows for programs: their fields, their order, and no cell that is a formula."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trmm_async as sdk
from trmm_async.cli.exits import CommandError
from trmm_async.cli.rows import (
    TableField,
    as_row,
    chosen_fields,
    fields_of,
    flat,
    flat_names,
    harmless,
    in_order,
    plain,
    sort_key,
    value_of,
    words_of,
)


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


AGENT = sdk.Agent(agent_id="a-1", hostname="JADE-PC", client=sdk.ClientRef(id=3, name="Acme"))


def test_a_row_of_an_agents_thing_begins_with_the_agent_and_its_host() -> None:
    thing = {"id": 5, "agent_id": "a-1"}
    assert list(as_row(thing, {"a-1": "JADE-PC"}).items()) == [
        ("agent_id", "a-1"), ("hostname", "JADE-PC"), ("id", 5),
    ]  # fmt: skip
    assert as_row({"id": 5, "hostname": "own"}, {})["hostname"] == "own"
    assert as_row(thing) == thing
    assert as_row(5, {}) == 5


def test_a_value_is_found_inside_another_or_is_none() -> None:
    found = [value_of(AGENT, path) for path in ("client.name", "client.nope", "nope.name", "hostname")]
    assert found == ["Acme", None, None, "JADE-PC"]
    assert value_of({"agent_id": "a-1"}, "hostname", {"a-1": "HOST"}) == "HOST"
    assert value_of(AGENT, "hostname", {}) == "JADE-PC"


def test_fields_that_are_chosen_are_checked_by_the_type() -> None:
    assert chosen_fields(" hostname, client.name,", sdk.Agent, "--fields") == ("hostname", "client.name")
    assert chosen_fields("agent_id,id", ("id",), "--fields", hosted=True) == ("agent_id", "id")
    for text, says in (
        (" , ", "--fields is fields as agent_id, hostname"),
        ("hostnam", r"there is no field 'hostnam'; .*did you mean 'hostname'\?"),
        ("hostname.x", "there is no field 'hostname.x'; hostname has none"),
    ):
        with pytest.raises(CommandError, match=says):
            chosen_fields(text, sdk.Agent, "--fields")
    with pytest.raises(CommandError, match="no field 'agent_id'"):
        chosen_fields("agent_id", ("id",), "--fields")


def test_columns_of_a_flat_table_have_the_types_of_the_fields() -> None:
    fields = {field.name: field.kind for field in fields_of(sdk.Agent, hosted=False)}
    assert [fields[name] for name in ("hostname", "client_id", "needs_reboot", "last_seen")] == [
        "text", "integer", "boolean", "time",
    ]  # fmt: skip
    hosted = fields_of(sdk.Check, hosted=True)
    assert hosted[:2] == (TableField("agent_id", "text"), TableField("hostname", "text"))
    assert [field.name for field in hosted].count("agent_id") == 1


def test_numbers_come_before_times_and_those_before_texts() -> None:
    values = [None, "b", "A", datetime(2026, 5, 1, tzinfo=UTC), 10, 9.5, True]
    key = sort_key("x")
    ordered = sorted(({"x": value} for value in values), key=key)
    assert [row["x"] for row in ordered] == [True, 9.5, 10, values[3], "A", "b", None]


def test_values_in_words() -> None:
    disk = sdk.Disk(device="C:", free="10 GB", total="100 GB", percent=90)
    values = [None, True, ["a", None, 3], sdk.ClientRef(id=1, name="Acme"), disk, 1.5]
    assert [words_of(value) for value in values] == [
        "", "True", "a, , 3", "Acme", "C: 90% used (10 GB of 100 GB free)", "1.5",
    ]  # fmt: skip
