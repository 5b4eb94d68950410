"""Four processes share a limit for 2,400 calls, while they and what keeps it are killed, and lose all.

`python -m soak.sharing URL KEY STORE CALLS` is one of the processes.
"""

import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.engine_servers import redis_server
from trmm_async import TRMM, RateLimit
from trmm_async.engines.address import redis_address
from trmm_async.engines.redis_link import RedisLink
from trmm_async.testing import Simulator

__all__ = ["shared_limits"]

_PROCESSES = 4
_CALLS = 600
_LIMIT = RateLimit(60, per=2.0)
_BETWEEN = 7.0


async def shared_limits(told: Callable[[str], object]) -> bool:
    """Whether no request was refused, and all calls were made by those that lived."""
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as engine:
        async with Simulator(agents=3, rate_limit=(_LIMIT.count, _LIMIT.per), ledger_limit=100) as server:
            words = (server.url, server.api_key, engine.url, str(_CALLS))
            running = [await _started(words) for _ in range(_PROCESSES)]
            for turn in range(6):
                await asyncio.sleep(_BETWEEN)
                if turn % 3 == 0:
                    running[turn % _PROCESSES].kill()
                    await running[turn % _PROCESSES].wait()
                    running[turn % _PROCESSES] = await _started(words)
                elif turn % 3 == 1:
                    link = RedisLink(redis_address(engine.url, "url"))
                    await link.command("FLUSHALL")
                    await link.aclose()
                else:
                    engine.kill()
                    await asyncio.sleep(1)
                    engine.start()
            codes = [await one.wait() for one in running]
            told(f"shared limit: {server.throttled} refused, the processes ended with {codes}")
            return server.throttled == 0 and not any(codes)


async def _started(words: tuple[str, ...]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "soak.sharing", *words)


async def _work(url: str, key: str, store: str, calls: str) -> None:
    async with TRMM(
        url, api_key=key, dialect="gateway", rate_limit=_LIMIT, shared_limits=store, limiter_lease=2.0
    ) as trmm:
        await asyncio.gather(*(trmm.clients.list() for _ in range(int(calls))))


if __name__ == "__main__":
    asyncio.run(_work(*sys.argv[1:]))
