"""What is to be run, on whom, and how carefully: a value, every part of it checked.

Over `course`; `run` and `conductor` carry it out.
"""

from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from trmm_async.dialects import ScriptRun
from trmm_async.fleet.course import Policy
from trmm_async.models import Agent

__all__ = ["RunPlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """One run.

    Attributes:
        targets: ids, or a stream of agents; None where a journal has them.
        width: how many at once; None for what suits the server.
        splay: each sending waits a random time up to so many seconds.
        skip_offline: don't try those that the server says are offline.
        when_online: for how long those may come back and be run then.
        journal: where it is kept; with `targets` a new one.
        retry: which of a journal's ended targets are run again.
        poll: seconds between looks for agents that come back.
    """

    run: ScriptRun
    targets: list[str] | AsyncIterable[str | Agent] | None
    width: int | None = None
    policy: Policy = field(default_factory=Policy)
    splay: float = 0.0
    skip_offline: bool = False
    when_online: timedelta | None = None
    dry_run: bool = False
    journal: Path | None = None
    retry: tuple[str, ...] = ()
    poll: float = 15.0

    @property
    def asks_who_is_offline(self) -> bool:
        """Whether it matters who is."""
        return self.skip_offline or self.when_online is not None

    def is_for_all_at_once(self, total: int | None) -> bool:
        """Whether one call for many targets says what is asked: all may begin together, and none be stopped."""
        policy = self.policy
        fits = self.width is None or (total is not None and self.width >= total)
        stoppable = policy.max_failures is not None and policy.batch is None
        return fits and not stoppable and not self.splay
