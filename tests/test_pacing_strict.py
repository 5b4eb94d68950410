"""Rate limits, in virtual time, against a server that counts as strictly as Django REST framework does."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clock import MOMENT, in_steps, now, run, soon
from tests.properties import many
from tests.test_pacing import held_and_cooling
from trmm_async import RateLimit
from trmm_async.pacing import WindowLimiter


@dataclass
class StrictServer:
    """`rest_framework.throttling.SimpleRateThrottle`: it counts what it accepted in the last W seconds."""

    limit: RateLimit
    history: deque[float] = field(default_factory=deque)
    accepted: int = 0
    refused: int = 0

    def count(self) -> None:
        while self.history and self.history[0] <= now() - self.limit.per:
            self.history.popleft()
        if len(self.history) >= self.limit.count:
            self.refused += 1
        else:
            self.history.append(now())
            self.accepted += 1


@dataclass(frozen=True)
class Job:
    """One request: when it is wanted, how long it is under way each way, how it ends."""

    wanted: float
    there: float
    back: float
    end: str = "answered"
    cancelled: float | None = None


@dataclass
class Run:
    limiter: WindowLimiter
    server: StrictServer
    arrived: list[int] = field(default_factory=list)
    granted: list[int] = field(default_factory=list)

    async def do(self, number: int, job: Job) -> None:
        await asyncio.sleep(job.wanted)
        self.arrived.append(number)
        slot = await self.limiter.acquire()
        self.granted.append(number)
        if job.end == "never sent":
            slot.give_back()
            return
        # Sent: nothing that we do now keeps the server from counting it.
        asyncio.get_running_loop().call_later(job.there, self.server.count)
        try:
            if job.end == "slow":
                slot.written()
                await asyncio.sleep(job.back + 4 * self.server.limit.per)
            else:
                await asyncio.sleep(job.there + job.back)
        except asyncio.CancelledError:
            slot.written()
            raise
        slot.settle()

    async def do_all(self, jobs: list[Job]) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self.do(*numbered)) for numbered in enumerate(jobs)]
        loop = asyncio.get_running_loop()
        for task, job in zip(tasks, jobs, strict=True):
            if job.cancelled is not None:
                loop.call_later(job.wanted + job.cancelled, task.cancel)
        await asyncio.wait(tasks)
        return tasks


@st.composite
def jobs_under(draw: st.DrawFn, limit: RateLimit) -> list[Job]:
    counted = int(limit.surely_counted * 64)

    def job(end: str, cancelled: float | None) -> st.SearchStrategy[Job]:
        # What is not waited for to its end must be counted in the time that we call sure.
        least_sure = end == "slow" or cancelled is not None
        there = in_steps(0, counted if least_sure else int(limit.per * 96))
        return st.builds(Job, in_steps(0, 256), there, in_steps(0, 64), st.just(end), st.just(cancelled))

    ends = st.sampled_from(["answered", "answered", "answered", "slow", "never sent"])
    cancels = st.one_of(st.none(), st.none(), in_steps(0, 512))
    return draw(st.lists(st.tuples(ends, cancels).flatmap(lambda made: job(*made)), min_size=1, max_size=40))


limits = st.builds(
    RateLimit, st.integers(1, 8), in_steps(8, 256), st.one_of(st.none(), st.none(), st.just(1))
)


class TestAgainstAStrictServer:
    @settings(max_examples=many(80))
    @given(st.data())
    def test_nothing_is_refused_nobody_is_overtaken_and_no_place_is_lost(self, data: st.DataObject) -> None:
        limit = data.draw(limits)
        jobs = data.draw(jobs_under(limit))

        async def main() -> None:
            made = Run(WindowLimiter(limit), StrictServer(limit))
            tasks = await made.do_all(jobs)
            assert made.server.refused == 0
            for job, task in zip(jobs, tasks, strict=True):
                assert task.cancelled() <= (job.cancelled is not None)
                assert task.cancelled() or task.exception() is None
            was_granted = set(made.granted)
            assert made.granted == [number for number in made.arrived if number in was_granted]
            assert all(number in was_granted for number, job in enumerate(jobs) if job.cancelled is None)
            await self.is_as_new(made.limiter, limit)

        run(main())

    async def is_as_new(self, limiter: WindowLimiter, limit: RateLimit) -> None:
        await asyncio.sleep(limit.per + limit.surely_counted + MOMENT)
        assert held_and_cooling(limiter)[0] == 0
        for _ in range(limit.burst or limit.count):
            await soon(limiter.acquire())

    @settings(max_examples=many(60))
    @given(st.integers(1, 30), st.sampled_from([1.0, 4.0, 64.0]), st.integers(1, 150), st.data())
    def test_a_run_takes_no_longer_than_the_limit_demands(
        self, count: int, per: float, calls: int, data: st.DataObject
    ) -> None:
        limit = RateLimit(count, per=per)
        latencies = data.draw(
            st.lists(st.integers(0, 10).map(lambda share: share * per / 2048), min_size=calls, max_size=calls)
        )
        jobs = [Job(0.0, latency, latency) for latency in latencies]

        async def main() -> None:
            made = Run(WindowLimiter(limit), StrictServer(limit))
            begun = now()
            await made.do_all(jobs)
            least = (calls - 1) // count * per
            assert now() - begun <= 1.05 * least + 2 * max(latencies) + MOMENT
            assert (made.server.accepted, made.server.refused) == (calls, 0)

        run(main())

    @pytest.mark.parametrize("calls", [101, 199, 300, 500, 1000])
    def test_the_usual_limit_costs_less_than_a_twentieth(self, calls: int) -> None:
        async def main() -> None:
            made = Run(WindowLimiter(RateLimit(100, per=60)), StrictServer(RateLimit(100, per=60)))
            await made.do_all([Job(0.0, 0.25, 0.25)] * calls)
            assert made.server.refused == 0
            assert (calls - 1) // 100 * 60 <= now() <= (calls - 1) // 100 * 60 * 1.05

        run(main())

    def test_an_idle_server_gets_the_whole_allowance_again_at_once(self) -> None:
        async def main() -> None:
            limit = RateLimit(5, per=8)
            made = Run(WindowLimiter(limit), StrictServer(limit))
            await made.do_all([Job(0.0, 0.25, 0.25)] * 5)
            await asyncio.sleep(8)
            assert await soon(self.grants(made.limiter, 5)) == 5

        run(main())

    async def grants(self, limiter: WindowLimiter, count: int) -> int:
        return len([await limiter.acquire() for _ in range(count)])
