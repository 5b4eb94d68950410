"""The checks of several agents as the answers arrive: `checks.iter()`."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self, get_args

from trmm_async import arguments
from trmm_async.errors import ClosedError, IncompleteError, TRMMError
from trmm_async.models import Agent, Check
from trmm_async.resources.api import Api
from trmm_async.resources.filters import AgentQuery
from trmm_async.resources.gathering import Gathering
from trmm_async.words import CheckStatus

__all__ = ["CheckStream", "checked_status", "with_status"]


class CheckStream:
    """The checks of several agents, in the order of the answers. Enter it, then iterate over it once.

    The checks of one agent come together. The stream reads a few agents ahead, and no further while nobody
    iterates. Leaving the block early stops it. If the checks of some agents could not be read, the iteration
    ends with an `IncompleteError` that names them, after all others have been read. An error that would be
    the same for every agent (such as a refused key) ends it at once.
    """

    def __init__(self, api: Api, which: AgentQuery, status: str | None) -> None:
        self._api = api
        self._which = which
        self._status = status
        self._gathering: Gathering[list[Check]] | None = None
        self._ready: Iterator[Check] = iter(())

    @property
    def failed(self) -> Mapping[str, TRMMError]:
        """The agents so far whose checks could not be read, with their errors."""
        return {} if self._gathering is None else self._gathering.failed

    async def __aenter__(self) -> Self:
        if self._gathering is not None:
            raise ClosedError("this stream was used already; call checks.iter() again")
        self._gathering = Gathering((), self._ask)
        which = await self._which.resolve(self._api)
        agents = await self._api.send(lambda dialect: dialect.list_agents(which))
        self._gathering = Gathering([one.agent_id for one in agents if self._may_have(one)], self._ask)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._gathering is not None:
            await self._gathering.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Check:
        if self._gathering is None:
            raise ClosedError("enter the stream first: async with checks.iter() as stream")
        while (check := next(self._ready, None)) is None:
            try:
                self._ready = iter(await anext(self._gathering))
            except StopAsyncIteration:
                if self._gathering.failed:
                    raise IncompleteError(self._gathering.failed) from None
                raise
        return check

    async def _ask(self, agent_id: str) -> list[Check]:
        return with_status(await self._api.send(lambda dialect: dialect.list_checks(agent_id)), self._status)

    def _may_have(self, agent: Agent) -> bool:
        """Whether the agent has such checks, as far as the list of agents shows it."""
        counts = agent.checks
        if counts is None:
            return True
        failing = counts.failing + counts.warning + counts.info
        return failing > 0 if self._status == "failing" else counts.total > 0


def checked_status(status: object) -> str | None:
    """The status of the checks that are wanted; None for any. Raises `InvalidRequestError` if it is none."""
    return None if status is None else arguments.choice(status, "status", get_args(CheckStatus))


def with_status(checks: list[Check], status: str | None) -> list[Check]:
    """The checks with this status; None for any."""
    return [check for check in checks if status in {None, check.status}]
