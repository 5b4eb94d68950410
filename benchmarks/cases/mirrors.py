"""What a mirror holds, and what ten of them and a hundred who wait ask of a server."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from benchmarks.lab import Lab
from benchmarks.measure import Estimate
from benchmarks.report import Row
from trmm_async import TRMM, MirrorSettings, StreamSettings
from trmm_async.testing import Simulator

__all__ = ["mirrors"]

_MIRRORS: Final = 10
_WAITERS: Final = 100


async def mirrors(lab: Lab) -> list[Row]:
    """Memory of a mirror of 100,000 agents, and the looks of many who look."""
    count = lab.pick(100_000, 20_000)
    found = [await lab.probe("mirror", count) for _ in range(lab.pick(3, 1))]
    ratios = sorted(one["mirror"] / one["agents"] for one in found)
    size, alerts = lab.pick((5_000, 50_000), (1_000, 5_000))
    place = f"{lab.url}/look/{size}/{alerts}"
    looks = [await lab.probe("look", place, size, alerts, lab.pick(10, 2)) for _ in range(lab.pick(5, 1))]
    held = Estimate.of([one["held"] * 1e3 for one in looks])
    alone = await _lists_a_second(lab, 1, 0)
    many = await _lists_a_second(lab, _MIRRORS, _WAITERS)
    return [
        Row(
            case="mirror",
            what=f"memory of a mirror of {count:,} agents",
            unit="× the agents",
            value=ratios[len(ratios) // 2],
            low=ratios[0],
            high=ratios[-1],
            target=1.3,
            rivals={"the agents, as listed": 1.0},
            details={"MB of the agents": found[0]["agents"]},
        ),
        Row(
            case="mirror",
            what=f"longest hold of the loop, looks at {size:,} agents, {alerts:,} alerts",
            unit="ms",
            value=held.value,
            low=held.low,
            high=held.high,
            target=5.0,
            rivals={"msgspec's decoding the alerts at once": looks[0]["at once"] * 1e3},
            details={"ms of the longest garbage collection": max(one["collection"] for one in looks) * 1e3},
        ),
        Row(
            case="mirror",
            what=f"lists a second by {_MIRRORS} mirrors and {_WAITERS} who wait",
            unit="× those of one mirror",
            value=many / alone,
            low=many / alone,
            high=many / alone,
            target=1.05,
            rivals={"one mirror": 1.0},
            details={"lists a second": many},
        ),
    ]


async def _lists_a_second(lab: Lab, mirrors: int, waiters: int) -> float:
    seconds, eager = lab.pick(10.0, 3.0), StreamSettings(poll_interval=0.2, poll_share=1.0)
    async with (
        Simulator(agents=20, dialect="stock", rate_limit=None) as server,
        TRMM(server.url, api_key=server.api_key, dialect="stock", rate_limit=None) as trmm,
        AsyncExitStack() as stack,
    ):
        for one in [trmm.mirror(settings=MirrorSettings(stream=eager)) for _ in range(mirrors)]:
            await stack.enter_async_context(one)
        waiting = [
            asyncio.create_task(trmm.agents.wait_until(server.agent_ids[0], lambda _: False))
            for _ in range(waiters)
        ]
        await asyncio.sleep(1.0)
        server.reset_ledger()
        await asyncio.sleep(seconds)
        lists = sum(one.method == "GET" and one.path.endswith("/agents/") for one in server.requests)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return lists / seconds
