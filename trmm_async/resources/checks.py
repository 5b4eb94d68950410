"""`trmm.checks`."""

from typing import Final

from trmm_async import arguments
from trmm_async.administration import CheckHistoryPoint
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Agent, Check
from trmm_async.resources.api import Api

__all__ = ["Checks"]

_DAYS_MOST: Final = 36_500


class Checks:
    """Checks and their results: list; on a stock server run, reset, history. Raises `TRMMError`s only."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def run(self, agent: str | Agent) -> None:
        """Have an agent run all its checks now; a stock server only. Never sent twice.

        Returns when the agent has said that it will; the results are in `list` later. Holds a worker of the
        server meanwhile, 15 seconds at most (`max_waiting`).

        Raises:
            AgentLostError: the agent did not answer; it may run them all the same.
            BadRequestError: it is running them already.
        """
        agent_id = arguments.agent_id(agent)
        await self._api.send(lambda dialect: dialect.beyond("checks.run").run_checks(agent_id))

    async def reset(self, check: Check) -> None:
        """Set a check's result to passing, and resolve its alert; a stock server only. Twice is once.

        Args:
            check: a check of `list(agent=…)`. Its id would not do: a server resets an agent's result of it.

        Raises:
            InvalidRequestError: the check has no result yet, or does not come from one agent's list.
        """
        result_id = _result_id(check)
        await self._api.send(lambda dialect: dialect.beyond("checks.reset").reset_check(result_id))

    async def reset_all(self, agent: str | Agent) -> None:
        """Set all results of an agent's checks to passing, and resolve their alerts; a stock server only."""
        agent_id = arguments.agent_id(agent)
        await self._api.send(lambda dialect: dialect.beyond("checks.reset_all").reset_checks(agent_id))

    async def history(self, check: Check, *, days: int | None = None) -> list[CheckHistoryPoint]:
        """A check's past results on its agent, the newest first; a stock server only.

        Args:
            check: as for `reset`.
            days: of the last so many days; None for all that the server keeps (30 days if not set otherwise).
        """
        result_id = _result_id(check)
        if days is not None:
            arguments.whole(days, "days", least=1, most=_DAYS_MOST)
        return await self._api.send(
            lambda dialect: dialect.beyond("checks.history").check_history(result_id, days)
        )

    async def list(self, *, agent: str | Agent | None = None) -> list[Check]:
        """The checks of one agent, or of all."""
        agent_id = None if agent is None else arguments.agent_id(agent)
        return await self._api.send(lambda dialect: dialect.list_checks(agent_id))


def _result_id(check: object) -> int:
    if not isinstance(check, Check):
        raise InvalidRequestError(
            f"check must be a check from checks.list(agent=…), not {check!r}: "
            "the server goes by the id of its result on that agent"
        )
    if check.result_id is None:
        raise InvalidRequestError(
            f"check {check.id} has no result: it has not run yet, or is not from checks.list(agent=…)"
        )
    return check.result_id
