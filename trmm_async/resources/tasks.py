"""`trmm.tasks`."""

from datetime import UTC, datetime

from trmm_async import arguments
from trmm_async.cron import cron_expression
from trmm_async.dialects import TaskOrder
from trmm_async.models import Agent, Script, Task
from trmm_async.resources.api import Api

__all__ = ["Tasks"]


class Tasks:
    """Automated tasks. Every method raises `TRMMError`s only."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def list(self, *, agent: str | Agent | None = None) -> list[Task]:
        """The automated tasks of one agent, or all. A stock server tells `status` with one agent's only."""
        agent_id = None if agent is None else arguments.agent_id(agent)
        return await self._api.send(lambda dialect: dialect.list_tasks(agent_id))

    async def create(
        self, *, name: str, agent: str | Agent, script: int | Script, schedule: str, enabled: bool = True
    ) -> Task:
        """Create a task that runs a script on an agent by a five-field cron expression. Never sent twice.

        Raises:
            InvalidRequestError: an argument is wrong; of `schedule` it says which field.
            UnsupportedError: a stock server has no task type for this schedule.
            OutcomeUnknownError: sent, and the answer was lost: it may exist.
        """
        order = TaskOrder(
            name=arguments.plain_text(name, "name"),
            agent=arguments.agent_id(agent),
            script=arguments.object_id(script, "script"),
            schedule=cron_expression(schedule),
            enabled=arguments.flag(enabled, "enabled"),
            today=datetime.now(UTC).date(),
        )
        return await self._api.send(lambda dialect: dialect.create_task(order))
