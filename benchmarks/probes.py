"""What is measured in a process of its own: memory, collections, tasks. `python -m benchmarks.probes NAME …`

Prints one JSON object of figures: megabytes, seconds, counts.
"""

import asyncio
import gc
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from benchmarks.bodies import agents, stock_agent_ids, stock_alerts
from benchmarks.rivals import AGENTS_PATH, HEADERS, PydanticAgents, bare_reader, library
from trmm_async import TRMM, Alert, MirrorSettings, StreamSettings
from trmm_async.dialects import AgentFilter, Gateway
from trmm_async.mirror.feeds import resync
from trmm_async.mirror.state import MirrorState
from trmm_async.stream import emptied

__all__: list[str] = []

_MEGA: Final = 1e6


class _Disk(msgspec.Struct):
    device: str = ""
    free: str = ""
    total: str = ""
    percent: float | None = None


class _Ref(msgspec.Struct):
    id: int | None = None
    name: str = ""


class _PlainAgent(msgspec.Struct):
    """An agent as one would write it without a thought for the collector."""

    agent_id: str
    client: _Ref
    site: _Ref
    hostname: str = ""
    plat: str | None = None
    operating_system: str | None = None
    version: str | None = None
    last_seen: str | None = None
    status: str = "unknown"
    logged_in_username: str | None = None
    public_ip: str | None = None
    local_ip: str | None = None
    cpu_model: str | None = None
    total_ram: float | None = None
    disks: list[_Disk] = []


