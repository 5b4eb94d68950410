"""`agents.iter()`: time, memory, the first agent, how long it keeps the event loop, and hostile JSON."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from benchmarks import bodies
from benchmarks.lab import Lab, drain
from benchmarks.measure import Clock, Cost, Estimate, contest, timed
from benchmarks.report import Row
from benchmarks.rivals import Reader, bare_reader
from trmm_async import TRMM

__all__ = ["iteration"]

OURS: Final = "trmm_async"
BARE: Final = "aiohttp + msgspec"
_SIZE: Final = 100_000
_HOSTILE_BYTES: Final = 8_000_000


async def iteration(lab: Lab) -> list[Row]:
    """All of it at 100,000 agents."""
    rows = []
    for encoding in ("identity", "gzip"):
        place = f"list/{_SIZE}/{encoding}"
        async with bare_reader(f"{lab.url}/{place}") as bare, lab.client(place) as trmm:
            rows.append(await _time(lab, encoding, bare, trmm))
            rows.append(await _first(lab, encoding, bare, trmm))
            rows.append(await _stall(lab, encoding, bare, trmm))
        rows.append(await _memory(lab, encoding, place))
    rows.append(await _hostile(lab))
    return rows


async def _time(lab: Lab, encoding: str, bare: Reader, trmm: TRMM) -> Row:
    async def walk() -> None:
        for _ in await bare():  # type: ignore[attr-defined] # it is a list
            pass

    entries = {BARE: timed(walk), OURS: timed(lambda: drain(trmm))}
    result = await contest(entries, rounds=lab.pick(25, 3))
    ratio = result.ratio(OURS, BARE)
    return _row(
        f"agents.iter() over {_SIZE:,}, {encoding}, time of {BARE}",
        "×",
        ratio,
        0.70,
        {BARE: 1.0},
        {
            "milliseconds": result.seconds(OURS) * 1e3,
            "milliseconds of bare": result.seconds(BARE) * 1e3,
            "CPU ratio": result.ratio(OURS, BARE, "cpu").value,
        },
    )


async def _first(lab: Lab, encoding: str, bare: Reader, trmm: TRMM) -> Row:
    async def ours() -> Cost:
        clock = Clock()
        async with trmm.agents.iter() as stream:
            async for _ in stream:
                return clock.cost()
        raise AssertionError("no agent came")

    result = await contest({BARE: timed(bare), OURS: ours}, rounds=lab.pick(11, 3))
    sooner = Estimate.of([one[BARE].wall / one[OURS].wall for one in result.rounds])
    details = {"milliseconds": result.seconds(OURS) * 1e3, "milliseconds of bare": result.seconds(BARE) * 1e3}
    what = f"first of {_SIZE:,} agents, {encoding}, times sooner than {BARE}"
    return _row(what, "times", sooner, 10.0, {}, details, at_least=True)


async def _stall(lab: Lab, encoding: str, bare: Reader, trmm: TRMM) -> Row:
    ours = [await _longest_stall(lambda: drain(trmm)) for _ in range(lab.pick(15, 3))]
    theirs = [await _longest_stall(bare) for _ in range(3)]
    what = f"longest event-loop stall of agents.iter(), {encoding}"
    stalls = Estimate.of([1e3 * stall.wall for stall in ours])
    details = {
        "least of all rounds": min(1e3 * stall.wall for stall in ours),
        "of CPU time alone": Estimate.of([1e3 * stall.cpu for stall in ours]).value,
    }
    return _row(
        what, "ms", stalls, 5.0, {BARE: Estimate.of([1e3 * one.wall for one in theirs]).value}, details
    )


async def _longest_stall(work: Callable[[], Awaitable[object]]) -> Cost:
    """The longest time, and the longest CPU time, between two turns of the event loop during the work.

    Where other processes take the core the first is longer than our doing; the second is not.
    """
    loop = asyncio.get_running_loop()
    wall = cpu = 0.0
    last = time.perf_counter(), time.thread_time()

    def beat() -> None:
        nonlocal wall, cpu, last, handle
        now = time.perf_counter(), time.thread_time()
        wall, cpu = max(wall, now[0] - last[0]), max(cpu, now[1] - last[1])
        last = now
        handle = loop.call_soon(beat)

    handle = loop.call_soon(beat)
    await work()
    handle.cancel()
    beat()
    handle.cancel()
    return Cost(wall, cpu)


async def _memory(lab: Lab, encoding: str, place: str) -> Row:
    async def extra(how: str, tracing: str = "") -> float:
        small = f"{lab.url}/list/100/{encoding}"
        return (await lab.probe("iter_memory", f"{lab.url}/{place}", small, how, tracing))["extra"]

    found = Estimate.of([await extra("iter") for _ in range(lab.pick(5, 1))])
    bare = await extra("bare")
    traced = await extra("iter", "traced")
    what = f"extra memory of agents.iter() over {_SIZE:,}, {encoding}"
    return _row(what, "MB", found, 2.0, {BARE: bare}, {"peak by tracemalloc": traced})


async def _hostile(lab: Lab) -> Row:
    """The worst of all kinds, by its median."""
    worst, at = Estimate(0, 0, 0), {}
    for kind in bodies.HOSTILE:
        place = f"hostile/{kind.replace(' ', '%20')}/{_HOSTILE_BYTES}"
        async with bare_reader(f"{lab.url}/{place}") as bare, lab.client(place) as trmm:
            entries = {BARE: timed(bare), OURS: timed(lambda trmm=trmm: drain(trmm))}  # type: ignore[misc]
            ratio = (await contest(entries, rounds=lab.pick(9, 1))).ratio(OURS, BARE)
        at[kind] = ratio.value
        worst = max(worst, ratio, key=lambda found: found.value)
    return _row(f"agents.iter() on the worst hostile list, time of {BARE}", "×", worst, 4.0, {BARE: 1.0}, at)


def _row(  # noqa: PLR0917 - a table's columns, in their order
    what: str,
    unit: str,
    found: Estimate,
    target: float,
    rivals: dict[str, float],
    details: dict[str, float],
    *,
    at_least: bool = False,
) -> Row:
    return Row(
        case="iter",
        what=what,
        unit=unit,
        value=found.value,
        low=found.low,
        high=found.high,
        target=target,
        at_least=at_least,
        rivals=rivals,
        details=details,
    )
