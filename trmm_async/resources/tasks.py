"""`trmm.tasks`."""

from datetime import UTC, datetime

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
            name=arguments.plain_text(name, "name").strip(),
            agent=arguments.agent_id(agent),
            script=arguments.object_id(script, "script"),
            schedule=cron_expression(schedule),
            enabled=arguments.flag(enabled, "enabled"),
            today=datetime.now(UTC).date(),
        )
        return await self._api.send(lambda dialect: dialect.create_task(order))

    async def get(self, task: int | Task) -> Task:
        """One task, without its last run's `status`; a stock server only.

        Raises:
            NotFoundError: there is no such task.
        """
        task_id = arguments.object_id(task, "task")
        return await self._api.send(lambda dialect: dialect.beyond("tasks.get").get_task(task_id))

    async def run(self, task: int | Task, *, agent: str | Agent | None = None) -> None:
        """Have a task run now; a stock server only. Never sent twice.

        Returns when the server has noted it; nothing is waited for, nor told if the agent does not answer.
        What came of it is in `list(agent=…)` later.

        Args:
            task: its id, or the task.
            agent: where a policy's task is to run. A task of an agent runs there, and needs none.

        Raises:
            InvalidRequestError: it is a policy's task, and no agent was named: the server would run nothing.
            NotFoundError: there is no such task.
            OutcomeUnknownError: sent, and the answer was lost: it may run.
        """
        task_id = arguments.object_id(task, "task")
        agent_id = None if agent is None else arguments.agent_id(agent)
        if agent_id is None and isinstance(task, Task) and task.policy is not None:
            raise InvalidRequestError(
                f"task {task_id} is a policy's: say on which agent it is to run, agent=…"
            )
        await self._api.send(lambda dialect: dialect.beyond("tasks.run").run_task(task_id, agent_id))

    async def update(self, task: int | Task, *, enabled: bool | None = None, name: str | None = None) -> None:
        """Change what is given of a task; a stock server only. Repeated by us: twice is once."""
        task_id = arguments.object_id(task, "task")
        changes = arguments.changes(
            {
                "enabled": None if enabled is None else arguments.flag(enabled, "enabled"),
                "name": None if name is None else arguments.plain_text(name, "name").strip(),
            }
        )
        await self._api.send(lambda dialect: dialect.beyond("tasks.update").update_task(task_id, changes))

    async def delete(self, task: int | Task) -> None:
        """Remove a task; a stock server only. Gone already, after a lost answer, counts as success.

        The server tells the agent first, in its own time: an agent's task may be listed for a while.

        Raises:
            NotFoundError: there is no such task.
        """
        task_id = arguments.object_id(task, "task")
        await self._api.send(lambda dialect: dialect.beyond("tasks.delete").delete_task(task_id))
