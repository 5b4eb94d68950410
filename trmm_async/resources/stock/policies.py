"""`trmm.policies`."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from trmm_async.calls import Call, Plan, Steps
from trmm_async.dialects.stock.endpoint import delete, read
from trmm_async.dialects.stock.nouns import checks_of
from trmm_async.dialects.stock.tasks import tasks_of
from trmm_async.errors import NotFoundError
from trmm_async.models import Check, ClientRef, Noun, SiteRef, Task, no_extra
from trmm_async.resources.resource import Resource

__all__ = ["Policies", "Policy", "PolicyUse"]


class Policy(Noun, frozen=True, kw_only=True, gc=False):
    """An automation policy; what is excluded from it is named by ids.

    `default_server`, `default_workstation` and `agents_count` are told by `policies.list` alone.
    """

    id: int
    name: str = ""
    description: str | None = None
    active: bool | None = None
    enforced: bool | None = None
    alert_template: int | None = None
    excluded_sites: tuple[int, ...] = ()
    excluded_clients: tuple[int, ...] = ()
    excluded_agents: tuple[int, ...] = ()
    default_server: bool | None = None
    default_workstation: bool | None = None
    agents_count: int | None = None
    extra: Mapping[str, Any] = no_extra()


_WIRE: Final[Mapping[str, str]] = {
    "description": "desc",
    "default_server": "default_server_policy",
    "default_workstation": "default_workstation_policy",
}


class PolicyUse(Noun, frozen=True, kw_only=True, gc=False):
    """Where a policy is set directly; agents by their ids. What inherits it from there is not in it."""

    server_clients: tuple[ClientRef, ...] = ()
    server_sites: tuple[SiteRef, ...] = ()
    workstation_clients: tuple[ClientRef, ...] = ()
    workstation_sites: tuple[SiteRef, ...] = ()
    agents: tuple[str, ...] = ()
    default_server: bool = False
    default_workstation: bool = False
    extra: Mapping[str, Any] = no_extra()


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
    extra: Mapping[str, Any] = no_extra()


_ONE: Final = "/automation/policies/{policy:id}/"

LIST = read("policies.list", "/automation/policies/", list[Policy], wire=_WIRE)
GET = read("policies.get", _ONE, Policy, wire=_WIRE)
RELATED = read("policies.related", _ONE + "related/", _Use)
CHECKS = read("policies.checks", _ONE + "checks/", list[Check], decode=checks_of(None))
DELETE = delete("policies.delete", _ONE)
TASKS = read("policies.tasks", _ONE + "tasks/", list[Task], decode=tasks_of({}))


class Policies(Resource):
    """Automation policies of a stock server, to be read and deleted. Every method raises `TRMMError`s only.

    On a gateway they are an `UnsupportedError`.
    """

    async def get(self, policy: int | Policy) -> Policy:
        """One policy.

        Raises:
            NotFoundError: there is no such policy.
        """
        return await self._send(GET, policy)

    async def related(self, policy: int | Policy) -> PolicyUse:
        """Where a policy is set.

        Raises:
            NotFoundError: there is no such policy.
        """
        return await self._on_stock(RELATED.name, use_of(RELATED.call(policy)))

    async def checks(self, policy: int | Policy) -> list[Check]:
        """A policy's checks. They have no results of their own: those are in `checks.list(agent=…)`."""
        return await self._send(CHECKS, policy)

    async def tasks(self, policy: int | Policy) -> list[Task]:
        """A policy's tasks; `tasks.run(task, agent=…)` runs one."""
        return await self._send(TASKS, policy)

    async def delete(self, policy: int | Policy) -> None:
        """Remove a policy with its checks and tasks, in use or not. Gone already counts as success."""
        await self._send(DELETE, policy)

    async def list(self) -> list[Policy]:
        """All policies."""
        return await self._send(LIST)


def use_of(call: Call[_Use]) -> Plan[PolicyUse]:
    """Where a policy is set: of one that is not there the server says that it is nowhere, without its key."""

    def steps() -> Steps[PolicyUse]:
        sent = yield from call
        if sent.pk is None:
            policy = call.path.split("/")[-3]
            raise NotFoundError(404, f"there is no policy {policy}", method=call.method, path=call.path)
        return PolicyUse(
            server_clients=sent.server_clients,
            server_sites=sent.server_sites,
            workstation_clients=sent.workstation_clients,
            workstation_sites=sent.workstation_sites,
            agents=tuple(agent.agent_id for agent in sent.agents),
            default_server=sent.is_default_server_policy,
            default_workstation=sent.is_default_workstation_policy,
            extra=sent.extra,
        )

    return Plan(steps)
