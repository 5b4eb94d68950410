"""What is broken off when a run is stopped: whatever has not been sent yet, and nothing else.

Over `course`. A target that waits for a rate limit, for its turn or for its splay must not be sent once
nothing more may be; one that was sent is waited for.
"""

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["Gate", "Gates"]


class Gate:
    """A block in which one task is at work on something that may not be sent yet. Entered again for the next.

    Broken off, the block ends as if it had come to its end.

    Attributes:
        is_sent: whether its first byte may have left: it is not broken off any more.
        was_shut: whether it was broken off, with nothing sent.
    """

    __slots__ = ("_is_at_work", "_task", "is_sent", "was_shut")

    def __init__(self, task: asyncio.Task[object]) -> None:
        self._task = task
        self._is_at_work = False
        self.is_sent = False
        self.was_shut = False

    def __enter__(self) -> Self:
        self._is_at_work = True
        self.is_sent = self.was_shut = False
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

    def sent(self) -> None:
        """Its first byte may leave now."""
        self.is_sent = True

    def shut(self) -> None:
        """Break it off, unless it was sent. Not from within: who is at work there sees to it itself."""
        if (
            self._is_at_work
            and not (self.is_sent or self.was_shut)
            and self._task is not asyncio.current_task()
        ):
            self.was_shut = True
            self._task.cancel()


class Gates:
    """All that may have to be broken off."""

    def __init__(self) -> None:
        self._gates: list[Gate] = []

    def shut(self) -> None:
        """The run was stopped: break off whatever is not sent."""
        for gate in self._gates:
            gate.shut()

    def gate(self) -> Gate:
        """A gate for the current task, which is broken off in it when the run is stopped. One a task."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a gate is for a task")
        gate = Gate(task)
        self._gates.append(gate)
        return gate
