"""How long a call may take, in virtual time: as `asyncio.timeout` says it, with one timer for all."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clock import MOMENT, in_steps, live_timers, now, run
from tests.properties import many
from trmm_async.transport.deadlines import Deadlines


async def work(deadlines: Deadlines, within: float, seconds: float, begin: float = 0.0) -> tuple[str, float]:
    """What comes of it, and after how many seconds."""
    await asyncio.sleep(begin)
    begun = now()
    try:
        with deadlines.within(within):
            await asyncio.sleep(seconds)
    except TimeoutError:
        return "late", now() - begun
    return "in time", now() - begun


class TestABlock:
    def test_that_ends_in_time_leaves_nothing_behind(self) -> None:
        async def main() -> None:
            deadlines = Deadlines()
            assert (await work(deadlines, 8, 7.5))[0] == "in time"
            assert repr(deadlines) == "<Deadlines 0 pending>"
            await asyncio.sleep(1)
            assert live_timers() == 0

        run(main())

    def test_that_takes_too_long_ends_in_a_timeout(self) -> None:
        async def main() -> None:
            outcome, took = await work(Deadlines(), 8, 100)
            assert outcome == "late"
            assert took == pytest.approx(8, abs=MOMENT)
            assert live_timers() == 0

        run(main())

    def test_keeps_its_own_exception(self) -> None:
        async def main() -> None:
            deadlines = Deadlines()
            with pytest.raises(ZeroDivisionError), deadlines.within(8):
                await asyncio.sleep(1)
                raise ZeroDivisionError
            assert deadlines.pending == 0

        run(main())

    def test_that_swallows_the_interruption_is_no_timeout(self) -> None:
        """As with `asyncio.timeout`: whoever catches the cancellation has ended in their own way."""

        async def main() -> None:
            with Deadlines().within(8):
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(100)
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0

        run(main())

    @pytest.mark.parametrize("cancelled_at", [4.0, 8.0])
    def test_that_somebody_else_cancels_is_cancelled(self, cancelled_at: float) -> None:
        async def main() -> None:
            deadlines = Deadlines()
            task = asyncio.create_task(work(deadlines, 8, 100))
            asyncio.get_running_loop().call_later(cancelled_at, task.cancel)
            await asyncio.wait([task])
            assert task.cancelled()
            assert deadlines.pending == 0

        run(main())

    def test_needs_a_task(self) -> None:
        async def main() -> None:
            deadlines, told = Deadlines(), asyncio.get_running_loop().create_future()

            def enter() -> None:
                with pytest.raises(RuntimeError, match="inside a task"):
                    deadlines.within(8).__enter__()
                told.set_result(None)

            asyncio.get_running_loop().call_soon(enter)
            await told

        run(main())


class TestAll:
    def test_share_one_timer(self) -> None:
        async def main() -> None:
            deadlines = Deadlines()
            tasks = [asyncio.create_task(work(deadlines, 8, 4)) for _ in range(1000)]
            await asyncio.sleep(1)
            assert deadlines.pending == 1000
            assert live_timers() == 1 + len(tasks)  # the sleep of each, and ours
            await asyncio.gather(*tasks)

        run(main())

    def test_closed_leave_no_timer(self) -> None:
        async def main() -> None:
            deadlines = Deadlines()
            await work(deadlines, 8, 1)
            await work(deadlines, 9, 1)
            deadlines.close()
            assert live_timers() == 0

        run(main())

    @settings(max_examples=many(100))
    @given(
        st.lists(
            st.tuples(st.sampled_from([1.0, 2.0, 4.0]), in_steps(1, 384), in_steps(0, 256)),
            min_size=1,
            max_size=30,
        )
    )
    def test_end_each_in_its_own_time(self, jobs: list[tuple[float, float, float]]) -> None:
        async def main() -> None:
            deadlines = Deadlines()
            jobs_ = [(within, seconds, begin) for within, seconds, begin in jobs if seconds != within]
            outcomes = await asyncio.gather(*(work(deadlines, *job) for job in jobs_))
            for (within, seconds, _), (outcome, took) in zip(jobs_, outcomes, strict=True):
                assert outcome == ("late" if seconds > within else "in time")
                assert took == pytest.approx(min(within, seconds), abs=MOMENT)
            assert deadlines.pending == 0
            await asyncio.sleep(4)
            assert live_timers() == 0

        run(main())
