"""What people write for lengths of time, times, and parts of a whole. Pure.

Below: `exits`. Above: the commands.
"""

import re
from datetime import datetime, timedelta
from typing import Final

from trmm_async.cli.exits import usage

__all__ = ["amount", "codes", "length", "moment"]

_LENGTH: Final = re.compile(r"(\d{1,6})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AMOUNT: Final = re.compile(r"(\d{1,9})|(\d{1,3}(?:\.\d{1,3})?)%")


def length(text: str, option: str) -> timedelta:
    """A length of time: "90s", "30m", "12h", "7d", "2w"."""
    found = _LENGTH.fullmatch(text.strip())
    if not found:
        raise usage(f"{option} is a length of time as 30m, 12h or 7d, not {text!r}")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def moment(text: str, option: str, now: datetime) -> datetime:
    """A time: a length from now on, or an ISO date; without a zone it is this machine's."""
    if _LENGTH.fullmatch(text.strip()):
        return now + length(text, option)
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as error:
        raise usage(f"{option} is as 12h, 7d, 2w or 2030-01-31T18:00, not {text!r}") from error


def amount(text: str, option: str) -> int | float:
    """A number, or a share of the whole: "5" is 5, "10%" is 0.1."""
    found = _AMOUNT.fullmatch(text.strip())
    if not found:
        raise usage(f"{option} is a number as 5, or a share as 10%, not {text!r}")
    return int(found[1]) if found[1] else float(found[2]) / 100


def codes(text: str, option: str) -> frozenset[int]:
    """Return codes: "0,3010"."""
    try:
        return frozenset(int(code) for code in text.split(","))
    except ValueError as error:
        raise usage(f"{option} is return codes as 0,3010, not {text!r}") from error
