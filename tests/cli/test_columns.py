"""Which columns of a table a terminal has room for, and how wide they are."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from trmm_async.cli.columns import GAP, Column, Measured, cut, fitted, layout


class TestFitted:
    @given(
        st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=9), st.integers(20, 200)
    )
    def test_widths_fit_where_they_can(self, columns: list[tuple[int, bool]], room: int) -> None:
        widths, keeps = [width for width, _ in columns], [keep for _, keep in columns]
        fit = fitted(widths, keeps, room)
        assert all(0 <= new <= old for new, old in zip(fit, widths, strict=True))
        assert sum(fit) <= room or all(width <= 8 for width in fit)
        if sum(widths) <= room:
            assert fit == widths

    @pytest.mark.parametrize(
        ("widths", "keeps", "room", "least", "fit"),
        [
            ([20, 30, 10], [False, False, True], 50, (), [20, 20, 10]),
            ([20, 30, 10], [False, False, True], 30, (), [10, 10, 10]),
            ([20, 30, 40], [False, False, True], 46, (), [8, 8, 30]),
            ([40, 30], [False, True], 40, (40, 8), [40, 8]),
            ([40, 30], [False, True], 60, (40, 8), [40, 20]),
        ],
    )
    def test_the_widest_shrinks_first_and_those_that_keep_theirs_last(
        self, widths: list[int], keeps: list[bool], room: int, least: tuple[int, ...], fit: list[int]
    ) -> None:
        assert fitted(widths, keeps, room, least) == fit


NAMES = (
    "WEB-PRODUCTION-FRANKFURT-0001", "WEB-PRODUCTION-FRANKFURT-0002", "サーバー東京本社第一号機",
    "サーバー東京本社第二号機", "💻🖥️laptop-👩‍👩‍👧‍👧-1", "cafe\u0301-e\u0301-host-number-one",
    "مكتب-القدس-حاسوب", "x" * 255, "x" * 254 + "-2", "PC",
)  # fmt: skip


class TestCut:
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


def _column(title: str, width: int, address: str = "", **traits: bool) -> Measured:
    texts = [f"{address}{end:x>{width - len(address)}}" for end in "ab"]
    return Measured(Column(title, str, **traits), width, texts)


TABLES: Final = {
    "checks": [
        _column("id", 4, keep=True),
        _column("agent", 22, names=True, differs=True),
        _column("check", 18, names=True),
        _column("status", 7, keep=True),
        _column("says", 40),
    ],
    "address": [_column("id", 4, keep=True), _column("says", 40), _column("url", 42, "https://")],
    "asked": [_column("says", 40, asked=True), _column("type", 12), _column("status", 7, keep=True)],
    "long": [_column("check", 18, names=True), _column("host", 300, names=True, differs=True)],
}


class TestLayout:
    @pytest.mark.parametrize(
        ("table", "room", "shown"),
        [
            ("checks", 120, {"id": 4, "agent": 22, "check": 18, "status": 7, "says": 40}),
            (
                "checks",
                80,
                {"id": 4, "agent": 22, "check": 18, "status": 7, "says": 21},
            ),  # a description is cut
            ("checks", 60, {"id": 4, "agent": 22, "check": 18, "status": 7}),  # then it is left out
            ("checks", 40, {"id": 4, "agent": 13, "check": 10, "status": 7}),  # then names are cut
            ("checks", 30, {"id": 4, "agent": 11, "check": 11}),  # then other columns are left out
            ("checks", 20, {"agent": 9, "check": 9}),
            ("checks", 12, {"agent": 12}),  # what an agent is called stays longest
            ("checks", 4, {"agent": 4}),
            ("address", 60, {"id": 4, "says": 10, "url": 42}),  # a URL is never cut
            ("address", 12, {"id": 4, "says": 8, "url": 42}),  # and the terminal breaks the lines
            ("asked", 60, {"says": 37, "type": 12, "status": 7}),
            ("asked", 12, {"says": 8, "type": 8, "status": 7}),  # nothing is left out
            ("long", 60, {"check": 18, "host": 40}),  # one long name does not take all the room
            ("long", 30, {"check": 14, "host": 14}),
            ("long", 12, {"host": 12}),
        ],
    )
    def test_is_that_of_the_table(self, table: str, room: int, shown: dict[str, int]) -> None:
        columns = TABLES[table]
        found = layout(columns, room)
        assert {columns[place].column.title: width for place, width in found.items()} == shown

    @given(st.lists(st.sampled_from(NAMES), min_size=1, unique=True), st.integers(20, 130))
    def test_no_two_hosts_look_alike(self, names: list[str], room: int) -> None:
        widest = max(map(cell_len, names))
        columns = [
            _column("id", 1, keep=True),
            Measured(Column("agent", str, names=True, differs=True), widest, names),
            _column("check", 16, names=True),
            _column("status", 7, keep=True),
            _column("says", 108),
        ]
        found = layout(columns, room)
        assert sum(found.values()) + GAP * (len(found) - 1) <= room
        assert len({cut(name, found[1], inside=True) for name in names}) == len(names)
        if room >= 80:
            assert list(found) == [0, 1, 2, 3, 4]
