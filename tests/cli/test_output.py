"""What goes to stdout: JSON as it comes, and what no terminal acts upon."""

import json
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trmm_async as sdk
from trmm_async.cli.commands.agents import _show
from trmm_async.cli.output import as_json_text, json_stream


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


@given(st.lists(st.dictionaries(st.text(), st.text() | st.lists(st.integers()), max_size=3), max_size=4))
def test_an_array_that_is_written_as_it_comes_is_the_whole_array(things: list[dict[str, Any]]) -> None:
    with redirect_stdout(StringIO()) as shown:
        whole = as_json_text(things, indent=2)
        with json_stream(as_array=True) as emit:
            for thing in things:
                emit(thing)
    assert shown.getvalue() == f"{whole}\n"
