"""Texts for people: lengths of time, folded lists of names. `plaintext` cleans texts."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from trmm_async.plaintext import alike, clean, one_line
from trmm_async.saved_text import bare, code_page, decoded

__all__ = [
    "BY_NAME",
    "ago",
    "alike",
    "bare",
    "bare_name",
    "clean",
    "code_page",
    "decoded",
    "folded",
    "named",
    "one_line",
    "span",
    "wrapped",
]

BY_NAME: Final = "name:"
"""The prefix of a name that would be taken for an id."""
_NUMBERED: Final = re.compile(r"(.*?)([0-9]{1,18})([^0-9]*)", re.DOTALL)
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def span(length: timedelta) -> str:
    """A length of time in its largest unit, rounded: "3 d", "20 min"."""
    seconds = int(abs(length.total_seconds()))
    size, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    return f"{round(seconds / size)} {unit}"


def local(when: datetime) -> datetime:
    """The time in this machine's time zone; unchanged if that would leave the calendar."""
    try:
        return when.astimezone()
    except (OverflowError, ValueError, OSError):
        return when


def ago(when: datetime | None, now: datetime | None = None) -> str:
    """How long ago, or how long until: "3 d ago", "in 20 min"; empty for None."""
    if when is None:
        return ""
    since = (now or datetime.now(UTC)) - when
    return f"{span(since)} ago" if since >= timedelta() else f"in {span(since)}"


def bare_name(text: str) -> str:
    """A name without the prefix "name:", which marks it as no id."""
    return text.removeprefix(BY_NAME)


def named(names: list[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f", and {more} more" if more > 0 else "")


def folded(names: Iterable[str]) -> str:
    """A list of names in which numbered ones are folded, as by clush: "JADE-PC, WEB-[01-03,07]"."""
    plain: list[str] = []
    numbered: dict[tuple[str, str, int], set[int]] = {}
    for name in names:
        match = _NUMBERED.fullmatch(name)
        if match:
            digits = match[2]
            numbered.setdefault((match[1], match[3], len(digits)), set()).add(int(digits))
        else:
            plain.append(name)
    sets = [_set(*key, sorted(numbers)) for key, numbers in numbered.items()]
    return ", ".join(sorted({*plain, *sets}, key=str.casefold))


def _set(head: str, tail: str, width: int, numbers: list[int]) -> str:
    words = ",".join(
        f"{first:0{width}}" if first == last else f"{first:0{width}}-{last:0{width}}"
        for first, last in _ranges(numbers)
    )
    return f"{head}{words}{tail}" if len(numbers) == 1 else f"{head}[{words}]{tail}"


def _ranges(numbers: list[int]) -> Iterator[tuple[int, int]]:
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last


def wrapped(text: str, width: int) -> str:
    """A list of names on lines of that width, broken behind commas."""
    lines = [""]
    for part in re.split(r"(?<=,)", text):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part if lines[-1] else part.lstrip()
    return "\n".join(line.rstrip() for line in lines)
