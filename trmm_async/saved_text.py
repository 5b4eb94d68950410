"""Reads texts as people and their editors save them: encodings, and characters around a key."""

import codecs
import locale
import sys
from typing import Final

__all__ = ["bare", "code_page", "decoded"]

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, since this mark begins with that one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decoded(data: bytes, other: str | None = None) -> str:
    """Decode a file or a pipe: by its byte order mark, else as UTF-8, else in the other encoding.

    Raises:
        UnicodeDecodeError: it is none of these; `start` is the place where it is not UTF-8.
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
    """The encoding of texts on this machine if it isn't UTF-8: a Windows code page, or the locale's."""
    for name in (getattr(sys.stdin, "encoding", None), locale.getencoding()):
        if name and codecs.lookup(name).name not in {"utf-8", "ascii"}:
            return str(name)
    return None


def bare(text: str) -> str:
    """A key or an address without the byte order mark, spaces and line ends that an editor put around it."""
    return text.strip("\ufeff \t\r\n")
