"""`trmm.tasks`."""

from trmm_async import arguments
from trmm_async.cron import cron_expression
from trmm_async.dialects import TaskOrder
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Agent, Script, Task
from trmm_async.resources.api import Api

__all__ = ["Tasks"]


class Tasks:
    """Automated tasks. Every method raises `TRMMError`s only."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def list(self) -> list[Task]:
        """All automated tasks."""
        return await self._api.send(lambda dialect: dialect.list_tasks())

    async def create(
        self, *, name: str, agent: str | Agent, script: int | Script, schedule: str, enabled: bool = True
    ) -> Task:
        """Create a task that runs a script on an agent by a five-field cron expression. Never sent twice.

        Raises:
            InvalidRequestError: an argument is wrong; of `schedule` it says which field.
            OutcomeUnknownError: sent, and the answer was lost: it may exist.
        """
        if not isinstance(enabled, bool):
            raise InvalidRequestError(f"enabled must be True or False, not {enabled!r}")
        order = TaskOrder(
            name=arguments.plain_text(name, "name"),
            agent=arguments.agent_id(agent),
            script=arguments.object_id(script, "script"),
            schedule=cron_expression(schedule),
            enabled=enabled,
        )
        return await self._api.send(lambda dialect: dialect.create_task(order))
