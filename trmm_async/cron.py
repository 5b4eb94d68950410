"""A strict reader of five-field cron expressions, to refuse a wrong schedule before it is sent.

Pure. The fields are those of crontab(5): minute, hour, day of month, month, day of week. Each is a
list of `*`, values and ranges, where `*` and ranges may be stepped; months and days also go by their English
names; Sunday is 0 or 7, and the last of a range where it stands at its end. Macros (`@daily`) and extensions
(`L`, `W`, `#`, `?`) are not in that set. A day that no year has, as 30 February, is a mistake.
"""

import re
from dataclasses import dataclass
from typing import Final

from trmm_async.errors import InvalidRequestError

__all__ = ["cron_expression", "cron_values"]


@dataclass(frozen=True, slots=True)
class _CronField:
    label: str
    least: int
    most: int
    names: tuple[str, ...] = ()

    def ends(self, span: str) -> tuple[int, int, bool]:
        """The first and the last value of `*`, a value, or a range, and whether it is more than a value."""
        if span == "*":
            return self.least, self.most, True
        first, dash, last = span.partition("-")
        low = self.value(first)
        high = self.value(last) if dash else low
        if last.upper() == "SUN" and low > high:
            high = 7  # the week ends with it, too: FRI-SUN
        if high < low:
            raise _WrongError(f"{span} runs backwards")
        return low, high, bool(dash)

    def value(self, text: str) -> int:
        if text.upper() in self.names:
            return self.least + self.names.index(text.upper())
        if not _NUMBER.fullmatch(text):
            raise _WrongError(f"{text!r} is no value")
        if not self.least <= int(text) <= self.most:
            raise _WrongError(f"{text} is not between {self.least} and {self.most}")
        return int(text)


class _WrongError(ValueError):
    """What is wrong with one field, in words."""


_FIELDS: Final = (
    _CronField("minute", 0, 59),
    _CronField("hour", 0, 23),
    _CronField("day of month", 1, 31),
    _CronField(
        "month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
    ),
    _CronField("day of week", 0, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")),
)
_LONGEST: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NUMBER: Final = re.compile(r"[0-9]{1,4}", re.ASCII)
_STEP: Final = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


def cron_expression(schedule: object) -> str:
    """The expression with single spaces between its fields.

    Raises:
        InvalidRequestError: it is none; the text says which field is wrong, and how.
    """
    if not isinstance(schedule, str) or not schedule.strip():
        raise InvalidRequestError(f'schedule must be a cron expression such as "0 3 * * 0", not {schedule!r}')
    if schedule.lstrip().startswith("@"):
        raise InvalidRequestError(
            f"schedule: macros such as {schedule.strip()!r} are not supported, write five fields"
        )
    fields = schedule.split()
    if len(fields) != len(_FIELDS):
        raise InvalidRequestError(
            "schedule must have five fields (minute, hour, day of month, month, day of week); "
            f"{schedule!r} has {len(fields)}"
        )
    for field, text in zip(_FIELDS, fields, strict=True):
        try:
            _check_list(field, text)
        except _WrongError as wrong:
            raise InvalidRequestError(f"schedule {schedule!r}: {field.label} {text!r}: {wrong}") from None
    expression = " ".join(fields)
    if _never_comes(expression):
        raise InvalidRequestError(f"schedule {schedule!r}: it never runs: none of its months has such a day")
    return expression


def _never_comes(expression: str) -> bool:
    """Whether no month has such a day, and no day of the week makes up for it.

    crontab(5): where both days are restricted, either will do; a field that begins with `*` does not count as
    restricted, and one with all seven days is taken as such a `*` here.
    """
    _, _, days, months, weekdays = cron_values(expression)
    if weekdays is not None and len(weekdays) < 7 and not expression.rpartition(" ")[2].startswith("*"):
        return False
    first = min(days or {1})
    return all(first > _LONGEST[month - 1] for month in months or range(1, 13))


def _check_list(field: _CronField, text: str) -> None:
    for item in text.split(","):
        span, slash, step = item.partition("/")
        *_, stepped = field.ends(span)
        if slash and not stepped:
            raise _WrongError(f"a step needs * or a range before it, not {span!r}")
        if slash and not _STEP.fullmatch(step):
            raise _WrongError(f"{step!r} is no step")


def cron_values(schedule: str) -> tuple[frozenset[int] | None, ...]:
    """The values of the five fields of an expression that `cron_expression` has passed; None for a plain `*`.

    Sunday is 0.
    """
    texts = zip(_FIELDS, schedule.split(), strict=True)
    minute, hour, day, month, weekday = (
        None if text == "*" else _values(field, text) for field, text in texts
    )
    return minute, hour, day, month, None if weekday is None else frozenset(day % 7 for day in weekday)


def _values(field: _CronField, text: str) -> frozenset[int]:
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        low, high, _ = field.ends(span)
        found.update(range(low, high + 1, int(step or 1)))
    return frozenset(found)
