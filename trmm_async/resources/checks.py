"""`trmm.checks`."""

from trmm_async import arguments
from trmm_async.models import Agent, Check
from trmm_async.resources.api import Api

__all__ = ["Checks"]


class Checks:
    """Checks and their last results. Every method raises `TRMMError`s only."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def list(self, *, agent: str | Agent | None = None) -> list[Check]:
        """The checks of one agent, or of all."""
        agent_id = None if agent is None else arguments.agent_id(agent)
        return await self._api.send(lambda dialect: dialect.list_checks(agent_id))
