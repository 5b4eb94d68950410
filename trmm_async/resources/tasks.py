"""`trmm.tasks`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypedDict, Unpack

import msgspec

from trmm_async import arguments
from trmm_async.calls import Call, Plan, Steps, plan
from trmm_async.cron import cron_expression
from trmm_async.dialects import TaskOrder
from trmm_async.dialects.base import float_of
from trmm_async.dialects.stock.agents import agent_ids_if_allowed, results_on_agents
from trmm_async.dialects.stock.creation import make
from trmm_async.dialects.stock.dialect import tasks_on
from trmm_async.dialects.stock.endpoint import Sent, delete, put, read, send
from trmm_async.dialects.stock.task_lookups import (
    look_at_new,
    look_at_schedule_of,
    look_at_scripts,
    scripts_of,
)
from trmm_async.dialects.stock.task_orders import TASK_SETTINGS, schedule_body
from trmm_async.dialects.stock.tasks import Owner, task_of
from trmm_async.errors import InvalidRequestError
from trmm_async.kinds import Task, TaskAction, TaskSchedule
from trmm_async.models import Agent, Moment, Noun, no_extra
from trmm_async.resources.names import AnyScript
from trmm_async.resources.resource import Resource, refuse_in_use
from trmm_async.resources.stock.custom_fields import CustomField
from trmm_async.resources.stock.policies import TASKS as OF_POLICY
from trmm_async.resources.stock.policies import Policy
from trmm_async.words import InstancePolicy, Platform, Severity

__all__ = ["TaskChanges", "TaskOnAgent", "TaskSettings", "Tasks"]


class _TaskOptions(TypedDict, total=False):
    enabled: bool
    continue_on_error: bool
    severity: Severity
    email_alert: bool
    text_alert: bool
    dashboard_alert: bool
    collector: int | CustomField | None
    collector_all_output: bool
    platforms: Sequence[Platform]
    instance_policy: InstancePolicy


class TaskSettings(_TaskOptions, total=False):
    """Settings of a task besides its name, schedule and owner. What is not given stays unchanged.

    `collector` is the custom field that stores the task's output: the last line, or all of it
    (`collector_all_output`). `platforms` are those that a policy's task is for, of "windows", "linux" and
    "darwin"; without it, Windows only. `instance_policy` says what happens if the task is due while it still
    runs; without it, "queue".
    """

    actions: Sequence[TaskAction]


class TaskChanges(TaskSettings, total=False):
    """The settings that `tasks.update` can change. What is not given stays unchanged."""

    name: str
    schedule: TaskSchedule


class TaskOnAgent(Noun, frozen=True, kw_only=True, gc=False):
    """The result of a policy's task on one agent.

    `status` is "pending", "passing" or "failing". `run_status` is "running" or "completed", and None before
    the first run. `execution_time` is in seconds.
    """

    result_id: int
    """The result's own number."""
    agent_id: str | None = None
    """The agent's id."""
    hostname: str = ""
    """The agent's host name."""
    status: str = ""
    run_status: str | None = None
    sync_status: str | None = None
    """Whether the agent knows it yet."""
    last_run: Moment | None = None
    """When it ran last."""
    retcode: int | None = None
    """The return code."""
    stdout: str | None = None
    """What it wrote to standard output."""
    stderr: str | None = None
    """What it wrote to standard error."""
    execution_time: float | None = None
    extra: Mapping[str, Any] = no_extra()


class _TaskResult(TaskOnAgent, frozen=True, kw_only=True, gc=False):
    agent: int | None = None


_ONE: Final = "/tasks/{task:id}/"

GET = read("tasks.get", _ONE, tuple[Task, Owner], decode=task_of)
RUN = send("tasks.run", _ONE + "run/")
UPDATE = put("tasks.update", _ONE)
DELETE = delete("tasks.delete", _ONE)
RESULTS = read(
    "tasks.results",
    "/automation/tasks/{task:id}/status/",
    list[_TaskResult],
    wire={"result_id": "id", "execution_time": Sent(kind=str | None, fit=float_of)},
)
SET_UP = send("tasks.set_up", "/tasks/", needs="name task_type actions")
RUN_EVERYWHERE = send("tasks.run_everywhere", "/automation/tasks/{task:id}/run/")


def _timing(schedule: object, *, change: bool = False) -> dict[str, Any]:
    if not isinstance(schedule, TaskSchedule):
        raise InvalidRequestError(f"schedule must be Daily(at=…) or another of its kind, not {schedule!r}")
    return schedule_body(schedule, change=change)


