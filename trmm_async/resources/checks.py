"""`trmm.checks`."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Literal, Self, overload

import msgspec

from trmm_async import arguments
from trmm_async.dialects.stock.endpoint import put, read, send
from trmm_async.errors import ClosedError, IncompleteError, InvalidRequestError, TRMMError
from trmm_async.models import Agent, Check, Moment, no_extra
from trmm_async.resources.api import Api
from trmm_async.resources.filters import AgentQuery, MonitoringType, agent_query
from trmm_async.resources.gathering import Gathering
from trmm_async.resources.names import AnyClient, AnySite
from trmm_async.resources.resource import Resource

__all__ = ["CheckHistoryPoint", "CheckStream", "Checks"]

CheckStatus = Literal["passing", "failing", "pending"]

_DAYS_MOST: Final = 36_500


class CheckHistoryPoint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One past result of a check: a percentage, or 0 and 1, by its type; `results` is what else was kept."""

    time: Moment | None = None
    value: float | None = None
    results: Any = None
    extra: Mapping[str, Any] = no_extra()


_RUN_SECONDS: Final = 15.0
"""How long the server waits for an agent to say that it runs its checks."""

RUN = send("checks.run", "/checks/{agent:agent}/run/", waits=_RUN_SECONDS)
RESET = put("checks.reset", "/checks/{result:id}/reset/", method="POST")
RESET_ALL = put("checks.reset", "/checks/{agent:agent}/resetall/", method="POST")
HISTORY = read(
    "checks.history",
    "/checks/{result:id}/history/",
    list[CheckHistoryPoint],
    method="PATCH",
    wire={"time": "x", "value": "y"},
)


class Checks(Resource):
    """Checks and their results: list, iter; of a stock server also run, reset, history.

    Every method raises `TRMMError`s only.
    """

    async def run(self, agent: str | Agent) -> None:
        """Have an agent run all its checks now; a stock server only. Never sent twice.

        Returns when the agent has said that it will; the results are in `list` later. Holds a worker of the
        server meanwhile, 15 seconds at most (`max_waiting`).

        Raises:
            AgentLostError: the agent did not answer; it may run them all the same.
            BadRequestError: it is running them already.
        """
        await self._send(RUN, agent)

    @overload
    async def reset(self, check: Check) -> None: ...

    @overload
    async def reset(self, *, agent: str | Agent) -> None: ...

    async def reset(self, check: Check | None = None, *, agent: str | Agent | None = None) -> None:
        """Set a check's result to passing, or all of an agent's, and resolve the alerts of it.

        A stock server only. Repeated by us if an answer is lost: twice is once.

        Args:
            check: a check of `list`. Its id would not do: a server resets an agent's result of it.
            agent: in place of `check`, the agent whose checks are meant.

        Raises:
            InvalidRequestError: the check has no result yet, or comes from elsewhere; or not one of the two
                was given.
        """
        if (check is None) is (agent is None):
            raise InvalidRequestError(
                "checks.reset: give the check whose result is meant, or agent= for all of an agent's"
            )
        if agent is not None:
            await self._send(RESET_ALL, agent)
        else:
            await self._send(RESET, _result_id(check))

    async def history(self, check: Check, *, days: int | None = None) -> list[CheckHistoryPoint]:
        """A check's past results on its agent, the newest first; a stock server only.

        Args:
            check: as for `reset`.
            days: of the last so many days; None for all that the server keeps (30 days if not set otherwise).
        """
        result_id = _result_id(check)
        body = (
            {}
            if days is None
            else {"timeFilter": arguments.integer(days, "days", minimum=1, maximum=_DAYS_MOST)}
        )
        return await self._send(HISTORY, result_id, body=body)

    async def list(
        self,
        *,
        agent: str | Agent | None = None,
        status: CheckStatus | None = None,
        hostname: str | None = None,
        client: AnyClient | None = None,
        site: AnySite | None = None,
        monitoring_type: MonitoringType | None = None,
    ) -> list[Check]:
        """The checks of one agent, or of all agents that match all of what is given, each with its result.

        Of several agents they are gathered: one call for the list of agents, and one for each agent, a few at
        a time and within the rate limit. With `status="failing"` a stock server's agents are asked only if
        they have failing checks, which its list of agents says.

        Args:
            agent: its id, or the agent; the filters of agents are not for one.
            status: those that stand so.
            hostname: of agents of this name, as `agents.list`.
            client: of this client's agents.
            site: of this site's agents.
            monitoring_type: of servers, or of workstations.

        Raises:
            IncompleteError: some agents could not be asked. It names them, and holds what the others said.
            NotFoundError: there is no such agent (a gateway has no checks for it).
        """
        which = agent_query(hostname, client, site, monitoring_type)
        wanted = _checked_status(status)
        if agent is not None:
            if which != AgentQuery():
                raise InvalidRequestError("agent is one, and the filters are for several: give either")
            agent_id = arguments.agent_id(agent)
            return _standing(await self._api.send(lambda dialect: dialect.list_checks(agent_id)), wanted)
        found: list[Check] = []
        try:
            async with CheckStream(self._api, which, wanted) as stream:
                async for check in stream:
                    found.append(check)  # noqa: PERF401 - what came before an error counts
        except IncompleteError as error:
            raise IncompleteError(error.failed, found) from None
        return found

    def iter(
        self,
        *,
        status: CheckStatus | None = None,
        hostname: str | None = None,
        client: AnyClient | None = None,
        site: AnySite | None = None,
        monitoring_type: MonitoringType | None = None,
    ) -> "CheckStream":
        """The same of several agents as they answer: `async with checks.iter() as stream`; see `CheckStream`.

        Arguments as those of `list`. Nothing is sent before the stream is entered.
        """
        which = agent_query(hostname, client, site, monitoring_type)
        return CheckStream(self._api, which, _checked_status(status))


class CheckStream:
    """Checks as their agents answer: enter it, then iterate it, once. An agent's come together.

    A few agents are asked ahead, and no more while nobody reads. Leaving the block early asks no more. If
    some agents could not be asked the iteration ends in an `IncompleteError` that names them, when all others
    have answered; what would be the same for every agent (a key that is refused) ends it at once.
    """

    def __init__(self, api: Api, which: AgentQuery, status: str | None) -> None:
        self._api = api
        self._which = which
        self._status = status
        self._gathering: Gathering[list[Check]] | None = None
        self._ready: Iterator[Check] = iter(())

    @property
    def failed(self) -> Mapping[str, TRMMError]:
        """The agents so far that could not be asked, with their errors."""
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
        return _standing(await self._api.send(lambda dialect: dialect.list_checks(agent_id)), self._status)

    def _may_have(self, agent: Agent) -> bool:
        """Whether it has such checks, as far as the list of agents says."""
        counts = agent.checks
        if counts is None:
            return True
        failing = counts.failing + counts.warning + counts.info
        return failing > 0 if self._status == "failing" else counts.total > 0


def _checked_status(status: object) -> str | None:
    return None if status is None else arguments.choice(status, "status", ("passing", "failing", "pending"))


def _standing(checks: list[Check], status: str | None) -> list[Check]:
    return [check for check in checks if status in {None, check.status}]


def _result_id(check: object) -> int:
    if not isinstance(check, Check):
        raise InvalidRequestError(
            f"check must be a check from checks.list(), not {check!r}: "
            "the server goes by the id of its result on that agent"
        )
    if check.result_id is None:
        raise InvalidRequestError(
            f"check {check.id} has no result: it has not run yet, or is not from checks.list()"
        )
    return check.result_id
