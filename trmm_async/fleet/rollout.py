"""Decides how many targets of a run may start: canaries, batches, the failure limit. Pure: no I/O, no time.

`scheduler` reports each start and each end, and asks how many more targets may start now.
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
"""A number of targets (an int), or a share of all targets (a float below 1)."""

_ENDLESS: Final = 2**62


def succeeded_by_default(result: ScriptResult) -> bool:
    """The default of `success`: whether the script ended with return code 0."""
    return result.retcode == 0


def any_result(result: object) -> bool:
    """The default of `success` for calls without a return code: any result is a success."""
    del result
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPolicy:
    """The limits of a run.

    Attributes:
        canary: the number of targets to run first; the others follow only if all of these succeed.
        batch: how many targets run at a time after that: a number, or a share of all (a float below 1).
        max_failures: stop after more than this number or share of failures. A failure is a target that was
            tried and is not known to have succeeded.
        success: whether a result counts as a success.
        told: the return codes of a success, or the text that the output must contain; None if `success` is a
            function of the user's, or the default.
    """

    canary: int | None = None
    batch: int | float | None = None
    max_failures: int | float | None = None
    success: Callable[[Any], bool] = succeeded_by_default
    told: tuple[int, ...] | str | None = None

    def check_total(self, total: int | None) -> None:
        """Raise `InvalidRequestError` if a share is given and the number of targets is not known."""
        for name, value in (("batch", self.batch), ("max_failures", self.max_failures)):
            if total is None and isinstance(value, float):
                raise InvalidRequestError(
                    f"{name}={value} needs the number of targets, which a stream doesn't have: "
                    "pass a list, use journal=, or give a whole number"
                )

    def words_for(self, place: int, total: int | None) -> str:
        """What would happen to the target at this place (from 0), as a text for a dry run."""
        if self.canary is not None and place < self.canary:
            return "would run first, as a canary"
        size = _amount(self.batch, total, rounding=math.ceil)
        if size is None:
            return "would run" if self.canary is None else "would run, if the canaries succeed"
        return f"would run in batch {(place - (self.canary or 0)) // size + 1}"


class RolloutState(NamedTuple):
    """The state of a rollout, as it is stored where several hosts share a run."""

    wave_end: int
    settled: int
    failures: int
    is_canary: bool


class RolloutControl:
    """Counts the starts and ends of one run, and decides how many more targets may start.

    Attributes:
        allowance: how many more targets may start now.
        failures: how many failures there were.
        stopped: why no more targets may start; empty as long as they may.
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
        """The state, for `at`."""
        return RolloutState(self._wave_end, self._settled, self.failures, self._is_canary)

    @classmethod
    def at(
        cls, policy: RolloutPolicy, total: int, state: RolloutState, *, under_way: int, stopped: str
    ) -> Self:
        """Continue from a stored state, with `under_way` targets in progress."""
        control = cls(policy, total)
        control._wave_end, control._settled, control.failures, control._is_canary = state
        control._started = state.settled + under_way
        control.allowance = control._wave_end - control._started
        if stopped:
            control.stop(stopped)
        return control

    def start(self, count: int = 1) -> None:
        """Record that so many targets were started."""
        self._started += count
        self.allowance -= count

    def settle(self, outcome: Outcome[Any], *, succeeded: bool, crashed: bool = False) -> bool:
        """Record the outcome of a target that was started. Returns whether `allowance` or `stopped` changed.

        `crashed` says that an earlier process had started the target. If its outcome is unknown, that is not
        a failure of the run; but if it is a canary, it has not succeeded.
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
        """Let no more targets start. If called again, the first reason is kept."""
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
    """Resolve a number or a share of the total to a number."""
    if not isinstance(value, float):
        return value
    return max(rounding(value * (total or 0)), 1 if rounding is math.ceil else 0)
