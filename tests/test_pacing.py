"""Waiting for the right to send, in virtual time: in order, no longer than needed, and without a trace."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clock import MOMENT, VirtualLoop, in_steps, live_timers, now, run, soon
from tests.properties import many
from trmm_async import RateLimit
from trmm_async.admission import give_back
from trmm_async.pacing import WindowLimiter, WindowSlot


def held_and_cooling(limiter: WindowLimiter) -> tuple[int, int]:
    words = repr(limiter).rstrip(">").split(", ")
    return int(words[-2].split()[0]), int(words[-1].split()[0])


def settle(slots: list[WindowSlot]) -> None:
    for slot in slots:
        slot.settle()


async def after(seconds: float, call: Callable[[], object]) -> None:
    await asyncio.sleep(seconds)
    call()


class TestTheFirst:
    @pytest.mark.parametrize("count", [1, 2, 100])
    def test_n_calls_do_not_wait_and_the_next_does(self, count: int) -> None:
        async def main() -> None:
            limiter = WindowLimiter(RateLimit(count, per=60))
            slots = [await soon(limiter.acquire()) for _ in range(count)]
            begun = now()
            settle(slots)
            await limiter.acquire()
            assert 60 <= now() - begun < 60 + MOMENT

        run(main())

    def test_calls_without_an_answer_yet_leave_no_place_however_long_it_takes(self) -> None:
        async def main() -> None:
            limiter = WindowLimiter(RateLimit(1, per=1))
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
            limiter = WindowLimiter(None)
            slots = [await soon(limiter.acquire()) for _ in range(1000)]
            # A call that breaks or is cancelled ends none of its slots: without a limit none is kept.
            assert held_and_cooling(limiter) == (0, 0)
            for slot in slots:
                slot.written()
                slot.settle()

        run(main())


class TestTheQueue:
    @pytest.mark.parametrize("turns", range(5))
    def test_is_not_jumped_by_who_comes_in_the_moment_that_a_place_is_free(self, turns: int) -> None:
        async def main() -> None:
            limiter = WindowLimiter(RateLimit(1, per=8))
            slot = await limiter.acquire()
            waiting = asyncio.create_task(limiter.acquire())
            await asyncio.sleep(MOMENT)
            slot.give_back()
            for _ in range(turns):
                await asyncio.sleep(0)
            # Not in a task of its own: that would begin only after the one that waits was woken.
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(MOMENT):
                    await limiter.acquire()
            assert waiting.done()

        run(main())


class TestACancelledWaiter:
    async def queue(self, limiter: WindowLimiter, waiters: int) -> list[asyncio.Task[WindowSlot]]:
        tasks = [asyncio.create_task(limiter.acquire()) for _ in range(waiters)]
        await asyncio.sleep(MOMENT)
        return tasks

    @pytest.mark.parametrize("victim", [0, 1, 2, 3])
    def test_in_the_queue_or_at_its_head_makes_room_for_the_next(self, victim: int) -> None:
        async def main() -> None:
            limiter = WindowLimiter(RateLimit(2, per=8))
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
            limiter = WindowLimiter(RateLimit(1, per=8))
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
            limiter = WindowLimiter(RateLimit(4, per=8, burst=1))
            await limiter.acquire()
            tasks = await self.queue(limiter, 2)
            tasks[0].cancel()
            await asyncio.wait(tasks)
            assert 2 <= now() < 2 + MOMENT * 2
            assert held_and_cooling(limiter) == (2, 0)

        run(main())

    def test_is_cancelled_even_if_its_time_is_up_in_the_same_turn(self) -> None:
        async def main() -> None:
            limiter = WindowLimiter(RateLimit(1, per=8))
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
            limiter = WindowLimiter(RateLimit(1, per=8))
            (await limiter.acquire()).settle()
            tasks = await self.queue(limiter, 3)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert live_timers() == 0

        run(main())


class TestTenThousandWaiters:
    def steps(self, waiters: int, limit: RateLimit) -> int:
        """The work of the event loop: callbacks and timers, so that it is the same on every machine."""

        async def one(limiter: WindowLimiter) -> None:
            (await limiter.acquire()).settle()

        async def main() -> int:
            limiter = WindowLimiter(limit)
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
            limiter = WindowLimiter(RateLimit(1, per=64))
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
    async def moments(self, limiter: WindowLimiter, calls: int) -> list[float]:
        moments = []
        for _ in range(calls):
            slot = await limiter.acquire()
            moments.append(now())
            slot.settle()
        return moments

    @settings(max_examples=many(50))
    @given(st.data())
    def test_is_no_larger_than_asked_for_and_the_rest_are_spread(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, 12))
        limit = RateLimit(count, per=8, burst=data.draw(st.integers(1, count)))
        pauses = data.draw(st.lists(st.tuples(in_steps(0, 1024), in_steps(1, 512)), max_size=3))

        async def main() -> list[float]:
            limiter = WindowLimiter(limit)
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
            moments = await self.moments(WindowLimiter(RateLimit(10, per=10, burst=burst)), 10)
            expected = [max(0, number - burst + 1) for number in range(10)]
            assert moments == pytest.approx(expected, abs=MOMENT)

        run(main())

    def test_as_large_as_the_limit_is_still_held_to_the_limit(self) -> None:
        """The bucket alone would let 19 through in the first ten seconds."""

        async def main() -> None:
            moments = await self.moments(WindowLimiter(RateLimit(10, per=10, burst=10)), 30)
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
            limiter = WindowLimiter(limit)
            limiter.pause(30)
            await limiter.acquire()
            assert 30 <= now() < 30 + MOMENT

        run(main())

    def test_holds_the_one_whose_turn_it_is_and_all_behind_it(self) -> None:
        async def main() -> None:
            limiter = WindowLimiter(RateLimit(2, per=4))
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
            limiter = WindowLimiter(RateLimit(10, per=10, burst=1))
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
            limiter = WindowLimiter(None)
            limiter.pause(30)
            limiter.pause(1)
            await limiter.acquire()
            assert 30 <= now() < 30 + MOMENT

        run(main())

    def test_is_made_longer_by_a_later_one(self) -> None:
        async def main() -> None:
            limiter = WindowLimiter(None)
            limiter.pause(10)
            task = asyncio.create_task(limiter.acquire())
            await asyncio.sleep(9)
            limiter.pause(10)
            await task
            assert 19 <= now() < 19 + MOMENT

        run(main())

    def test_does_not_end_because_an_answer_came(self) -> None:
        async def main() -> None:
            limiter = WindowLimiter(RateLimit(2, per=1))
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
            limiter = WindowLimiter(limit)
            (await limiter.acquire()).written()
            begun = now()
            await limiter.acquire()
            assert limit.surely_counted >= 0.5
            assert now() - begun == pytest.approx(limit.surely_counted + per, abs=MOMENT)

        run(main())

    def test_that_comes_early_frees_it_a_window_after_the_answer(self) -> None:
        async def main() -> None:
            limiter = WindowLimiter(RateLimit(1, per=60))
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
            limiter = WindowLimiter(RateLimit(1, per=8))
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
    @pytest.mark.parametrize("how", [WindowSlot.settle, WindowSlot.give_back])
    @pytest.mark.parametrize("again", [WindowSlot.settle, WindowSlot.give_back, WindowSlot.written])
    def test_ends_once(self, how: Callable[[WindowSlot], None], again: Callable[[WindowSlot], None]) -> None:
        async def main() -> None:
            limiter = WindowLimiter(RateLimit(3, per=8))
            kept, slot = await limiter.acquire(), await limiter.acquire()
            how(slot)
            ended = held_and_cooling(limiter)
            again(slot)
            assert held_and_cooling(limiter) == ended == (1, int(how is WindowSlot.settle))
            assert live_timers() == 0
            kept.give_back()

        run(main())

    def test_can_be_ended_in_company(self) -> None:
        async def main() -> None:
            limiter = WindowLimiter(RateLimit(6, per=8))
            slots = [await limiter.acquire() for _ in range(6)]
            settle(slots[:2])
            give_back(slots[2:5])
            assert held_and_cooling(limiter) == (1, 2)

        run(main())
