"""Texts of a server or an agent, before they reach a terminal."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from trmm_async.plaintext import clean, one_line, set_apart

TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(st.text(st.characters(codec="utf-8")))
def test_nothing_in_a_text_can_move_the_cursor_or_turn_the_writing_round(text: str) -> None:
    kept = clean(f"\x1b[2J\x9b{TURNING}\x07{text}")
    assert not set(TURNING) & set(kept)
    assert {letter for letter in kept if unicodedata.category(letter) == "Cc"} <= {"\n", "\t"}


def test_lines_and_tabs_stay() -> None:
    assert clean("a\tb\r\nc") == "a\tb\nc"
    assert one_line(" a\tb\n\nc ") == "a b c"


def test_only_what_has_a_rule_stands_behind_a_margin() -> None:
    assert set_apart("a\n--\n- b\n") == "a\n--\n- b"
    for rule in ("-" * 15, "\u2500" * 9, " ________ ", "=" * 8):
        assert set_apart(f"a\n{rule}\nb\r\n") == f"| a\n| {rule}\n| b"
