"""One of several processes that share a limit: `python -m benchmarks.sharer WHO URL KEY STORE CALLS …`.

It says "ready", begins with a line of standard input, and answers with a line of JSON: when it began and
ended by the machine's clock, the CPU seconds of its calls, and the scripts that the store was asked to run.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import msgspec

from benchmarks.rivals import library
from trmm_async import TRMM, RateLimit

__all__ = ["LOCAL", "SHARED", "WHO"]

SHARED: Final = "trmm_async"
LOCAL: Final = "trmm_async, each its share"

_MANY: Final = 1000
"""Connections: each of their waiters holds one."""

Call = Callable[[], Awaitable[object]]


@asynccontextmanager
async def _ours(url: str, key: str, store: str, limit: RateLimit) -> AsyncIterator[tuple[Call, Any]]:
    async with TRMM(
        url, api_key=key, rate_limit=limit, shared_limits=store or None, dialect="gateway"
    ) as trmm:
        yield (lambda: trmm.request("GET", "/call/")), trmm._shared


@asynccontextmanager
async def _theirs(url: str, key: str, acquire: Call) -> AsyncIterator[tuple[Call, Any]]:
    connector = aiohttp.TCPConnector(limit=0)
    turn = asyncio.Lock()  # else hundreds of waiters ask the store all the time, and its connections time out
    async with aiohttp.ClientSession(connector=connector, headers={"X-API-KEY": key}) as session:

        async def call() -> None:
            while True:
                async with turn:
                    await acquire()
                async with session.get(f"{url}/call") as response:
                    await response.read()
                    if response.status != 429:
                        return
                    wait = float(response.headers["Retry-After"])
                await asyncio.sleep(wait)

        yield call, None


@asynccontextmanager
async def _limits(url: str, key: str, store: str, limit: RateLimit) -> AsyncIterator[tuple[Call, Any]]:
    storage = library("limits.aio.storage").RedisStorage(
        f"async+{store}", implementation="redispy", max_connections=_MANY
    )
    window = library("limits.aio.strategies").MovingWindowRateLimiter(storage)
    item = library("limits").RateLimitItemPerSecond(limit.count, int(limit.per))

    async def acquire() -> None:
        while not await window.hit(item, key):
            stats = await window.get_window_stats(item, key)
            await asyncio.sleep(max(0.01, stats.reset_time - time.time()))

    async with _theirs(url, key, acquire) as call:
        yield call


@asynccontextmanager
async def _pyrate(url: str, key: str, store: str, limit: RateLimit) -> AsyncIterator[tuple[Call, Any]]:
    pyrate, client = (
        library("pyrate_limiter"),
        library("redis.asyncio").from_url(store, max_connections=_MANY),
    )
    rates = [pyrate.Rate(limit.count, int(limit.per * 1000))]
    limiter = pyrate.Limiter(await pyrate.RedisBucket.init(rates, client, f"pyrate-{key}"))
    async with _theirs(url, key, lambda: limiter.try_acquire_async("all")) as call:
        yield call
    await client.aclose()


WHO: Final[dict[str, Any]] = {SHARED: _ours, LOCAL: _ours, "limits": _limits, "pyrate-limiter": _pyrate}


async def _compete(who: str, calls: int, *where: Any) -> None:
    async with WHO[who](*where) as (call, shared):
        if shared is not None:
            await call()  # a new store is closed for a while: what counts is what comes after
        scripts = 0 if shared is None else shared.store.scripts
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began, cpu = time.time(), time.process_time()
        await asyncio.gather(*(call() for _ in range(calls)))
        found = {
            "began": began,
            "ended": time.time(),
            "cpu": time.process_time() - cpu,
            "scripts": float(shared.store.scripts - scripts if shared is not None else 0),
        }
    print(msgspec.json.encode(found).decode(), flush=True)


if __name__ == "__main__":
    name, url, key, store, calls, count, per = sys.argv[1:]
    asyncio.run(_compete(name, int(calls), url, key, store, RateLimit(int(count), per=float(per))))
