"""What is to be run, on whom, and how carefully: a value, every part of it checked.

Over `work` and `rollout`; `run` and `scheduler` carry it out.
"""

from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Generic, TypeAlias, TypeVar

from trmm_async import arguments
from trmm_async.errors import InvalidRequestError, JournalError
from trmm_async.fleet.journal import Order, Place
from trmm_async.fleet.rollout import RolloutPolicy, Share, any_result, succeeded_by_default
from trmm_async.fleet.work import CodeWork, CommandWork, PatchWork, ScriptWork, Work
from trmm_async.models import Agent, CommandResult
from trmm_async.resources import Selector, checked_code, checked_command_run, checked_run

__all__ = [
    "COMMAND_TIMEOUT_MOST",
    "Prints",
    "Resumption",
    "RunPlan",
    "Success",
    "checked_policy",
    "checked_wait",
]

T = TypeVar("T")
Success: TypeAlias = Callable[[Any], bool] | Iterable[int]
"""A function of a result, or the return codes that are good."""


class Prints:
    """Whether a command has printed a text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __call__(self, result: CommandResult) -> bool:
        """Whether it stands in the output."""
        return self.text in result.output


COMMAND_TIMEOUT_MOST: Final = 86_400
"""Seconds that a command may take where the server does not wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan(Generic[T]):
    """One run.

    Attributes:
        work: what is done to each target.
        targets: ids, or a stream of agents, or what says which; empty where a journal has them.
        width: how many at once; None for what suits the server.
        splay: each sending waits a random time up to so many seconds.
        skip_offline: don't try those that the server says are offline.
        when_online: for how long those may come back and be run then.
        journal: where it is kept; with `targets` a new one.
        poll: seconds between looks for agents that come back.
        hosts: what targets are called, by their ids; of those of which it is known, and until it is told.
    """

    work: Work[T]
    targets: list[str] | AsyncIterable[str | Agent] | Selector
    width: int | None = None
    policy: RolloutPolicy = field(default_factory=RolloutPolicy)
    splay: float = 0.0
    skip_offline: bool = False
    when_online: timedelta | None = None
    dry_run: bool = False
    journal: Place | None = None
    poll: float = 15.0
    hosts: dict[str, str] = field(default_factory=dict)

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
        policy = self.policy
        return Order(
            server=server,
            kind=self.work.kind,
            **self.work.order(),
            success=policy.told,
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

    journal: Place
    retry: tuple[str, ...]
    success: Success | None
    poll: float
    forgive: bool = False

    def plan(self, order: Order) -> RunPlan[Any]:
        """The plan of the rest of it, every part checked again: a file is no argument that was checked.

        Raises:
            InvalidRequestError: `success` is none for a run of this kind.
            JournalError: no run of ours has such an order.
        """
        self._check_success(order.kind)
        try:
            return self._plan(order)
        except InvalidRequestError as error:
            raise JournalError(f"{self.journal} can't be gone on with: in its order, {error}") from error

    def _check_success(self, kind: str) -> None:
        """Refuse what would take every result for a failure, or break on the first."""
        if self.success is None:
            return
        if kind == "patches":
            raise InvalidRequestError("success: of patches nothing comes back; what is accepted is a success")
        if isinstance(self.success, Prints) and kind != "command":
            raise InvalidRequestError(
                "success: a text is for commands; give the return codes that are good, or a function"
            )
        if not callable(self.success) and kind == "command":
            raise InvalidRequestError(
                "success: commands on many have no return codes; give a text that a good one prints, or a "
                "function of a result"
            )

    def _plan(self, order: Order) -> RunPlan[Any]:
        skip_offline = arguments.boolean(order.skip_offline, "skip_offline")
        when_online = None if order.when_online is None else _seconds(order.when_online)
        work = _work(order)
        return RunPlan(
            work=work,
            targets=[],
            width=None if order.width is None else arguments.integer(order.width, "width", minimum=1),
            policy=checked_policy(order.canary, order.batch, order.max_failures, self._judge(order, work)),
            splay=arguments.number(order.splay, "splay", minimum=0),
            skip_offline=skip_offline,
            when_online=when_online,
            journal=self.journal,
            poll=self.poll,
        )

    def _judge(self, order: Order, work: Work[Any]) -> Success:
        """What this resumption says, or the run was told, or else what is usual."""
        told = self.success if self.success is not None else order.success
        if told is None and order.kind == "command" and (order.canary or order.batch or order.max_failures):
            raise InvalidRequestError("success was a function, which can't be written down: give it again")
        if isinstance(told, str):
            return Prints(told)
        return work.good if told is None else told


def _work(order: Order) -> Work[Any]:
    match order.kind:
        case "command":
            command = checked_command_run(
                order.command or "",
                shell=order.shell,
                custom_shell=order.custom_shell,
                timeout=order.timeout,
                timeout_most=COMMAND_TIMEOUT_MOST,
                run_as_user=order.run_as_user,
            )
            return CommandWork(command)
        case "code":
            code = checked_code(
                order.code or "",
                shell=order.shell or "",
                args=order.args,
                env_vars=_variables(order.env_vars),
                timeout=order.timeout,
                run_as_user=order.run_as_user,
            )
            return CodeWork(code)
        case "patches" if order.patches in {"scan", "install"}:
            return PatchWork("scan" if order.patches == "scan" else "install")
        case "script":
            run = checked_run(
                order.script,
                args=order.args,
                timeout=order.timeout,
                output="wait",
                env_vars=_variables(order.env_vars),
                run_as_user=order.run_as_user,
            )
            return ScriptWork(run)
    raise InvalidRequestError(f"patches is {order.patches!r}")


def _variables(env_vars: tuple[str, ...]) -> dict[str, str]:
    pairs = [each.partition("=") for each in env_vars]
    if not all(sign for _, sign, _ in pairs):
        raise InvalidRequestError("env_vars: one has no equals sign")
    return {name: value for name, _, value in pairs}


def _seconds(value: float) -> timedelta | None:
    try:
        return checked_wait(timedelta(seconds=value))
    except OverflowError as error:
        raise InvalidRequestError(f"when_online is {value} seconds, which is too long") from error


def checked_policy(canary: object, batch: object, max_failures: object, success: object) -> RolloutPolicy:
    """How careful a run is to be. Raises `InvalidRequestError`."""
    judge, told = _judge(success)
    return RolloutPolicy(
        canary=None if canary is None else arguments.integer(canary, "canary", minimum=1),
        batch=None if batch is None else _share(batch, "batch", minimum=1),
        max_failures=None if max_failures is None else _share(max_failures, "max_failures", minimum=0),
        success=judge,
        told=told,
    )


def _judge(success: Any) -> tuple[Callable[[Any], bool], tuple[int, ...] | str | None]:
    """How a result is judged; by return codes or a text, it can be written into a journal."""
    if isinstance(success, Prints):
        return success, success.text
    if success is succeeded_by_default or success is any_result:
        return success, None
    if callable(success):
        judge: Callable[[Any], object] = arguments.predicate(success, "success", "a result")
        return (lambda result: arguments.answer_of(judge(result), "success")), None
    if isinstance(success, str) or not isinstance(success, Iterable):
        raise InvalidRequestError(
            f"success must be a function of a result, or the return codes that are good, not {success!r}"
        )
    codes = frozenset(arguments.integer(code, "success: a return code", minimum=-(2**63)) for code in success)
    return (lambda result: result.retcode in codes), tuple(sorted(codes))


def _share(value: object, what: str, *, minimum: int) -> Share:
    if not isinstance(value, float):
        return arguments.integer(value, what, minimum=minimum)
    if not 0 < value < 1:
        raise InvalidRequestError(
            f"{what} must be a whole number, or a share between 0.0 and 1.0, not {value!r}"
        )
    return value


def checked_wait(value: object) -> timedelta | None:
    """For how long those that are offline may come back. Raises `InvalidRequestError`."""
    if value is None:
        return None
    if not isinstance(value, timedelta) or value <= timedelta():
        raise InvalidRequestError(
            f"when_online must be a datetime.timedelta above 0, e.g. timedelta(hours=1); got {value!r}"
        )
    return value
