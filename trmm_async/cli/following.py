"""A run on its way: shown while it goes on, ended gently by Ctrl-C, and told when it is over.

Below: `progress`, `report`. Above: the commands.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import trmm_async as sdk
from trmm_async.cli.exits import Exit
from trmm_async.cli.printing import Output, say
from trmm_async.cli.progress import RunBar, run_bar
from trmm_async.cli.report import counted, is_refusal, print_groups, row, summary, verdict

__all__ = ["Following"]


class Following:
    """Follows a run to its end.

    Ctrl-C once: nothing more is sent, and what is under way is waited for, which the scripts' own time limit
    bounds. Twice: what is under way is given up. In both cases what is known is told.

    Args:
        output: where outcomes go.
        names: host names, by agents' ids.
        codes: the return codes that are successes.
        journal: where the run is kept; what stands there at the end is what is told, as `trmm results` does.
    """

    def __init__(
        self,
        output: Output,
        names: Mapping[str, str],
        codes: Collection[int | None] = (0,),
        journal: Path | None = None,
    ) -> None:
        self._output = output
        self._names = names
        self._codes = codes
        self._journal = journal
        self._interrupted = 0
        self._refused = False

    async def follow(self, job: "sdk.FleetRun") -> Exit:
        """Run it, show it, tell what came of it; the exit code."""
        with self._output.stream() as emit:
            try:
                async with job as run:
                    await self._watch(run, emit)
            except asyncio.CancelledError:
                if not self._give_up():
                    raise
            for outcome in job.rest:
                self._take(outcome, emit)
        if self._output.for_people:
            print_groups(job.groups(), self._names, self._codes)
        if job.stopped:
            say(f"stopped: {job.stopped}")
        counts, succeeded = await self._end_of(job)
        say(summary(counts, succeeded, job.worst_retcode))
        if self._interrupted:
            return Exit.INTERRUPTED
        return verdict(counts, succeeded, refused=self._refused)

    async def _end_of(self, job: "sdk.FleetRun") -> "tuple[sdk.Counts, int]":
        """Where the targets stand, and how many succeeded, each by the rule of the run that it ran in."""
        if self._journal is None:
            return job.counts, job.succeeded
        async with await sdk.Journal.read(self._journal) as book, book.still():
            counts, lost = await book.counts(), len(await book.in_flight())
            succeeded = sum((await book.successes()).values())
        # The run is over: of those that were begun, nothing more will come.
        return replace(counts, unknown=counts.unknown + lost, pending=counts.pending - lost), succeeded

    async def _watch(self, run: "sdk.FleetRun", emit: Callable[[object], None]) -> None:
        with run_bar(run.counts.total) as bar, self._interruptible(run, bar):
            async for outcome in run:
                self._take(outcome, emit)
                bar.advance(counted(run.counts))

    def _take(self, outcome: "sdk.Outcome", emit: Callable[[object], None]) -> None:
        self._refused = self._refused or is_refusal(outcome)
        if not self._output.for_people:
            emit(row(outcome, self._names))

    @contextmanager
    def _interruptible(self, run: "sdk.FleetRun", bar: RunBar) -> Iterator[None]:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt() -> None:
            self._interrupted += 1
            if self._interrupted == 1:
                bar.say("Nothing more is sent; what is under way is waited for. Ctrl-C again: at once.")
                run.stop()
            elif task is not None:
                task.cancel()

        with _on_ctrl_c(loop, interrupt):
            yield

    def _give_up(self) -> bool:
        """Whether it was a second Ctrl-C that ended it; then it goes on to be told."""
        task = asyncio.current_task()
        if self._interrupted < 2 or task is None:
            return False
        task.uncancel()
        return True


@contextmanager
def _on_ctrl_c(loop: asyncio.AbstractEventLoop, interrupt: Callable[[], None]) -> Iterator[None]:
    """Call that for each Ctrl-C. Not in another thread than the main one, which alone is told of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        loop.add_signal_handler(signal.SIGINT, interrupt)
        undo: Callable[[], object] = partial(loop.remove_signal_handler, signal.SIGINT)
    except NotImplementedError:  # the loops of Windows
        before = signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(interrupt))
        undo = partial(signal.signal, signal.SIGINT, before)
    try:
        yield
    finally:
        undo()
