"""Reads what users type for lengths of time, times, numbers and percentages. Pure.

Below: `exits`. Above: the commands.
"""

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from trmm_async.cli.exits import usage
from trmm_async.cli.text import alike

__all__ = ["batch_size", "choice", "codes", "failures", "length", "moment", "seconds"]

_LENGTH: Final = re.compile(r"(\d{1,6})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST: Final = timedelta(weeks=5_200)
_MEANT: Final = {
    "critical": ("error",), "high": ("error",), "medium": ("warning",), "low": ("info",),
    "up": ("online",), "down": ("offline", "overdue"),
    "ok": ("passing",), "good": ("passing",), "bad": ("failing",), "error": ("failing",),
    "desktop": ("workstation",), "laptop": ("workstation",), "x64": ("amd64",), "x86_64": ("amd64",),
}  # fmt: skip
"""Our words for those of other programs, if they are not similar enough to be found."""

_AMOUNT: Final = re.compile(r"(\d{1,9})|(\d{1,3}(?:\.\d{1,3})?)%")


def choice(text: str, option: str, choices: Sequence[str]) -> str:
    """One of these words, case ignored."""
    for each in choices:
        if each.casefold() == text.strip().casefold():
            return each
    words = f"{', '.join(choices[:-1])} or {choices[-1]}"
    meant = [word for word in _MEANT.get(text.strip().casefold(), ()) if word in choices]
    hint = f"; did you mean {' or '.join(map(repr, meant))}?" if meant else alike(text, choices)
    raise usage(f"{option} is {words}, not {text!r}{hint}")


def seconds(number: float | None, option: str) -> float | None:
    """A number of seconds above 0; None for none."""
    if number is not None and not (math.isfinite(number) and number > 0):
        raise usage(f"{option} is a number of seconds above 0, not {number:g}")
    return number


def length(text: str, option: str) -> timedelta:
    """A length of time: "90s", "30m", "12h", "7d", "2w"."""
    found = _LENGTH.fullmatch(text.strip())
    if not found:
        raise usage(f"{option} is a length of time as 30m, 12h or 7d, not {text!r}")
    if not int(found[1]):
        raise usage(f"{option} is a length of time above 0, not {text!r}")
    told = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if told > _LONGEST:
        raise usage(f"{option} is a length of time of {_LONGEST.days // 7}w at most, not {text!r}")
    return told


def moment(text: str, option: str, now: datetime) -> datetime:
    """A time: a length from now on, or an ISO date; without a zone it is this machine's."""
    if _LENGTH.fullmatch(text.strip()):
        return now + length(text, option)
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError) as error:  # a year that this machine's zone can't count in
        raise usage(f"{option} is as 12h, 7d, 2w or 2030-01-31T18:00, not {text!r}") from error


def batch_size(text: str, option: str) -> int | float | None:
    """How many at a time: "5" is 5, "10%" is 0.1, and "100%", which is all of them, is None."""
    size = _amount(text, option)
    if not size:
        raise usage(f"{option} is at least 1, or a share above 0%, not {text!r}")
    return None if size == 1.0 and isinstance(size, float) else size


def failures(text: str, option: str) -> int | float | None:
    """How many failures are allowed: "5" is 5, "10%" is 0.1, "0%" is 0, and "100%", which is all, is None."""
    most = _amount(text, option)
    if isinstance(most, float) and most in {0.0, 1.0}:
        return None if most else 0
    return most


def _amount(text: str, option: str) -> int | float:
    """A number, or a fraction from a percentage."""
    found = _AMOUNT.fullmatch(text.strip())
    if not found:
        raise usage(f"{option} is a number as 5, or a share as 10%, not {text!r}")
    if found[1]:
        return int(found[1])
    share = float(found[2]) / 100
    if share > 1:
        raise usage(f"{option} is a share of 100% at most, not {text!r}")
    return share


def codes(text: str, option: str) -> frozenset[int]:
    """Return codes: "0,3010"."""
    try:
        return frozenset(int(code) for code in text.split(","))
    except ValueError as error:
        raise usage(f"{option} is return codes as 0,3010, not {text!r}") from error
