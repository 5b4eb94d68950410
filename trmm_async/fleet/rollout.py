"""How far a run may go: canaries first, batch after batch, and when to stop. Pure: no I/O, no time.

Told what is started and how it ends, it says how many more may start now. `scheduler` obeys it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

from trmm_async.errors import InvalidRequestError
from trmm_async.models import ScriptResult
from trmm_async.outcomes import Outcome, Skipped, Unknown

__all__ = ["RolloutControl", "RolloutPolicy", "RolloutState", "Share", "any_result", "succeeded_by_default"]

Share = int | float
"""A whole number, or a part of all as a float below 1."""

_ENDLESS: Final = 2**62


def succeeded_by_default(result: ScriptResult) -> bool:
    """A script that ended with return code 0."""
    return result.retcode == 0


def any_result(result: object) -> bool:
    """Where nothing says what a bad result would be: that there is one."""
    del result
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPolicy:
    """How careful a run is.

    Attributes:
        canary: this many targets first; the others only if all of these succeed.
        batch: so many after that at a time (a whole number), or that share of all targets (a float below 1).
        max_failures: how many failures are put up with, as a number or a share of all targets; one more stops
            the run. A failure is whatever was tried and is not known to have succeeded.
        success: whether a result counts as one.
        told: the return codes that are successes, or the text, where that is how it is judged.
    """

    canary: int | None = None
    batch: int | float | None = None
    max_failures: int | float | None = None
    success: Callable[[Any], bool] = succeeded_by_default
    told: tuple[int, ...] | str | None = None

    def check_total(self, total: int | None) -> None:
        """Raise `InvalidRequestError` where it can't be kept without knowing how many targets there are."""
        for name, value in (("batch", self.batch), ("max_failures", self.max_failures)):
            if total is None and isinstance(value, float):
                raise InvalidRequestError(
                    f"{name}={value} needs the number of targets, which a stream doesn't have: "
                    "pass a list, use journal=, or give a whole number"
                )

    def words_for(self, place: int, total: int | None) -> str:
        """What would become of the target at this place, counted from 0."""
        if self.canary is not None and place < self.canary:
            return "would run first, as a canary"
        size = _amount(self.batch, total, rounding=math.ceil)
        if size is None:
            return "would run" if self.canary is None else "would run, if the canaries succeed"
        return f"would run in batch {(place - (self.canary or 0)) // size + 1}"


class RolloutState(NamedTuple):
    """How far a run has come, as it is kept where several hosts go by it."""

    wave_end: int
    settled: int
    failures: int
    is_canary: bool


class RolloutControl:
    """How many targets of one run may start, and when none may any more.

    Attributes:
        allowance: how many more may start now.
        failures: how many failures there were.
        stopped: why no more may start; empty while they may.
    """

    def __init__(self, policy: RolloutPolicy, total: int | None) -> None:
        policy.check_total(total)
        self._most = _amount(policy.max_failures, total, rounding=math.floor)
        self._batch = _amount(policy.batch, total, rounding=math.ceil)
        self._is_canary = policy.canary is not None
        first = policy.canary if policy.canary is not None else self._batch
        self._wave_end = _ENDLESS if first is None else first
        self._started = 0
        self._settled = 0
        self.allowance: int = self._wave_end
        self.failures: int = 0
        self.stopped: str = ""

    def __repr__(self) -> str:
        state = self.stopped or "going on"
        return f"<RolloutControl {self._started} started, {self._settled} settled: {state}>"

    @property
    def state(self) -> RolloutState:
        """What `at` takes."""
        return RolloutState(self._wave_end, self._settled, self.failures, self._is_canary)

    @classmethod
    def at(
        cls, policy: RolloutPolicy, total: int, state: RolloutState, *, under_way: int, stopped: str
    ) -> Self:
        """One that has come so far, with so many that were started and have no end."""
        control = cls(policy, total)
        control._wave_end, control._settled, control.failures, control._is_canary = state
        control._started = state.settled + under_way
        control.allowance = control._wave_end - control._started
        if stopped:
            control.stop(stopped)
        return control

    def start(self, count: int = 1) -> None:
        """So many are started."""
        self._started += count
        self.allowance -= count

    def settle(self, outcome: Outcome[Any], *, succeeded: bool, crashed: bool = False) -> bool:
        """One of those that were started has ended; whether more may start by that, or none any more.

        `crashed`: an earlier process had begun it. What isn't known of such a one is no failure of the run,
        but no proof of a canary either.
        """
        before = self.allowance
        self._settled += 1
        if not succeeded and self._is_failure(outcome, crashed=crashed):
            self.failures += 1
            self._judge_failure()
        if self._settled == self._wave_end and not self.stopped:
            self._next_wave()
        return self.allowance != before or bool(self.stopped)

    def stop(self, why: str) -> None:
        """Nothing more may start. The first reason stands."""
        self.stopped = self.stopped or why
        self.allowance = 0

    def _is_failure(self, outcome: Outcome[Any], *, crashed: bool) -> bool:
        if isinstance(outcome, Skipped):
            return False
        return self._is_canary or not (crashed and isinstance(outcome, Unknown))

    def _judge_failure(self) -> None:
        if self._is_canary:
            self.stop("a canary did not succeed")
        elif self._most is not None and self.failures > self._most:
            self.stop(f"more than {self._most} failures")

    def _next_wave(self) -> None:
        self._is_canary = False
        self._wave_end = _ENDLESS if self._batch is None else self._wave_end + self._batch
        self.allowance = self._wave_end - self._started


def _amount(value: float | None, total: int | None, *, rounding: Callable[[float], int]) -> int | None:
    """A number, from itself or from the share of the total that it is."""
    if not isinstance(value, float):
        return value
    return max(rounding(value * (total or 0)), 1 if rounding is math.ceil else 0)
