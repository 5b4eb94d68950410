"""Texts as a terminal may show them. Pure.

What a server sends (host names, alerts, a script's output) is not to be trusted: an escape sequence in it
could move the cursor, rename the window, or hide what stands there.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["ago", "clean", "named", "one_line", "span"]

_UNFIT: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def clean(text: str) -> str:
    """The text without control characters; lines and tabs stay."""
    return _UNFIT.sub("", text)


def one_line(text: str) -> str:
    """The text on one line."""
    return " ".join(text.split())


def span(length: timedelta) -> str:
    """A length of time in its largest unit, rounded down: "3 d", "20 min"."""
    seconds = int(abs(length.total_seconds()))
    size, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    return f"{seconds // size} {unit}"


def ago(when: datetime | None, now: datetime | None = None) -> str:
    """How long ago, or how long until: "3 d ago", "in 20 min"; nothing for None."""
    if when is None:
        return ""
    since = (now or datetime.now(UTC)) - when
    return f"{span(since)} ago" if since >= timedelta() else f"in {span(since)}"


def named(names: list[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f", and {more} more" if more > 0 else "")
