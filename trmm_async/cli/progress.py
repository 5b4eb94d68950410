"""Bars of long work, on stderr, and on a terminal only: rate, time left, counts.

Below: `printing`. Above: the commands.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from trmm_async.cli.printing import screen

__all__ = ["bytes_bar", "run_bar"]


@contextmanager
def bytes_bar(title: str) -> Iterator[Callable[[int, int | None], object]]:
    """A bar of a download; what it gives is called with the bytes done and the bytes in all."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(title), BarColumn(30), DownloadColumn(), TransferSpeedColumn())
    with _bar(*columns, TimeRemainingColumn()) as update:
        yield lambda done, total: update(completed=done, total=total)


@contextmanager
def run_bar(total: int) -> Iterator[Callable[[str], object]]:
    """A bar of a run over agents; what it gives is called for each that is settled, with the counts."""
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn
    from rich.progress import TimeRemainingColumn as Left
    from rich.text import Text

    class Rate(ProgressColumn):
        """How many a second, so far."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.completed / (task.elapsed or 1):.1f}/s")

    columns = (BarColumn(20), MofNCompleteColumn(), Rate(), Left(), TextColumn("{task.fields[counts]}"))
    with _bar(*columns, total=total, counts="") as update:
        yield lambda counts: update(advance=1, counts=counts)


@contextmanager
def _bar(*columns: Any, **first: Any) -> Iterator[Callable[..., object]]:
    """A bar that goes when the work is done; none without a terminal."""
    terminal = screen(stderr=True)
    if not terminal.is_terminal:
        yield lambda **_: None
        return
    from rich.progress import Progress

    with Progress(*columns, console=terminal, transient=True) as progress:
        bar = progress.add_task("", **{"total": None, **first})
        yield lambda **changes: progress.update(bar, **changes)
