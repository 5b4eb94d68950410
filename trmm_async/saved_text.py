"""Texts as people and their editors have saved them: encodings, and what stands around a key.

Imports nothing. Over it the file of profiles, and the command line.
"""

import codecs
import locale
import sys
from typing import Final

__all__ = ["bare", "code_page", "decoded"]

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before that of UTF-16, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decoded(data: bytes, other: str | None = None) -> str:
    """The text of a file or a pipe: by its byte order mark, else in UTF-8, else in that other encoding.

    Raises:
        UnicodeDecodeError: it is none of these; `start` is the place where it is no UTF-8.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        try:
            return data.decode(other or "ascii")
        except UnicodeDecodeError:
            raise error from None


def code_page() -> str | None:
    """What texts are written in here where it is not UTF-8: a code page of Windows, or what a locale says."""
    for name in (getattr(sys.stdin, "encoding", None), locale.getencoding()):
        if name and codecs.lookup(name).name not in {"utf-8", "ascii"}:
            return str(name)
    return None


def bare(text: str) -> str:
    """A key or an address without what an editor of Windows, or a line, has put around it."""
    return text.strip("\ufeff \t\r\n")
