"""Checks, tasks and policies of a stock server, beyond their lists."""

from datetime import datetime
from functools import partial
from typing import Any, Final

import msgspec

from trmm_async import codec
from trmm_async.administration import CheckHistoryPoint, Policy, PolicyUse
from trmm_async.calls import Call, Plan, Replay, Steps, ask
from trmm_async.dialects.library import Changes
from trmm_async.dialects.stock.agents import agent_ids_by_key
from trmm_async.dialects.stock.nouns import checks_of
from trmm_async.dialects.stock.tasks import owner_of_task, task_of, tasks_of
from trmm_async.dialects.stock.wording import change, change_for, get, segment
from trmm_async.errors import InvalidRequestError, NotFoundError
from trmm_async.models import Check, ClientRef, SiteRef, Task

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

    def list_policies(self) -> Call[list[Policy]]:
        return get("/automation/policies/", _policies)

    def get_policy(self, policy_id: int) -> Call[Policy]:
        return get(f"/automation/policies/{policy_id}/", _policy)

    def policy_use(self, policy_id: int) -> Plan[PolicyUse]:
        return Plan(partial(_policy_use, policy_id))

    def policy_checks(self, policy_id: int) -> Call[list[Check]]:
        return get(f"/automation/policies/{policy_id}/checks/", partial(checks_of, agent_ids={}))

    def policy_tasks(self, policy_id: int) -> Call[list[Task]]:
        return get(f"/automation/policies/{policy_id}/tasks/", partial(tasks_of, agent_ids={}))


class _Point(msgspec.Struct):
    x: datetime | None = None
    y: float | None = None
    results: Any = None


def _history(body: bytes) -> list[CheckHistoryPoint]:
    return [
        CheckHistoryPoint(time=one.x, value=one.y, results=one.results)
        for one in codec.decoder(list[_Point])(body)
    ]


def _get_task(task_id: int) -> Steps[Task]:
    """The task, and the id of its agent, of which the server tells another."""
    task, agent = yield from ask(get(f"/tasks/{task_id}/", _task_and_agent))
    if agent is None:
        return task
    ids = yield from ask(get("/agents/", agent_ids_by_key, query={"detail": "false"}))
    return msgspec.structs.replace(task, agent_id=ids.get(agent))


def _task_and_agent(body: bytes) -> tuple[Task, int | None]:
    return task_of(body, {}), owner_of_task(body).agent


def _run_own_task(task_id: int) -> Steps[None]:
    """The server promises to run a policy's task on no agent too, and then runs nothing."""
    owner = yield from ask(get(f"/tasks/{task_id}/", owner_of_task))
    if owner.agent is None:
        raise InvalidRequestError(
            f"task {task_id} is a policy's and has no agent of its own: name one, agent=…"
        )
    yield from ask(change("POST", f"/tasks/{task_id}/run/", {}))


class _Policy(msgspec.Struct):
    id: int
    name: str = ""
    desc: str | None = None
    active: bool | None = None
    enforced: bool | None = None
    alert_template: int | None = None
    excluded_sites: tuple[int, ...] = ()
    excluded_clients: tuple[int, ...] = ()
    excluded_agents: tuple[int, ...] = ()
    default_server_policy: bool | None = None
    default_workstation_policy: bool | None = None
    agents_count: int | None = None


def _policies(body: bytes) -> list[Policy]:
    return [_policy_noun(one) for one in codec.decoder(list[_Policy])(body)]


def _policy(body: bytes) -> Policy:
    return _policy_noun(codec.decoder(_Policy)(body))


def _policy_noun(sent: _Policy) -> Policy:
    fields = msgspec.structs.asdict(sent)
    return Policy(
        description=fields.pop("desc"),
        default_server=fields.pop("default_server_policy"),
        default_workstation=fields.pop("default_workstation_policy"),
        **fields,
    )


class _UsedAgent(msgspec.Struct):
    agent_id: str


class _Use(msgspec.Struct):
    pk: int | None = None
    server_clients: tuple[ClientRef, ...] = ()
    server_sites: tuple[SiteRef, ...] = ()
    workstation_clients: tuple[ClientRef, ...] = ()
    workstation_sites: tuple[SiteRef, ...] = ()
    agents: tuple[_UsedAgent, ...] = ()
    is_default_server_policy: bool = False
    is_default_workstation_policy: bool = False


def _policy_use(policy_id: int) -> Steps[PolicyUse]:
    """Of a policy that is not there the server answers as of one that is nowhere used, without its key."""
    call = get(f"/automation/policies/{policy_id}/related/", codec.decoder(_Use))
    sent = yield from ask(call)
    if sent.pk is None:
        raise NotFoundError(404, f"there is no policy {policy_id}", method=call.method, path=call.path)
    return PolicyUse(
        server_clients=sent.server_clients,
        server_sites=sent.server_sites,
        workstation_clients=sent.workstation_clients,
        workstation_sites=sent.workstation_sites,
        agents=tuple(agent.agent_id for agent in sent.agents),
        default_server=sent.is_default_server_policy,
        default_workstation=sent.is_default_workstation_policy,
    )
