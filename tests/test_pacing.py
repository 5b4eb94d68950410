"""Rate limits, in virtual time, against a server that counts as strictly as Django REST framework does."""

import asyncio
import copy
import math
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.clock import VirtualLoop, run
from trmm_async import InvalidRequestError, RateLimit
from trmm_async.pacing import Limiter, RollingWindow, Slot, give_back, settle

T = TypeVar("T")

# Long for a loop that takes a nanosecond a turn, short for everything that is asserted about seconds.
MOMENT = 2.0**-12


def now() -> float:
    return asyncio.get_running_loop().time()


def held_and_cooling(limiter: Limiter) -> tuple[int, int]:
    words = repr(limiter).rstrip(">").split(", ")
    return int(words[-2].split()[0]), int(words[-1].split()[0])


async def soon(awaitable: Coroutine[Any, Any, T]) -> T:
    """What `awaitable` comes to, which must be at once."""
    begun = now()
    result = await awaitable
    assert now() - begun < MOMENT
    return result


async def after(seconds: float, call: Callable[[], object]) -> None:
    await asyncio.sleep(seconds)
    call()


def in_steps(least: int, most: int) -> st.SearchStrategy[float]:
    """Seconds in 64ths: sums of them are exact, so that 'W seconds ago' is too."""
    return st.integers(least, most).map(lambda ticks: ticks / 64)


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
    limiter: Limiter
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
    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_nothing_is_refused_nobody_is_overtaken_and_no_place_is_lost(self, data: st.DataObject) -> None:
        limit = data.draw(limits)
        jobs = data.draw(jobs_under(limit))

        async def main() -> None:
            made = Run(Limiter(limit), StrictServer(limit))
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

    async def is_as_new(self, limiter: Limiter, limit: RateLimit) -> None:
        await asyncio.sleep(limit.per + limit.surely_counted + MOMENT)
        assert held_and_cooling(limiter)[0] == 0
        for _ in range(limit.burst or limit.count):
            await soon(limiter.acquire())

    @settings(max_examples=60, deadline=None)
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
            made = Run(Limiter(limit), StrictServer(limit))
            begun = now()
            await made.do_all(jobs)
            least = (calls - 1) // count * per
            assert now() - begun <= 1.05 * least + 2 * max(latencies) + MOMENT
            assert (made.server.accepted, made.server.refused) == (calls, 0)

        run(main())

    @pytest.mark.parametrize("calls", [101, 199, 300, 500, 1000])
    def test_the_usual_limit_costs_less_than_a_twentieth(self, calls: int) -> None:
        async def main() -> None:
            made = Run(Limiter(RateLimit(100, per=60)), StrictServer(RateLimit(100, per=60)))
            await made.do_all([Job(0.0, 0.25, 0.25)] * calls)
            assert made.server.refused == 0
            assert (calls - 1) // 100 * 60 <= now() <= (calls - 1) // 100 * 60 * 1.05

        run(main())

    def test_an_idle_server_gets_the_whole_allowance_again_at_once(self) -> None:
        async def main() -> None:
            limit = RateLimit(5, per=8)
            made = Run(Limiter(limit), StrictServer(limit))
            await made.do_all([Job(0.0, 0.25, 0.25)] * 5)
            await asyncio.sleep(8)
            assert await soon(self.grants(made.limiter, 5)) == 5

        run(main())

    async def grants(self, limiter: Limiter, count: int) -> int:
        return len([await limiter.acquire() for _ in range(count)])


class TestTheFirst:
    @pytest.mark.parametrize("count", [1, 2, 100])
    def test_n_calls_do_not_wait_and_the_next_does(self, count: int) -> None:
        async def main() -> None:
            limiter = Limiter(RateLimit(count, per=60))
            slots = [await soon(limiter.acquire()) for _ in range(count)]
            begun = now()
            settle(slots)
            await limiter.acquire()
            assert 60 <= now() - begun < 60 + MOMENT

        run(main())

    def test_calls_without_an_answer_yet_leave_no_place_however_long_it_takes(self) -> None:
        async def main() -> None:
            limiter = Limiter(RateLimit(1, per=1))
            slot = await limiter.acquire()
            waiting = asyncio.create_task(limiter.acquire())
            await asyncio.sleep(1000)
            assert not waiting.done()
            slot.settle()
            await waiting
            assert 1001 <= now() < 1001 + MOMENT

        run(main())

    def test_without_a_limit_nobody_waits(self) -> None:
        async def main() -> None:
            limiter = Limiter(None)
            slots = [await soon(limiter.acquire()) for _ in range(1000)]
            assert held_and_cooling(limiter) == (1000, 0)
            for slot in slots:
                slot.written()
                slot.settle()
            assert held_and_cooling(limiter) == (0, 0)

        run(main())