def _memory(field: str) -> float:
    """Of this process, in MB: VmRSS is what it holds now, VmHWM the most since `_forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) * 1024 / _MEGA for line in lines if line.startswith(f"{field}:"))


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


async def iter_memory(url: str, small: str, how: str, tracing: str) -> dict[str, float]:
    """The most memory that reading a list takes beyond what a short one has left behind."""
    async with AsyncExitStack() as stack:
        read = await stack.enter_async_context(_ITERATIONS[how](url))
        warm = await stack.enter_async_context(_ITERATIONS[how](small))
        await warm()
        gc.collect()
        if tracing == "traced":
            tracemalloc.start()
            await read()
            return {"extra": tracemalloc.get_traced_memory()[1] / _MEGA}
        _forget_peak()
        before = _memory("VmRSS")
        await read()
        return {"extra": _memory("VmHWM") - before}


@asynccontextmanager
async def _ours(url: str) -> AsyncIterator[Callable[[], Coroutine[Any, Any, int]]]:
    async with TRMM(url, api_key="benchmark", dialect="gateway", rate_limit=None) as trmm:

        async def read() -> int:
            async with trmm.agents.iter() as stream:
                return sum([1 async for _ in stream])

        yield read


_ITERATIONS: Final[dict[str, Any]] = {"iter": _ours, "bare": bare_reader}


async def collection(url: str, how: str) -> dict[str, float]:
    """How much longer a full garbage collection takes while a list is held."""
    held: list[Any] = []
    before = _collections()
    held.extend(await _HOLDINGS[how](url))
    tracked = sum(map(gc.is_tracked, held))
    return {"extra": _collections() - before, "agents": len(held), "tracked": tracked}


def _collections() -> float:
    gc.collect()
    times = []
    for _ in range(9):
        started = time.perf_counter()
        gc.collect()
        times.append(time.perf_counter() - started)
    return median(times)


async def _hold_ours(url: str) -> list[Any]:
    async with TRMM(url, api_key="benchmark", dialect="gateway", rate_limit=None) as trmm:
        return list(await trmm.agents.list())


async def _body(url: str) -> bytes:
    aiohttp = library("aiohttp")
    async with aiohttp.ClientSession(headers=HEADERS) as session, session.get(url + AGENTS_PATH) as response:
        return bytes(await response.read())


async def _hold_plain(url: str) -> list[Any]:
    return msgspec.json.decode(await _body(url), type=list[_PlainAgent])


async def _hold_dicts(url: str) -> list[Any]:
    return list(msgspec.json.decode(await _body(url)))


async def _hold_pydantic(url: str) -> list[Any]:
    return PydanticAgents().validate(msgspec.json.decode(await _body(url)))


_HOLDINGS: Final[dict[str, Any]] = {
    "ours": _hold_ours,
    "plain Structs": _hold_plain,
    "dicts": _hold_dicts,
    "pydantic": _hold_pydantic,
}


async def pending(url: str, how: str, count: str) -> dict[str, float]:
    """What a run over many targets holds while the server answers none of them."""
    targets = [f"{number:040x}" for number in range(int(count))]
    async with TRMM(url, api_key="benchmark", dialect="gateway", rate_limit=None) as trmm:
        gc.collect()
        tracemalloc.start()
        async with AsyncExitStack() as stack:
            if how == "ours":
                await stack.enter_async_context(trmm.fleet.run_script(targets, script=1))
            else:
                stack.push_async_callback(_cancel, _a_task_each(trmm, targets))
            await asyncio.sleep(1.5)
            held, _ = tracemalloc.get_traced_memory()
            return {"held": held / _MEGA, "tasks": len(asyncio.all_tasks()) - 1}


def _a_task_each(trmm: TRMM, targets: list[str]) -> list[asyncio.Task[Any]]:
    """The obvious way: a task a target, 50 of which get past the limiter of aiolimiter."""
    limiter = library("aiolimiter").AsyncLimiter(50, 3600)

    async def run(target: str) -> object:
        async with limiter:
            return await trmm.agents.run_script(target, 1)

    return [asyncio.create_task(run(target)) for target in targets]


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def subscriptions(url: str, how: str, count: str) -> dict[str, float]:
    """What many open event sockets hold: MB of this process, tasks."""
    followed = [f"agent-{number}" for number in range(int(count))]
    async with AsyncExitStack() as stack:
        async with AsyncExitStack() as warm:
            await _subscribe(warm, url, how, followed[:1])
        gc.collect()
        before = _memory("VmRSS")
        await _subscribe(stack, url, how, followed)
        await asyncio.sleep(0.5)
        gc.collect()
        return {"held": _memory("VmRSS") - before, "tasks": len(asyncio.all_tasks()) - 1}


async def mirror(count: str) -> dict[str, float]:
    """What a mirror of so many agents holds, and what the agents held alone, as a list has them."""
    tracemalloc.start()
    body = agents(int(count))
    read = Gateway().list_agents(AgentFilter()).decode
    before = tracemalloc.get_traced_memory()[0]
    listed = read(body)
    alone = tracemalloc.get_traced_memory()[0] - before
    state = MirrorState(inventory=True, custom_fields=True)
    await resync(state, emptied(listed), [], lambda _: True, lambda _: False)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    return {"agents": alone / _MEGA, "mirror": held / _MEGA}


async def look(url: str, count: str, alerts: str, seconds: str) -> dict[str, float]:
    """How long the event loop is held, in CPU time, while agents and alerts are looked at for a mirror, too.

    Collections are counted by themselves: they come when they come, and are as long as what is held.
    """
    held = _Held()
    eager = StreamSettings(poll_interval=0.3, poll_share=1.0)
    async with (
        TRMM(url, api_key="benchmark", dialect="stock", rate_limit=None) as trmm,
        trmm.events(stock_agent_ids(int(count)), settings=eager),
        trmm.mirror(settings=MirrorSettings(stream=eager)),
    ):
        await asyncio.sleep(2)
        with held:
            await asyncio.sleep(float(seconds))
    body = stock_alerts(int(alerts), int(count))
    began = time.thread_time()
    msgspec.json.decode(body, type=list[Alert])
    return {"held": held.longest, "collection": held.collection, "at once": time.thread_time() - began}


class _Held:
    """The longest callback of the event loop, and the longest collection, which is not counted in it."""

    def __init__(self) -> None:
        self.longest = self.collection = 0.0
        self._collected = self._began = 0.0

    def __enter__(self) -> None:
        run = self._run = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            before, began = self._collected, time.thread_time()
            run(handle)
            self.longest = max(self.longest, time.thread_time() - began - (self._collected - before))

        asyncio.Handle._run = timed  # type: ignore[method-assign]
        gc.callbacks.append(self._collection)

    def __exit__(self, *trouble: object) -> None:
        gc.callbacks.remove(self._collection)
        asyncio.Handle._run = self._run  # type: ignore[method-assign]

    def _collection(self, phase: str, info: dict[str, int]) -> None:
        del info
        if phase == "start":
            self._began = time.thread_time()
            return
        took = time.thread_time() - self._began
        self._collected += took
        self.collection = max(self.collection, took)


async def _subscribe(stack: AsyncExitStack, url: str, how: str, followed: list[str]) -> None:
    if how == "ours":
        trmm = await stack.enter_async_context(
            TRMM(url, api_key="benchmark", dialect="gateway", rate_limit=None)
        )
        await stack.enter_async_context(trmm.events(followed))
        return
    compression = None if how == "bare" else "deflate"
    connect: Any = library("websockets").connect
    gate = asyncio.Semaphore(10)

    async def follow(agent: str) -> None:
        async with gate:
            socket = await connect(
                f"ws{url.removeprefix('http')}/trmm/{agent}/", compression=compression, proxy=None
            )
        opened.release()
        try:
            async for _ in socket:
                pass
        finally:
            await socket.close()

    opened = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(follow(agent)) for agent in followed]
    stack.push_async_callback(_cancel, tasks)
    for _ in followed:
        await opened.acquire()


_PROBES: Final[dict[str, Any]] = {
    probe.__name__: probe for probe in (iter_memory, collection, look, mirror, pending, subscriptions)
}

if __name__ == "__main__":
    print(msgspec.json.encode(asyncio.run(_PROBES[sys.argv[1]](*sys.argv[2:]))).decode())
