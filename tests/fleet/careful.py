"""Servers of either kind, and targets that come as a stream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

from tests.servers import count, served
from trmm_async import (
    TRMM,
)
from trmm_async.testing import Simulator


def fleet(
    dialect: str, agents: int = 20, **world: Any
) -> AbstractAsyncContextManager[tuple[Simulator, TRMM]]:
    return served(dialect, agents=agents, **world)


def posts(server: Simulator) -> int:
    return count(server, "POST")


async def streamed(agent_ids: list[str]) -> AsyncIterator[str]:
    for agent_id in agent_ids:
        await asyncio.sleep(0)
        yield agent_id