class TestACancelledWaiter:
    async def queue(self, limiter: Limiter, waiters: int) -> list[asyncio.Task[Slot]]:
        tasks = [asyncio.create_task(limiter.acquire()) for _ in range(waiters)]
        await asyncio.sleep(MOMENT)
        return tasks

    @pytest.mark.parametrize("victim", [0, 1, 2, 3])
    def test_in_the_queue_or_at_its_head_makes_room_for_the_next(self, victim: int) -> None:
        async def main() -> None:
            limiter = Limiter(RateLimit(2, per=8))
            slots = [await limiter.acquire() for _ in range(2)]
            tasks = await self.queue(limiter, 4)
            tasks[victim].cancel()
            settle(slots)
            served = [task for number, task in enumerate(tasks) if number != victim]
            await asyncio.sleep(8 + MOMENT)
            assert [task.done() for task in served] == [True, True, False]
            served[2].cancel()
            await asyncio.wait(tasks)
            assert held_and_cooling(limiter) == (2, 0)

        run(main())

    def test_in_the_very_turn_in_which_it_was_granted_gives_the_place_back(self) -> None:
        async def main(turns: int) -> bool:
            limiter = Limiter(RateLimit(1, per=8))
            slot = await limiter.acquire()
            tasks = await self.queue(limiter, 3)
            slot.give_back()
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks[:2]:
                task.cancel()
            await asyncio.sleep(MOMENT)
            first = tasks[0]
            was_late = first.done() and not first.cancelled()
            assert tasks[2].done() is not was_late
            assert held_and_cooling(limiter) == (1, 0)
            tasks[2].cancel()
            await asyncio.wait(tasks)
            return was_late

        # Whatever the turn in which the cancellation falls: one place, one holder.
        outcomes = [run(main(turns)) for turns in range(6)]
        assert set(outcomes) == {False, True}
        assert outcomes == sorted(outcomes)

    def test_in_the_bucket_gives_its_place_in_the_window_back(self) -> None:
        async def main() -> None:
            limiter = Limiter(RateLimit(4, per=8, burst=1))
            await limiter.acquire()
            tasks = await self.queue(limiter, 2)
            tasks[0].cancel()
            await asyncio.wait(tasks)
            assert 2 <= now() < 2 + MOMENT * 2
            assert held_and_cooling(limiter) == (2, 0)

        run(main())

    def test_is_cancelled_even_if_its_time_is_up_in_the_same_turn(self) -> None:
        async def main() -> None:
            limiter = Limiter(RateLimit(1, per=8))
            (await limiter.acquire()).settle()
            task = asyncio.create_task(limiter.acquire())
            await asyncio.sleep(MOMENT)
            # Due before the waiter's own timer, in the same turn of the loop.
            asyncio.get_running_loop().call_at(8 - MOMENT / 2**16, task.cancel)
            await asyncio.wait([task])
            assert task.cancelled()
            assert held_and_cooling(limiter)[0] == 0
            await asyncio.sleep(MOMENT)
            await soon(limiter.acquire())

        run(main())

    def test_leaves_no_timer_behind(self) -> None:
        async def main() -> None:
            limiter = Limiter(RateLimit(1, per=8))
            (await limiter.acquire()).settle()
            tasks = await self.queue(limiter, 3)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert live_timers() == 0

        run(main())


def live_timers() -> int:
    timers = cast("list[asyncio.TimerHandle]", vars(asyncio.get_running_loop())["_scheduled"])
    return sum(not timer.cancelled() for timer in timers)


