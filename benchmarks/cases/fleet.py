"""A script over many agents: CPU for each call, and what waits to be sent."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import aiohttp
import msgspec

from benchmarks.lab import Lab
from benchmarks.measure import Entry, contest, timed
from benchmarks.report import Row
from benchmarks.rivals import HEADERS, installed, library, read_result, worker_pool
from trmm_async import RateLimit, ScriptResult

__all__ = ["fanout", "mapped", "pending"]

OURS: Final = "trmm_async"
BARE: Final = "aiohttp worker pool"
POOL: Final = "worker pool over the same call"
_WIDTH: Final = 100
_UNDER_WAY: Final = 50
"""A run's width where none is given, and what the rival's limiter lets through."""

Post = Callable[[str], Awaitable[ScriptResult]]


async def fanout(lab: Lab) -> list[Row]:
    """CPU time of this process alone; the limit is on, and never reached."""
    targets = [f"{number:040x}" for number in range(lab.pick(5000, 1000))]
    async with AsyncExitStack() as stack:
        unreached = RateLimit(10_000_000, per=60)
        trmm = await stack.enter_async_context(
            lab.client("run", rate_limit=unreached, max_connections=_WIDTH)
        )
        post = await _bare(stack, lab)
        entries: dict[str, Entry] = {
            BARE: timed(lambda: worker_pool(targets, _WIDTH, post)),
            OURS: timed(lambda: trmm.fleet.run_script(targets, script=1, width=_WIDTH)._collect()),
        }
        result = await contest(entries, rounds=lab.pick(15, 4))
        rivals = await _others(stack, lab, targets[: lab.pick(1000, 200)], post)
    ratio = result.ratio(OURS, BARE, "cpu")
    return [
        Row(
            case="fanout",
            what=f"CPU per call, {len(targets):,} POSTs at width {_WIDTH}, of an {BARE}'s",
            unit="×",
            value=ratio.value,
            low=ratio.low,
            high=ratio.high,
            target=1.10,
            rivals={BARE: 1.0, **rivals},
            details={
                "microseconds": result.seconds(OURS, "cpu") / len(targets) * 1e6,
                "microseconds of bare": result.seconds(BARE, "cpu") / len(targets) * 1e6,
                "time ratio": result.ratio(OURS, BARE).value,
            },
        )
    ]


async def mapped(lab: Lab) -> list[Row]:
    """`fleet.map` beside a pool of workers that does the same by hand, and one that has no SDK."""
    targets = [f"{number:040x}" for number in range(lab.pick(5000, 1000))]
    async with AsyncExitStack() as stack:
        unreached = RateLimit(10_000_000, per=60)
        trmm = await stack.enter_async_context(
            lab.client("run", rate_limit=unreached, max_connections=_WIDTH)
        )
        bare = await _bare(stack, lab)

        async def post(agent: str) -> ScriptResult:
            return await trmm.agents.run_script(agent, 1)

        entries: dict[str, Entry] = {
            BARE: timed(lambda: worker_pool(targets, _WIDTH, bare)),
            POOL: timed(lambda: worker_pool(targets, _WIDTH, post)),
            OURS: timed(lambda: trmm.fleet.map(targets, post, width=_WIDTH)._collect()),
        }
        result = await contest(entries, rounds=lab.pick(15, 4))
    ratio = result.ratio(OURS, POOL, "cpu")
    return [
        Row(
            case="map",
            what=f"CPU per call of fleet.map, {len(targets):,} POSTs at width {_WIDTH}, of a {POOL}'s",
            unit="×",
            value=ratio.value,
            low=ratio.low,
            high=ratio.high,
            target=1.15,
            rivals={POOL: 1.0, BARE: result.ratio(BARE, POOL, "cpu").value},
            details={
                "microseconds": result.seconds(OURS, "cpu") / len(targets) * 1e6,
                "of an aiohttp worker pool's": result.ratio(OURS, BARE, "cpu").value,
                "time ratio": result.ratio(OURS, POOL).value,
            },
        )
    ]


async def _others(stack: AsyncExitStack, lab: Lab, targets: list[str], bare: Post) -> dict[str, float]:
    posts = {BARE: bare}
    if installed("aiohttp_retry"):
        posts["aiohttp-retry"] = await _retrying(stack, lab)
    if installed("httpx"):
        posts["httpx"] = await _httpx(stack, lab)
    entries = {
        name: timed(lambda post=post: worker_pool(targets, _WIDTH, post)) for name, post in posts.items()
    }  # type: ignore[misc]
    result = await contest(entries, rounds=lab.pick(5, 1))
    return {name: result.ratio(name, BARE, "cpu").value for name in posts if name != BARE}


def _url(lab: Lab, agent: str) -> str:
    return f"{lab.url}/run/api/v3/agents/{agent}/runscript/"


def _order() -> bytes:
    return msgspec.json.encode({"script": 1, "output": "wait", "args": [], "timeout": 90})


_JSON: Final = {"Content-Type": "application/json"}


async def _bare(stack: AsyncExitStack, lab: Lab) -> Post:
    connector = aiohttp.TCPConnector(limit=_WIDTH)
    session = await stack.enter_async_context(aiohttp.ClientSession(headers=HEADERS, connector=connector))

    async def post(agent: str) -> ScriptResult:
        async with session.post(_url(lab, agent), data=_order(), headers=_JSON) as response:
            response.raise_for_status()
            return read_result(await response.read())

    return post


async def _retrying(stack: AsyncExitStack, lab: Lab) -> Post:
    session = await stack.enter_async_context(aiohttp.ClientSession(headers=HEADERS))
    client: Any = library("aiohttp_retry").RetryClient(client_session=session)

    async def post(agent: str) -> ScriptResult:
        async with client.post(_url(lab, agent), data=_order(), headers=_JSON) as response:
            response.raise_for_status()
            return read_result(await response.read())

    return post


async def _httpx(stack: AsyncExitStack, lab: Lab) -> Post:
    client: Any = await stack.enter_async_context(library("httpx").AsyncClient(headers=HEADERS))

    async def post(agent: str) -> ScriptResult:
        response = await client.post(_url(lab, agent), content=_order(), headers=_JSON)
        response.raise_for_status()
        return read_result(response.content)

    return post


async def pending(lab: Lab) -> list[Row]:
    """A run over 100,000 targets that the server leaves without an answer, beside those under way alone."""

    async def held(how: str, targets: int) -> dict[str, float]:
        repeats = [await lab.probe("pending", f"{lab.url}/hold", how, targets) for _ in range(lab.pick(3, 1))]
        return sorted(repeats, key=lambda one: one["held"])[len(repeats) // 2]

    whole, under_way = await held("ours", 100_000), await held("ours", _UNDER_WAY)
    theirs = await held("tasks", 10_000)
    more = whole["held"] - under_way["held"]
    return [
        Row(
            case="pending",
            what=f"pending state of a run over 100,000 targets, beside {_UNDER_WAY} under way",
            unit="MB",
            value=more,
            low=more,
            high=more,
            target=1.0,
            rivals={
                "a task each behind aiolimiter, 10,000 targets": theirs["held"]
                - (await held("tasks", _UNDER_WAY))["held"]
            },
            details={
                "tasks": whole["tasks"],
                "MB with the calls under way": whole["held"],
                "MB of the calls under way": under_way["held"],
            },
        )
    ]
