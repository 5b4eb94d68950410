"""What is broken off when a run is stopped: whatever has not been sent yet, and nothing else.

Over `course`. A target that waits for a rate limit, for its turn or for its splay must not be sent once
nothing more may be; one that was sent is waited for.
"""

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["Flag", "Gate", "Gates"]


class Flag:
    """Whether something has happened."""

    __slots__ = ("is_set",)

    def __init__(self) -> None:
        self.is_set = False

    def set(self) -> None:
        """It has."""
        self.is_set = True


class Gate:
    """A block in which the current task is at work on something that is not sent yet.

    Broken off, the block ends as if it had come to its end.

    Attributes:
        was_shut: whether it was broken off, with nothing sent.
    """

    __slots__ = ("_gates", "_sent", "_task", "was_shut")

    def __init__(self, gates: "set[Gate]", sent: Flag) -> None:
        self._gates = gates
        self._sent = sent
        self._task: asyncio.Task[object] | None = None
        self.was_shut = False

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._gates.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._gates.discard(self)
        if not self.was_shut or self._task is None:
            return False
        # Swallowed only where nobody else has cancelled the task as well.
        others = self._task.uncancel()
        self.was_shut = isinstance(error, asyncio.CancelledError)
        return self.was_shut and not others

    def shut(self) -> None:
        """Break it off, unless it was sent. Not from within: who is at work there sees to it itself."""
        if self._task is None or self._sent.is_set or self.was_shut or self._task is asyncio.current_task():
            return
        self.was_shut = True
        self._task.cancel()


class Gates:
    """All that may have to be broken off."""

    def __init__(self) -> None:
        self._open: set[Gate] = set()

    def shut(self) -> None:
        """The run was stopped: break off whatever is not sent."""
        for gate in tuple(self._open):
            gate.shut()

    def until_stopped(self, sent: Flag | None = None) -> Gate:
        """A block that is broken off when the run is stopped, unless it is `sent` by then."""
        return Gate(self._open, sent or Flag())
