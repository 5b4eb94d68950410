"""What a run does to each target: a script, a command, code, Windows updates, or a function of the user's.

`plan` holds one `Work`, and `dispatcher` sends it. A new kind of work is a class here: how it is sent to one
target, by which call to many targets, if there is one, and what a journal stores of it.
"""

import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from functools import partial
from types import TracebackType
from typing import Any, Final, Generic, Protocol, Self, TypeVar, cast

from trmm_async.calls import Call, Replay
from trmm_async.dialects import AgentFilter, Dialect, ScriptRun
from trmm_async.dialects.stock.bulk import PatchMode, command_run, patch_call
from trmm_async.dialects.stock.commands import CommandRun
from trmm_async.errors import (
    BadRequestError,
    NotFoundError,
    OutcomeUnknownError,
    TRMMError,
    UnsupportedError,
)
from trmm_async.fleet.guards import UnsentGuard
from trmm_async.fleet.rollout import any_result, succeeded_by_default
from trmm_async.models import Agent, CommandResult, ScriptResult
from trmm_async.resources import Api, CodeRun, Names, Selector, run_code
from trmm_async.script_runs import Before, PendingRun, RecoveredRun, RunPoller, Watermark, run_script
from trmm_async.transport import WATCH, OnSent, SendWatch

__all__ = [
    "CallWork",
    "CodeWork",
    "CommandWork",
    "MakeCall",
    "PatchWork",
    "ScriptWork",
    "CallForMany",
    "Work",
]

_NO_HISTORY: Final = Watermark(0, None)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Target = str | Agent


class CallForMany(Protocol):
    """One call for many targets. Entering sends it; iterating yields each target with its result or error."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> tuple[str, Any]: ...

    def known(self) -> list[tuple[str, Any]]:
        """What is known and was not yielded, for a caller that leaves early."""
        ...


MakeCall = Callable[..., CallForMany]
"""Takes `on_sent` and `before`, as `PendingRun` does."""


class Work(Generic[T_co]):
    """One kind of work.

    Attributes:
        name: its name in messages.
        kind: its name in a journal.
        stock: the method, if only a stock server supports it; otherwise "".
        good: whether a result is a success, unless the run says otherwise.
        is_users: whether it is a function of the user's. An exception in it stops the run. If it fails after
            something was sent, the outcome is unknown.
        longest: the most seconds that it may take on a target.
    """

    name: str
    longest: float = 0.0
    kind: str = ""
    stock: str = ""
    is_users: bool = False
    good: Callable[[Any], bool] = staticmethod(any_result)

    def send(
        self, api: Api, dialect: Dialect, agent_id: str, guard: UnsentGuard, before: Before | None
    ) -> Awaitable[T_co]:
        """Send it to one target, and tell the guard when the call is sent.

        Raises only `TRMMError`, except a function of the user's.
        """
        raise NotImplementedError

    def call_for_many(self, api: Api, dialect: Dialect, agent_ids: tuple[str, ...]) -> "MakeCall | None":
        """Make the call that sends it to many targets; None if there is no such call."""
        del api, dialect, agent_ids
        return None

    async def check_for_many(self, api: Api, dialect: Dialect) -> None:
        """Check what the answer to a call for many would not say. Raises `TRMMError`: it must not be sent."""
        del api, dialect

    def recovery(
        self, api: Api, dialect: Dialect, agent_ids: tuple[str, ...], sent: RecoveredRun
    ) -> "MakeCall | None":
        """Make a call that finds out what became of targets that an earlier process had sent it to.

        None if the server has no record of that.
        """
        del api, dialect, agent_ids, sent
        return None

    def poller(self, api: Api) -> RunPoller:
        """The poller that reads its results from the server's history."""
        return api.poller

    def order(self) -> dict[str, Any]:
        """Its fields of a journal's `Order`."""
        raise NotImplementedError

    async def identified(self, api: Api) -> "Work[T_co]":
        """The same work with names replaced by ids. Raises as `Names` does, before anything is sent."""
        del api
        return self

    async def foreseen(self, api: Api, dialect: Dialect) -> Callable[[str], str]:
        """For a dry run: a function that returns why a target will certainly fail; "" if it may succeed.

        Raises `TRMMError`.
        """
        del api, dialect
        return lambda _: ""

    async def chosen(self, selector: Selector) -> dict[str, str]:
        """The targets that a selector selects now, with their host names. Raises as the selector does."""
        return await selector.hostnames()


