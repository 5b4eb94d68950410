"""Columns of a table: what each shows, which of them a terminal has room for, and how wide they are. Pure.

Below: nothing of the command line. Above: `output`, and the commands that print tables.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

__all__ = ["GAP", "LEAST", "Column", "Measured", "cut", "fitted", "layout"]

T = TypeVar("T")
GAP: Final = 2
"""Spaces between two columns."""

LEAST: Final = 8
"""The width to which a column may be cut."""

_JOINER: Final = "\u200d"


@dataclass(frozen=True)
class Column(Generic[T]):
    """One column of a table.

    Attributes:
        title: its heading.
        text: gives what it shows of a row.
        keep: whether it is cut only after the columns without `keep`.
        wide: whether it is shown on wide terminals only.
        styled: whether its words have a colour (see `output.STYLES`).
        names: whether it has the rows' names. They are cut in the middle, and only if nothing else is left.
        differs: of names, whether different names must stay different when they are cut.
        asked: whether the user asked for it: it is never left out.
    """

    title: str
    text: Callable[[T], object]
    keep: bool = False
    wide: bool = False
    styled: bool = False
    names: bool = False
    differs: bool = False
    asked: bool = False


@dataclass(frozen=True)
class Measured:
    """A column of one table: how wide its longest cell is, and the texts of its cells, without the title."""

    column: Column[Any]
    width: int
    texts: Collection[str]

    @cached_property
    def has_address(self) -> bool:
        """Whether there is a URL in it. A URL that is cut can't be clicked or copied."""
        return any("://" in text for text in self.texts)

    @cached_property
    def different_from(self) -> int:
        """The smallest width at which different texts still look different."""
        texts = set(self.texts)

        def are_different(width: int) -> bool:
            return len({cut(text, width, inside=True) for text in texts}) == len(texts)

        widths = range(LEAST, max(self.width, LEAST) + 1)
        return widths[bisect_left(widths, True, hi=len(widths) - 1, key=are_different)]


def layout(columns: Sequence[Measured], room: int) -> dict[int, int]:
    """Decide which columns of a table are shown: their places among these, with their widths.

    Descriptions are cut first, then left out, the last one first. Then names are cut, but no further than to
    the width at which they still differ, and then the other columns are left out. Columns that the user asked
    for are never left out; nor is any column of a table with a URL, and URLs are never cut.

    Args:
        columns: the columns of the table, in their order.
        room: how many columns of text the terminal has.
    """
    widths: dict[int, int] = {}
    for places, is_strict in _attempts(columns):
        within = room - GAP * (len(places) - 1)
        shown = [columns[place] for place in places]
        least = [_least(one, room, is_strict=is_strict) for one in shown]
        # One name that is very long doesn't take the room of everything else.
        keeps = [one.column.keep or (one.column.names and one.width <= room // 2) for one in shown]
        fit = fitted([one.width for one in shown], keeps, within, least)
        widths = dict(zip(places, fit, strict=True))
        if sum(fit) <= within:
            break
    return widths


def _attempts(columns: Sequence[Measured]) -> Iterator[tuple[list[int], bool]]:
    """The places to try, the best first, and whether the names in them get a good part of the room."""
    places = list(range(len(columns)))
    is_fixed = any(one.has_address or one.column.asked for one in columns)
    while True:
        yield places, True
        of = {place: columns[place].column for place in places}
        descriptions = [place for place in places if not (of[place].keep or of[place].names)]
        is_last = is_fixed or len(places) == 1
        if is_last or not descriptions:
            yield places, False
        if is_last:
            return
        kept = [place for place in places if not of[place].names]
        names = [place for place in places if not of[place].differs]
        gone = (descriptions or kept or names or places)[-1]
        places = [place for place in places if place != gone]


def _least(measured: Measured, room: int, *, is_strict: bool) -> int:
    column, width, least = measured.column, measured.width, min(LEAST, room)
    if measured.has_address:
        least = width
    elif column.names and is_strict:
        least = max(least, room // (3 if column.differs else 4))
    if column.differs and width > least:
        least = max(least, min(measured.different_from, room))
    return least


def fitted(widths: Sequence[int], keeps: Sequence[bool], room: int, least: Sequence[int] = ()) -> list[int]:
    """Make the widths fit into the room: the widest shrinks first, and those with `keeps` last.

    None gets smaller than its `least`; so they may still be too wide together.
    """
    fit = list(widths)
    least = least or [LEAST] * len(fit)
    for places in ([place for place in range(len(fit)) if not keeps[place]], range(len(fit))):
        while sum(fit) > room:
            wide = [place for place in places if fit[place] > least[place]]
            if not wide:
                break
            fit[max(wide, key=fit.__getitem__)] -= 1
    return fit


def cut(text: str, width: int, *, inside: bool = False) -> str:
    """Cut the text to a width in columns of a terminal: at its end, or with `inside` in its middle."""
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    room = max(width - 1, 0)
    tail = _begun(text[::-1], room // 2)[::-1] if inside else ""
    # An accent, or half of an emoji, would join the letter before it.
    while tail and (cell_len(tail[0]) == 0):
        tail = tail[1:]
    head = _begun(text, room - cell_len(tail)).rstrip(_JOINER)
    return f"{head}…{tail}" if width else ""


def _begun(text: str, width: int) -> str:
    """As much of the beginning of the text as fits into the width."""
    from rich.cells import cell_len

    end = used = 0
    for letter in text:
        used += cell_len(letter)
        if used > width:
            break
        end += 1
    while cell_len(text[:end]) > width:
        end -= 1
    return text[:end]
