"""What a run does to each of its targets: a script of the library, or any call of the user's.

Over the resources; `plan` has one of these, `scheduler` asks it. A new kind of work is a class here: how it
is sent to one target, by which call to many, if by any, and what a journal keeps of it.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, cast

from trmm_async.calls import Call, Replay
from trmm_async.dialects import Dialect, HistoryRun, ScriptRun
from trmm_async.fleet.guards import UnsentGuard
from trmm_async.models import Agent, ScriptResult
from trmm_async.resources import Api, Names, Selector
from trmm_async.script_runs import Before
from trmm_async.transport import WATCH

__all__ = ["CallWork", "ScriptWork", "Target", "Work"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Target = str | Agent
OnSent = Callable[[bool], None]


class Work(Generic[T_co]):
    """One kind of work.

    Attributes:
        name: what messages call it.
        is_users: whether it is a function of the user's. What that raises stops the run; and where it fails
            after something was sent, what was done is not known.
    """

    name: str
    is_users: bool = False

    def send(
        self, api: Api, dialect: Dialect, agent_id: str, guard: UnsentGuard, before: Before | None
    ) -> Awaitable[T_co]:
        """Do it to one target, and tell the guard of what leaves. Raises `TRMMError`s, but a user's."""
        raise NotImplementedError

    def everywhere(self, dialect: Dialect, agent_ids: tuple[str, ...]) -> HistoryRun | None:
        """The same to many by one call; None if there is no such call."""
        del dialect, agent_ids
        return None

    def order(self) -> dict[str, Any]:
        """What a journal's `Order` has of it."""
        raise NotImplementedError

    async def identified(self, api: Api) -> "Work[T_co]":
        """The same, with what was given by name looked up. Raises as `Names` does; nothing is sent then."""
        del api
        return self

    async def chosen(self, selector: Selector) -> list[str]:
        """The targets that a selector means now. Raises as that."""
        return await selector.agent_ids()


class ScriptWork(Work[ScriptResult]):
    """A script of the server's library."""

    def __init__(self, run: ScriptRun) -> None:
        self.name = f"script {run.script!r}"
        self.run = run

    def send(
        self, api: Api, dialect: Dialect, agent_id: str, guard: UnsentGuard, before: Before | None
    ) -> Awaitable[ScriptResult]:
        """See `Work`. No coroutine of its own: of those that are under way at once, each is held."""
        sending = api.run(dialect.run_script(agent_id, self.run), guard.sent, before)
        # None is the answer only where nobody waits for one.
        return cast("Awaitable[ScriptResult]", sending)

    def everywhere(self, dialect: Dialect, agent_ids: tuple[str, ...]) -> HistoryRun | None:
        return dialect.run_everywhere(agent_ids, self.run)

    async def identified(self, api: Api) -> "ScriptWork":
        """See `Work`."""
        return ScriptWork(await Names(api).run(self.run))

    def order(self) -> dict[str, Any]:
        run = self.run
        return {
            "script": run.script_id,
            "args": run.args,
            "timeout": run.timeout,
            "env_vars": run.env_vars,
            "run_as_user": run.run_as_user,
        }


class CallWork(Work[T]):
    """A function of the user's, which is given the target as it was given to us.

    Attributes:
        given: the targets as they were given, by their ids; each until it is begun.
    """

    is_users = True

    def __init__(self, call: Callable[[Any], Awaitable[T]]) -> None:
        self.name = getattr(call, "__qualname__", repr(call))
        self._call = call
        self.given: dict[str, Target] = {}

    async def send(
        self, api: Api, dialect: Dialect, agent_id: str, guard: UnsentGuard, before: Before | None
    ) -> T:
        del api, dialect, before
        watch = _Watch(guard)
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

    async def chosen(self, selector: Selector) -> list[str]:
        """See `Work`. The call gets agents: they are kept until then."""
        agents = await selector.list()
        self.given.update((agent.agent_id, agent) for agent in agents)
        return [agent.agent_id for agent in agents]


class _Watch:
    """Notes for the guard of one target what is sent in its context.

    Attributes:
        guard: the target's; None once its call is over. A task that goes on after that may send what it will.
    """

    __slots__ = ("_changes", "_left", "guard")

    def __init__(self, guard: UnsentGuard) -> None:
        self.guard: UnsentGuard | None = guard
        self._left = 0
        self._changes = 0

    def begins(self, call: Call[Any], on_sent: OnSent | None) -> OnSent:
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
