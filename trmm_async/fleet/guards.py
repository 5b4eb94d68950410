"""Cancels, when a run is stopped, the tasks whose call has not been sent yet, and no others.

A target that waits for a rate limit, for its turn or for its splay must not be sent after the run was
stopped; a target that was sent is waited for. A call that was refused (429) and will be sent again counts as
not sent. A user's own function is waited for, except while it only waits to send its first call.
"""

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["UnsentGuard", "UnsentGuards"]


class UnsentGuard:
    """A block in which one task works on a target that may not be sent yet. It can be entered again.

    If the block is cancelled by its guard, it ends as if it had come to its end.

    Attributes:
        is_sent: whether the call may have run: then it is not cancelled.
        is_busy: whether something is in progress that must be waited for, although it changes nothing.
        was_shut: whether the block was cancelled, with nothing sent.
    """

    __slots__ = ("_guards", "_is_at_work", "_task", "is_busy", "is_sent", "was_shut")

    def __init__(self, task: asyncio.Task[object], guards: "UnsentGuards") -> None:
        self._task = task
        self._guards = guards
        self._is_at_work = False
        self.is_sent: bool = False
        self.is_busy: bool = False
        self.was_shut: bool = False

    def __enter__(self) -> Self:
        self._is_at_work = True
        self.is_sent = self.is_busy = self.was_shut = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._is_at_work = False
        if not self.was_shut:
            return False
        # The cancellation is swallowed only if nobody else has cancelled the task as well.
        others = self._task.uncancel()
        self.was_shut = isinstance(error, asyncio.CancelledError)
        return self.was_shut and not others

    def sent(self, maybe: bool) -> None:
        """Record that the call may have run from now on; or, if not `maybe`, that it ran nothing."""
        self.is_sent = maybe
        if not maybe:
            self._shut_soon()

    def busy(self, is_it: bool) -> None:
        """Record that something must be waited for; or, if not `is_it`, that the task only waits to send."""
        self.is_busy = is_it
        if not is_it:
            self._shut_soon()

    def _shut_soon(self) -> None:
        if self._guards.are_shut:
            # The task itself reports this before it begins to wait, so it is cancelled once it waits.
            asyncio.get_running_loop().call_soon(self.shut)

    def shut(self) -> None:
        """Cancel the block unless its call was sent. The task inside the block itself is never cancelled."""
        if (
            self._is_at_work
            and not (self.is_sent or self.is_busy or self.was_shut)
            and self._task is not asyncio.current_task()
        ):
            self.was_shut = True
            self._task.cancel()


class UnsentGuards:
    """All guards of a run.

    Attributes:
        are_shut: whether the run was stopped.
    """

    def __init__(self) -> None:
        self._guards: list[UnsentGuard] = []
        self.are_shut: bool = False

    def shut(self) -> None:
        """Cancel every block whose call has not been sent, since the run was stopped."""
        self.are_shut = True
        for guard in self._guards:
            guard.shut()

    def guard(self) -> UnsentGuard:
        """Make the guard of the current task. A task has one guard."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a guard is for a task")
        guard = UnsentGuard(task, self)
        self._guards.append(guard)
        return guard
