"""What goes to stdout: JSON's kinds, terminals."""

import json
from contextlib import redirect_stdout
from datetime import UTC, date, datetime
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trmm_async as sdk
from trmm_async.cli.commands.agents import _show
from trmm_async.cli.output import as_json_text, json_stream
from trmm_async.cli.rows import plain


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


@given(st.text())
def test_json_has_the_same_data_and_nothing_that_a_terminal_acts_upon(text: str) -> None:
    told = as_json_text({"x": f"\x9b\u202e\x7f{text}"})
    assert not {"\x9b", "\u202e", "\x7f"} & set(told)
    assert json.loads(told) == {"x": f"\x9b\u202e\x7f{text}"}


def test_names_of_extra_fields_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    _show(sdk.Agent(agent_id="a", hostname="PC\x1b[2J", extra={"odd\x1b[2J\u202e\nname": "x\x9b"}))
    shown = capsys.readouterr().out
    assert "odd[2J name" in shown
    assert not {"\x1b", "\u202e", "\x9b"} & set(shown)


def test_fields_go_by_their_attributes_names_and_not_by_those_on_the_wire() -> None:
    row = plain(sdk.Agent(agent_id="a", needs_reboot=True))
    assert set(row) == set(sdk.Agent.__struct_fields__)
    assert row["needs_reboot"] is True


@given(st.lists(st.dictionaries(st.text(), st.text() | st.lists(st.integers()), max_size=3), max_size=4))
def test_an_array_that_is_written_as_it_comes_is_the_whole_array(things: list[dict[str, Any]]) -> None:
    with redirect_stdout(StringIO()) as shown:
        whole = as_json_text(things, indent=2)
        with json_stream(as_array=True) as emit:
            for thing in things:
                emit(thing)
    assert shown.getvalue() == f"{whole}\n"