class TestTenThousandWaiters:
    def steps(self, waiters: int, limit: RateLimit) -> int:
        """The work of the event loop: callbacks and timers, so that it is the same on every machine."""

        async def one(limiter: Limiter) -> None:
            (await limiter.acquire()).settle()

        async def main() -> int:
            limiter = Limiter(limit)
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            begun = loop.handles
            async with asyncio.TaskGroup() as group:
                for _ in range(waiters):
                    group.create_task(one(limiter))
            return loop.handles - begun

        return run(main())

    def test_cost_a_few_callbacks_each(self) -> None:
        assert self.steps(10_000, RateLimit(100, per=60)) <= 8 * 10_000

    def test_cost_no_more_each_than_a_hundred_do(self) -> None:
        few, many = (self.steps(waiters, RateLimit(10, per=60)) for waiters in (100, 5000))
        assert many / 5000 <= 1.1 * few / 100

    def test_behind_a_bucket_cost_a_few_callbacks_each(self) -> None:
        assert self.steps(2000, RateLimit(100, per=60, burst=1)) <= 14 * 2000

    def test_sleep_while_they_wait(self) -> None:
        async def main() -> None:
            limiter = Limiter(RateLimit(1, per=64))
            (await limiter.acquire()).settle()
            tasks = [asyncio.create_task(limiter.acquire()) for _ in range(10_000)]
            await asyncio.sleep(1)
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            begun = loop.handles
            await asyncio.sleep(60)
            assert loop.handles - begun <= 4
            assert live_timers() <= 1
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

        run(main())


class TestABurst:
    async def moments(self, limiter: Limiter, calls: int) -> list[float]:
        moments = []
        for _ in range(calls):
            slot = await limiter.acquire()
            moments.append(now())
            slot.settle()
        return moments

    @settings(max_examples=50, deadline=None)
    @given(st.data())
    def test_is_no_larger_than_asked_for_and_the_rest_are_spread(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, 12))
        limit = RateLimit(count, per=8, burst=data.draw(st.integers(1, count)))
        pauses = data.draw(st.lists(st.tuples(in_steps(0, 1024), in_steps(1, 512)), max_size=3))

        async def main() -> list[float]:
            limiter = Limiter(limit)
            async with asyncio.TaskGroup() as group:
                for when, length in pauses:
                    group.create_task(after(when, partial(limiter.pause, length)))
                return await self.moments(limiter, 30)

        moments = run(main())
        assert_spread(moments, limit)
        for begun, length in pauses:
            assert not any(begun + MOMENT < moment < begun + length for moment in moments)

    @pytest.mark.parametrize("burst", [1, 3, 10])
    def test_goes_out_at_once_and_the_rest_as_fast_as_the_limit_allows(self, burst: int) -> None:
        async def main() -> None:
            moments = await self.moments(Limiter(RateLimit(10, per=10, burst=burst)), 10)
            expected = [max(0, number - burst + 1) for number in range(10)]
            assert moments == pytest.approx(expected, abs=MOMENT)

        run(main())

    def test_as_large_as_the_limit_is_still_held_to_the_limit(self) -> None:
        """The bucket alone would let 19 through in the first ten seconds."""

        async def main() -> None:
            moments = await self.moments(Limiter(RateLimit(10, per=10, burst=10)), 30)
            assert all(later - earlier >= 10 for earlier, later in zip(moments, moments[10:], strict=False))

        run(main())


def assert_spread(moments: list[float], limit: RateLimit) -> None:
    assert limit.burst is not None
    for first, begun in enumerate(moments):
        for last in range(first, len(moments)):
            allowed = limit.burst + (moments[last] - begun) * limit.count / limit.per
            assert last - first + 1 <= allowed + MOMENT


