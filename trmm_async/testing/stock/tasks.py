"""Automated tasks: of one agent and of everybody, making and changing them, running them.

Below: `database.py` keeps them, `schedules.py` knows when they run. Above: `dialect.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trmm_async.testing.forms import wrong
from trmm_async.testing.replies import iso
from trmm_async.testing.routing import Route
from trmm_async.testing.runner import RunOrder

from . import schedules
from .checks import readable
from .reach import brief, given_tasks
from .view import Fields, crash, refuse, said
from .visibility import Visibility

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.ledger import Run
    from trmm_async.testing.nouns import Agent
    from trmm_async.testing.replies import Asked, HTTPReply

    from .table import Row

__all__ = ["TasksView", "perform", "shown"]

LISTED, MANAGED, RUN = "can_list_autotasks", "can_manage_autotasks", "can_run_autotasks"
ONBOARDS = (2, 6, 0)
CREATED = "The task has been created. It will show up on the agent on next checkin"
NEEDED = {
    "script": {
        "script": "A script action type must have a 'script' field with primary key of script",
        "script_args": "A script action type must have a 'script_args' field with an array of arguments",
        "timeout": "A script action type must have a 'timeout' field",
    },
    "cmd": {
        "command": "A command action type must have a 'command' field",
        "timeout": "A command action type must have a 'timeout' field",
    },
}


class TasksView:
    """`/tasks/…` and `/agents/{agent_id}/tasks/`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._world = backend.world
        self._database = backend.database
        self._visibility = Visibility(backend)

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        one = "/tasks/{id:int}/"
        return (
            Route("GET", "/tasks/", self.all, LISTED),
            Route("POST", "/tasks/", self.create, MANAGED),
            Route("GET", one, self.get, LISTED),
            Route("PUT", one, self.update, MANAGED),
            Route("DELETE", one, self.delete, MANAGED),
            Route("POST", one + "run/", self.run, RUN),
            Route("GET", "/agents/{agent_id:agent}/tasks/", self.of_agent, LISTED),
        )

    def all(self, asked: Asked) -> HTTPReply:
        """`GET /tasks/`: all of them, the policies' too; without results."""
        rows, pks = self._database.all_tasks(), {agent.pk for agent in self._visibility.agents(asked)}
        return said([self._shown(row) for row in rows if row["agent"] is None or row["agent"] in pks])

    def of_agent(self, asked: Asked) -> HTTPReply:
        """`GET /agents/{agent_id}/tasks/`: with results, those that have any; its policies' tasks too."""
        agent = self._world.agent(asked.params["agent_id"])
        own = [row for row in self._database.all_tasks() if row["agent"] == agent.pk]
        rows = self._database.on_agents.items()
        on_it = {number: row for (what, number, pk), row in rows if (what, pk) == ("task", agent.pk)}
        given = [shown(self._backend, row, on_it) for row in given_tasks(self._database, agent)]
        return said([*(self._shown(row, result=True) for row in own), *given])

    def get(self, asked: Asked) -> HTTPReply:
        """`GET /tasks/{id}/`: without its result."""
        return said(self._shown(self._task(asked)))

    def _task(self, asked: Asked) -> Row:
        row = self._database.task(asked.params["id"])
        self._visibility.check_agent(asked, self._database.agent_of(row))
        return row

    def _shown(self, row: Row, *, result: bool = False) -> Row:
        return shown(self._backend, row, self._database.results if result else {})

    def create(self, asked: Asked) -> HTTPReply:
        """`POST /tasks/`: for an `agent`, by its id, or a `policy`; the answer is always the same."""
        body = Fields.of(asked).plain()
        self._database.all_tasks()
        if "agent" in body:
            agent = self._world.agent(str(body["agent"]))
            self._visibility.check_agent(asked, agent)
            body["agent"] = agent.pk
            if "task_type" not in body:
                crash()
            if body["task_type"] == "onboarding" and _version(agent) < ONBOARDS:
                refuse("Onboarding tasks require agent >= 2.6.0")
        values = self._database.tasks.form.read(body)
        if "actions" in values:
            _examine_actions(values["actions"])
        schedules.examine(values, self._world.clock())
        row = self._database.tasks.add(values, asked.user)
        self._database.task_changed(row)
        row["win_task_name"] = row["win_task_name"] or f"TacticalRMM_{row['id']:035}"
        if (owner := self._database.agent_of(row)) is not None and row["policy"] is None:
            self._backend.runner.later(self._hand_over(row, owner))
        self._backend.activity.log(
            asked.user, "add", "automatedtask", f"{asked.user} added automatedtask {row['name']}"
        )
        return said(CREATED)

    def update(self, asked: Asked) -> HTTPReply:
        """`PUT /tasks/{id}/`: what was given; its schedule only together with the `task_type`."""
        row, body = self._task(asked), Fields.of(asked)
        values = self._database.tasks.form.read(body, partial=True)
        if "actions" in values:
            _examine_actions(values["actions"])
        if "task_type" in values:
            schedules.examine(values, self._world.clock())
        else:
            values = {name: value for name, value in values.items() if name not in schedules.SCHEDULE}
        self._database.tasks.change(row, values, asked.user)
        self._database.task_changed(row)
        return said("The task was updated")

    def delete(self, asked: Asked) -> HTTPReply:
        """`DELETE /tasks/{id}/`: of an agent when it has answered; of a policy at once, of both never."""
        row = self._task(asked)
        number, agent = int(str(row["id"])), self._database.agent_of(row)
        if agent is None or (row["policy"] is None and (self._backend.bus.hears(agent) or _is_posix(agent))):
            self._world.tasks.pop(number, None)
            self._database.tasks.remove(number)
            self._database.task_changed(row)
        elif row["policy"] is None:
            results = self._database.results
            first = self._database.first_result(number, agent)
            results[number] = results.get(number, first) | {"sync_status": "pendingdeletion"}
        return said(f"{row['name']} will be deleted shortly")

    async def _hand_over(self, row: Row, agent: Agent) -> None:
        """Bring a new task to its agent; what runs no Windows gets it when it is due."""
        hears = self._backend.bus.hears(agent) or _is_posix(agent)
        number = int(str(row["id"]))
        first = self._database.first_result(number, agent)
        self._database.results.setdefault(number, first | {"sync_status": "synced" if hears else "initial"})

    def run(self, asked: Asked) -> HTTPReply:
        """`POST /tasks/{id}/run/`: on its agent, or a policy's task on the agent whose `agent_id` is given.

        The answer comes before anything has run, and is the same if nothing does.
        """
        row, body = self._task(asked), Fields.of(asked)
        chosen = str(body.get("agent_id", ""))
        if chosen:
            self._visibility.check_agent_id(asked, chosen)
        agent = self._world.agents.get(chosen) if chosen else self._database.agent_of(row)
        if agent is not None and self._backend.bus.hears(agent):
            self._backend.runner.later(perform(self._backend, row, agent))
        return said(f"{row['name']} will now be run.")


