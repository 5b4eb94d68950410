"""The five-field cron expressions of automated tasks: minute, hour, day of month, month, day of week.

Below: nothing. Above: `gateway.py`, which refuses a task with a schedule that makes no sense. Pure.
"""

from __future__ import annotations

__all__ = ["cron_error"]

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of week", 0, 7, DAYS),
)


def cron_error(expression: str) -> str | None:
    """Return what is wrong with a cron expression in words, or None for a good one.

    Each field is `*`, a number, a range `1-5`, any of these with a step `/2`, or several of them with commas;
    months and days of the week may be given by their first three letters. Sunday is 0 or 7, and a range may
    end with "sun". A day of the month that none of the months has makes no sense, unless days of the week
    are given besides: then either will do, as crontab(5) has it.
    """
    parts = expression.split()
    if len(parts) != len(FIELDS):
        return f"a cron expression has five fields, this one has {len(parts)}"
    for part, (name, low, high, words) in zip(parts, FIELDS, strict=True):
        if not all(_fits(item, low, high, words) for item in part.split(",")):
            return f"{part!r} is not a {name}"
    days, months, weekdays = (
        _spread(part, *field[1:]) for part, field in zip(parts[2:], FIELDS[2:], strict=True)
    )
    every_weekday = parts[4].startswith("*") or {day % 7 for day in weekdays} == set(range(7))
    if every_weekday and not any(day <= LENGTHS[month - 1] for day in days for month in months):
        return f"{parts[2]!r} of {parts[3]!r} is a day that never comes"
    return None


def _spread(part: str, low: int, high: int, words: tuple[str, ...]) -> set[int]:
    """The values of a field that fits."""
    values: set[int] = set()
    for item in part.split(","):
        span, _, step = item.partition("/")
        first, last = _ends(span, low, high, words)
        values.update(range(first or 0, (last or 0) + 1, int(step or 1)))
    return values


def _fits(item: str, low: int, high: int, words: tuple[str, ...]) -> bool:
    span, slash, step = item.partition("/")
    if slash and not (_number(step) and int(step) > 0):
        return False
    numbers = [end for end in _ends(span, low, high, words) if end is not None and low <= end <= high]
    return len(numbers) == 2 and numbers[0] <= numbers[1]


def _ends(span: str, low: int, high: int, words: tuple[str, ...]) -> tuple[int | None, int | None]:
    if span == "*":
        return low, high
    first, dash, last = span.partition("-")
    begin, end = _value(first, low, words), _value(last if dash else first, low, words)
    if last.lower() == "sun" and begin:
        end = 7
    return begin, end


def _value(text: str, low: int, words: tuple[str, ...]) -> int | None:
    if text.lower() in words:
        return words.index(text.lower()) + low
    return int(text) if _number(text) else None


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit()
