"""One script over many agents: `trmm.fleet`.

Floor 6: over the resources. A pool of workers draws on one iterator of targets: ten thousand targets are ten
thousand strings, never ten thousand tasks. Whatever happens, every target gets one outcome, and a script is
sent to each at most once.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Generator, Iterable
from types import TracebackType
from typing import Any, Self

from trmm_async import arguments
from trmm_async.dialects import ScriptRun
from trmm_async.errors import (
    AuthenticationError,
    ClosedError,
    InvalidRequestError,
    OutcomeUnknownError,
    TRMMError,
)
from trmm_async.models import Agent, Script, ScriptResult
from trmm_async.outcomes import Counts, Done, Failed, Outcome, Skipped, Unknown
from trmm_async.resources import Api, checked_run

__all__ = ["Fleet", "FleetRun"]

_LEFT_EARLY = "the run was left early"


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
        width: int = 50,
    ) -> "FleetRun":
        """Run a script on all of these agents, at most `width` at once; see `FleetRun`.

        Nothing is sent before the run is entered or awaited. All targets are tried, also those whose last
        known status is offline: the status may be old.

        Args:
            agents: ids or agents. The same one twice is refused.
            script: the id of a script in the server's library, or the script.
            args: the script's arguments.
            timeout: seconds that the script may take on each agent, 1 to 300.
            width: how many may be in flight at once.

        Raises:
            InvalidRequestError: an argument is wrong, or a target stands there twice.
        """
        run = checked_run(script, args=args, timeout=timeout, output="wait")
        return FleetRun(self._api, _targets(agents), run, arguments.whole(width, "width", least=1))


class FleetRun:
    """A script on its way over the fleet.

    Either `await` it, for the outcomes in the order of the targets; or enter it and iterate it, for the
    outcomes in the order of completion:

        async with trmm.fleet.run_script(agents, script=1) as run:
            async for outcome in run: ...

    Once only. Workers stop sending while the loop lags behind by more than `width` outcomes. Leaving the
    block early stops sending, cancels what is in flight and leaves no task behind; what was never sent then
    counts as skipped, what was sent and not answered as unknown. `rest` has the outcomes that the loop did
    not get to.
    """

    def __init__(self, api: Api, targets: list[str], run: ScriptRun, width: int) -> None:
        self._api = api
        self._targets = targets
        self._run = run
        self._width = min(width, len(targets))
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
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._width)]
        return self

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

    async def _work(self) -> None:
        try:
            for agent_id in self._todo:
                await self._hand_over(self._counted(await self._one(agent_id)))
        except Exception as error:  # noqa: BLE001 - a bug of ours must reach the one who waits, not hang them
            await self._ready.put(error)

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
        except AuthenticationError as error:
            # It is the key that was refused, and it is the same for all.
            self._refused = f"stopped: {error}"
            return Failed(agent_id, error)
        except OutcomeUnknownError as error:
            return Unknown(agent_id, error)
        except TRMMError as error:
            return Failed(agent_id, error)
        return Done(agent_id, result or ScriptResult())

    def _cancelled(self, agent_id: str, *, sent: bool) -> Outcome:
        if not sent:
            return Skipped(agent_id, _LEFT_EARLY)
        return Unknown(agent_id, OutcomeUnknownError(f"sent to {agent_id}, and {_LEFT_EARLY}"))


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
