"""Servers of either kind, targets that come as a stream, and what becomes of them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from tests.peer import Peer, Request, peer
from tests.servers import count, served
from trmm_async import TRMM, Done, Failed, Outcome, Unknown
from trmm_async.testing import Simulator

# What becomes of a target by what happens to its own call. A stock server's history tells what a lost answer
# would have; and it takes a script for an agent that is not there, and never says that it was not.
KINDS: dict[str, dict[str, type[Done | Failed | Unknown]]] = {
    "gateway": {"ok": Done, "late": Done, "400": Failed, "502": Unknown, "cut": Unknown, "offline": Failed},
    "stock": {"ok": Done, "late": Done, "400": Failed, "502": Done, "cut": Done, "offline": Unknown},
}


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


def kinds(outcomes: Iterable[Outcome[Any]]) -> Counter[type[Outcome[Any]]]:
    return Counter(type(outcome) for outcome in outcomes)


@asynccontextmanager
async def held(**settings: Any) -> AsyncIterator[tuple[Peer, TRMM]]:
    """A server that takes every script and never answers."""

    async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
        await asyncio.Event().wait()
        return False

    settings = {"dialect": "gateway", "rate_limit": None, **settings}
    async with asyncio.timeout(30), peer(handle) as server:
        async with TRMM(server.url, api_key="key", **settings) as trmm:
            yield server, trmm
