"""Texts as people and their editors save them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trmm_async.cli.text import bare, decoded


@given(st.text(st.characters(codec="utf-8", exclude_characters="\ufeff\0"), min_size=1))
def test_a_text_is_read_in_whatever_encoding_its_mark_says(text: str) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        assert decoded(text.encode(encoding), "cp1252") == text
    for order in ("le", "be"):
        for size in (16, 32):
            assert decoded(f"\ufeff{text}".encode(f"utf-{size}-{order}")) == text


@given(st.binary())
def test_what_is_no_text_is_the_one_error_there_is(data: bytes) -> None:
    with suppress(UnicodeDecodeError):
        assert isinstance(decoded(data), str)


def test_a_code_page_is_for_what_is_no_utf_8() -> None:
    assert decoded("B\u00fcro".encode(), "cp1252") == "B\u00fcro"
    assert decoded("B\u00fcro".encode("cp1252"), "cp1252") == "B\u00fcro"
    with pytest.raises(UnicodeDecodeError, match="utf-8"):
        decoded(b"a\x81", "cp1252")


def test_what_windows_puts_around_a_key() -> None:
    assert bare("\ufeffkey\r\n") == "key"
