"""600 calls of four processes at 60 per 2 s, with one key, through one Redis server.

The contestants take turns, and each round has a key and so a window of its own. "Each its share" is what one
does without a store: a quarter of the limit for each process, which fits only where all have equally much.
"""

import asyncio
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from benchmarks.lab import Lab
from benchmarks.measure import Estimate
from benchmarks.report import Row
from benchmarks.rivals import installed
from benchmarks.sharer import LOCAL, SHARED, WHO
from tests.engine_servers import redis_server

__all__ = ["sharing"]

_PROCESSES: Final = 4
_LONGEST: Final = 300.0


async def sharing(lab: Lab) -> list[Row]:
    """Time in units of the shortest possible, refusals, CPU and scripts a call."""
    calls, count, per = lab.pick((600, 60, 2.0), (120, 30, 1.0))
    names = [SHARED, LOCAL, *(name for name, module in _MODULES.items() if installed(module))]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as engine:
        for number in range(lab.pick(3, 1)):
            for name in names:
                found[name].append(
                    await _round(lab, name, f"{name}-{number}", engine.url, (calls, count, per))
                )
    what = f"{calls} calls of {_PROCESSES} processes at {count} per {per:g} s, shared"
    return [
        _row(f"{what}, of the shortest possible time", "×", found, "time", 1.10),
        _row(f"{what}, refused by the server", "calls", found, "refused", 0.0),
        _row(f"{what}, CPU a call", "ms", found, "cpu", None),
        _row(f"{what}, scripts a call", "scripts", {SHARED: found[SHARED]}, "scripts", None),
    ]


_MODULES: Final = {"limits": "limits", "pyrate-limiter": "pyrate_limiter"}


async def _round(lab: Lab, name: str, key: str, store: str, work: tuple[int, int, float]) -> dict[str, float]:
    calls, count, per = work
    assert name in WHO
    each = calls // _PROCESSES
    url = f"{lab.url}/window/{count}/{int(per * 1000)}"
    share = count // _PROCESSES if name == LOCAL else count
    words = [name, url, key, "" if name == LOCAL else store, each, share, per]
    processes = [await _started(words) for _ in range(_PROCESSES)]
    try:
        async with asyncio.timeout(_LONGEST):
            for one in processes:
                await one.stdout.readline()
            await asyncio.sleep(per * 1.2)  # what they sent until now is forgotten
            for one in processes:
                one.stdin.write(b"\n")
            told = [
                msgspec.json.decode(await one.stdout.readline(), type=dict[str, float]) for one in processes
            ]
    finally:
        for one in processes:
            if one.returncode is None:
                one.stdin.close()
                await one.wait()
    async with aiohttp.ClientSession() as session, session.get(f"{lab.url}/refused/{key}") as response:
        refused = float(await response.read())
    least = (math.ceil(calls / count) - 1) * per
    return {
        "time": (max(one["ended"] for one in told) - min(one["began"] for one in told)) / least,
        "refused": refused,
        "cpu": sum(one["cpu"] for one in told) / calls * 1000,
        "scripts": sum(one["scripts"] for one in told) / calls,
    }


async def _started(words: Sequence[object]) -> Any:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.sharer", *map(str, words)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


def _row(
    what: str, unit: str, found: dict[str, list[dict[str, float]]], field: str, target: float | None
) -> Row:
    estimates = {name: Estimate.of([one[field] for one in rounds]) for name, rounds in found.items()}
    ours = estimates[SHARED]
    return Row(
        case="sharing",
        what=what,
        unit=unit,
        value=ours.value,
        low=ours.low,
        high=ours.high,
        target=target,
        rivals={name: one.value for name, one in estimates.items() if name != SHARED},
    )
