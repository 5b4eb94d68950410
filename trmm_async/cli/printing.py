"""What goes to stdout: tables for people, JSON and JSON Lines for programs. Messages go to stderr.

Below: `exits`, `rows`, `text`. Above: the commands.
"""

import json
import sys
import textwrap
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from trmm_async.cli.exits import usage
from trmm_async.cli.rows import plain
from trmm_async.cli.text import clean, one_line
from trmm_async.plaintext import UNFIT

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = [
    "STYLES",
    "WIDE",
    "Column",
    "GrowingTable",
    "Output",
    "as_json_text",
    "cut",
    "fitted",
    "hanging",
    "plain",
    "print_table",
    "say",
    "screen",
]

T = TypeVar("T")
WIDE: Final = 130
"""From so many columns on a terminal shows the wide columns of a table."""
_GAP: Final = 2
_JOINER: Final = "\u200d"
_LEAST: Final = 8
STYLES: Final = {
    "online": "green",
    "offline": "red",
    "overdue": "yellow",
    "passing": "green",
    "failing": "red",
    "error": "red",
    "critical": "red",
    "warning": "yellow",
    "ok": "green",
    "bad": "red",
    "unknown": "magenta",
}
"""The colour of a word that says how something is."""


@dataclass(frozen=True)
class Column(Generic[T]):
    """One column of a table.

    Attributes:
        title: what stands above it.
        text: what it shows of a row.
        keep: whether it keeps its width while others still can shrink.
        wide: whether it is shown on wide terminals only.
        styled: whether its words have a colour (see `STYLES`).
        names: whether it is what a row is called: it is cut last, and in the middle.
        differs: of names, whether no two may look alike that are not.
        asked: whether it was asked for: it is never left out.
    """

    title: str
    text: Callable[[T], object]
    keep: bool = False
    wide: bool = False
    styled: bool = False
    names: bool = False
    differs: bool = False
    asked: bool = False


class Output:
    """Where a command's data goes, in the format that was asked for."""

    def __init__(self, *, as_json: bool = False, as_jsonl: bool = False) -> None:
        if as_json and as_jsonl:
            raise usage("--json and --jsonl are two formats: choose one")
        self.as_json = as_json
        self.as_jsonl = as_jsonl

    @property
    def for_people(self) -> bool:
        """Whether people read it, and no program."""
        return not (self.as_json or self.as_jsonl)

    def rows(self, things: Sequence[T], columns: Sequence[Column[T]], *, none: str = "nothing") -> None:
        """Show things: a table, a JSON array, or a line for each."""
        if self.for_people:
            print_table(things, columns) if things else say(none)
            return
        with self.stream() as emit:
            for thing in things:
                emit(thing)

    def one(self, thing: T, show: Callable[[T], None]) -> None:
        """Show one thing: as `show` does for people, or as one JSON object."""
        if self.for_people:
            show(thing)
        else:
            print(as_json_text(plain(thing), indent=2 if self.as_json else None))

    @contextmanager
    def stream(self) -> Iterator[Callable[[object], None]]:
        """For programs: things as they come, and not kept. A JSON array is closed when the block ends.

        An error before the first is told by itself: an empty array would say that there is nothing. Ctrl-C is
        how what follows something ends, and there may have been nothing until then.
        """
        before = "[\n  "

        def emit(thing: object) -> None:
            nonlocal before
            if self.as_json:
                element = as_json_text(plain(thing), indent=2).replace("\n", "\n  ")
                print(before, element, sep="", end="", flush=True)
                before = ",\n  "
            else:
                print(as_json_text(plain(thing)), flush=True)

        try:
            yield emit
        except BaseException as error:
            if self.as_json and before[0] != "[":
                print("\n]")
            elif self.as_json and not isinstance(error, Exception):
                print("[]")
            raise
        if self.as_json:
            print("[]" if before[0] == "[" else "\n]")


