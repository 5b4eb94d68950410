"""Prints tables and lines for people, and JSON for programs, on stdout; messages on stderr.

Below: `columns`, `rows`, `text`. Above: the commands.
"""

import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from trmm_async.cli.columns import GAP, LEAST, Column, Measured, cut, fitted, layout
from trmm_async.cli.rows import plain
from trmm_async.cli.text import clean, one_line
from trmm_async.plaintext import UNFIT

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = [
    "STYLES",
    "WIDE",
    "GrowingTable",
    "as_json_text",
    "hanging",
    "json_stream",
    "print_table",
    "say",
    "screen",
]

T = TypeVar("T")
WIDE: Final = 130
"""A terminal with at least this many columns shows the wide columns of a table."""
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
"""The colours of states."""


@contextmanager
def json_stream(*, as_array: bool) -> Iterator[Callable[[object], None]]:
    """Print things as JSON, each when it comes: as an array that ends with the block, or one on each line.

    After an error before the first thing no array is printed: an empty one would say that there is nothing.
    Ctrl-C is no error: it is how following something ends, and there may have been nothing until then.
    """
    before = "[\n  "

    def emit(thing: object) -> None:
        nonlocal before
        if as_array:
            element = as_json_text(plain(thing), indent=2).replace("\n", "\n  ")
            print(before, element, sep="", end="", flush=True)
            before = ",\n  "
        else:
            print(as_json_text(plain(thing)), flush=True)

    try:
        yield emit
    except BaseException as error:
        if as_array and before[0] != "[":
            print("\n]")
        elif as_array and not isinstance(error, Exception):
            print("[]")
        raise
    if as_array:
        print("[]" if before[0] == "[" else "\n]")


def as_json_text(value: Any, indent: int | None = None) -> str:
    """JSON that any terminal and any encoding can show."""
    # JSON can escape the characters that the encoding of stdout lacks.
    every = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, ensure_ascii=not every, indent=indent)
    # It may be printed on a terminal, which must not act on it. Escaped, it is still the same data.
    return UNFIT.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def screen(*, stderr: bool = False) -> "Console":
    """A console on stdout or stderr, whether or not that is a terminal."""
    from trmm_async.cli.console import Screen

    return Screen(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def say(text: str, style: str = "") -> None:
    """Print a message on stderr. On a terminal it is wrapped between words."""
    terminal = screen(stderr=True)
    terminal.print(clean(text), style=style, soft_wrap=not terminal.is_terminal)


def hanging(head: "Text", text: str) -> None:
    """Print a head and a text on stdout. On a terminal the text is wrapped, and indented beside the head."""
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


def print_table(
    things: Sequence[T], columns: Sequence[Column[T]], *, heads: bool = True, whole: bool = False
) -> None:
    """Print a table that fits the terminal, see `layout`.

    Args:
        things: a row each; at least one.
        columns: the columns.
        heads: whether there is a header line.
        whole: whether to show all columns, and cut none.
    """
    terminal = screen()
    narrow = terminal.is_terminal and terminal.width < WIDE and not whole
    shown = [column for column in columns if not (narrow and column.wide)]
    shown, rows = _without_empty(shown, [[_cell(column, thing) for column in shown] for thing in things])
    titles = [_styled(column.title, "bold") for column in shown]
    table = [titles, *rows] if heads else rows
    widths = [max(cell.cell_len for cell in cells) for cells in zip(*table, strict=True)]
    fit = dict(enumerate(widths))
    if terminal.is_terminal and not whole:
        texts = [[cell.plain for cell in cells] for cells in zip(*rows, strict=True)]
        fit = layout([*map(Measured, shown, widths, texts)], terminal.width)
    for row in table:
        terminal.print(_line([row[place] for place in fit], [shown[place] for place in fit], [*fit.values()]))


class GrowingTable(Generic[T]):
    """A table whose rows are printed as they come. A column is as wide as its widest cell so far.

    Args:
        columns: the columns.
        heads: whether there is a header line.
        whole: whether to cut no column.
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
            room = terminal.width - GAP * (len(cells) - 1)
            keeps = [column.keep or column.names for column in self._columns]
            least = [width if had else LEAST for width, had in zip(widths, self._addresses, strict=True)]
            widths = fitted(widths, keeps, room, least)
        for line in lines:
            terminal.print(_line(line, self._columns, widths))


def _without_empty(
    columns: Sequence[Column[T]], rows: Sequence[Sequence["Text"]]
) -> tuple[list[Column[T]], list[list["Text"]]]:
    """Leave out columns in which no row has a text: the other kind of server may send those."""
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
    line = Text(" " * GAP, end="").join(padded)
    line.rstrip()
    return line