class ScriptWork(Work[ScriptResult]):
    """A script of the server's library."""

    kind = "script"
    good: Callable[[Any], bool] = staticmethod(succeeded_by_default)

    def __init__(self, run: ScriptRun, *, is_there: bool = False) -> None:
        self.name: str = f"script {run.script!r}"
        self.run = run
        self.longest: float = run.timeout
        self._is_there = is_there

    def send(
        self, api: Api, dialect: Dialect, agent_id: str, guard: UnsentGuard, before: Before | None
    ) -> Awaitable[ScriptResult]:
        # It is no coroutine itself, since each target in progress would hold one more in memory.
        sending = api.run(dialect.run_script(agent_id, self.run), guard.sent, before)
        # The answer is None only for runs that don't wait for one.
        return cast("Awaitable[ScriptResult]", sending)

    def call_for_many(self, api: Api, dialect: Dialect, agent_ids: tuple[str, ...]) -> "MakeCall | None":
        order = dialect.run_everywhere(agent_ids, self.run)
        if order is None:
            return None
        return partial(PendingRun, api.poller, order, sender=api.transport)

    async def check_for_many(self, api: Api, dialect: Dialect) -> None:
        # Once a run. A script whose name was looked up exists.
        order = None if self._is_there else dialect.run_everywhere((), self.run)
        if order is not None and order.checks is not None:
            await api.carry_out(order.checks)
        self._is_there = True

    def recovery(
        self, api: Api, dialect: Dialect, agent_ids: tuple[str, ...], sent: RecoveredRun
    ) -> "MakeCall | None":
        make = self.call_for_many(api, dialect, agent_ids)
        return None if make is None else partial(make, recovered=sent)

    async def identified(self, api: Api) -> "ScriptWork":
        return ScriptWork(await Names(api).run(self.run), is_there=isinstance(self.run.script, str))

    def order(self) -> dict[str, Any]:
        run = self.run
        return {
            "script": run.script_id,
            "args": run.args,
            "timeout": run.timeout,
            "env_vars": run.env_vars,
            "run_as_user": run.run_as_user,
        }


class CommandWork(Work[CommandResult]):
    """A command. It is sent by the call for many, also to one target, since no worker of the server waits."""

    kind = "command"
    stock = "fleet.run_command"

    def __init__(self, run: CommandRun) -> None:
        self.name: str = f"command {run.command!r}"
        self.run = run
        self.longest: float = run.timeout

    async def send(
        self, api: Api, dialect: Dialect, agent_id: str, guard: UnsentGuard, before: Before | None
    ) -> CommandResult:
        del dialect
        order = command_run((agent_id,), self.run)
        result = await run_script(api.commands, order, guard.sent, before, sender=api.transport)
        return _printed(result or ScriptResult())

    def call_for_many(self, api: Api, dialect: Dialect, agent_ids: tuple[str, ...]) -> "MakeCall":
        del dialect
        order = command_run(agent_ids, self.run)
        return partial(PendingRun, api.commands, order, make=_printed, sender=api.transport)

    def recovery(
        self, api: Api, dialect: Dialect, agent_ids: tuple[str, ...], sent: RecoveredRun
    ) -> "MakeCall":
        return partial(self.call_for_many(api, dialect, agent_ids), recovered=sent)

    def poller(self, api: Api) -> RunPoller:
        return api.commands

    def order(self) -> dict[str, Any]:
        run = self.run
        return {
            "command": run.command,
            "shell": run.shell,
            "custom_shell": run.custom_shell,
            "timeout": run.timeout,
            "run_as_user": run.run_as_user,
        }


