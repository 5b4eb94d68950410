"""The rolling window, against one that is written without any thrift."""

import copy
import math
from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.clock import in_steps
from trmm_async import RateLimit
from trmm_async.pacing import RollingWindow


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
