"""Reads the output of commands from a server's history, which has no list of commands alone.

A `RunPoller` that reads something else: the history of each pending agent if they are few, otherwise that of
all agents, in flat memory. Between `pending` and `poller`.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Final

from trmm_async.dialects.stock.agents import agent_ids_by_key
from trmm_async.dialects.stock.history import commands_of_all, commands_of_one
from trmm_async.errors import NotFoundError
from trmm_async.models import HistoryEntry
from trmm_async.script_runs.poller import RunPoller, Waiter
from trmm_async.script_runs.tracked import Span

__all__ = ["CommandPoller"]

_SINGLY_MOST: Final = 20
"""Up to so many agents are read one by one: all of them may have 100,000 rows, one a few dozen."""

_AT_ONCE: Final = 5


class CommandPoller(RunPoller):
    """The reader of one server's history of commands."""

    _agents: Mapping[int, str] = {}

    async def _read_watermark(self, waiter: Waiter) -> None:
        # The rows of these agents are read each time: an earlier run of the same command must not be taken
        # for this one.
        matcher, run, asked = self.matcher, waiter.run, self.now()
        if len(run.agent_ids) > _SINGLY_MOST:
            self._agents = await self.transport.send(agent_ids_by_key())
        rows = await self._rows(run.agent_ids)
        matcher.note(rows)
        if matcher.has_stray_rows(run.agent_ids, run.script, asked):
            matcher.claim_stray_rows(run.agent_ids, run.script, rows)

    async def _look(self, span: Span) -> list[HistoryEntry]:
        del span
        pending = {
            agent_id for waiter in self._waiters if waiter.run.is_sent for agent_id in waiter.run.pending
        }
        return await self._rows(pending)

    def _take_in(self, rows: list[HistoryEntry], asked: float, span: Span) -> None:
        del span  # these are the rows of some agents, whatever their times
        self.matcher.read(rows, self.now(), self.now() - asked)

    async def _rows(self, agent_ids: Collection[str]) -> list[HistoryEntry]:
        if len(agent_ids) > _SINGLY_MOST:
            wanted = frozenset(agent_ids)
            if not self._agents:
                self._agents = await self.ask(agent_ids_by_key())
            agents = {key: agent_id for key, agent_id in self._agents.items() if agent_id in wanted}
            return await self.ask(commands_of_all(agents))
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(agent_id: str) -> list[HistoryEntry]:
            async with gate:
                try:
                    return await self.ask(commands_of_one(agent_id))
                except NotFoundError:
                    return []  # the answer to the command says that there is no such agent

        try:
            async with asyncio.TaskGroup() as asking:
                tasks = [asking.create_task(one(agent_id)) for agent_id in agent_ids]
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        return [row for task in tasks for row in task.result()]