def _printed(result: ScriptResult) -> CommandResult:
    return CommandResult(output=result.stdout, from_history=True)


class CodeWork(Work[ScriptResult]):
    """Code that is not in the library. The server waits for each agent, and keeps no record of the run."""

    kind = "code"
    good: Callable[[Any], bool] = staticmethod(succeeded_by_default)
    stock = "fleet.run_code"

    def __init__(self, run: CodeRun) -> None:
        self.name: str = f"{run.shell} code"
        self.run = run
        self.longest: float = run.timeout

    def send(
        self, api: Api, dialect: Dialect, agent_id: str, guard: UnsentGuard, before: Before | None
    ) -> Awaitable[ScriptResult]:
        del dialect
        record = None if before is None else before(_NO_HISTORY)
        return api.carry_out(run_code(agent_id, self.run), guard.sent, record)

    def order(self) -> dict[str, Any]:
        return asdict(self.run)


class PatchWork(Work[None]):
    """A scan for Windows updates, or their installation. The server answers only that it accepted it."""

    kind = "patches"

    def __init__(self, mode: PatchMode) -> None:
        self.name: str = f"the {mode} of patches"
        self.stock = f"fleet.{mode}_patches"
        self.mode: PatchMode = mode

    async def send(
        self, api: Api, dialect: Dialect, agent_id: str, guard: UnsentGuard, before: Before | None
    ) -> None:
        make = self.call_for_many(api, dialect, (agent_id,))
        async with make(on_sent=guard.sent, before=before) as sending:
            _, told = await anext(sending)
        if told is not None:
            raise told

    def call_for_many(self, api: Api, dialect: Dialect, agent_ids: tuple[str, ...]) -> "MakeCall":
        return partial(_Accepted, api, dialect, agent_ids, patch_call(agent_ids, self.mode))

    async def foreseen(self, api: Api, dialect: Dialect) -> Callable[[str], str]:
        # These are the agents that the server leaves out.
        systems = await _systems(api, dialect)
        return lambda agent_id: _why_left_out(agent_id, systems)

    def order(self) -> dict[str, Any]:
        return {"patches": self.mode}


class _Accepted:
    """A call about the updates of many agents. The server accepts it for some, and leaves out the others."""

    def __init__(
        self,
        api: Api,
        dialect: Dialect,
        agent_ids: tuple[str, ...],
        call: Call[int | None],
        *,
        on_sent: OnSent,
        before: Before | None = None,
    ) -> None:
        self._api = api
        self._dialect = dialect
        self._agent_ids = agent_ids
        self._call = call
        self._on_sent = on_sent
        self._before = before
        self._told: deque[tuple[str, TRMMError | None]] = deque()

    async def __aenter__(self) -> Self:
        record = None if self._before is None else self._before(_NO_HISTORY)
        told: TRMMError | None = None
        try:
            count = await self._api.transport.send(self._call, self._on_sent, record)
        except BadRequestError as error:
            # The server left out all of them, or it refused something else.
            self._on_sent(False)
            left_out, told = await self._left_out(), error
        else:
            left_out = {} if count == len(self._agent_ids) else await self._left_out()
            taken = len(self._agent_ids) - len(left_out)
            if count is not None and count != taken:
                said = f"accepted for {count} of {taken} agents, and the server does not say for which"
                told = OutcomeUnknownError(said)
        self._told.extend((one, left_out.get(one, told)) for one in self._agent_ids)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[str, TRMMError | None]:
        if not self._told:
            raise StopAsyncIteration
        return self._told.popleft()

    def known(self) -> list[tuple[str, TRMMError | None]]:
        told = list(self._told)
        self._told.clear()
        return told

    async def _left_out(self) -> dict[str, TRMMError]:
        """The agents that the server left out silently, each with the reason; empty if that can't be read."""
        try:
            systems = await _systems(self._api, self._dialect)
        except TRMMError:
            return {}
        told = {one: _why_left_out(one, systems) for one in self._agent_ids}
        return {one: self._error(said, is_there=one in systems) for one, said in told.items() if said}

    def _error(self, said: str, *, is_there: bool) -> TRMMError:
        if is_there:
            return UnsupportedError(said)
        return NotFoundError(404, f"{said}, and left it out", method="POST", path=self._call.path)