def _is_posix(agent: Agent) -> bool:
    return agent.plat != "windows"


def _version(agent: Agent) -> tuple[int, ...]:
    return tuple(int(part) for part in agent.version.split(".") if part.isdecimal())


async def perform(backend: Backend, row: Row, agent: Agent) -> None:
    """Run the actions of a task on an agent, and keep what came of it."""
    number, database = int(str(row["id"])), backend.database
    result = database.first_result(number, agent)
    if row["policy"] is not None:
        result = database.result_of_policy("task", number, agent)
    else:
        database.results[number] = result
    result["run_status"] = "running"
    actions = row["actions"] if isinstance(row["actions"], list) else []
    runs = [await backend.runner.start(agent, _order(action)).outcome() for action in actions]
    result |= _outcome(runs) | {"last_run": iso(backend.world.clock())}


def _order(action: Row) -> RunOrder:
    command = action.get("command")
    args = action.get("script_args")
    return RunOrder(
        script=int(str(action.get("script") or 0)),
        output="task",
        args=tuple(str(arg) for arg in args) if isinstance(args, list) else (),
        timeout=int(str(action["timeout"])),
        command=None if command is None else str(command),
        shell=str(action.get("shell", "")),
    )


def _outcome(runs: Sequence[Run]) -> Row:
    failed = [run.retcode for run in runs if run.retcode]
    return {
        "retcode": failed[0] if failed else 0,
        "stdout": "".join(run.stdout for run in runs),
        "stderr": "".join(run.stderr for run in runs),
        "execution_time": f"{sum(run.execution_time or 0.0 for run in runs):.4f}",
        "status": "failing" if failed else "passing",
        "run_status": "completed",
    }


def _examine_actions(actions: object) -> None:
    if not actions or not isinstance(actions, list):
        raise wrong({"actions": ["There must be at least one action configured"]})
    for action in actions:
        if not isinstance(action, dict):
            crash()
        if "type" not in action:
            raise wrong({"actions": ["Each action must have a type field of either 'script' or 'cmd'"]})
        for name, words in NEEDED.get(str(action["type"]), {}).items():
            if name not in action:
                raise wrong({"actions": [words]})


def shown(backend: Backend, row: Row, results: Mapping[int, Row]) -> Row:
    """Return a task as the server shows it: with its result, if `results` has one."""
    number = row["assigned_check"]
    check = backend.database.checks.rows.get(number) if isinstance(number, int) else None
    return {
        **row,
        **({"check_name": readable(backend, check)} if check else {}),
        "schedule": schedules.words(row),
        "alert_template": brief(backend.database, backend.database.agent_of(row), "task"),
        "task_result": results.get(int(str(row["id"])), {}),
    }
