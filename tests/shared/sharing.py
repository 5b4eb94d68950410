"""A server, and clients of it that share its limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from trmm_async import TRMM, RateLimit
from trmm_async.testing import Simulator

__all__ = ["COUNT", "LEASE", "LIMIT", "PASSWORD", "PER", "QUICK", "client", "clients", "served"]

PASSWORD = "Sesame-4711"
COUNT, PER, LEASE = 20, 0.6, 0.5
LIMIT = RateLimit(COUNT, per=PER)
QUICK: dict[str, Any] = {"limiter_lease": LEASE, "limiter_timeout": 20.0, "rate_limit": LIMIT, "retries": 20}


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[Simulator]:
    """A server with the limit that `client` is told of."""
    settings = {"agents": 4, "rate_limit": (COUNT, PER), "script_seconds": 0.01, **settings}
    async with asyncio.timeout(60), Simulator(**settings) as server:
        yield server


def client(server: Simulator, url: str, **settings: Any) -> TRMM:
    """One client of it, which shares its limits at this URL."""
    dialect: Any = server.dialect
    return TRMM(
        server.url, api_key=server.api_key, dialect=dialect, shared_limits=url, **{**QUICK, **settings}
    )


@asynccontextmanager
async def clients(server: Simulator, url: str, count: int, **settings: Any) -> AsyncIterator[list[TRMM]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(client(server, url, **settings)) for _ in range(count)]
