"""One script over many agents: `trmm.fleet`.

Floor 6: over the resources. Where a server has one call for many agents, that is used; else a pool of workers
draws on one iterator of targets: ten thousand targets are ten thousand strings, never ten thousand tasks.
Whatever happens, every target gets one outcome, and a script is sent to each at most once.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Generator, Iterable, Mapping
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self

from trmm_async import arguments
from trmm_async.dialects import Collected, Dialect, ScriptRun
from trmm_async.errors import (
    AuthenticationError,
    ClosedError,
    InvalidRequestError,
    OutcomeUnknownError,
    TRMMError,
)
from trmm_async.models import Agent, Script, ScriptResult
from trmm_async.outcomes import Counts, Done, Failed, Outcome, Skipped, Unknown
from trmm_async.resources import Api, Sending, checked_run

__all__ = ["Fleet", "FleetRun"]

_LEFT_EARLY: Final = "the run was left early"
_WIDTH: Final = 50
_AT_ONCE_MOST: Final = 5000
"""Targets of one call for many: their ids make a body of 200 kB."""


class Fleet:
    """Scripts over many agents."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def run_script(
        self,
        agents: Iterable[str | Agent],
        script: int | Script,
        *,
        args: Iterable[str] = (),
        timeout: int = 90,
        width: int | None = None,
        env_vars: Mapping[str, str] | None = None,
        run_as_user: bool = False,
    ) -> "FleetRun":
        """Run a script on all of these agents; see `FleetRun`.

        Nothing is sent before the run is entered or awaited. All targets are tried, also those whose last
        known status is offline: the status may be old.

        A stock server takes all targets in one call, and they begin at once, unless `width` asks for fewer at
        a time; the results are collected from its history.

        Args:
            agents: ids or agents. The same one twice is refused.
            script: the id of a script in the server's library, or the script.
            args: the script's arguments.
            timeout: seconds that the script may take on each agent, 1 to 300.
            width: how many may run at once. None for what suits the server: 50 on a gateway, all on a stock
                server.
            env_vars: environment variables for the script; a stock server only.
            run_as_user: run it as the user who is logged in; a stock server only.

        Raises:
            InvalidRequestError: an argument is wrong, or a target stands there twice.
        """
        run = checked_run(
            script, args=args, timeout=timeout, output="wait", env_vars=env_vars, run_as_user=run_as_user
        )
        at_once = None if width is None else arguments.whole(width, "width", least=1)
        return FleetRun(self._api, _targets(agents), run, at_once)


