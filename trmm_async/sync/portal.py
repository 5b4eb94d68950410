"""`Portal`: an event loop in a thread of its own, and blocking calls into it from other threads.

It stands below `facade`, and knows nothing of clients: it is given functions to call in the loop.
"""

import asyncio
import contextvars
import inspect
import os
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from trmm_async.errors import ClosedError, InvalidRequestError

__all__ = ["Portal"]

_GLANCE: Final = 0.25 if sys.platform == "win32" else -1
"""Seconds after which a wait checks for Ctrl-C. On Windows, Ctrl-C does not interrupt waiting for a lock."""


class _Job:
    """One call into the loop, for which a thread waits.

    Attributes:
        ended: the call's task when it is done. None before, and if it never began.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        # So that context variables of the caller (a span, a run) are set in the call.
        self._context = contextvars.copy_context()
        self._task: asyncio.Task[Any] | None = None
        self._is_cancelled = False
        self._is_over = False
        # A lock, since Ctrl-C interrupts waiting for it. The loop's thread releases it.
        self._waiting = threading.Lock()
        self._waiting.acquire()
        self.ended: asyncio.Task[Any] | None = None

    @property
    def has_returned(self) -> bool:
        """Whether the call has returned without an error."""
        return self.ended is not None and not self.ended.cancelled() and self.ended.exception() is None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin the call. Called in the loop."""
        if self._is_cancelled:
            self._settle(None)
            return
        self._task = loop.create_task(_carried_out(self._work), context=self._context)
        self._task.add_done_callback(self._settle)

    def cancel(self) -> None:
        """Cancel the call. Called in the loop."""
        self._is_cancelled = True
        if self._task is not None:
            self._task.cancel()

    def wait(self) -> None:
        """Block until the call is done. Called in the thread."""
        while not self._is_over:
            self._waiting.acquire(timeout=_GLANCE)

    def _settle(self, task: asyncio.Task[Any] | None) -> None:
        self.ended = task
        self._is_over = True
        self._waiting.release()


class _Scope:
    """The calls that a function of the user makes in its thread. They are cancelled together with it."""

    def __init__(self) -> None:
        self.jobs: set[_Job] = set()
        self.is_over = False

    def end(self) -> None:
        """Cancel the calls, since nobody waits for the function any more. Called in the loop."""
        self.is_over = True
        for job in tuple(self.jobs):
            job.cancel()


_SCOPE: Final[contextvars.ContextVar[_Scope | None]] = contextvars.ContextVar(
    "trmm_async_scope", default=None
)


