"""What a call costs, in counts that are alike on every machine: little more than bare aiohttp's.

`benchmarks/` measures time; nothing here does. Each count is taken of us and of a bare worker pool that does
the same work against the same server, which is a process of its own.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

import aiohttp
import pytest

from benchmarks.rivals import HEADERS, read_result, worker_pool
from benchmarks.server import load_server
from trmm_async import TRMM, RateLimit, ScriptResult

CALLS: Final = 400
FEWER: Final = 150
WIDTH: Final = 20
TARGETS: Final = [f"agent{number}" for number in range(CALLS)]

Work = Callable[[], Awaitable[object]]


@dataclass
class Counts:
    """What some work asked of the interpreter and of the event loop, for each call of the server."""

    functions: float
    timers: float
    tasks: float


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts what is asked of it."""

    def __init__(self) -> None:
        self.timers = self.tasks = 0
        super().__init__()

    def call_at(self, *args: Any, **how: Any) -> asyncio.TimerHandle:  # type: ignore[override]
        self.timers += 1
        return super().call_at(*args, **how)

    def create_task(self, *args: Any, **how: Any) -> asyncio.Task[Any]:
        self.tasks += 1
        return super().create_task(*args, **how)


async def counted(work: Work, calls: int) -> Counts:
    """The counts of doing it: what is made once for all calls is there by then.

    The least of a few, since on a busy machine connections idle for too long, and the loop turns more often.
    """
    await work()
    counts = [await _counted(work, calls) for _ in range(3)]
    return Counts(*(min(getattr(one, name) for one in counts) for name in ("functions", "timers", "tasks")))


async def _counted(work: Work, calls: int) -> Counts:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, CountingLoop)
    functions = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal functions
        functions += event in {"call", "c_call"}

    before = loop.timers, loop.tasks
    sys.setprofile(count)
    try:
        await work()
    finally:
        sys.setprofile(None)
    return Counts(functions / calls, (loop.timers - before[0]) / calls, (loop.tasks - before[1]) / calls)


Contest = Callable[[TRMM, aiohttp.ClientSession, str], tuple[Work, Work]]


def compared(prepare: Contest, calls: int = CALLS) -> tuple[Counts, Counts]:
    """Ours, and those of the bare work."""

    async def main() -> tuple[Counts, Counts]:
        async with asyncio.timeout(60), AsyncExitStack() as stack:
            url = await stack.enter_async_context(load_server())
            session = await stack.enter_async_context(aiohttp.ClientSession(headers=HEADERS))
            limit = RateLimit(10_000_000, per=60)
            trmm = await stack.enter_async_context(
                TRMM(
                    f"{url}/run",
                    api_key="benchmark",
                    dialect="gateway",
                    rate_limit=limit,
                    max_connections=WIDTH,
                )
            )
            ours, bare = prepare(trmm, session, f"{url}/run")
            return await counted(ours, calls), await counted(bare, calls)

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        return runner.run(main())


def fan_out(trmm: TRMM, session: aiohttp.ClientSession, url: str) -> tuple[Work, Work]:
    async def ours() -> None:
        outcomes = await trmm.fleet.run_script(TARGETS, script=1, width=WIDTH)
        assert len(outcomes) == CALLS

    async def post(agent_id: str) -> ScriptResult:
        place = f"{url}/api/v3/agents/{agent_id}/runscript/"
        async with session.post(place, data=b"{}", headers={"Content-Type": "application/json"}) as response:
            return read_result(await response.read())

    return ours, lambda: worker_pool(TARGETS, WIDTH, post)


def mapped(trmm: TRMM, session: aiohttp.ClientSession, url: str) -> tuple[Work, Work]:
    """`fleet.map`, and a worker pool written by hand, over the same call."""
    del session, url

    async def post(agent_id: str) -> ScriptResult:
        return await trmm.agents.run_script(agent_id, 1)

    async def ours() -> None:
        outcomes = await trmm.fleet.map(TARGETS[:FEWER], post, width=WIDTH)
        assert len(outcomes) == FEWER

    return ours, lambda: worker_pool(TARGETS[:FEWER], WIDTH, post)


def test_a_map_calls_few_functions_more_than_a_worker_pool_written_by_hand() -> None:
    ours, by_hand = compared(mapped, FEWER)
    assert ours.functions <= 1.15 * by_hand.functions
    assert ours.timers - by_hand.timers <= 5 / FEWER
    assert ours.tasks - by_hand.tasks <= 5 / FEWER


@pytest.fixture(scope="module")
def fan_outs() -> tuple[Counts, Counts]:
    """Ours, and a bare worker pool's."""
    return compared(fan_out)


class TestAFanOut:
    def test_calls_few_functions_more_than_a_bare_worker_pool(self, fan_outs: tuple[Counts, Counts]) -> None:
        ours, bare = fan_outs
        # 1.27 before a call was asked once more, where its first byte leaves, whether it may begin.
        # CPython 3.12 and later count more of ours, and so does aiohttp before 3.14: 1.35.
        counts_least = sys.version_info < (3, 12) and aiohttp.__version__ >= "3.14"
        assert ours.functions <= (1.33 if counts_least else 1.4) * bare.functions

    def test_makes_no_timer_for_a_call(self, fan_outs: tuple[Counts, Counts]) -> None:
        ours, bare = fan_outs
        assert ours.timers <= 0.1
        assert bare.timers >= 1

    def test_makes_no_task_for_a_call(self, fan_outs: tuple[Counts, Counts]) -> None:
        """aiohttp makes one to write a body, where Python has no eager ones; so does the bare pool's."""
        ours, bare = fan_outs
        assert ours.tasks - bare.tasks <= 5 / CALLS
