"""Cleans texts of a server or an agent before they reach a terminal, a spreadsheet or a log. Pure.

Host names, alerts, errors and the output of scripts can't be trusted. An escape sequence could move the
cursor or rename the window, a control character for the direction of writing could hide text, and a cell that
begins with an equals sign is run by the program that opens the table. A line end in a log begins a forged
entry.

This module also compares names.
"""

import logging
import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

__all__ = [
    "MARGIN",
    "UNFIT",
    "alike",
    "clean",
    "comparable",
    "is_named",
    "log_of",
    "near_matches",
    "one_line",
    "set_apart",
    "without_formulas",
]

UNFIT: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb]"
)
"""Control characters: C0 except tab and line end, C1, and those that change the direction of writing."""
_RULE: Final = re.compile(r"[-_=~*\u00ad\u2010-\u2015\u2043\u2212\u2500-\u257f\u30fc\ufe58\ufe63\uff0d]{8}")
_STARTS: Final = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_FORMULA: Final = re.compile(
    # "a = b" and "a - b" stay: such a sign does nothing within a text.
    rf"(?<![\w{_STARTS}])(?:(?=[{_STARTS}]\S)|(?<!\w )(?=[{_STARTS}]))"
)
MARGIN: Final = "| "
"""Put before each line of an output that could be taken for a line of ours."""


def clean(text: str) -> str:
    """The text without control characters; line ends and tabs stay."""
    return UNFIT.sub("", text)


def one_line(text: str) -> str:
    """The text on one line."""
    return " ".join(text.split())


class _OneEntryEach(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(map(_for_a_log, record.args))
        return True


def _for_a_log(value: object) -> object:
    """The value itself, or its text on one line and cleaned, if that differs."""
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    safe = clean(one_line(text)) if "\n" in text or UNFIT.search(text) else text
    return value if safe == text else safe


_ONE_ENTRY_EACH: Final = _OneEntryEach()


def log_of(name: str = "") -> logging.Logger:
    """The package's logger, or one below it. A value that is logged with `%s` can't begin a new entry.

    A logger's filters don't see the records of the loggers below it, so each logger is made here.
    """
    logger = logging.getLogger(f"trmm_async.{name}" if name else "trmm_async")
    logger.addFilter(_ONE_ENTRY_EACH)
    return logger


def set_apart(output: str) -> str:
    """An output, cleaned, to print between our rulers. If it contains a line like a ruler, it gets a margin.

    So no line of it can be taken for one of ours, and no forged result for that of another agent.
    """
    text = clean(output).rstrip()
    if not _RULE.search(text):
        return text
    return "\n".join(f"{MARGIN}{line}" for line in text.split("\n"))


def without_formulas(text: str) -> str:
    """The text with an apostrophe before everything that a spreadsheet could take for a formula.

    That is not only at the beginning: a spreadsheet cuts lines at the reader's own list separator, and if
    that is not the comma, quotes don't keep a text of several lines together.
    """
    return _FORMULA.sub("'", text)


def is_named(name: str, wanted: str) -> bool:
    """Whether two names are equal, apart from their case and from how their accents are composed."""
    return comparable(name) == comparable(wanted)


def comparable(name: str) -> str:
    """A name in the form in which `is_named` compares names."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def near_matches(wanted: str, names: Iterable[str]) -> tuple[str, ...]:
    """At most three names that may have been meant: those that contain the text, then similar ones."""
    by_form = {comparable(name): name for name in names}
    form = comparable(wanted)
    within = [name for each, name in by_form.items() if form and form in each]
    close = [by_form[name] for name in get_close_matches(form, by_form, n=3)]
    return tuple(dict.fromkeys([*within, *close]))[:3]


def alike(wanted: str, names: Iterable[str]) -> str:
    """The names that may have been meant, as the end of a sentence: "; did you mean 'JADE-PC'?"."""
    near = near_matches(wanted, names)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