class Portal:
    """A loop in a thread. Any thread may call it. It ends by `close`, garbage collection, or at exit."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # A daemon thread, since it must not keep a program running. At exit, `finalize` ends it.
        self._thread = threading.Thread(target=_run, args=(self._loop,), name="trmm_async: sync", daemon=True)
        self._process = os.getpid()
        self._closers: list[Callable[[], Awaitable[None]]] = []
        self._end = weakref.finalize(self, _close, self._loop, self._thread, self._closers, self._process)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<Portal {'open' if self._end.alive else 'closed'}>"

    def at_close(self, closer: Callable[[], Awaitable[None]]) -> None:
        """Register a function to call and await in the loop before it ends."""
        self._closers.append(closer)

    def call(self, work: Callable[[], Any], undo: Callable[[Any], Any] | None = None) -> Any:
        """Call a function in the loop, and block until it returns. A coroutine that it returns is awaited.

        A KeyboardInterrupt (or another exception in this thread) cancels the call, waits for its end, and is
        raised. A second one does not wait. If the call had returned already, `undo` is called with the
        result.

        Raises:
            ClosedError: the portal is closed, or was closed meanwhile; or this process is a fork.
            InvalidRequestError: this is the loop's own thread, which would wait for itself.
        """
        scope = self._check()
        job = _Job(work)
        if scope is not None:
            scope.jobs.add(job)
        try:
            self._schedule(job.begin, self._loop)
            job.wait()
        except BaseException:
            self._give_up(job)
            if undo is not None and job.has_returned:
                self._undo(undo, job)
            raise
        finally:
            if scope is not None:
                scope.jobs.discard(job)
        task = job.ended
        if task is None or task.cancelled():
            raise ClosedError("the client was closed, or this was given up, while the call was under way")
        error = task.exception()
        if error is None:
            return task.result()
        try:
            # Raised here and not by a future, which would add frames to the user's traceback.
            raise error
        finally:
            # The traceback refers to this frame: without `del`, error and frame would refer to each other.
            del error, job, task

    async def in_thread(self, function: Callable[..., Any], *args: object) -> Any:
        """Call a function of the user in a thread, so that it may use this portal. Called in the loop.

        If this is cancelled, the calls that the function waits for are cancelled, and later ones are refused.
        """
        loop = asyncio.get_running_loop()
        returned: asyncio.Future[Any] = loop.create_future()
        scope = _Scope()
        context = contextvars.copy_context()
        context.run(_SCOPE.set, scope)

        def settle(result: Any, error: BaseException | None) -> None:
            if returned.done():
                return
            if error is None:
                returned.set_result(result)
            elif isinstance(error, StopIteration):
                returned.set_exception(RuntimeError(f"{function!r} raised StopIteration"))
            else:
                returned.set_exception(error)

        def run() -> None:
            result, error = None, None
            try:
                result = context.run(function, *args)
            except BaseException as raised:  # noqa: BLE001 - raised by `await returned`
                error = raised
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, result, error)

        # A daemon thread for each, not a pool: at the end of a program, Python waits for a pool's threads.
        threading.Thread(target=run, name="trmm_async: a callback", daemon=True).start()
        try:
            return await returned
        finally:
            scope.end()

    def close(self) -> None:
        """Cancel all calls, end the thread, and wait for its end. May be called twice."""
        if self._end.detach() is not None:
            _close(self._loop, self._thread, self._closers, self._process)

    def _check(self) -> _Scope | None:
        if self._process != os.getpid():
            raise ClosedError("this client was made in another process, before a fork: make one in each")
        if not self._end.alive:
            raise ClosedError("the client is closed")
        if threading.get_ident() == self._thread.ident:
            raise InvalidRequestError(
                "this function is called in the middle of the client's work, and can't wait for it: hand on "
                "what takes time, to a queue.Queue for example"
            )
        scope = _SCOPE.get()
        if scope is not None and scope.is_over:
            raise ClosedError("what this function was called for is over")
        return scope

    def _schedule(self, callback: Callable[..., object], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError as error:
            raise ClosedError("the client is closed") from error

    def _give_up(self, job: _Job) -> None:
        with suppress(ClosedError):
            self._schedule(job.cancel)
            job.wait()

    def _undo(self, undo: Callable[[Any], Any], job: _Job) -> None:
        with suppress(ClosedError):
            self.call(lambda: None if job.ended is None else undo(job.ended.result()))


async def _carried_out(work: Callable[[], Any]) -> Any:
    result = work()
    return await result if inspect.iscoroutine(result) or isinstance(result, asyncio.Future) else result


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


def _close(
    loop: asyncio.AbstractEventLoop,
    thread: threading.Thread,
    closers: Sequence[Callable[[], Awaitable[None]]],
    process: int,
) -> None:
    if process != os.getpid() or not thread.is_alive():
        return
    ending: list[asyncio.Task[None]] = []

    async def end() -> None:
        try:
            for closer in closers:
                await closer()
            tasks = asyncio.all_tasks() - {*ending}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await loop.shutdown_asyncgens()
        finally:
            loop.stop()

    with suppress(RuntimeError):  # it is closed already
        loop.call_soon_threadsafe(lambda: ending.append(loop.create_task(end())))
    # The garbage collector may run this in any thread, even in the loop's.
    if threading.get_ident() != thread.ident:
        thread.join()
