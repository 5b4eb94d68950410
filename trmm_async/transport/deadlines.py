"""How long a call may take, with one timer of the event loop for all calls that may take equally long.

A timer for each call would cost as much as reading its answer, and is nearly always cancelled.
"""

import asyncio
from collections.abc import Callable
from itertools import takewhile
from types import TracebackType
from typing import Self

__all__ = ["Deadline", "Deadlines"]


class Deadlines:
    """The deadlines of all calls under way, by how long each may take. Belongs to one event loop."""

    def __init__(self) -> None:
        self._queues: dict[float, _Queue] = {}

    def __repr__(self) -> str:
        return f"<Deadlines {self.pending} pending>"

    @property
    def pending(self) -> int:
        """How many calls are under way."""
        return sum(len(queue.waiting) for queue in self._queues.values())

    def within(self, seconds: float) -> "Deadline":
        """A `with` block that may take so long. Enter it in the task that is to be interrupted."""
        queue = self._queues.get(seconds)
        if queue is None:
            queue = self._queues[seconds] = _Queue(seconds, self._queues.pop)
        return Deadline(queue)

    def close(self) -> None:
        """Cancel all timers. Calls that are still under way have no deadline any more."""
        for queue in self._queues.values():
            queue.close()


class Deadline:
    """A block that ends in `TimeoutError` if it takes too long, as `asyncio.timeout` does. Enter it once."""

    __slots__ = ("_cancelling", "_has_passed", "_queue", "_task", "when")

    def __init__(self, queue: "_Queue") -> None:
        self._queue = queue
        self._has_passed = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline is entered inside a task")
        self._task = task
        self._cancelling = task.cancelling()
        queue = self._queue
        self.when: float = queue.now() + queue.seconds
        queue.waiting[self] = None
        if queue.timer is None:
            queue.watch(self.when)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.waiting.pop(self, None)
        if not self._has_passed:
            return
        # If somebody else has cancelled the task as well, the cancellation must go on.
        others = self._task.uncancel() > self._cancelling
        if kind is asyncio.CancelledError and not others:
            raise TimeoutError from error

    def passes(self) -> None:
        """Interrupt the block. Called by the queue."""
        self._has_passed = True
        self._task.cancel()


class _Queue:
    """The deadlines of blocks that may take equally long. The first to enter is the first due: one timer."""

    def __init__(self, seconds: float, forget: Callable[[float], object]) -> None:
        self.seconds = seconds
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self.now: Callable[[], float] = self._loop.time
        # A dict without values is a set that keeps its order.
        self.waiting: dict[Deadline, None] = {}
        self.timer: asyncio.TimerHandle | None = None

    def watch(self, when: float) -> None:
        """Set the timer."""
        self.timer = self._loop.call_at(when, self._look)

    def close(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.timer = None

    def _look(self) -> None:
        self.timer = None
        now = self.now()
        for deadline in list(takewhile(lambda one: one.when <= now, self.waiting)):
            del self.waiting[deadline]
            deadline.passes()
        first = next(iter(self.waiting), None)
        if first is None:
            self._forget(self.seconds)
        else:
            self.watch(first.when)
