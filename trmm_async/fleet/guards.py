"""What is broken off when a run is stopped: whatever has not been sent yet, and nothing else.

A target that waits for a rate limit, for its turn or for its splay must not be sent once
nothing more may be; one that was sent is waited for. One that was refused (429) and is to be sent again has
not been sent. What a user's own function does is waited for, but where it only waits to send its first call.
"""

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["UnsentGuard", "UnsentGuards"]


class UnsentGuard:
    """A block in which one task is at work on something that may not be sent yet. Entered again for the next.

    Broken off, the block ends as if it had come to its end.

    Attributes:
        is_sent: whether it may have run by now: then it is not broken off.
        is_busy: whether something is under way that is to be waited for, though nothing was changed by it.
        was_shut: whether it was broken off, with nothing sent.
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
        # Swallowed only where nobody else has cancelled the task as well.
        others = self._task.uncancel()
        self.was_shut = isinstance(error, asyncio.CancelledError)
        return self.was_shut and not others

    def sent(self, maybe: bool) -> None:
        """It may have run from now on; or, if not `maybe`, what was sent is known to have run nothing."""
        self.is_sent = maybe
        if not maybe:
            self._shut_soon()

    def busy(self, is_it: bool) -> None:
        """Something is under way that is to be waited for; or, if not `is_it`, it waits to send something."""
        self.is_busy = is_it
        if not is_it:
            self._shut_soon()

    def _shut_soon(self) -> None:
        if self._guards.are_shut:
            # Told by the task itself, on its way into a wait: it is broken off once it is there.
            asyncio.get_running_loop().call_soon(self.shut)

    def shut(self) -> None:
        """Break it off, unless it was sent. Not from within: who is at work there sees to it itself."""
        if (
            self._is_at_work
            and not (self.is_sent or self.is_busy or self.was_shut)
            and self._task is not asyncio.current_task()
        ):
            self.was_shut = True
            self._task.cancel()


class UnsentGuards:
    """All that may have to be broken off.

    Attributes:
        are_shut: whether the run was stopped.
    """

    def __init__(self) -> None:
        self._guards: list[UnsentGuard] = []
        self.are_shut: bool = False

    def shut(self) -> None:
        """The run was stopped: break off whatever is not sent."""
        self.are_shut = True
        for guard in self._guards:
            guard.shut()

    def guard(self) -> UnsentGuard:
        """A guard for the current task, which is broken off in it when the run is stopped. One a task."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a guard is for a task")
        guard = UnsentGuard(task, self)
        self._guards.append(guard)
        return guard
