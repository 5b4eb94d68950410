"""How things are compared: interleaved rounds, the median of their ratios, and how far such medians scatter.

The machine may be shared and its speed may drift, so that seconds of one minute say little about those of
the next. In each round every contestant does the same work once, in an order that rotates, and what counts
is the ratio to the reference of the same round.
"""

import gc
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Clock", "Contest", "Cost", "Entry", "Estimate", "contest", "timed"]

_GROUPS = 5


@dataclass(frozen=True, slots=True)
class Cost:
    """What some work cost: seconds on the clock, and of this process' CPU time (all threads)."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median, and the lowest and highest of the medians of parts of the same rounds: how noisy it is."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """From one value a round. Few rounds make few groups; with one, no spread is shown."""
        groups = min(_GROUPS, max(1, len(values) // 3))
        if groups == 1:
            return cls(median(values), min(values), max(values))
        medians = [median(values[start::groups]) for start in range(groups)]
        return cls(median(values), min(medians), max(medians))


@dataclass(frozen=True, slots=True)
class Contest:
    """Every round of a comparison, by contestant."""

    rounds: Sequence[Mapping[str, Cost]]

    def ratio(self, name: str, reference: str, kind: str = "wall") -> Estimate:
        """What `name` took in units of what `reference` took in the same round."""
        return Estimate.of([getattr(one[name], kind) / getattr(one[reference], kind) for one in self.rounds])

    def seconds(self, name: str, kind: str = "wall") -> float:
        """The median of what it took."""
        return median([getattr(one[name], kind) for one in self.rounds])


Work = Callable[[], Awaitable[object]]
Entry = Callable[[], Awaitable[Cost]]
"""Does its work and says what it cost."""


def timed(work: Work, times: int = 1) -> Entry:
    """An entry that does the work that many times: the cost of one, dropping what it returns included."""

    async def enter() -> Cost:
        gc.collect()
        clock = Clock()
        for _ in range(times):
            await work()
        return clock.cost(times)

    return enter


class Clock:
    """Started when made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def cost(self, times: int = 1) -> Cost:
        """What has passed since, for each of `times`."""
        return Cost((time.perf_counter() - self._wall) / times, (time.process_time() - self._cpu) / times)


async def contest(entries: Mapping[str, Entry], *, rounds: int) -> Contest:
    """Let all enter in each round, after one round that does not count."""
    names = list(entries)
    for name in names:
        await entries[name]()
    return Contest(
        [{name: await entries[name]() for name in _rotated(names, number)} for number in range(rounds)]
    )


def _rotated(names: Sequence[str], by: int) -> Iterable[str]:
    at = by % len(names)
    return [*names[at:], *names[:at]]
