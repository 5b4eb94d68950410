"""Reading the server's present state once for all agents that need it at about the same time.

Over `catchup`, below `session`. How it is read is given: nothing here calls the server.
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
    """Fetches the server's state once for all who ask at about the same time.

    Who asks while a fetch is under way gets the next one: that fetch may have looked before the question. As
    long as fetches follow one another, each waits twice as long for company as the one before, up to 5 s; but
    not where connections get lost while they wait, which would be caught up never.
    """

    def __init__(
        self, source: SnapshotSource, gather: float, watch: Callable[[asyncio.Task[None]], None]
    ) -> None:
        self._source = source
        self._gather = self._pause = gather
        self._served_at = 0.0
        self._watch = watch
        self._asked: list[tuple[str, Answer]] = []
        self._clerk: asyncio.Task[None] | None = None

    def ask(self, agent_id: str) -> Answer:
        """A snapshot that is taken after this call, or the error that came instead. May be cancelled."""
        answer: Answer = asyncio.get_running_loop().create_future()
        self._asked.append((agent_id, answer))
        if self._clerk is None or self._clerk.done():
            self._clerk = asyncio.create_task(self._serve(), name="trmm_async: snapshots")
            self._watch(self._clerk)
        return answer

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._served_at > self._pause:
            self._pause = self._gather
        while self._asked:
            await asyncio.sleep(self._pause)
            asked = [(who, answer) for who, answer in self._asked if not answer.done()]
            # Thousands of agents that connect at the pace of a rate limit must not spend it on fetches.
            too_long = len(asked) < len(self._asked)
            self._pause = self._gather if too_long else min(self._pause * 2, _GATHER_MOST)
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