class FleetRun:
    """A script on its way over the fleet.

    Either `await` it, for the outcomes in the order of the targets; or enter it and iterate it, for the
    outcomes in the order of completion:

        async with trmm.fleet.run_script(agents, script=1) as run:
            async for outcome in run: ...

    Once only. Single calls stop while the loop lags behind by more than `width` outcomes. Leaving the
    block early stops sending, cancels what is in flight and leaves no task behind; what was never sent then
    counts as skipped, what was sent and not answered as unknown. `rest` has the outcomes that the loop did
    not get to.
    """

    def __init__(self, api: Api, targets: list[str], run: ScriptRun, width: int | None) -> None:
        self._api = api
        self._targets = targets
        self._run = run
        self._all_at_once = len(targets) > 1 and (width is None or width >= len(targets))
        self._width = min(width or _WIDTH, len(targets))
        self._todo = iter(targets)
        self._ready: asyncio.Queue[Outcome | BaseException] = asyncio.Queue(max(1, self._width))
        self._workers: list[asyncio.Task[None]] = []
        self._tally = dict.fromkeys((Done, Failed, Unknown, Skipped), 0)
        self._given = 0
        self._rest: list[Outcome] = []
        self._refused = ""
        self._state = "new"

    def __repr__(self) -> str:
        return f"<FleetRun script {self._run.script}, {self._state}, {self.counts}>"

    @property
    def counts(self) -> Counts:
        """Where the targets stand now; adds up to their number."""
        settled = sum(self._tally.values())
        return Counts(
            done=self._tally[Done],
            failed=self._tally[Failed],
            unknown=self._tally[Unknown],
            skipped=self._tally[Skipped],
            pending=len(self._targets) - settled,
        )

    @property
    def rest(self) -> list[Outcome]:
        """Once the block was left: the outcomes that the loop was not given. Empty after a whole run."""
        return list(self._rest)

    def __await__(self) -> Generator[Any, None, list[Outcome]]:
        return self._collect().__await__()

    async def _collect(self) -> list[Outcome]:
        async with self:
            by_agent = {outcome.agent_id: outcome async for outcome in self}
        return [by_agent[agent_id] for agent_id in self._targets]

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise ClosedError("this run was used already; call fleet.run_script() again")
        self._state = "running"
        try:
            jobs = self._jobs(await self._api.dialect())
        except TRMMError as error:
            # It could not even be found out which language the server speaks.
            jobs = [self._fail(error)]
        self._workers = [asyncio.create_task(self._guard(job)) for job in jobs]
        return self

    def _jobs(self, dialect: Dialect) -> list[Coroutine[Any, Any, None]]:
        """What is to be done, each in a task: one call for many targets where that will do, else workers."""
        if self._all_at_once and dialect.run_everywhere((), self._run) is not None:
            chunks = [
                tuple(islice(self._todo, _AT_ONCE_MOST)) for _ in range(0, len(self._targets), _AT_ONCE_MOST)
            ]
            orders = [dialect.run_everywhere(chunk, self._run) for chunk in chunks]
            return [self._run_everywhere(order) for order in orders if order is not None]
        return [self._work() for _ in range(self._width)]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state = "ended"
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers.clear()
        while not self._ready.empty():
            self._keep(self._ready.get_nowait())
        for agent_id in self._todo:
            self._keep(self._counted(Skipped(agent_id, _LEFT_EARLY)))

    def _keep(self, outcome: Outcome | BaseException) -> None:
        if not isinstance(outcome, BaseException):
            self._rest.append(outcome)

    def __aiter__(self) -> AsyncIterator[Outcome]:
        return self

    async def __anext__(self) -> Outcome:
        if self._state == "new":
            raise ClosedError("enter the run first: async with trmm.fleet.run_script(…) as run")
        if self._given == len(self._targets) or self._state == "ended":
            raise StopAsyncIteration
        outcome = await self._ready.get()
        if isinstance(outcome, BaseException):
            raise outcome
        self._given += 1
        return outcome

    async def _guard(self, job: Coroutine[Any, Any, None]) -> None:
        try:
            await job
        except Exception as error:  # noqa: BLE001 - a bug of ours must reach the one who waits, not hang them
            await self._ready.put(error)

    async def _work(self) -> None:
        for agent_id in self._todo:
            await self._hand_over(self._counted(await self._one(agent_id)))

    async def _fail(self, error: TRMMError) -> None:
        for agent_id in self._todo:
            await self._hand_over(self._counted(Failed(agent_id, error)))

    async def _run_everywhere(self, order: Collected) -> None:
        sent = _Flag()
        left = dict.fromkeys(order.agent_ids)
        try:
            async with Sending(self._api.desk, order, sent.set) as sending:
                async for agent_id, told in sending:
                    del left[agent_id]
                    await self._hand_over(self._counted(_outcome(agent_id, told)))
        except asyncio.CancelledError:
            for agent_id in left:
                self._keep(self._counted(self._cancelled(agent_id, sent=sent.is_set)))
            raise
        except TRMMError as error:
            # Raised on entering alone: the call for all of them was refused, or never sent.
            for agent_id in left:
                await self._hand_over(self._counted(_outcome(agent_id, error)))

    async def _hand_over(self, outcome: Outcome) -> None:
        try:
            await self._ready.put(outcome)
        except asyncio.CancelledError:
            self._keep(outcome)
            raise

    def _counted(self, outcome: Outcome) -> Outcome:
        self._tally[type(outcome)] += 1
        return outcome

    async def _one(self, agent_id: str) -> Outcome:
        return Skipped(agent_id, self._refused) if self._refused else await self._try(agent_id)

    async def _try(self, agent_id: str) -> Outcome:
        sent = _Flag()
        try:
            result = await self._api.run_script(agent_id, self._run, sent.set)
        except asyncio.CancelledError:
            self._keep(self._counted(self._cancelled(agent_id, sent=sent.is_set)))
            raise
        except TRMMError as error:
            if isinstance(error, AuthenticationError):
                # It is the key that was refused, and it is the same for all.
                self._refused = f"stopped: {error}"
            return _outcome(agent_id, error)
        return Done(agent_id, result or ScriptResult())

    def _cancelled(self, agent_id: str, *, sent: bool) -> Outcome:
        if not sent:
            return Skipped(agent_id, _LEFT_EARLY)
        return Unknown(agent_id, OutcomeUnknownError(f"sent to {agent_id}, and {_LEFT_EARLY}"))


def _outcome(agent_id: str, told: ScriptResult | TRMMError) -> Outcome:
    if isinstance(told, OutcomeUnknownError):
        return Unknown(agent_id, told)
    return Failed(agent_id, told) if isinstance(told, TRMMError) else Done(agent_id, told)


class _Flag:
    """Whether something has happened."""

    __slots__ = ("is_set",)

    def __init__(self) -> None:
        self.is_set = False

    def set(self) -> None:
        self.is_set = True


def _targets(agents: Iterable[str | Agent]) -> list[str]:
    if isinstance(agents, str | Agent):
        raise InvalidRequestError("agents must be several: write [agent] for one")
    targets = [arguments.agent_id(agent) for agent in agents]
    if len(set(targets)) < len(targets):
        twice = next(target for target, times in Counter(targets).items() if times > 1)
        raise InvalidRequestError(f"agents: {twice!r} is there more than once; a script runs once on each")
    return targets
