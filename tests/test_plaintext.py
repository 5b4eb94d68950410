"""Texts of a server or an agent, before they reach a terminal."""

import logging
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trmm_async.errors import TRMMError
from trmm_async.plaintext import clean, log_of, one_line, set_apart

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


def test_what_a_server_sends_stays_in_its_own_entry_of_a_log(caplog: pytest.LogCaptureFixture) -> None:
    log = log_of("codec")
    sent = "x\r\n2026-01-01 ERROR forged\x1b[2J\u202e"
    usual = TRMMError("usual")
    with caplog.at_level(logging.INFO, "trmm_async"):
        log.info("%d %s: %s, %.1f", 3, sent, TRMMError(sent), 0.5)
        log.info("%s", usual)
    assert caplog.messages[0] == "3 x 2026-01-01 ERROR forged[2J: x 2026-01-01 ERROR forged[2J, 0.5"
    assert caplog.records[1].args == (usual,)


def test_every_part_of_the_log_is_such_a_one() -> None:
    (kept,) = log_of().filters
    # Not what `logging` knows: a test that turns up a name there makes a logger of it.
    modules = [
        each
        for name, each in sys.modules.items()
        if name.startswith("trmm_async.") and ".testing" not in name
    ]
    parts = [part for each in modules for part in vars(each).values() if isinstance(part, logging.Logger)]
    spoken = [part for part in parts if part.manager.loggerDict.get(part.name) is part]
    assert {"trmm_async.codec", "trmm_async.http"} <= {each.name for each in spoken}
    assert [each.name for each in spoken if kept not in each.filters] == []
