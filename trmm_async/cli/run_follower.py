"""Follows a run: shows its outcomes, stops it gently on Ctrl-C, and prints a summary at its end.

Below: `progress`, `report`. Above: the commands.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import trmm_async as sdk
from trmm_async.cli.exits import CommandError, Exit, told
from trmm_async.cli.outcome_form import OutcomeForm
from trmm_async.cli.output import say
from trmm_async.cli.progress import run_bar
from trmm_async.cli.report import counted, is_refusal, print_groups, print_outcome, row, summary, verdict
from trmm_async.cli.signals import on_stop
from trmm_async.cli.streams import unfailing

if TYPE_CHECKING:
    from trmm_async.cli.host_files import HostFiles
    from trmm_async.fleet.journal import Place

__all__ = ["RunFollower"]


class RunFollower:
    """Follows a run to its end.

    After one Ctrl-C, SIGTERM or SIGHUP nothing more is sent, and scripts in progress are waited for, at most
    until their timeout. After a second one they are given up. In both cases the known outcomes are shown.

    A failure to print is a message on stderr. It neither ends the run nor sets the exit code: who sees a
    failed command may run everything again. The same holds for a host's file, and for a journal that can't be
    written any more, which stops the run.

    Args:
        output: how outcomes are shown.
        names: host names, by agents' ids.
        codes: the return codes that are successes.
        journal: the journal of the run. The summary is made from it, as that of `trmm results` is.
        files: writes a file for each host; None: no files.
        live: whether outcomes are shown as they come, if the options don't say.
    """

    def __init__(
        self,
        output: OutcomeForm,
        names: Mapping[str, str],
        codes: Collection[int | None] = (0,),
        journal: "Place | None" = None,
        files: "HostFiles | None" = None,
        *,
        live: bool = False,
    ) -> None:
        self._output = output
        self._names = names
        self._codes = codes
        self._journal = journal
        self._files = files
        self._live = output.in_words and (live if output.as_they_come is None else output.as_they_come)
        self._unwritten = 0
        self._interrupted = 0
        self._entered = False
        self._say: Callable[[str], object] = say
        self._refused = False

    async def follow(self, job: "sdk.FleetRun") -> Exit:
        """Run it, show it, and print the summary. Returns the exit code."""
        with unfailing() as why_lost:
            trouble = await self._follow(job)
            if self._output.in_words and not self._live:
                print_groups(job.groups(), self._names, self._codes)
            lost = why_lost()
        if job.stopped:
            say(f"stopped: {job.stopped}")
        if trouble is not None and str(trouble) != job.stopped:
            say(told(trouble))
        if lost is not None and not isinstance(lost, BrokenPipeError):
            say(f"what came of it can't be printed: {lost.strerror or lost}")
        if self._unwritten:
            say(f"{self._unwritten} files of --output-dir are not written")
        counts, succeeded = await self._end_of(job, trouble)
        say(summary(counts, succeeded, job.worst_retcode))
        if self._interrupted:
            return Exit.INTERRUPTED
        code = verdict(counts, succeeded, refused=self._refused)
        return Exit.PIPE_CLOSED if code == Exit.OK and isinstance(lost, BrokenPipeError) else code

    async def _follow(self, job: "sdk.FleetRun") -> Exception | None:
        """Run it and show it. Returns the error that ended it, unless that came before the start."""
        trouble = None
        with self._output.stream() as emit:
            with self._interruptible(job):
                try:
                    async with job as run:
                        self._entered = True
                        await self._watch(run, emit)
                except asyncio.CancelledError:
                    if not self._give_up():
                        raise
                except Exception as error:
                    if not self._entered:
                        raise
                    trouble = error
            for outcome in job.rest:
                self._take(outcome, emit)
        return trouble

    async def _end_of(self, job: "sdk.FleetRun", trouble: Exception | None) -> "tuple[sdk.Counts, int]":
        """The counts, and how many succeeded. Each target is judged by the rule of the run that it ran in."""
        if self._journal is None or trouble is not None:
            return job.counts, job.succeeded
        try:
            async with await sdk.Journal.read(self._journal) as book, book.still():
                counts, lost = await book.counts(), len(await book.in_flight())
                succeeded = sum((await book.successes()).values())
        except sdk.JournalError as error:
            say(told(error))
            return job.counts, job.succeeded
        # The run is over: targets that were started and have no outcome stay unknown.
        return replace(counts, unknown=counts.unknown + lost, pending=counts.pending - lost), succeeded

    async def _watch(self, run: "sdk.FleetRun", emit: Callable[[object], None]) -> None:
        with run_bar(run.counts.total) as bar:
            self._say = bar.say
            try:
                async for outcome in run:
                    self._take(outcome, emit)
                    bar.advance(counted(run.counts))
            finally:
                self._say = say

    def _take(self, outcome: "sdk.Outcome", emit: Callable[[object], None]) -> None:
        self._refused = self._refused or is_refusal(outcome)
        if self._output.in_words and not (self._live or self._files):
            return
        line = row(outcome, self._names)
        if self._live:
            print_outcome(line, self._codes)
        emit(line)
        if self._files is not None:
            try:
                self._files.write(line)
            except CommandError as error:
                self._unwritten += 1
                if self._unwritten == 1:
                    self._say(str(error))

    @contextmanager
    def _interruptible(self, run: "sdk.FleetRun") -> Iterator[None]:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt() -> None:
            self._interrupted += 1
            if self._interrupted == 1:
                run.stop()
                self._say("Nothing more is sent; what is in progress is waited for. Ctrl-C again: at once.")
            elif self._interrupted == 2 and task is not None:
                task.cancel()

        with on_stop(lambda: loop.call_soon_threadsafe(interrupt)):
            yield

    def _give_up(self) -> bool:
        """Whether a second Ctrl-C cancelled the task. If so, uncancel it, so that the summary is printed."""
        task = asyncio.current_task()
        if self._interrupted < 2 or task is None:
            return False
        task.uncancel()
        return True