def as_json_text(value: Any, indent: int | None = None) -> str:
    """JSON that any terminal and any encoding can show."""
    # Where the reader's encoding has not all letters, JSON has a way to write them.
    every = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, ensure_ascii=not every, indent=indent)
    # It may be on a terminal that it ends: nothing there acts on it, and what reads it has the same data.
    return UNFIT.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def screen(*, stderr: bool = False) -> "Console":
    """A terminal, or what stands in its place; see `console`."""
    from trmm_async.cli.console import Screen

    return Screen(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def say(text: str, style: str = "") -> None:
    """A message to people, on stderr; on a terminal it is broken between words."""
    terminal = screen(stderr=True)
    terminal.print(clean(text), style=style, soft_wrap=not terminal.is_terminal)


def hanging(head: "Text", text: str) -> None:
    """A line for people, on stdout: what follows the head is broken between words, and stays beside it."""
    from rich.text import Text

    terminal = screen()
    room = terminal.width - head.cell_len if terminal.is_terminal else 0
    breaks = "://" not in text  # an address that is broken can't be clicked, nor copied
    width = max(room, 20)
    lines = [text]
    if room:
        lines = textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=breaks)
    for place, line in enumerate(lines):
        terminal.print((head if place == 0 else Text(" " * head.cell_len)) + Text(line, style="not bold"))


def fitted(widths: Sequence[int], keeps: Sequence[bool], room: int, least: Sequence[int] = ()) -> list[int]:
    """Widths that fit into the room: the widest gives first, those that keep theirs last.

    None is less than its least.
    """
    fit = list(widths)
    least = least or [_LEAST] * len(fit)
    for places in ([place for place in range(len(fit)) if not keeps[place]], range(len(fit))):
        while sum(fit) > room:
            wide = [place for place in places if fit[place] > least[place]]
            if not wide:
                break
            fit[max(wide, key=fit.__getitem__)] -= 1
    return fit


