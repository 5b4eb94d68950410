"""Live events: how fast they come through, and what many open sockets hold."""

from typing import Any, Final

from benchmarks.lab import Lab
from benchmarks.measure import Clock, Cost, Entry, contest
from benchmarks.report import Row
from benchmarks.rivals import library
from trmm_async.dialects import Gateway

__all__ = ["events", "subscriptions"]

OURS: Final = "trmm_async"
BARE: Final = "websockets"
_AGENT: Final = "agent-0"


async def events(lab: Lab) -> list[Row]:
    """One agent's socket, from the first event to the last, the same decode."""
    count = lab.pick(30_000, 5_000)
    entries: dict[str, Entry] = {
        BARE: lambda: _bare(lab, count, None, decode=True),
        OURS: lambda: _ours(lab, count),
        "websockets, bytes": lambda: _bare(lab, count, None, decode=False),
    }
    result = await contest(entries, rounds=lab.pick(21, 5))
    ratio = result.ratio(OURS, BARE)
    return [
        Row(
            case="events",
            what=f"{count:,} events of one socket, time of a bare {BARE} loop without compression",
            unit="×",
            value=ratio.value,
            low=ratio.low,
            high=ratio.high,
            target=1.15,
            rivals={BARE: 1.0, "websockets, bytes": result.ratio("websockets, bytes", BARE).value},
            details={
                "microseconds an event": result.seconds(OURS) / count * 1e6,
                "microseconds of bare": result.seconds(BARE) / count * 1e6,
                "CPU ratio": result.ratio(OURS, BARE, "cpu").value,
            },
        )
    ]


async def _ours(lab: Lab, count: int) -> Cost:
    async with lab.client(f"events/{count}") as trmm, trmm.events(_AGENT) as stream:
        await anext(stream)
        clock = Clock()
        left = count - 1
        async for _ in stream:
            left -= 1
            if not left:
                return clock.cost()
    raise AssertionError("the stream ended early")


async def _bare(lab: Lab, count: int, compression: str | None, *, decode: bool) -> Cost:
    url = f"ws{lab.url.removeprefix('http')}/events/{count}/trmm/{_AGENT}/"
    read = Gateway().agent_events(_AGENT).read
    connect: Any = library("websockets").connect
    async with connect(url, compression=compression, proxy=None) as socket:
        await socket.recv()
        clock = Clock()
        left = count - 1
        if not decode:
            while left:
                read(_AGENT, await socket.recv(decode=False))
                left -= 1
            return clock.cost()
        async for message in socket:
            read(_AGENT, message)
            left -= 1
            if not left:
                return clock.cost()
    raise AssertionError("the socket ended early")


async def subscriptions(lab: Lab) -> list[Row]:
    """One stream over 3,000 agents, nothing happening."""
    count = lab.pick(3000, 500)
    url = f"{lab.url}/events/0"
    ours = [await lab.probe("subscriptions", url, "ours", count) for _ in range(lab.pick(3, 1))]
    bare = await lab.probe("subscriptions", url, "bare", count)
    deflate = await lab.probe("subscriptions", url, "deflate", count)
    held = sorted(one["held"] for one in ours)
    tasks = sorted(one["tasks"] / count for one in ours)
    return [
        Row(
            case="subscriptions",
            what=f"memory of {count:,} subscriptions",
            unit="MB",
            value=held[len(held) // 2],
            low=held[0],
            high=held[-1],
            target=60.0 * count / 3000,
            rivals={BARE: bare["held"], "websockets with deflate": deflate["held"]},
            details={"KiB each": held[len(held) // 2] * 1e6 / 1024 / count},
        ),
        Row(
            case="subscriptions",
            what=f"tasks for each of {count:,} subscriptions",
            unit="tasks",
            value=tasks[len(tasks) // 2],
            low=tasks[0],
            high=tasks[-1],
            target=1.99,
            rivals={BARE: bare["tasks"] / count},
        ),
    ]
