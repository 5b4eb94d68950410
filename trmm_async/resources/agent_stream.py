"""Reads agents one by one while their list downloads.

Over `filters`; used by `agents.iter`, `selector` and the fleet.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from types import TracebackType
from typing import Self, TypeAlias

import msgspec

from trmm_async.calls import ArrayCall
from trmm_async.errors import ClosedError
from trmm_async.models import Agent
from trmm_async.resources.api import Api
from trmm_async.resources.filters import AgentQuery
from trmm_async.transport import Body

__all__ = ["AgentStream", "Wanted"]

Wanted: TypeAlias = Callable[[Agent], bool]
"""Tells whether an agent is wanted."""


class AgentStream:
    """Agents one by one while their list downloads. Enter it, then iterate it, once.

    Leaving the block early gives the connection up. A list that was cut short ends in an error, never in a
    short list: `ConnectionFailedError`, or `DecodeError` if the server itself sent half of one.
    """

    def __init__(
        self, api: Api, query: AgentQuery, wanted: Callable[[], Awaitable[Wanted]] | None = None
    ) -> None:
        self._api = api
        self._query = query
        self._wanted = wanted
        self._stack = AsyncExitStack()
        self._entered = False
        self._agents: AsyncIterator[Agent] | None = None

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ClosedError("this stream was used already; call agents.iter() again")
        self._entered = True
        dialect = await self._api.dialect()
        which = await self._query.resolve(self._api)
        wanted = None if self._wanted is None else await self._wanted()
        array = await self._api.prepare(dialect.iter_agents(which))
        body = await self._stack.enter_async_context(self._api.transport.open(array.call))
        agents = self._read(array, body)
        self._agents = agents if wanted is None else _those(agents, wanted)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def __aiter__(self) -> AsyncIterator[Agent]:
        if self._agents is None:
            raise ClosedError("enter the stream first: async with agents.iter() as stream")
        return self._agents

    async def _read(self, array: ArrayCall[Agent], body: Body) -> AsyncGenerator[Agent, None]:
        transport = self._api.transport
        rows = array.rows()
        head, held = b"", 0
        try:
            async for chunk in body.chunks():
                head = head or chunk
                held += len(chunk)
                for batch in rows.feed(chunk):
                    held = 0
                    for agent in batch:
                        yield agent
                if held > transport.settings.max_answer:
                    fault = body.too_large(transport.settings.max_answer, head)
                    break
            else:
                for agent in rows.finish():
                    yield agent
                return
        except msgspec.DecodeError as error:
            fault = body.unreadable(error, head)
        raise transport.error(array.call, fault)


async def _those(agents: AsyncGenerator[Agent, None], wanted: Wanted) -> AsyncGenerator[Agent, None]:
    async with aclosing(agents):
        async for agent in agents:
            if wanted(agent):
                yield agent
