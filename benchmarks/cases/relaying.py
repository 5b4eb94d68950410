"""Events through a relay's log: 1, 10 and 100 followers beside as many bare readers of the same log.

All in this process, and on one server, Redis or NATS: what is measured is what the typed events, the check
that none is missing, and the filters cost over reading the bytes, by `XREAD` loops and by nats-py's ordered
consumers, which unpack no batch. The entries are written as a leader writes them.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import nats
from nats.js.api import ConsumerConfig, DeliverPolicy

from benchmarks.lab import Lab
from benchmarks.measure import Estimate
from benchmarks.report import Row
from tests.engine_servers import nats_server, redis_server
from trmm_async import AlertEvent, follow
from trmm_async.engines.address import redis_address
from trmm_async.engines.redis_link import RedisLink
from trmm_async.models import Alert
from trmm_async.relay.entrance import open_store, relay_address
from trmm_async.relay.records import Record, record_of

__all__ = ["relaying"]

_BATCH: Final = 50
_LONGEST: Final = 60.0
_Read = Callable[[str, str, int, asyncio.Barrier], Awaitable[None]]


async def relaying(lab: Lab) -> list[Row]:
    """Events a second that all consumers together get, and how late the last of them has one."""
    rows: list[Row] = []
    for kind, server in {"Redis": redis_server, "NATS": nats_server}.items():
        with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as engine:
            for consumers in (1, 10, 100):
                rows += await _rows(lab, kind, engine.url, consumers)
    return rows


async def _rows(lab: Lab, kind: str, url: str, consumers: int) -> list[Row]:
    events = lab.pick(20_000, 2_000) // consumers
    bare = _BARE[kind]
    readers: Mapping[str, _Read] = {"ours": _read, bare.name: bare.read}
    found: dict[str, list[tuple[float, float]]] = {who: [] for who in readers}
    for number in range(lab.pick(5, 1)):
        for who, rounds in found.items():
            name = f"{who[:4].strip()}-{consumers}-{number}"
            rounds.append(await _round(url, name, readers[who], consumers, events))
    what = f"{consumers} consumers of a relay" if consumers > 1 else "one consumer of a relay"
    what = what if kind == "Redis" else f"{what} over {kind}"
    rates, delays = ({who: [one[at] for one in rounds] for who, rounds in found.items()} for at in (0, 1))
    return [
        _row(f"{what}, all together", "events/s", bare.name, rates),
        _row(f"{what}, the last has one event after", "ms", bare.name, delays),
    ]


def _row(what: str, unit: str, rival: str, found: Mapping[str, list[float]]) -> Row:
    estimate = Estimate.of(found["ours"])
    return Row(
        case="relay",
        what=what,
        unit=unit,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        rivals={rival: Estimate.of(found[rival]).value},
    )


def _records(count: int) -> list[Record]:
    alert = Alert(id=1, severity="error", message="C: 97% used", alert_type="check", agent_id="agent-1")
    return [record_of(AlertEvent(agent_id="agent-1", alert=alert), None)] * count


async def _round(url: str, name: str, read: _Read, consumers: int, events: int) -> tuple[float, float]:
    store = open_store(relay_address(url, "url"), name)
    try:
        await store.lead(60.0)
        ready = asyncio.Barrier(consumers + 1)
        tasks = [asyncio.create_task(read(url, name, events, ready)) for _ in range(consumers)]
        await _all_there(ready)
        began = time.perf_counter()
        records = _records(_BATCH)
        for first in range(1, events + 1, _BATCH):
            await store.append(first, records[: events + 1 - first], {}, "p", 100_000)
        await asyncio.gather(*tasks)
        took = time.perf_counter() - began
        tasks = [asyncio.create_task(read(url, name, 1, ready)) for _ in range(consumers)]
        await _all_there(ready)
        began = time.perf_counter()
        await store.append(events + 1, records[:1], {}, "p", 100_000)
        await asyncio.gather(*tasks)
        return events * consumers / took, 1000 * (time.perf_counter() - began)
    finally:
        await store.aclose()


async def _all_there(ready: asyncio.Barrier) -> None:
    # One that could not connect in time would be waited for in vain.
    async with asyncio.timeout(_LONGEST):
        await ready.wait()


async def _read(url: str, name: str, count: int, ready: asyncio.Barrier) -> None:
    async with follow(url, name=name) as events:
        await ready.wait()
        for _ in range(count):
            await anext(events)


async def _xread(url: str, name: str, count: int, ready: asyncio.Barrier) -> None:
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


async def _consume(url: str, name: str, count: int, ready: asyncio.Barrier) -> None:
    client = await nats.connect(url)
    try:
        reading = await client.jetstream().subscribe(
            f"trmm.relay.{name}.log",
            ordered_consumer=True,
            config=ConsumerConfig(deliver_policy=DeliverPolicy.NEW),
        )
        await ready.wait()
        while count > 0:
            message = await reading.next_msg(timeout=4.0)
            # The first line of a message says of how many events it is.
            count -= int(message.data.split(b" ", 5)[4])
    finally:
        await client.close()


class _Bare(NamedTuple):
    name: str
    read: _Read


_BARE: Final = {"Redis": _Bare("bare XREAD", _xread), "NATS": _Bare("bare JetStream", _consume)}
