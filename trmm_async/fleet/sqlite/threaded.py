"""A journal in a SQLite file, for asyncio: `store` is called in a thread of its own.

What several tasks want to write at the same moment is one transaction, which waits for the disk once.
"""

import asyncio
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from trmm_async.errors import JournalError, TRMMError
from trmm_async.fleet.sqlite.rows import Change, Page
from trmm_async.fleet.sqlite.store import TROUBLES, SQLiteStore
from trmm_async.fleet.storage import Judged

__all__ = ["SQLiteJournalStore"]

P = ParamSpec("P")
T = TypeVar("T")


class SQLiteJournalStore:
    """A `storage.JournalStore` in a SQLite file."""

    def __init__(self, path: Path) -> None:
        self.name: str = str(path)
        self._file = SQLiteStore(path)
        self._thread = ThreadPoolExecutor(1, "trmm_async journal")
        self._busy = threading.Lock()
        self._writing = asyncio.Lock()
        self._queue: list[tuple[Change, asyncio.Future[None]]] = []
        self._flushes: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        # If it is never closed, it releases its lock and its thread when it is collected.
        self._dropped = weakref.finalize(self, _let_go, self._file, self._thread, self._busy)

    def __repr__(self) -> str:
        return f"<SQLiteJournalStore {self.name}>"

    @property
    def meta(self) -> Mapping[str, str]:
        return self._file.meta

    @property
    def writes(self) -> bool:
        return self._file.writes

    # -- opening and closing ---------------------------------------------------------------------------------

    async def create(self, kind: str) -> None:
        await self._call(self._file.create, kind)

    async def resume(self) -> None:
        await self._call(self._file.resume)

    async def read(self) -> None:
        await self._call(self._file.read)

    async def checkpoint(self) -> None:
        await self._call(self._file.checkpoint)

    async def discard(self) -> None:
        await self._finish(self._file.discard)

    async def close(self) -> None:
        await self._finish(self._file.close)

    async def _finish(self, end: Callable[[], None]) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(end), name="trmm_async: closing a journal")
        await asyncio.shield(self._closing)

    async def _close(self, end: Callable[[], None]) -> None:
        if self._flushes:
            await asyncio.wait(self._flushes)
        try:
            await self._call(end)
        finally:
            self._dropped.detach()
            self._thread.shutdown(wait=False)

    async def _call(self, does: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in the journal's thread. If this is cancelled, it is called all the same."""
        busy = self._busy

        def do() -> T:
            with busy:
                return does(*args, **kwargs)

        try:
            done = asyncio.get_running_loop().run_in_executor(self._thread, do)
        except RuntimeError as error:
            raise JournalError(f"{self.name} is closed") from error
        try:
            return await asyncio.shield(done)
        except TROUBLES as error:
            raise JournalError(f"{self.name} can't be used: {error}") from error

    # -- writing ---------------------------------------------------------------------------------------------

    async def note(self, name: str, value: str) -> None:
        await self._write(lambda page: page.note(name, value))

    async def add(self, agent_ids: Sequence[str]) -> None:
        await self._write(partial(Page.add, agent_ids=agent_ids))

    async def begin(self, agent_ids: Sequence[str], at: float, mark: int, mark_time: str | None) -> None:
        await self._write(lambda page: page.begin(agent_ids, at, mark, mark_time))

    async def withdraw(self, agent_ids: Sequence[str]) -> None:
        await self._write(lambda page: page.withdraw(agent_ids))

    async def release(self, agent_ids: Sequence[str]) -> None:
        await self.withdraw(agent_ids)

    async def settle(self, agent_id: str, values: Mapping[str, object], judged: Judged) -> bool:
        del judged  # the one process keeps count by itself
        await self._write(lambda page: page.settle(agent_id, values))
        return True

    async def retry(self, kinds: Sequence[str], *, forgive: bool) -> None:
        del forgive  # the one process keeps count by itself
        if kinds:
            await self._write(lambda page: page.retry(kinds))

    async def _write(self, change: Change) -> None:
        """Write a change, in one transaction with the changes of other tasks."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((change, done))
        flush = asyncio.create_task(self._flush(done), name="trmm_async: journal")
        self._flushes.add(flush)
        flush.add_done_callback(self._flushes.discard)
        # A cancelled task does not end the transaction, since changes of other tasks are in it.
        await asyncio.shield(flush)
        done.result()

    async def _flush(self, mine: asyncio.Future[None]) -> None:
        async with self._writing:
            if mine.done():
                return
            queue, self._queue = self._queue, []
            told: Sequence[TRMMError | None]
            try:
                told = await self._call(self._file.transact, [change for change, _ in queue])
            except JournalError as error:
                told = [error] * len(queue)
            for (_, done), trouble in zip(queue, told, strict=True):
                done.set_result(None) if trouble is None else done.set_exception(trouble)

    # -- reading ---------------------------------------------------------------------------------------------

    async def hold_still(self) -> None:
        await self._call(self._file.hold_still)

    async def move_on(self) -> None:
        await self._call(self._file.move_on)

    async def counts(self) -> Mapping[str, int]:
        return await self._call(self._file.counts)

    async def in_flight(self) -> list[tuple[str, float, int, str | None]]:
        return await self._call(self._file.in_flight)

    async def pending(self, after: int) -> list[tuple[int, str]]:
        return await self._call(self._file.pending, after)

    async def targets(self, after: int) -> list[tuple[int, str]]:
        return await self._call(self._file.targets, after)

    async def to_run(self, kinds: Iterable[str]) -> list[str]:
        return await self._call(self._file.to_run, tuple(kinds))

    async def successes(self) -> Mapping[int | None, int]:
        return await self._call(self._file.successes)

    async def ended(self, after: int) -> list[tuple[Any, ...]]:
        return await self._call(self._file.ended, after)


def _let_go(store: SQLiteStore, thread: ThreadPoolExecutor, busy: threading.Lock) -> None:
    """Close a store that was collected: at once, or in its thread if that is at work."""
    if not busy.acquire(blocking=False):
        thread.submit(store.close)
        thread.shutdown(wait=False)
        return
    try:
        thread.shutdown(wait=False)
        store.close()
    finally:
        busy.release()
