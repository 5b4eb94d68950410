"""500 calls at 100 per 3 s against a server that counts the last 3 s, over a network with jittered latency.

All contestants run at once, each with a key and so a window of its own: they wait nearly all of the time. A
limiter library has the same code around it each time: acquire, POST, and on a 429 wait as asked and again.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import aiohttp

from benchmarks.lab import Lab
from benchmarks.measure import Estimate
from benchmarks.report import Row
from benchmarks.rivals import installed, library
from benchmarks.server import SLOWEST
from trmm_async import TRMM, RateLimit

__all__ = ["pacing"]

OURS: Final = "trmm_async"

Acquire = Callable[[], Awaitable[object]]


def _aiolimiter(count: int, per: float) -> Acquire:
    limiter: Any = library("aiolimiter").AsyncLimiter(count, per)
    return limiter.acquire


def _aiolimiter_slowed(count: int, per: float) -> Acquire:
    limiter: Any = library("aiolimiter").AsyncLimiter(1, per / (0.95 * count))
    return limiter.acquire


def _pyrate(count: int, per: float) -> Acquire:
    pyrate: Any = library("pyrate_limiter")
    limiter = pyrate.Limiter(pyrate.Rate(count, int(per * 1000)))
    return lambda: limiter.try_acquire_async("all")


def _asynciolimiter(count: int, per: float) -> Acquire:
    limiter: Any = library("asynciolimiter").LeakyBucketLimiter(count / per, capacity=count)
    return limiter.wait


def _nothing(count: int, per: float) -> Acquire:
    del count, per
    return lambda: asyncio.sleep(0)


_LIBRARIES: Final[dict[str, tuple[str, Callable[[int, float], Acquire]]]] = {
    "aiolimiter": ("aiolimiter", _aiolimiter),
    "aiolimiter slowed to 95 %": ("aiolimiter", _aiolimiter_slowed),
    "pyrate-limiter": ("pyrate_limiter", _pyrate),
    "asynciolimiter": ("asynciolimiter", _asynciolimiter),
    "Retry-After alone": ("aiohttp", _nothing),
}


async def pacing(lab: Lab) -> list[Row]:
    """Time in units of the shortest possible, and refusals."""
    calls, count, per = lab.pick((500, 100, 3.0), (150, 50, 1.0))
    rounds = [await _round(lab, number, calls, count, per) for number in range(lab.pick(3, 1))]
    names = list(rounds[0])
    times = {name: Estimate.of([one[name][0] for one in rounds]) for name in names}
    refused = {name: Estimate.of([one[name][1] for one in rounds]) for name in names}
    what = f"{calls} calls at {count} per {per:g} s, rolling window"
    slow = [await _slow(lab, number, calls, count, per) for number in range(lab.pick(3, 1))]
    slowly = f"{calls} scripts of 0.5 to {SLOWEST:g} s at {count} per {per:g} s"
    return [
        _row(f"{what}, of the shortest possible time", "×", times, 1.05),
        _row(f"{what}, refused by the server", "calls", refused, 0.0),
        _row(
            f"{slowly}, of the shortest possible time", "×", {OURS: Estimate.of([x for x, _ in slow])}, 1.15
        ),
        _row(f"{slowly}, refused by the server", "calls", {OURS: Estimate.of([x for _, x in slow])}, 0.0),
    ]


async def _slow(lab: Lab, number: int, calls: int, count: int, per: float) -> tuple[float, float]:
    """A run of them: no answer tells in time that its call was counted."""
    least = (math.ceil(calls / count) - 1) * per + SLOWEST
    key = f"slow-{number}"
    url = f"{lab.url}/slow/{count}/{int(per * 1000)}"
    started = time.perf_counter()
    async with TRMM(url, api_key=key, dialect="gateway", rate_limit=RateLimit(count, per=per)) as trmm:
        run = trmm.fleet.run_script([f"{each:040x}" for each in range(calls)], script=1, width=calls)
        await run
    seconds = time.perf_counter() - started
    async with _session() as session, session.get(f"{lab.url}/refused/{key}") as response:
        return seconds / least, float(await response.read())


async def _round(lab: Lab, number: int, calls: int, count: int, per: float) -> dict[str, tuple[float, float]]:
    least = (math.ceil(calls / count) - 1) * per
    place = f"window/{count}/{int(per * 1000)}"
    names = [name for name, (module, _) in _LIBRARIES.items() if installed(module)]
    async with _session() as session:
        runs = [_ours(f"{lab.url}/{place}", f"{OURS}-{number}", calls, RateLimit(count, per=per))]
        for name in names:
            acquire = _LIBRARIES[name][1](count, per)
            runs.append(_theirs(session, f"{lab.url}/{place}/call", f"{name}-{number}", calls, acquire))
        times = await asyncio.gather(*runs)
        found = {}
        for name, seconds in zip([OURS, *names], times, strict=True):
            async with session.get(f"{lab.url}/refused/{name}-{number}") as response:
                found[name] = (seconds / least, float(await response.read()))
    return found


@asynccontextmanager
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


async def _ours(url: str, key: str, calls: int, limit: RateLimit) -> float:
    started = time.perf_counter()
    async with AsyncExitStack() as stack:
        trmm = await stack.enter_async_context(TRMM(url, api_key=key, dialect="gateway", rate_limit=limit))
        await asyncio.gather(*(trmm.request("GET", "/call/") for _ in range(calls)))
    return time.perf_counter() - started


async def _theirs(session: aiohttp.ClientSession, url: str, key: str, calls: int, acquire: Acquire) -> float:
    async def call() -> None:
        while True:
            await acquire()
            async with session.get(url, headers={"X-API-KEY": key}) as response:
                await response.read()
                if response.status != 429:
                    return
                wait = float(response.headers["Retry-After"])
            await asyncio.sleep(wait)

    started = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(calls)))
    return time.perf_counter() - started


def _row(what: str, unit: str, found: dict[str, Estimate], target: float) -> Row:
    ours = found[OURS]
    return Row(
        case="pacing",
        what=what,
        unit=unit,
        value=ours.value,
        low=ours.low,
        high=ours.high,
        target=target,
        rivals={name: estimate.value for name, estimate in found.items() if name != OURS},
    )