class _Layout:
    """Which columns of a table are shown in a room, and how wide.

    What describes gives way first: it is cut, then left out, the last first. Then names are cut, those that
    are to differ no further than they do, and then the other columns go. What was asked for is never left
    out, and in a table with an address (URL), which is never cut, nothing is.

    Args:
        columns: the columns.
        rows: their cells, without the titles.
        widths: as wide as the columns are.
        room: of the terminal.
    """

    def __init__(
        self,
        columns: Sequence[Column[Any]],
        rows: Sequence[Sequence["Text"]],
        widths: Sequence[int],
        room: int,
    ) -> None:
        self._columns = columns
        self._rows = rows
        self._natural = widths
        self._addresses = {
            place for place in range(len(columns)) if any("://" in row[place].plain for row in rows)
        }
        self._different: dict[int, int] = {}
        self.places = list(range(len(columns)))
        self.widths = self._fitted(room, strict=True)
        is_fixed = self._addresses or any(column.asked for column in columns)
        while self._is_too_wide(room) and not is_fixed and len(self.places) > 1:
            plain = [place for place in self.places if not (columns[place].keep or columns[place].names)]
            if not plain:
                self.widths = self._fitted(room, strict=False)
                if not self._is_too_wide(room):
                    break
            kept = [place for place in self.places if not columns[place].names]
            others = [place for place in self.places if not columns[place].differs]
            self.places.remove((plain or kept or others or self.places)[-1])
            self.widths = self._fitted(room, strict=True)
        if self._is_too_wide(room):
            self.widths = self._fitted(room, strict=False)

    def _is_too_wide(self, room: int) -> bool:
        return sum(self.widths) + _GAP * (len(self.widths) - 1) > room

    def _fitted(self, room: int, *, strict: bool) -> list[int]:
        """The widths of what is shown; `strict`: names keep a good part of the room."""
        within = room - _GAP * (len(self.places) - 1)
        least, keeps = [], []
        for place in self.places:
            column, width, usual = self._columns[place], self._natural[place], min(_LEAST, room)
            if place in self._addresses:
                usual = width
            elif column.names and strict:
                usual = max(usual, room // (3 if column.differs else 4))
            if column.differs and width > usual:
                usual = max(usual, min(self._least_of_names(place), room))
            least.append(usual)
            # One name that is very long does not take the room of all that is said.
            keeps.append(column.keep or (column.names and width <= room // 2))
        return fitted([self._natural[place] for place in self.places], keeps, within, least)

    def _least_of_names(self, place: int) -> int:
        """The width from which on no two names of this column look alike."""
        if place not in self._different:
            names = {row[place].plain for row in self._rows}

            def differ(width: int) -> bool:
                return len({cut(name, width, inside=True) for name in names}) == len(names)

            widths = range(_LEAST, max(self._natural[place], _LEAST) + 1)
            self._different[place] = widths[bisect_left(widths, True, hi=len(widths) - 1, key=differ)]
        return self._different[place]


def cut(text: str, width: int, *, inside: bool = False) -> str:
    """The text in so many columns of a terminal: its end is left out where it is longer, or its middle."""
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    room = max(width - 1, 0)
    tail = _begun(text[::-1], room // 2)[::-1] if inside else ""
    # An accent, or half of an emoji, would go to the letter before it.
    while tail and (cell_len(tail[0]) == 0):
        tail = tail[1:]
    head = _begun(text, room - cell_len(tail)).rstrip(_JOINER)
    return f"{head}…{tail}" if width else ""


def _begun(text: str, width: int) -> str:
    """As much of the beginning as there is room for."""
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


def print_table(
    things: Sequence[T], columns: Sequence[Column[T]], *, heads: bool = True, whole: bool = False
) -> None:
    """Print a table that fits the terminal, see `_Layout`.

    Args:
        things: a row each; at least one.
        columns: what is told of each.
        heads: whether the titles stand above.
        whole: show all columns, and cut none.
    """
    terminal = screen()
    narrow = terminal.is_terminal and terminal.width < WIDE and not whole
    shown = [column for column in columns if not (narrow and column.wide)]
    shown, rows = _without_empty(shown, [[_cell(column, thing) for column in shown] for thing in things])
    titles = [_styled(column.title, "bold") for column in shown]
    table = [titles, *rows] if heads else rows
    widths = [max(cell.cell_len for cell in cells) for cells in zip(*table, strict=True)]
    places = list(range(len(shown)))
    if terminal.is_terminal and not whole:
        layout = _Layout(shown, rows, widths, terminal.width)
        places, widths = layout.places, layout.widths
    for row in table:
        terminal.print(_line([row[place] for place in places], [shown[place] for place in places], widths))


class GrowingTable(Generic[T]):
    """A table whose rows come one by one, each printed when it comes.

    A column is as wide as it has had to be so far. The titles stand above the first row.

    Args:
        columns: what is told of each row.
        heads: whether the titles stand above.
        whole: cut none, and show the wide columns as well.
    """

    def __init__(self, columns: Sequence[Column[T]], *, heads: bool = True, whole: bool = False) -> None:
        self._columns = columns
        self._whole = whole
        self._titles = [_styled(column.title, "bold") for column in columns] if heads else None
        self._widths = [0] * len(columns)
        self._addresses = [False] * len(columns)

    def add(self, thing: T) -> None:
        """Print one row."""
        terminal = screen()
        cells = [_cell(column, thing) for column in self._columns]
        lines = [cells] if self._titles is None else [self._titles, cells]
        self._titles = None
        for line in lines:
            self._widths = [max(width, cell.cell_len) for width, cell in zip(self._widths, line, strict=True)]
        # An address is never cut.
        self._addresses = [
            had or "://" in cell.plain for had, cell in zip(self._addresses, cells, strict=True)
        ]
        widths = self._widths
        if terminal.is_terminal and not self._whole:
            room = terminal.width - _GAP * (len(cells) - 1)
            keeps = [column.keep or column.names for column in self._columns]
            least = [width if had else _LEAST for width, had in zip(widths, self._addresses, strict=True)]
            widths = fitted(widths, keeps, room, least)
        for line in lines:
            terminal.print(_line(line, self._columns, widths))


def _without_empty(
    columns: Sequence[Column[T]], rows: Sequence[Sequence["Text"]]
) -> tuple[list[Column[T]], list[list["Text"]]]:
    """Without the columns in which no row has anything: what one kind of server tells, another doesn't."""
    places = [place for place in range(len(columns)) if any(row[place].plain for row in rows)] or [0]
    return [columns[place] for place in places], [[row[place] for place in places] for row in rows]


def _cell(column: Column[T], thing: T) -> "Text":
    value = column.text(thing)
    text = "" if value is None else one_line(clean(str(value)))
    return _styled(text, STYLES.get(text, "") if column.styled else "")


def _styled(text: str, style: str) -> "Text":
    from rich.text import Text

    return Text(text, style=style, end="")


def _line(cells: Iterable["Text"], columns: Iterable[Column[Any]], widths: Sequence[int]) -> "Text":
    from rich.cells import cell_len
    from rich.text import Text

    padded = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        told = cut(cell.plain, width, inside=column.names)
        padded.append(Text(told + " " * (width - cell_len(told)), style=cell.style, end=""))
    line = Text(" " * _GAP, end="").join(padded)
    line.rstrip()
    return line
