"""What is to be run, on whom, and how carefully: a value, every part of it checked.

Over `course`; `run` and `conductor` carry it out.
"""

from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from trmm_async.dialects import ScriptRun
from trmm_async.fleet.course import Policy
from trmm_async.fleet.journal import Order
from trmm_async.models import Agent, ScriptResult

__all__ = ["Resumption", "RunPlan"]


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
    poll: float = 15.0

    @property
    def asks_who_is_offline(self) -> bool:
        """Whether it matters who is."""
        return self.skip_offline or self.when_online is not None

    def is_for_all_at_once(self, total: int | None) -> bool:
        """Whether one call for many targets says what is asked: all begin together, and none is stopped.

        Not for a stream, whose targets would all have to be there first.
        """
        policy = self.policy
        fits = total is not None and (self.width is None or self.width >= total)
        stoppable = policy.max_failures is not None and policy.batch is None
        return fits and not stoppable and not self.splay

    def order(self, server: str) -> Order:
        """The same as a journal keeps it."""
        run, policy = self.run, self.policy
        return Order(
            server=server,
            script=run.script,
            args=run.args,
            timeout=run.timeout,
            env_vars=run.env_vars,
            run_as_user=run.run_as_user,
            width=self.width,
            canary=policy.canary,
            batch=policy.batch,
            max_failures=policy.max_failures,
            splay=self.splay,
            skip_offline=self.skip_offline,
            when_online=None if self.when_online is None else self.when_online.total_seconds(),
        )


@dataclass(frozen=True, slots=True)
class Resumption:
    """A run that is to go on; what it is stands in its journal."""

    journal: Path
    retry: tuple[str, ...]
    success: Callable[[ScriptResult], bool]
    poll: float
    forgive: bool = False

    def plan(self, order: Order) -> RunPlan:
        """The plan of the rest of it."""
        return RunPlan(
            run=ScriptRun(
                script=order.script,
                args=order.args,
                timeout=order.timeout,
                env_vars=order.env_vars,
                run_as_user=order.run_as_user,
            ),
            targets=None,
            width=order.width,
            policy=Policy(
                canary=order.canary, batch=order.batch, max_failures=order.max_failures, success=self.success
            ),
            splay=order.splay,
            skip_offline=order.skip_offline,
            when_online=None if order.when_online is None else timedelta(seconds=order.when_online),
            journal=self.journal,
            poll=self.poll,
        )
