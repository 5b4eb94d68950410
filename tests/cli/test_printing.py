"""What goes to stdout: widths, JSON's kinds, terminals."""

import json
from contextlib import redirect_stdout
from datetime import UTC, date, datetime
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

import trmm_async as sdk
from trmm_async.cli.commands.agents import _show
from trmm_async.cli.printing import Column, Output, _Layout, as_json_text, cut, fitted
from trmm_async.cli.rows import plain


class TestWidths:
    @given(
        st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=9), st.integers(20, 200)
    )
    def test_fit_where_they_can(self, columns: list[tuple[int, bool]], room: int) -> None:
        widths, keeps = [width for width, _ in columns], [keep for _, keep in columns]
        fit = fitted(widths, keeps, room)
        assert all(0 <= new <= old for new, old in zip(fit, widths, strict=True))
        assert sum(fit) <= room or all(width <= 8 for width in fit)
        if sum(widths) <= room:
            assert fit == widths

    def test_the_widest_gives_first_and_those_that_keep_theirs_last(self) -> None:
        assert fitted([20, 30, 10], [False, False, True], 50) == [20, 20, 10]
        assert fitted([20, 30, 10], [False, False, True], 30) == [10, 10, 10]
        assert fitted([20, 30, 40], [False, False, True], 46) == [8, 8, 30]


NAMES = (
    "WEB-PRODUCTION-FRANKFURT-0001", "WEB-PRODUCTION-FRANKFURT-0002", "サーバー東京本社第一号機",
    "サーバー東京本社第二号機", "💻🖥️laptop-👩‍👩‍👧‍👧-1", "cafe\u0301-e\u0301-host-number-one",
    "مكتب-القدس-حاسوب", "x" * 255, "x" * 254 + "-2", "PC",
)  # fmt: skip


class TestNarrowTables:
    @given(st.text() | st.sampled_from(NAMES), st.integers(0, 40), st.booleans())
    def test_what_is_cut_fits(self, text: str, width: int, inside: bool) -> None:
        told = cut(text, width, inside=inside)
        assert cell_len(told) <= width
        assert told == text or "…" in told or not width

    def test_a_name_is_cut_in_its_middle_and_between_letters(self) -> None:
        assert cut("WEB-PRODUCTION-0001", 10, inside=True) == "WEB-P…0001"
        assert cut("WEB-PRODUCTION-0001", 10) == "WEB-PRODU…"
        assert cut("サーバー東京本社", 8) == "サーバ…"
        assert cut("abcde\u0301f", 4, inside=True) == "ab…f"
        assert cut("👩\u200d👩 and others", 3) in {"👩…", "👩\u200d👩…"}

    @given(st.lists(st.sampled_from(NAMES), min_size=1, unique=True), st.integers(20, 130))
    def test_no_two_hosts_look_alike(self, names: list[str], room: int) -> None:
        columns = [
            Column("Id", lambda _: 1, keep=True),
            Column("Agent", str, names=True, differs=True),
            Column("Check", lambda _: "Disk Space Check", names=True),
            Column("Status", lambda _: "passing", keep=True),
            Column("Says", lambda _: "all is well " * 9),
        ]
        rows = [[Text(str(column.text(name))) for column in columns] for name in names]
        layout = _Layout(columns, rows, [max(row[n].cell_len for row in rows) for n in range(5)], room)
        assert sum(layout.widths) + 2 * (len(layout.widths) - 1) <= room
        width = layout.widths[layout.places.index(1)]
        assert len({cut(name, width, inside=True) for name in names}) == len(names)
        if room >= 80:
            assert layout.places == [0, 1, 2, 3, 4]

    def test_addresses_and_what_was_asked_for_stay(self) -> None:
        texts = ["https://api.example.com/clients/d/1/deploy/", "Acme", "Jakarta Office"]
        for asked in (True, False):
            columns = [Column(text, str, asked=asked) for text in texts[asked:]]
            rows = [[Text(text) for text in texts[asked:]]]
            layout = _Layout(columns, rows, [len(text) for text in texts[asked:]], 12)
            assert len(layout.places) == len(columns)
            assert asked or layout.widths[0] == len(texts[0])


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
        with Output(as_json=True).stream() as emit:
            for thing in things:
                emit(thing)
    assert shown.getvalue() == f"{whole}\n"
