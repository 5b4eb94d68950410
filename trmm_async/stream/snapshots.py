"""`SnapshotLoader`: reads the server's state once for all agents that need it at about the same time.

It stands above `catchup` and below `session`. It is given a function that reads: nothing here calls the
server.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from trmm_async.errors import TRMMError
from trmm_async.stream.catchup import Snapshot

__all__ = ["Answer", "SnapshotLoader", "SnapshotSource"]

SnapshotSource = Callable[[frozenset[str]], Awaitable[Snapshot]]
"""Reads the present state of these agents from the server. Raises `TRMMError`."""

_GATHER_MOST: Final = 5.0

Answer = asyncio.Future[Snapshot | TRMMError]


class SnapshotLoader:
    """Reads the server's state once for all who ask at about the same time.

    Who asks during a read gets the result of the next one, since the server may have answered from before the
    question. If reads follow one another, each waits twice as long for further agents as the one before, up
    to 5 s. If connections are lost during that wait, it is not doubled: they would never catch up.
    """

    def __init__(
        self, source: SnapshotSource, gather: float, watch: Callable[[asyncio.Task[None]], None]
    ) -> None:
        self._source = source
        self._gather = self._pause = gather
        self._served_at = 0.0
        self._watch = watch
        self._asked: list[tuple[str, Answer]] = []
        self._task: asyncio.Task[None] | None = None

    def ask(self, agent_id: str) -> Answer:
        """Return a future for a snapshot that is read after this call, or for the error."""
        answer: Answer = asyncio.get_running_loop().create_future()
        self._asked.append((agent_id, answer))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._serve(), name="trmm_async: snapshots")
            self._watch(self._task)
        return answer

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._served_at > self._pause:
            self._pause = self._gather
        while self._asked:
            await asyncio.sleep(self._pause)
            asked = [(who, answer) for who, answer in self._asked if not answer.done()]
            # The rate limit that thousands of agents need to connect must not be spent on snapshots.
            some_gave_up = len(asked) < len(self._asked)
            self._pause = self._gather if some_gave_up else min(self._pause * 2, _GATHER_MOST)
            self._asked = []
            fetched = await self._fetch(frozenset(who for who, _ in asked)) if asked else None
            for _, answer in asked:
                if fetched is not None and not answer.done():
                    answer.set_result(fetched)
            self._served_at = loop.time()

    async def _fetch(self, agent_ids: frozenset[str]) -> Snapshot | TRMMError:
        try:
            return await self._source(agent_ids)
        except TRMMError as error:
            return error