class TestAPause:
    @pytest.mark.parametrize("limit", [None, RateLimit(5, per=1), RateLimit(5, per=1, burst=1)])
    def test_holds_those_who_come_later(self, limit: RateLimit | None) -> None:
        async def main() -> None:
            limiter = Limiter(limit)
            limiter.pause(30)
            await limiter.acquire()
            assert 30 <= now() < 30 + MOMENT

        run(main())

    def test_holds_the_one_whose_turn_it_is_and_all_behind_it(self) -> None:
        async def main() -> None:
            limiter = Limiter(RateLimit(2, per=4))
            settle([await limiter.acquire() for _ in range(2)])
            tasks = [asyncio.create_task(limiter.acquire()) for _ in range(2)]
            await asyncio.sleep(2)
            limiter.pause(30)
            await asyncio.sleep(29.5)
            assert not any(task.done() for task in tasks)
            await asyncio.sleep(0.5 + MOMENT)
            assert all(task.done() for task in tasks)

        run(main())

    def test_holds_the_one_that_the_bucket_holds(self) -> None:
        async def main() -> None:
            limiter = Limiter(RateLimit(10, per=10, burst=1))
            await limiter.acquire()
            task = asyncio.create_task(limiter.acquire())
            await asyncio.sleep(0.5)
            limiter.pause(30)
            await asyncio.sleep(29.5)
            assert not task.done()
            await asyncio.wait([task])
            assert now() < 32

        run(main())

    def test_is_not_shortened_by_a_shorter_one(self) -> None:
        async def main() -> None:
            limiter = Limiter(None)
            limiter.pause(30)
            limiter.pause(1)
            await limiter.acquire()
            assert 30 <= now() < 30 + MOMENT

        run(main())

    def test_is_made_longer_by_a_later_one(self) -> None:
        async def main() -> None:
            limiter = Limiter(None)
            limiter.pause(10)
            task = asyncio.create_task(limiter.acquire())
            await asyncio.sleep(9)
            limiter.pause(10)
            await task
            assert 19 <= now() < 19 + MOMENT

        run(main())

    def test_does_not_end_because_an_answer_came(self) -> None:
        async def main() -> None:
            limiter = Limiter(RateLimit(2, per=1))
            slots = [await limiter.acquire() for _ in range(2)]
            task = asyncio.create_task(limiter.acquire())
            limiter.pause(30)
            await asyncio.sleep(1)
            slots[0].give_back()
            await asyncio.sleep(1)
            assert not task.done()
            await task
            assert 30 <= now() < 30 + MOMENT

        run(main())


class TestASlowAnswer:
    @pytest.mark.parametrize("per", [1.0, 10.0, 60.0, 3600.0])
    def test_frees_the_slot_a_window_after_the_request_was_surely_counted(self, per: float) -> None:
        async def main() -> None:
            limit = RateLimit(1, per=per)
            limiter = Limiter(limit)
            (await limiter.acquire()).written()
            begun = now()
            await limiter.acquire()
            assert limit.surely_counted >= 0.5
            assert now() - begun == pytest.approx(limit.surely_counted + per, abs=MOMENT)

        run(main())

    def test_that_comes_early_frees_it_a_window_after_the_answer(self) -> None:
        async def main() -> None:
            limiter = Limiter(RateLimit(1, per=60))
            slot = await limiter.acquire()
            slot.written()
            slot.written()
            await asyncio.sleep(0.125)
            slot.settle()
            assert live_timers() == 0
            await limiter.acquire()
            assert 60.125 <= now() < 60.125 + MOMENT

        run(main())

    def test_that_comes_late_changes_nothing_any_more(self) -> None:
        async def main() -> None:
            limiter = Limiter(RateLimit(1, per=8))
            slot = await limiter.acquire()
            slot.written()
            slot.written()
            await asyncio.sleep(5)
            assert held_and_cooling(limiter) == (0, 1)
            slot.settle()
            slot.give_back()
            slot.written()
            assert held_and_cooling(limiter) == (0, 1)
            await limiter.acquire()
            assert 8.5 <= now() < 8.5 + MOMENT

        run(main())


class TestASlot:
    @pytest.mark.parametrize("how", [Slot.settle, Slot.give_back])
    @pytest.mark.parametrize("again", [Slot.settle, Slot.give_back, Slot.written])
    def test_ends_once(self, how: Callable[[Slot], None], again: Callable[[Slot], None]) -> None:
        async def main() -> None:
            limiter = Limiter(RateLimit(3, per=8))
            kept, slot = await limiter.acquire(), await limiter.acquire()
            how(slot)
            ended = held_and_cooling(limiter)
            again(slot)
            assert held_and_cooling(limiter) == ended == (1, int(how is Slot.settle))
            assert live_timers() == 0
            kept.give_back()

        run(main())

    def test_can_be_ended_in_company(self) -> None:
        async def main() -> None:
            limiter = Limiter(RateLimit(6, per=8))
            slots = [await limiter.acquire() for _ in range(6)]
            settle(slots[:2])
            give_back(slots[2:5])
            assert held_and_cooling(limiter) == (1, 2)

        run(main())


