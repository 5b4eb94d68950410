"""Checks what a task refers to before it is sent: a stock server accepts tasks that can't work.

It doesn't check that a script exists, and later drops the action. A check of another agent or policy never
starts the task. On Linux and macOS, the server itself starts tasks, by the time of day only.

Over `agents` and `creation`.
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
    """The scripts of a task that are given by their ids. Those given by name are looked up anyway."""
    scripts = [action.get("script") for action in body.get("actions", ())]
    return [script for script in dict.fromkeys(scripts) if isinstance(script, int)]


def look_at_scripts(scripts: Iterable[int]) -> Steps[None]:
    """Look up the scripts of a task.

    Raises (in its steps):
        NotFoundError: there is no such script.
    """
    yield from look_up(*(SCRIPT.call(script) for script in scripts))


def look_at_new(schedule: TaskSchedule, body: Mapping[str, Any]) -> Steps[None]:
    """Check that the schedule of a new task can work with its agent or policy, which are in the `body`.

    Raises (in its steps):
        InvalidRequestError: its check belongs to another agent or policy, or its agent ignores a setting.
        NotFoundError: there is no such check or agent.
    """
    agent, policy, windows_only = body.get("agent"), body.get("policy"), _windows_only_setting(schedule)
    if isinstance(schedule, OnFailure):
        check = body["assigned_check"]
        with suppress(PermissionDeniedError):
            listed = yield from (OF_POLICY.call(policy) if agent is None else OF_AGENT.call(agent))
            own = {one.id for one in listed if one.policy == policy or agent is None}
            _require(check in own, check, f"policy {policy}" if agent is None else f"agent {agent}")
    if windows_only and agent is not None:
        yield from _look_at_machine(agent, windows_only)
    platforms = body.get("task_supported_platforms", ("windows",))
    if windows_only and agent is None and platforms and "windows" not in platforms:
        raise _ignored_there(windows_only, " and ".join(platforms))


def look_at_schedule_of(task: int, schedule: TaskSchedule, body: Mapping[str, Any]) -> Steps[None]:
    """The same for a new schedule of an existing task."""
    windows_only = _windows_only_setting(schedule)
    if not windows_only and not isinstance(schedule, OnFailure):
        return
    owner = yield from TASK.call(task)
    if isinstance(schedule, OnFailure):
        check = body["assigned_check"]
        with suppress(PermissionDeniedError):
            found = yield from CHECK.call(check)
            same = (found.agent, found.policy) == (owner.agent, owner.policy)
            _require(same, check, "what the task is of")
    if windows_only and owner.agent is not None and owner.policy is None:
        with suppress(PermissionDeniedError):
            ids = yield from agent_ids_by_key()
            if owner.agent in ids:
                yield from _look_at_machine(ids[owner.agent], windows_only)


def _require(of_it: bool, check: int, owner: str) -> None:
    if not of_it:
        raise InvalidRequestError(
            f"schedule: check {check} is none of {owner}: "
            "a task is started by a check of its own agent or policy"
        )


def _look_at_machine(agent: str, windows_only: str) -> Steps[None]:
    with suppress(PermissionDeniedError):
        machine = yield from MACHINE.call(agent)
        if machine.plat in {"linux", "darwin"}:
            raise _ignored_there(windows_only, machine.plat)


def _ignored_there(windows_only: str, where: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"schedule: {windows_only} would be passed over on {where}: there the server starts tasks itself, "
        "at their time on each day that fits. Leave it out"
    )


def _windows_only_setting(schedule: TaskSchedule) -> str:
    """A setting of the schedule that only Windows agents obey; empty if there is none."""
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
    # A task that is removed when it has expired is deleted by the server, on every system.
    return "expires" if schedule.expires is not None and not schedule.remove_when_expired else ""
