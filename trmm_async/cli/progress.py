"""Bars of long work, on stderr, and on a terminal only: rate, time left, counts, and what is waited for.

Below: `printing`, `waits`. Above: the commands.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from trmm_async.cli.printing import screen
from trmm_async.cli.streams import is_terminal
from trmm_async.cli.waits import attendant, fitting

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["RunBar", "bytes_bar", "run_bar"]


@contextmanager
def bytes_bar(title: str) -> Iterator[Callable[[int, int | None], object]]:
    """A bar of a download; what it gives is called with the bytes done and the bytes in all."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(title), BarColumn(30), DownloadColumn(), TransferSpeedColumn())
    with _bar(*columns, TimeRemainingColumn()) as update:
        yield lambda done, total: update(completed=done, total=total)


@dataclass(frozen=True)
class RunBar:
    """A bar of a run over agents.

    Attributes:
        advance: called for each that is settled, with the counts.
        say: a message that stands above the bar.
    """

    advance: Callable[[str], object]
    say: Callable[[str], object]


@contextmanager
def run_bar(total: int) -> Iterator[RunBar]:
    """A bar of so many agents; messages alone without a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn
    from rich.text import Text

    attending = attendant()

    class Rate(ProgressColumn):
        """How many a second, so far."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.completed / (task.elapsed or 1):.1f}/s")

    class Left(ProgressColumn):
        """How long the rest will take: as the pace says, and not less than the rate limit lets it take."""

        max_refresh = 0.5

        def render(self, task: Task) -> Text:
            least = attending.least(int(task.remaining or 0)) if attending is not None else None
            known = [seconds for seconds in (least, task.time_remaining) if seconds is not None]
            left = max(known) if task.time_remaining is not None or least else None
            return Text("-:--:--" if left is None else str(timedelta(seconds=round(left))), style="cyan")

    columns = (BarColumn(20), MofNCompleteColumn(), Rate(), Left(), TextColumn("{task.fields[counts]}"))
    terminal = screen(stderr=True)
    with _bar(*columns, total=total, counts="", console=terminal) as update:
        yield RunBar(
            advance=lambda counts: update(advance=1, counts=counts),
            say=lambda text: terminal.print(text, soft_wrap=not terminal.is_terminal),
        )


@contextmanager
def _bar(*columns: Any, console: "Console | None" = None, **first: Any) -> Iterator[Callable[..., object]]:
    """A bar that goes when the work is done; none without a terminal."""
    terminal = console or screen(stderr=True)
    if not terminal.is_terminal:
        yield lambda **_: None
        return
    from rich.progress import Progress
    from rich.text import Text

    attending = attendant()

    class Told(Progress):
        """With a line below that says why nothing comes, if so it is."""

        def get_renderables(self) -> "Iterable[RenderableType]":
            yield from super().get_renderables()
            if attending is not None and attending.text:
                yield Text(
                    fitting(attending.text, terminal.width), style="dim", no_wrap=True, overflow="ellipsis"
                )

    # What is printed on the same terminal stands above the bar. Into a file or a pipe it goes as ever: rich
    # would take all of stdout for the bar's terminal, which is that of stderr.
    above = is_terminal(sys.stdout)
    with Told(*columns, console=terminal, transient=True, redirect_stdout=above) as progress:
        bar = progress.add_task("", **{"total": None, **first})
        yield lambda **changes: progress.update(bar, **changes)