@dataclass
class NaiveWindow:
    """What `RollingWindow` promises, said without any thrift."""

    limit: RateLimit
    held: int = 0
    settled: list[float] = field(default_factory=list)
    closed: float = -math.inf

    def free(self, at: float) -> bool:
        cooling = sum(at < when + self.limit.per for when in self.settled)
        return at >= self.closed and self.held + cooling < self.limit.count

    def wait(self, at: float) -> float:
        """The least of the moments at which anything changes by itself, and at which it is free."""
        moments = sorted({at, self.closed, *(when + self.limit.per for when in self.settled)})
        return next((moment - at for moment in moments if moment >= at and self.free(moment)), math.inf)


class TestTheWindow:
    @settings(max_examples=200, deadline=None)
    @given(
        st.integers(1, 4),
        st.lists(
            st.tuples(st.sampled_from(["take", "give back", "settle", "pause"]), in_steps(0, 96)), max_size=40
        ),
    )
    @example(1, [("take", 0.0), ("settle", 0.0), ("take", 1.0), ("settle", 0.5)])
    def test_says_how_long_to_wait_and_never_too_short(
        self, count: int, steps: list[tuple[str, float]]
    ) -> None:
        limit = RateLimit(count, per=1)
        window, naive, time = RollingWindow(limit), NaiveWindow(limit), 0.0
        for what, passed in steps:
            time += passed
            if what == "take" and naive.free(time):
                assert window.wait(time) == 0
                window.take()
                naive.held += 1
            elif what == "give back" and naive.held:
                window.give_back()
                naive.held -= 1
            elif what == "settle" and naive.held:
                window.settle(time)
                naive.held -= 1
                naive.settled.append(time)
            elif what == "pause":
                window.close_until(time + passed)
                naive.closed = max(naive.closed, time + passed)
            self.waits_alike(window, naive, time)

    def waits_alike(self, window: RollingWindow, naive: NaiveWindow, time: float) -> None:
        """A waiter asks again when it wakes, so being woken early is no mistake; being let in early is."""
        window = copy.deepcopy(window)
        for _ in range(4):
            wait = window.wait(time)
            assert 0 <= wait <= naive.wait(time)
            assert (wait == 0) == naive.free(time)
            if wait in (0, math.inf):
                return
            time += wait
        raise AssertionError("asked again and again")


class TestARateLimit:
    @pytest.mark.parametrize("count", [0, -1, 1.5, "100", None, True, math.nan, math.inf])
    def test_needs_a_whole_number_of_calls(self, count: Any) -> None:
        with pytest.raises(InvalidRequestError, match=r"count must be a whole number from 1"):
            RateLimit(count, per=60)

    @pytest.mark.parametrize("per", [0, -1, "60", None, True, math.nan, math.inf, -math.inf, 10**400])
    def test_needs_a_finite_number_of_seconds(self, per: Any) -> None:
        with pytest.raises(InvalidRequestError, match=r"per must be a number of seconds above 0"):
            RateLimit(100, per=per)

    @pytest.mark.parametrize("burst", [0, -1, 101, 1.0, "1", True])
    def test_needs_a_burst_within_its_count(self, burst: Any) -> None:
        with pytest.raises(InvalidRequestError, match=r"burst must be from 1 to 100"):
            RateLimit(100, per=60, burst=burst)

    @pytest.mark.parametrize(
        "limit", [RateLimit(1, per=0.001), RateLimit(1, 5, 1), RateLimit(100, per=60, burst=100)]
    )
    def test_is_a_value(self, limit: RateLimit) -> None:
        assert limit == RateLimit(limit.count, per=limit.per, burst=limit.burst)
        assert len({limit, RateLimit(limit.count, limit.per, limit.burst)}) == 1

    def test_is_sure_of_a_count_after_a_time_that_grows_with_its_window(self) -> None:
        times = [RateLimit(1, per=per).surely_counted for per in (0.1, 1, 10, 60, 3600)]
        assert times[0] == 0.5
        assert all(earlier <= later for earlier, later in pairwise(times))
        assert RateLimit(1, per=60).surely_counted >= 2