class Tasks(Resource):
    """Automated tasks. All errors are `TRMMError`s."""

    async def results(self, task: int | Task) -> list[TaskOnAgent]:
        """List the results of a policy's task on each agent; a stock server only.

        The list is empty if the task is not a policy's, or if no agent has it. `agent_id` is None if the key
        may not list agents.

        Raises:
            NotFoundError: there is no such task.
        """
        results = results_on_agents(TaskOnAgent, RESULTS.call(task), GET.call(task))
        return await self._on_stock(RESULTS.name, results)

    async def list(self, *, agent: str | Agent | None = None) -> list[Task]:
        """List the automated tasks of one agent, or of all agents.

        The `status` of a stock server's task is only in the list of one agent. In that of all agents,
        `agent_id` is None if the key may not list agents.
        """
        agent_id = None if agent is None else arguments.agent_id(agent)
        return await self._api.send(lambda dialect: dialect.list_tasks(agent_id))

    async def create(
        self, *, name: str, agent: str | Agent, script: AnyScript, schedule: str, enabled: bool = True
    ) -> Task:
        """Create a task that runs a script on an agent by a five-field cron expression. Never sent twice.

        Raises:
            InvalidRequestError: an argument is wrong; for `schedule`, the text names the field.
            UnsupportedError: a stock server has no type of task for this schedule.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
        """
        arguments.reference(script, "script")
        order = partial(
            TaskOrder,
            name=arguments.name(name, "name"),
            agent=arguments.agent_id(agent),
            schedule=cron_expression(schedule),
            enabled=arguments.boolean(enabled, "enabled"),
            today=datetime.now(UTC).date(),
        )
        task = order(script=await self._names().script(script))
        return await self._api.send(lambda dialect: dialect.create_task(task))

    async def set_up(
        self,
        *,
        name: str,
        schedule: TaskSchedule,
        actions: Sequence[TaskAction],
        agent: str | Agent | None = None,
        policy: int | Policy | None = None,
        **settings: Unpack[_TaskOptions],
    ) -> Task:
        """Create any task of an agent or a policy, and return it; a stock server only. Never sent twice.

        The objects that the task refers to are looked up first, since the server accepts references that
        can't work.

        Args:
            name: the name.
            schedule: `Daily(at=…)`, `Weekly`, `Monthly`, `MonthlyByWeekday`, `Once`, `OnFailure`,
                `OnBoarding` or `Manual()`. Times are by the agent's own clock.
            actions: what the task does, in order: `ScriptAction(script=…)`, `CommandAction(command=…)`.
            agent: the agent that gets the task.
            policy: the policy that gets the task, in place of `agent`.
            settings: see `TaskSettings`.

        Raises:
            InvalidRequestError: a value is wrong, or not exactly one of `agent` and `policy` is given; the
                check that starts the task belongs to another agent or policy; or the schedule has a setting
                for Windows only (`every`, `random_delay`, `repeat_every`, `run_if_missed`, `expires`) and the
                agent runs another system.
            BadRequestError: there is no such policy or custom field.
            NotFoundError: there is no such agent, script or check.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """
        arguments.exactly_one(SET_UP.name, agent=agent, policy=policy)
        given = {"name": name, "actions": actions, **settings}
        body = {**_timing(schedule), **arguments.settings(given, TASK_SETTINGS, SET_UP.name)}
        if agent is not None:
            body["agent"] = agent_id = arguments.agent_id(agent)
            listing = tasks_on(agent_id)
        else:
            body["policy"] = policy_id = arguments.object_id(policy, "policy")
            listing = OF_POLICY.call(policy_id)
        scripts = await self._name_scripts(SET_UP.name, body)
        made = make("task", listing, SET_UP.call(body=body), lambda one: one.name == body["name"])
        return await self._on_stock(SET_UP.name, _set_up(scripts, schedule, body, made))

    async def get(self, task: int | Task) -> Task:
        """Get one task, without the `status` of its last run; a stock server only.

        `agent_id` is None if the key may not list agents.

        Raises:
            NotFoundError: there is no such task.
        """
        return await self._on_stock(GET.name, with_agent(GET.call(task)))

    async def run(self, task: int | Task, *, agent: str | Agent | None = None) -> None:
        """Run a task now; a stock server only. Never sent twice.

        It returns when the server has accepted the order. It doesn't wait for the agent, and doesn't report
        an agent that is silent. The result is in `list(agent=…)` later.

        Args:
            task: the task or its id.
            agent: the agent on which a policy's task runs. A task of an agent runs there without it.

        Raises:
            InvalidRequestError: it is a policy's task and no agent was given: the server would run nothing.
            NotFoundError: there is no such task.
            OutcomeUnknownError: it was sent and the answer was lost: it may run.
        """
        task_id = arguments.object_id(task, "task")
        agent_id = None if agent is None else arguments.agent_id(agent)
        if agent_id is None and isinstance(task, Task) and task.policy is not None:
            raise InvalidRequestError(
                f"task {task_id} is a policy's: say on which agent it is to run, agent=…"
            )
        if agent_id is None:
            await self._on_stock(RUN.name, run_where_it_is(GET.call(task_id), RUN.call(task_id, body={})))
        else:
            await self._send(RUN, task_id, body={"agent_id": agent_id})

    async def run_everywhere(self, task: int | Task) -> None:
        """Run a policy's task now on every agent that has the policy; a stock server only. Never sent twice.

        It returns when the server has accepted the order. Offline agents run nothing. The results are in
        `results` later.

        Raises:
            InvalidRequestError: it is not a policy's task: the server would accept it and run nothing.
            NotFoundError: there is no such task.
            OutcomeUnknownError: it was sent and the answer was lost: it may run.
        """
        task_id = arguments.object_id(task, "task")
        call = RUN_EVERYWHERE.call(task_id)
        await self._on_stock(RUN_EVERYWHERE.name, _run_on_all(GET.call(task_id), call))

    async def update(self, task: int | Task, **changes: Unpack[TaskChanges]) -> None:
        """Change settings of a task; a stock server only. Idempotent: sent again if an answer is lost.

        A `schedule` is sent completely, with its type; without the type, the server would silently drop it.

        Raises:
            InvalidRequestError: a value or the schedule is wrong, as in `set_up`; nothing was changed.
            NotFoundError: there is no such task or script.
        """
        given: dict[str, Any] = dict(changes)
        schedule = given.pop("schedule", None)
        body = _timing(schedule, change=True) if "schedule" in changes else {}
        if given or not body:
            body |= arguments.settings(given, TASK_SETTINGS, UPDATE.name)
        task_id = arguments.object_id(task, "task")
        scripts = await self._name_scripts(UPDATE.name, body)
        if schedule is None and not scripts:
            await self._send(UPDATE, task_id, body=body)
        else:
            await self._on_stock(UPDATE.name, _change(task_id, scripts, schedule, body))

    async def delete(self, task: int | Task, *, in_use: bool = False) -> None:
        """Delete a task, a policy's task from all its agents; a stock server only.

        If an answer is lost and it is gone afterwards, that counts as success. The server tells the agent
        first, and doesn't wait: an agent's task may still be listed for a while.

        Args:
            task: the task or its id.
            in_use: True also deletes a policy's task, with its results on every agent. Without it, the task
                is looked up first, and a policy's task is not deleted.

        Raises:
            InvalidRequestError: it is a policy's task; nothing was deleted.
            NotFoundError: there is no such task.
        """
        task_id = arguments.object_id(task, "task")
        if arguments.boolean(in_use, "in_use"):
            await self._send(DELETE, task_id)
        else:
            await self._on_stock(DELETE.name, _delete_of_agent(task_id))

    async def _name_scripts(self, method: str, body: Mapping[str, Any]) -> Sequence[int]:
        """Put ids in the place of names. Returns the scripts that were given by their ids."""
        names, by_id = self._names(method), scripts_of(body)
        for action in body.get("actions", ()):
            await names.in_body(action, {"script": "script"})
        return by_id


