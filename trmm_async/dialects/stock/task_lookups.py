"""What a task is set up with, looked up first: a stock server takes one that can do nothing without a word.

It does not look whether there is such a script, and later drops the action; a check of something else never
starts the task; and on Linux and macOS it keeps the clock itself, by the time of the day alone. Over
`agents` and `creation`.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec

from trmm_async.calls import Steps
from trmm_async.dialects.stock.agents import agent_ids_by_key
from trmm_async.dialects.stock.creation import look_up
from trmm_async.dialects.stock.endpoint import read
from trmm_async.errors import InvalidRequestError, PermissionDeniedError
from trmm_async.kinds import Daily, Monthly, MonthlyByWeekday, Once, OnFailure, TaskSchedule, Weekly

__all__ = ["look_at_new", "look_at_schedule_of", "look_at_scripts", "scripts_of"]


class _InLibrary(msgspec.Struct):
    id: int


class _Owned(msgspec.Struct):
    id: int
    agent: int | None = None
    policy: int | None = None


class _Machine(msgspec.Struct):
    plat: str = ""


SCRIPT: Final = read("tasks.set_up", "/scripts/{script:id}/", _InLibrary)
CHECK: Final = read("tasks.update", "/checks/{check:id}/", _Owned)
OF_AGENT: Final = read("tasks.set_up", "/agents/{agent:agent}/checks/", list[_Owned])
OF_POLICY: Final = read("tasks.set_up", "/automation/policies/{policy:id}/checks/", list[_Owned])
TASK: Final = read("tasks.update", "/tasks/{task:id}/", _Owned)
MACHINE: Final = read("tasks.set_up", "/agents/{agent:agent}/", _Machine)


def scripts_of(body: Mapping[str, Any]) -> list[int]:
    """The scripts of a task that are given by their ids: those given by names have been looked up."""
    scripts = [action.get("script") for action in body.get("actions", ())]
    return [script for script in dict.fromkeys(scripts) if isinstance(script, int)]


def look_at_scripts(scripts: Iterable[int]) -> Steps[None]:
    """Look up the scripts of a task.

    Raises (in its steps):
        NotFoundError: there is no such script.
    """
    yield from look_up(*(SCRIPT.call(script) for script in scripts))


def look_at_new(schedule: TaskSchedule, body: Mapping[str, Any]) -> Steps[None]:
    """Look up what the schedule of a new task asks of its agent, or its policy; they stand in its `body`.

    Raises (in its steps):
        InvalidRequestError: its check is of something else, or it would not be kept to there.
        NotFoundError: there is no such check or agent.
    """
    agent, policy, unheeded = body.get("agent"), body.get("policy"), _unheeded(schedule)
    if isinstance(schedule, OnFailure):
        check = body["assigned_check"]
        with suppress(PermissionDeniedError):
            listed = yield from (OF_POLICY.call(policy) if agent is None else OF_AGENT.call(agent))
            own = {one.id for one in listed if one.policy == policy or agent is None}
            _require(check in own, check, f"policy {policy}" if agent is None else f"agent {agent}")
    if unheeded and agent is not None:
        yield from _look_at_machine(agent, unheeded)
    platforms = body.get("task_supported_platforms", ("windows",))
    if unheeded and agent is None and platforms and "windows" not in platforms:
        raise _kept_by_the_server(unheeded, " and ".join(platforms))


def look_at_schedule_of(task: int, schedule: TaskSchedule, body: Mapping[str, Any]) -> Steps[None]:
    """The same for another schedule of a task that is there."""
    unheeded = _unheeded(schedule)
    if not unheeded and not isinstance(schedule, OnFailure):
        return
    owner = yield from TASK.call(task)
    if isinstance(schedule, OnFailure):
        check = body["assigned_check"]
        with suppress(PermissionDeniedError):
            found = yield from CHECK.call(check)
            same = (found.agent, found.policy) == (owner.agent, owner.policy)
            _require(same, check, "what the task is of")
    if unheeded and owner.agent is not None and owner.policy is None:
        with suppress(PermissionDeniedError):
            ids = yield from agent_ids_by_key()
            if owner.agent in ids:
                yield from _look_at_machine(ids[owner.agent], unheeded)


def _require(of_it: bool, check: int, owner: str) -> None:
    if not of_it:
        raise InvalidRequestError(
            f"schedule: check {check} is none of {owner}: "
            "a task is started by a check of its own agent or policy"
        )


def _look_at_machine(agent: str, unheeded: str) -> Steps[None]:
    with suppress(PermissionDeniedError):
        machine = yield from MACHINE.call(agent)
        if machine.plat in {"linux", "darwin"}:
            raise _kept_by_the_server(unheeded, machine.plat)


def _kept_by_the_server(unheeded: str, where: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"schedule: {unheeded} would be passed over on {where}: there the server starts tasks itself, "
        "at their time on each day that fits. Leave it out"
    )


def _unheeded(schedule: TaskSchedule) -> str:
    """What counts on Windows alone, by its name; empty where all of it counts everywhere."""
    if not isinstance(schedule, Once | Daily | Weekly | Monthly | MonthlyByWeekday):
        return ""
    if isinstance(schedule, Daily | Weekly) and schedule.every != 1:
        return f"every={schedule.every}"
    if schedule.random_delay is not None:
        return "random_delay"
    if schedule.repeat_every is not None:
        return "repeat_every"
    if schedule.run_if_missed:
        return "run_if_missed"
    # One that is to go when it has expired is deleted by the server, wherever it ran.
    return "expires" if schedule.expires is not None and not schedule.remove_when_expired else ""
