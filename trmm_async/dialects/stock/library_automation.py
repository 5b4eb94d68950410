"""Checks and tasks of a stock server, beyond their lists."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec

from trmm_async import codec
from trmm_async.administration import CheckHistoryPoint
from trmm_async.calls import Call, Plan, Replay, Steps
from trmm_async.dialects.library import Changes
from trmm_async.dialects.stock.agents import AGENTS, SHORT, agent_ids_by_key
from trmm_async.dialects.stock.endpoint import read_as
from trmm_async.dialects.stock.tasks import owner_of_task, task_of
from trmm_async.dialects.stock.wording import change, change_for, get, segment
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Moment, Task, no_extra

__all__ = ["StockAutomation"]

_RUN_CHECKS_SECONDS: Final = 15.0
"""How long the server waits for an agent to say that it runs its checks."""


class StockAutomation:
    """See `Library`."""

    def run_checks(self, agent_id: str) -> Call[None]:
        return change("POST", f"/checks/{segment(agent_id)}/run/", waits=_RUN_CHECKS_SECONDS)

    def reset_check(self, result_id: int) -> Call[None]:
        return change("POST", f"/checks/{result_id}/reset/", replay=Replay.IDEMPOTENT)

    def reset_checks(self, agent_id: str) -> Call[None]:
        return change("POST", f"/checks/{segment(agent_id)}/resetall/", replay=Replay.IDEMPOTENT)

    def check_history(self, result_id: int, days: int | None) -> Call[list[CheckHistoryPoint]]:
        body = {} if days is None else {"timeFilter": days}
        return change_for(_history, "PATCH", f"/checks/{result_id}/history/", body, replay=Replay.SAFE)

    def get_task(self, task_id: int) -> Plan[Task]:
        return Plan(partial(_get_task, task_id))

    def update_task(self, task_id: int, changes: Changes) -> Call[None]:
        return change("PUT", f"/tasks/{task_id}/", changes, replay=Replay.IDEMPOTENT)

    def delete_task(self, task_id: int) -> Call[None]:
        return change("DELETE", f"/tasks/{task_id}/")

    def run_task(self, task_id: int, agent_id: str | None) -> Call[None] | Plan[None]:
        if agent_id is None:
            return Plan(partial(_run_own_task, task_id))
        return change("POST", f"/tasks/{task_id}/run/", {"agent_id": agent_id})


class _Point(msgspec.Struct):
    x: Moment | None = None
    y: float | None = None
    results: Any = None
    extra: Mapping[str, Any] = no_extra()


def _history(body: bytes) -> list[CheckHistoryPoint]:
    return [
        CheckHistoryPoint(time=one.x, value=one.y, results=one.results, extra=one.extra)
        for one in codec.decoder(list[_Point])(body)
    ]


def _get_task(task_id: int) -> Steps[Task]:
    """The task, and the id of its agent, of which the server tells another."""
    task, agent = yield from get(f"/tasks/{task_id}/", _task_and_agent)
    if agent is None:
        return task
    ids = yield from read_as(AGENTS.call(query=SHORT), agent_ids_by_key)
    return msgspec.structs.replace(task, agent_id=ids.get(agent))


def _task_and_agent(body: bytes) -> tuple[Task, int | None]:
    return task_of(body, {}), owner_of_task(body).agent


def _run_own_task(task_id: int) -> Steps[None]:
    """The server promises to run a policy's task on no agent too, and then runs nothing."""
    owner = yield from get(f"/tasks/{task_id}/", owner_of_task)
    if owner.agent is None:
        raise InvalidRequestError(
            f"task {task_id} is a policy's and has no agent of its own: name one, agent=…"
        )
    yield from change("POST", f"/tasks/{task_id}/run/", {})
