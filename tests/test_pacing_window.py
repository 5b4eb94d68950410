"""The rolling window, against one that is written without any thrift."""

import copy
import math
from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.clock import in_steps
from tests.properties import many
from trmm_async import RateLimit
from trmm_async.pacing import RollingWindow, WindowEntry


@dataclass
class NaiveWindow:
    """What `RollingWindow` promises, said without any thrift."""

    limit: RateLimit
    held: list[WindowEntry] = field(default_factory=list)
    written: dict[WindowEntry, float] = field(default_factory=dict)
    settled: list[float] = field(default_factory=list)
    closed: float = -math.inf

    def counted(self, place: WindowEntry) -> float:
        return self.written.get(place, math.inf) + self.limit.surely_counted

    def free(self, at: float) -> bool:
        held = sum(at < self.counted(place) for place in self.held)
        return at >= self.closed and held + self.cooling(at) < self.limit.count

    def cooling(self, at: float) -> int:
        ended = [when for place in self.held if (when := self.counted(place)) <= at]
        return sum(at < when + self.limit.per for when in [*self.settled, *ended])

    def wait(self, at: float) -> float:
        """The least of the moments at which anything changes by itself, and at which it is free."""
        frees = [when + self.limit.per for when in [*self.settled, *map(self.counted, self.held)]]
        moments = sorted({at, self.closed, *frees})
        return next((moment - at for moment in moments if moment >= at and self.free(moment)), math.inf)


STEPS = ["take", "give back", "settle", "written", "pause"]


class TestTheWindow:
    @settings(max_examples=many(150))
    @given(
        st.integers(1, 4),
        st.lists(st.tuples(st.sampled_from(STEPS), in_steps(0, 96), st.integers(0, 3)), max_size=40),
    )
    @example(1, [("take", 0.0, 0), ("settle", 0.0, 0), ("take", 1.0, 0), ("settle", 0.5, 0)])
    @example(1, [("take", 0.0, 0), ("written", 0.0, 0), ("settle", 0.75, 0), ("take", 0.75, 0)])
    @example(2, [("take", 0.0, 0), ("take", 0.0, 0), ("written", 0.0, 1), ("written", 0.25, 0)])
    @example(2, [("take", 0.0, 0), ("take", 0.0, 0), ("written", 0.0, 0), ("settle", 0.625, 1)])
    def test_says_how_long_to_wait_and_never_too_short(
        self, count: int, steps: list[tuple[str, float, int]]
    ) -> None:
        limit = RateLimit(count, per=1)
        window, naive, time = RollingWindow(limit), NaiveWindow(limit), 0.0
        for what, passed, which in steps:
            time += passed
            if what == "take" and naive.free(time):
                assert window.wait(time) == 0
                naive.held.append(WindowEntry())
                window.take(naive.held[-1])
            elif what == "pause":
                window.close_until(time + passed)
                naive.closed = max(naive.closed, time + passed)
            elif naive.held:
                self.move_on(window, naive, what, naive.held[which % len(naive.held)], time)
            self.waits_alike(window, naive, time)

    def move_on(
        self, window: RollingWindow, naive: NaiveWindow, what: str, place: WindowEntry, time: float
    ) -> None:
        over = naive.counted(place) <= time
        if what == "written":
            window.written(place, time)
            naive.written.setdefault(place, time)
        elif what == "settle":
            window.settle(place, time)
            self.end(naive, place, naive.counted(place) if over else time)
        elif what == "give back":
            window.give_back(place, time)
            self.end(naive, place, naive.counted(place) if over else None)

    def end(self, naive: NaiveWindow, place: WindowEntry, counted: float | None) -> None:
        naive.held.remove(place)
        if counted is not None:
            naive.settled.append(counted)

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