@plan
def _set_up(
    scripts: Sequence[int], schedule: TaskSchedule, body: Mapping[str, Any], made: Plan[Task]
) -> Steps[Task]:
    yield from look_at_scripts(scripts)
    yield from look_at_new(schedule, body)
    return (yield from made)


@plan
def _change(
    task_id: int, scripts: Sequence[int], schedule: TaskSchedule | None, body: Mapping[str, Any]
) -> Steps[None]:
    yield from look_at_scripts(scripts)
    if schedule is not None:
        yield from look_at_schedule_of(task_id, schedule, body)
    yield from UPDATE.call(task_id, body=body)


@plan
def _delete_of_agent(task_id: int) -> Steps[None]:
    _, owner = yield from GET.call(task_id)
    by = [] if owner.policy is None else [f"all agents of policy {owner.policy}"]
    refuse_in_use(f"tasks.delete: task {task_id}", by)
    yield from DELETE.call(task_id)


@plan
def _run_on_all(get: Call[tuple[Task, Owner]], run: Call[None]) -> Steps[None]:
    """Check that the task is a policy's: the server accepts any id."""
    task, owner = yield from get
    if owner.policy is None:
        raise InvalidRequestError(f"task {task.id} is no task of a policy: tasks.run(task) runs it")
    yield from run


@plan
def with_agent(get: Call[tuple[Task, Owner]]) -> Steps[Task]:
    """The task with its agent's id, for which the server sends an integer."""
    task, owner = yield from get
    if owner.agent is None:
        return task
    ids = yield from agent_ids_if_allowed()
    return msgspec.structs.replace(task, agent_id=ids.get(owner.agent))


@plan
def run_where_it_is(get: Call[tuple[Task, Owner]], run: Call[None]) -> Steps[None]:
    """Check that the task is an agent's: the server accepts a policy's task as well, and runs nothing."""
    task, owner = yield from get
    if owner.agent is None:
        raise InvalidRequestError(
            f"task {task.id} is a policy's and has no agent of its own: name one, agent=…"
        )
    yield from run
