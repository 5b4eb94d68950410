"""Bars of long work, on stderr, and on a terminal only: rate, time left, counts.

Below: `printing`. Above: the commands.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trmm_async.cli.printing import screen

__all__ = ["bytes_bar", "run_bar"]


@contextmanager
def bytes_bar(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar of a download; what it gives is called with the bytes done and the bytes in all."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.progress import TransferSpeedColumn as Speed

    terminal = screen(stderr=True)
    columns = (TextColumn(title), BarColumn(30), DownloadColumn(), Speed(), TimeRemainingColumn())
    with Progress(*columns, console=terminal, disable=not terminal.is_terminal, transient=True) as progress:
        bar = progress.add_task("", total=None)

        def update(done: int, total: int | None) -> None:
            progress.update(bar, completed=done, total=total)

        yield update


@contextmanager
def run_bar(total: int) -> Iterator[Callable[[str], None]]:
    """A bar of a run over agents; what it gives is called for each that is settled, with the counts."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TimeRemainingColumn as Left
    from rich.text import Text

    class Rate(ProgressColumn):
        """How many a second."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.completed / (task.elapsed or 1):.1f}/s")

    terminal = screen(stderr=True)
    columns = (BarColumn(20), MofNCompleteColumn(), Rate(), Left(), TextColumn("{task.fields[counts]}"))
    with Progress(*columns, console=terminal, disable=not terminal.is_terminal, transient=True) as progress:
        bar = progress.add_task("", total=total, counts="")
        yield lambda counts: progress.update(bar, advance=1, counts=counts)
