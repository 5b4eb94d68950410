"""Progress bars on stderr, on a terminal only: rate, time left, counts, and what is waited for.

Below: `output`, `waits`. Above: the commands.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from trmm_async.cli.output import screen
from trmm_async.cli.streams import is_terminal
from trmm_async.cli.waits import attendant, fitting

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["RunBar", "bytes_bar", "run_bar"]


@contextmanager
def bytes_bar(title: str) -> Iterator[Callable[[int, int | None], object]]:
    """Show a bar of a download. Gives a function to call with the bytes done, and the bytes in all."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(title), BarColumn(30), DownloadColumn(), TransferSpeedColumn())
    with _bar(*columns, TimeRemainingColumn()) as update:
        yield lambda done, total: update(completed=done, total=total)


@dataclass(frozen=True)
class RunBar:
    """A bar of a run over agents.

    Attributes:
        advance: call it for each target that has an outcome, with the counts.
        say: prints a message above the bar.
    """

    advance: Callable[[str], object]
    say: Callable[[str], object]


@contextmanager
def run_bar(total: int) -> Iterator[RunBar]:
    """Show a bar of so many agents. Without a terminal messages are printed, and no bar."""
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn
    from rich.text import Text

    attending = attendant()

    class Rate(ProgressColumn):
        """The average rate."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.completed / (task.elapsed or 1):.1f}/s")

    class Left(ProgressColumn):
        """The time left: by the rate so far, and not less than the rate limit allows."""

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
    """Show a bar, which is erased when the block ends. Without a terminal nothing is shown."""
    terminal = console or screen(stderr=True)
    if not terminal.is_terminal:
        yield lambda **_: None
        return
    from rich.progress import Progress
    from rich.text import Text

    attending = attendant()

    class Told(Progress):
        """Adds a line below the bar that says what is waited for."""

        def get_renderables(self) -> "Iterable[RenderableType]":
            yield from super().get_renderables()
            if attending is not None and attending.text:
                yield Text(
                    fitting(attending.text, terminal.width), style="dim", no_wrap=True, overflow="ellipsis"
                )

    # If stdout is a terminal, what is printed there appears above the bar. A file or a pipe is left alone:
    # rich would print to the bar's console instead, which is on stderr.
    above = is_terminal(sys.stdout)
    with Told(*columns, console=terminal, transient=True, redirect_stdout=above) as progress:
        bar = progress.add_task("", **{"total": None, **first})
        yield lambda **changes: progress.update(bar, **changes)
