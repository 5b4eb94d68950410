"""The plan of a run: what is run, on which targets, with which limits. A value whose parts are all checked.

It stands above `work` and `rollout`; `run` and `scheduler` carry it out.
"""

from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from os import PathLike
from typing import Any, Final, Generic, TypeAlias, TypeVar

from trmm_async import arguments
from trmm_async.errors import InvalidRequestError, JournalError
from trmm_async.fleet.journal import Order, Place
from trmm_async.fleet.postgres import PostgresJournal, postgres_journal
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
    "checked_place",
    "checked_policy",
    "checked_wait",
]

T = TypeVar("T")
Success: TypeAlias = Callable[[Any], bool] | Iterable[int]
"""A function of a result, or the return codes of a success."""


class Prints:
    """A `success` for commands: whether the output contains a text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __call__(self, result: CommandResult) -> bool:
        """Whether the output contains the text."""
        return self.text in result.output


COMMAND_TIMEOUT_MOST: Final = 86_400
"""Seconds that a command may take if the server does not wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan(Generic[T]):
    """The plan of one run.

    Attributes:
        work: what is done to each target.
        targets: ids, a stream of agents, or a selection; empty if a journal has them.
        width: how many targets may be in progress at once; None: what suits the server.
        policy: canary, batches, the failure limit, and what a success is.
        splay: before each target is sent, wait a random time of up to this many seconds.
        skip_offline: skip agents that are offline.
        when_online: how long to wait for agents that are offline.
        dry_run: only say what would happen.
        journal: the place of the journal; with `targets`, of a new one.
        poll: seconds between two reads of the list of agents, while agents are waited for.
        hosts: known host names by agent_id; each is removed when the target's outcome is handed out.
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
        """Whether the run needs to know which agents are offline."""
        return self.skip_offline or self.when_online is not None

    def is_for_all_at_once(self, total: int | None) -> bool:
        """Whether one call may carry all targets: they start together, and none of them can be stopped.

        Never for a stream, since all of its targets would have to be known first.
        """
        policy = self.policy
        fits = total is not None and (self.width is None or self.width >= total)
        stoppable = policy.max_failures is not None and policy.batch is None
        return fits and not stoppable and not self.splay

    def order(self, server: str) -> Order:
        """The run's arguments as a journal stores them."""
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
    """A run to be continued; its journal has its arguments."""

    journal: Place
    retry: tuple[str, ...]
    success: Success | None
    poll: float
    forgive: bool = False

    def plan(self, order: Order) -> RunPlan[Any]:
        """The plan of the rest of the run. Every part is checked again, since the file may have been changed.

        Raises:
            InvalidRequestError: `success` doesn't fit this kind of run.
            JournalError: the order in the journal is invalid.
        """
        self._check_success(order.kind)
        try:
            return self._plan(order)
        except InvalidRequestError as error:
            raise JournalError(f"{self.journal} can't be resumed, its order is invalid: {error}") from error

    def _check_success(self, kind: str) -> None:
        """Refuse a `success` that would count every result as a failure, or fail on the first."""
        if self.success is None:
            return
        if kind == "patches":
            raise InvalidRequestError(
                "success can't be given for patches: the server answers only that it accepted the order"
            )
        if isinstance(self.success, Prints) and kind != "command":
            raise InvalidRequestError(
                "success can be a text only for commands: give return codes, or a function of a result"
            )
        if not callable(self.success) and kind == "command":
            raise InvalidRequestError(
                "success can't be return codes for commands, since the server keeps none: give a text that "
                "the output must contain, or a function of a result"
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
        """The `success` of this resumption; otherwise that of the run; otherwise the default."""
        told = self.success if self.success is not None else order.success
        if told is None and order.kind == "command" and (order.canary or order.batch or order.max_failures):
            raise InvalidRequestError("success was a function, which a journal can't store: give it again")
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
        raise InvalidRequestError('env_vars must be texts "NAME=value"; one has no equals sign')
    return {name: value for name, _, value in pairs}


def _seconds(value: float) -> timedelta | None:
    try:
        return checked_wait(timedelta(seconds=value))
    except OverflowError as error:
        raise InvalidRequestError(f"when_online is {value} seconds, which is too long") from error


def checked_policy(canary: object, batch: object, max_failures: object, success: object) -> RolloutPolicy:
    """Check the limits of a run and its `success`. Raises `InvalidRequestError`."""
    judge, told = _judge(success)
    return RolloutPolicy(
        canary=None if canary is None else arguments.integer(canary, "canary", minimum=1),
        batch=None if batch is None else _share(batch, "batch", minimum=1),
        max_failures=None if max_failures is None else _share(max_failures, "max_failures", minimum=0),
        success=judge,
        told=told,
    )


def _judge(success: Any) -> tuple[Callable[[Any], bool], tuple[int, ...] | str | None]:
    """The function that judges a result, and the return codes or the text that a journal can store."""
    if isinstance(success, Prints):
        return success, success.text
    if success is succeeded_by_default or success is any_result:
        return success, None
    if callable(success):
        judge: Callable[[Any], object] = arguments.predicate(success, "success", "a result")
        return (lambda result: arguments.answer_of(judge(result), "success")), None
    if isinstance(success, str) or not isinstance(success, Iterable):
        raise InvalidRequestError(
            f"success must be a function of a result, or the return codes of a success, not {success!r}"
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
    """Check `when_online`. Raises `InvalidRequestError`."""
    if value is None:
        return None
    if not isinstance(value, timedelta) or value <= timedelta():
        raise InvalidRequestError(
            f"when_online must be a datetime.timedelta above 0, e.g. timedelta(hours=1); got {value!r}"
        )
    return value


def checked_place(value: object) -> Place:
    """Check the place of a journal, without opening it. Raises `InvalidRequestError`."""
    if isinstance(value, PostgresJournal):
        return value
    if not isinstance(value, str | PathLike) or not str(value):
        raise InvalidRequestError(
            f"journal must be the path of a file, or a run in a database, not {type(value).__name__}"
        )
    return postgres_journal(value) or value
