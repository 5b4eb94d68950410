"""Events through a relay's log: 1, 10 and 100 followers beside as many bare `XREAD` loops.

All in this process, and on one Redis server: what is measured is what the typed events, the check that none
is missing, and the filters cost over reading the bytes. The entries are written as a leader writes them.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.lab import Lab
from benchmarks.measure import Estimate
from benchmarks.report import Row
from tests.engines import redis_server
from trmm_async import AlertEvent, follow
from trmm_async.engines.address import redis_address
from trmm_async.engines.redis_link import RedisLink
from trmm_async.models import Alert
from trmm_async.relay.records import Record, record_of
from trmm_async.relay.redis_store import RedisStore

__all__ = ["relaying"]

_BARE: Final = "bare XREAD"
_BATCH: Final = 50


async def relaying(lab: Lab) -> list[Row]:
    """Events a second that all consumers together get, and how late the last of them has one."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as engine:
        for consumers in (1, 10, 100):
            events = lab.pick(20_000, 2_000) // consumers
            found: dict[str, list[tuple[float, float]]] = {"ours": [], _BARE: []}
            for number in range(lab.pick(5, 1)):
                for who, rounds in found.items():
                    name = f"{who[:4]}-{consumers}-{number}"
                    rounds.append(await _round(engine.url, name, who, consumers, events))
            what = f"{consumers} consumers of a relay" if consumers > 1 else "one consumer of a relay"
            rows += [
                _row(f"{what}, all together", "events/s", [one[0] for one in found["ours"]],
                     [one[0] for one in found[_BARE]]),
                _row(f"{what}, the last has one event after", "ms", [one[1] for one in found["ours"]],
                     [one[1] for one in found[_BARE]]),
            ]  # fmt: skip
    return rows


def _row(what: str, unit: str, ours: list[float], bare: list[float]) -> Row:
    estimate = Estimate.of(ours)
    return Row(
        case="relay",
        what=what,
        unit=unit,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        rivals={_BARE: Estimate.of(bare).value},
    )


def _records(count: int) -> list[Record]:
    alert = Alert(id=1, severity="error", message="C: 97% used", alert_type="check", agent_id="agent-1")
    return [record_of(AlertEvent(agent_id="agent-1", alert=alert), None)] * count


async def _round(url: str, name: str, who: str, consumers: int, events: int) -> tuple[float, float]:
    store = RedisStore(redis_address(url, "url"), name)
    try:
        await store.lead(60.0)
        ready = asyncio.Barrier(consumers + 1)
        read = _read if who == "ours" else _read_bare
        tasks = [asyncio.create_task(read(url, name, events, ready)) for _ in range(consumers)]
        await ready.wait()
        began = time.perf_counter()
        records = _records(_BATCH)
        for first in range(1, events + 1, _BATCH):
            await store.append(first, records[: events + 1 - first], {}, "p", 100_000)
        await asyncio.gather(*tasks)
        took = time.perf_counter() - began
        tasks = [asyncio.create_task(read(url, name, 1, ready)) for _ in range(consumers)]
        await ready.wait()
        began = time.perf_counter()
        await store.append(events + 1, records[:1], {}, "p", 100_000)
        await asyncio.gather(*tasks)
        return events * consumers / took, 1000 * (time.perf_counter() - began)
    finally:
        await store.aclose()


async def _read(url: str, name: str, count: int, ready: asyncio.Barrier) -> None:
    async with follow(url, name=name) as events:
        await ready.wait()
        for _ in range(count):
            await anext(events)


async def _read_bare(url: str, name: str, count: int, ready: asyncio.Barrier) -> None:
    link = RedisLink(redis_address(url, "url"))
    stream = f"trmm:{{relay:{name}}}:stream"
    try:
        newest = await link.command("XREVRANGE", stream, "+", "-", "COUNT", 1)
        place = newest[0][0] if newest else b"0-0"
        await ready.wait()
        while count > 0:
            answer = await link.command(
                "XREAD", "COUNT", 200, "BLOCK", 2000, "STREAMS", stream, place, within=4.0
            )
            for place, _ in answer[0][1] if answer else ():  # noqa: B007 - the last of them is where to go on
                count -= 1
    finally:
        await link.aclose()