async def _systems(api: Api, dialect: Dialect) -> dict[str, str | None]:
    """The operating systems of all agents, by agent_id."""
    agents = await api.carry_out(dialect.list_agents(AgentFilter()))
    return {agent.agent_id: agent.plat for agent in agents}


def _why_left_out(agent_id: str, systems: Mapping[str, str | None]) -> str:
    """Why the server leaves this agent out of a call about updates; empty if it does not."""
    if agent_id not in systems:
        return f"the server has no agent {agent_id} that this key may see"
    system = systems[agent_id] or "a system that the server does not know"
    return "" if system == "windows" else f"agent {agent_id} runs {system}: it has no Windows updates"


class CallWork(Work[T]):
    """A function of the user's, which is called with the target as the user gave it.

    Attributes:
        given: the objects that were given as targets, by agent_id; each is removed when it is sent to.
    """

    is_users = True

    def __init__(self, call: Callable[[Any], Awaitable[T]]) -> None:
        self.name: str = getattr(call, "__qualname__", repr(call))
        self._call = call
        self.given: dict[str, Target] = {}

    async def send(
        self, api: Api, dialect: Dialect, agent_id: str, guard: UnsentGuard, before: Before | None
    ) -> T:
        del api, dialect, before
        watch = _Watch(guard, WATCH.get())
        token = WATCH.set(watch)
        try:
            guard.is_busy = True
            answer = self._call(self.given.pop(agent_id, agent_id))
            if not inspect.isawaitable(answer):
                raise TypeError(f"fleet.map: call must be an async function; it returned {answer!r}")
            return await answer
        finally:
            WATCH.reset(token)
            watch.guard = None

    async def chosen(self, selector: Selector) -> dict[str, str]:
        # The function gets the agents themselves.
        agents = await selector.list()
        self.given.update((agent.agent_id, agent) for agent in agents)
        return {agent.agent_id: agent.hostname for agent in agents}


class _Watch:
    """Tells the guard of one target what the user's function sends.

    Attributes:
        guard: the target's guard; None once the function has returned. A task that it started, and that is
            still running then, may send more, which no longer counts.
        outer: the watch of the function in which this run was started, if there is one: what is sent here is
            sent by that function, too.
    """

    __slots__ = ("_changes", "_left", "guard", "outer")

    def __init__(self, guard: UnsentGuard, outer: SendWatch | None) -> None:
        self.guard: UnsentGuard | None = guard
        self.outer = outer
        self._left = 0
        self._changes = 0

    def begins(self, call: Call[Any], on_sent: OnSent | None) -> OnSent:
        if self.outer is not None:
            on_sent = self.outer.begins(call, on_sent)
        changes = call.replay is not Replay.SAFE
        is_out = False

        def left(maybe: bool) -> None:
            nonlocal is_out
            if maybe is not is_out:
                is_out = maybe
                self._note(1 if maybe else -1, changes=changes)
            if on_sent is not None:
                on_sent(maybe)

        self._note(0, changes=False)
        return left

    def changes(self) -> None:
        if self.outer is not None:
            self.outer.changes()
        self._note(1, changes=True)

    def _note(self, more: int, *, changes: bool) -> None:
        self._left += more
        self._changes += more if changes else 0
        guard = self.guard
        if guard is not None:
            if changes:
                guard.sent(self._changes > 0)
            is_busy = self._left > 0
            if guard.is_busy != is_busy:
                guard.busy(is_busy)
