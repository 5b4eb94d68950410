"""`trmm.policies`, and their patch policies, `trmm.policies.patches`."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final, TypedDict, Unpack

import msgspec

from trmm_async import arguments
from trmm_async.calls import Steps, plan
from trmm_async.dialects.stock.agents import agent_ids_by_key
from trmm_async.dialects.stock.creation import look_up, make
from trmm_async.dialects.stock.endpoint import Sent, Wire, delete, put, read, read_as, send
from trmm_async.dialects.stock.nouns import checks_of
from trmm_async.dialects.stock.tasks import tasks_of
from trmm_async.errors import InvalidRequestError, NotFoundError
from trmm_async.kinds import Task
from trmm_async.models import Agent, Check, Noun, no_extra
from trmm_async.resources.api import Api
from trmm_async.resources.names import AnyClient, AnySite
from trmm_async.resources.resource import Resource, refuse_in_use, refuse_loss
from trmm_async.resources.stock.patch_policies import (
    PATCHES,
    PatchChanges,
    PatchPolicy,
    patch_policy_of,
    patch_settings,
)
from trmm_async.resources.stock.policy_places import (
    OVERVIEW,
    RELATED,
    ClientPolicies,
    PolicyUse,
    names_of,
    use_of,
)
from trmm_async.words import MonitoringType

__all__ = [
    "CHECKS",
    "EXCLUDED_AGENTS",
    "TASKS",
    "PatchPolicies",
    "Policies",
    "Policy",
    "PolicyChanges",
    "excluded_by_number",
]


class Policy(Noun, frozen=True, kw_only=True, gc=False):
    """An automation policy. Exclusions are ids.

    `default_server`, `default_workstation`, `agents_count` and `patch_policy` are set by `policies.list`
    only. Excluded agents are the server's integers for them.
    """

    id: int
    """The server's id of it."""
    name: str = ""
    """The name."""
    description: str | None = None
    """The description."""
    active: bool | None = None
    """Whether it reaches anybody."""
    enforced: bool | None = None
    """Whether it goes before what agents have themselves."""
    alert_template: int | None = None
    """Its alert template, by id."""
    excluded_sites: tuple[int, ...] = ()
    """Sites that it does not reach, by id."""
    excluded_clients: tuple[int, ...] = ()
    """Clients that it does not reach, by id."""
    excluded_agents: tuple[int, ...] = ()
    """Agents that it does not reach, by id."""
    default_server: bool | None = None
    default_workstation: bool | None = None
    agents_count: int | None = None
    patch_policy: PatchPolicy | None = None
    extra: Mapping[str, Any] = no_extra()


EXCLUDED_AGENTS: Final = arguments.each(
    lambda value, what: (
        arguments.object_id(value, what) if isinstance(value, int) else arguments.agent_id(value)
    )
)
"""Checks agents that are given by their ids, as agents, or by the server's integers for them."""


class _PolicyOptions(TypedDict, total=False):
    description: str | None
    active: bool
    enforced: bool
    alert_template: Any
    excluded_sites: Iterable[AnySite]
    excluded_clients: Iterable[AnyClient]
    excluded_agents: Iterable[int | str | Agent]


class PolicyChanges(_PolicyOptions, total=False):
    """Settings of a policy. What is not given stays unchanged; None removes a value.

    Excluded sites and clients are given by id, name or object; excluded agents by their ids, as agents, or by
    the integers of `Policy.excluded_agents`.
    """

    name: str


_CHECKS: Final[arguments.Checks] = {
    "name": partial(arguments.short_text, most=255),
    "description": ("desc", arguments.or_none(partial(arguments.short_text, most=255, empty=True))),
    "active": arguments.boolean,
    "enforced": arguments.boolean,
    "alert_template": arguments.or_none(arguments.object_id),
    "excluded_sites": arguments.references,
    "excluded_clients": arguments.references,
    "excluded_agents": EXCLUDED_AGENTS,
}

EXCLUDED: Final[Mapping[str, str]] = {"excluded_sites": "site", "excluded_clients": "client"}
"""What may be excluded by name, and of which kind it is."""

_ALONE: Final[Mapping[str, str]] = {
    "description": "desc",
    "default_server": "default_server_policy",
    "default_workstation": "default_workstation_policy",
}
_WIRE: Final[Wire] = {
    **_ALONE,
    "patch_policy": Sent("winupdatepolicy", tuple[PatchPolicy, ...], patch_policy_of),
}


class _Place(msgspec.Struct):
    id: int


_ONE: Final = "/automation/policies/{policy:id}/"

LIST = read("policies.list", "/automation/policies/", list[Policy], wire=_WIRE)
GET = read("policies.get", _ONE, Policy, wire=_ALONE)
CHECKS = read("policies.checks", _ONE + "checks/", list[Check], decode=checks_of(None))
DELETE = delete("policies.delete", _ONE)
CREATE = send("policies.create", "/automation/policies/")
UPDATE = put("policies.update", _ONE)
ASSIGN_AGENT = put("policies.assign", "/agents/{agent:agent}/")
ASSIGN_CLIENT = put("policies.assign", "/clients/{client:id}/", needs="client")
ASSIGN_SITE = put("policies.assign", "/clients/sites/{site:id}/", needs="site")
ASSIGN_ALL = put("policies.assign", "/core/settings/")
_PATCH: Final = "/automation/patchpolicy/{patch_policy:id}/"
CREATE_PATCH = send("policies.patches.create", "/automation/patchpolicy/", needs="policy")
UPDATE_PATCH = put("policies.patches.update", _PATCH)
DELETE_PATCH = delete("policies.patches.delete", _PATCH)
RESET_PATCH = put("policies.patches.reset", "/automation/patchpolicy/reset/", method="POST")
CLIENT_THERE = read("policies.patches.reset", "/clients/{client:id}/", _Place)
SITE_THERE = read("policies.patches.reset", "/clients/sites/{site:id}/", _Place)
TASKS = read("policies.tasks", _ONE + "tasks/", list[Task], decode=tasks_of({}))


class Policies(Resource):
    """Automation policies of a stock server. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`. The server caches the policies of an agent for
    ten minutes: an `assign` to an agent, or an exclusion, may take effect that late.

    Attributes:
        patches: the patch policies of policies.
    """

    patches: "PatchPolicies"

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self.patches = PatchPolicies(api)

    async def get(self, policy: int | Policy) -> Policy:
        """Get one policy.

        Raises:
            NotFoundError: there is no such policy.
        """
        return await self._send(GET, policy)

    async def related(self, policy: int | Policy) -> PolicyUse:
        """Get the places where a policy is assigned.

        Raises:
            NotFoundError: there is no such policy.
        """
        return await self._on_stock(RELATED.name, use_of(arguments.object_id(policy, "policy")))

    async def checks(self, policy: int | Policy) -> list[Check]:
        """List a policy's checks. They have no results, which are in `checks.list(agent=…)`."""
        return await self._send(CHECKS, policy)

    async def tasks(self, policy: int | Policy) -> list[Task]:
        """List a policy's tasks. `tasks.run(task, agent=…)` runs one."""
        return await self._send(TASKS, policy)

    async def create(
        self, *, name: str, copy_of: int | Policy | None = None, **settings: Unpack[_PolicyOptions]
    ) -> Policy:
        """Create a policy and return it. It is not assigned yet: see `assign`. Never sent twice.

        Args:
            name: a unique name.
            copy_of: a policy whose checks and tasks are copied. Its alert template, exclusions and patch
                policy are not copied, nor the environment variables of its script checks, nor tasks that run
                on failure without their check.
            settings: see `PolicyChanges`. The policy is active unless `active=False` is given; the server's
                own default is inactive.

        Raises:
            BadRequestError: there is a policy of this name.
            NotFoundError: the policy to copy doesn't exist; nothing was created.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """
        given: dict[str, object] = {"name": name, "active": True, **settings}
        body = arguments.settings(given, _CHECKS, CREATE.name)
        source = None if copy_of is None else arguments.object_id(copy_of, "copy_of")
        await self._names(CREATE.name).in_body(body, EXCLUDED)
        return await self._on_stock(CREATE.name, _made(body, source))

    async def update(self, policy: int | Policy, **changes: Unpack[PolicyChanges]) -> None:
        """Change settings of a policy. Idempotent: sent again if an answer is lost.

        Raises:
            BadRequestError: there is another of this name, or no such alert template.
            NotFoundError: there is no such policy, or agent.
        """
        policy_id = arguments.object_id(policy, "policy")
        body = arguments.settings(changes, _CHECKS, UPDATE.name)
        await self._names(UPDATE.name).in_body(body, EXCLUDED)
        await self._on_stock(UPDATE.name, _changed(policy_id, body))

    async def assign(
        self,
        policy: int | Policy | None,
        *,
        agent: str | Agent | None = None,
        client: AnyClient | None = None,
        site: AnySite | None = None,
        everywhere: bool = False,
        monitoring_type: MonitoringType | None = None,
    ) -> None:
        """Assign a policy to an agent, a client, a site, or to all agents by default.

        Doing it twice is the same as once. Exactly one of agent, client, site and everywhere must be given.

        Args:
            policy: the policy; None removes the policy that is assigned there.
            agent: this agent, in addition to the policies that it inherits.
            client: the agents of this client.
            site: the agents of this site.
            everywhere: True assigns it to all agents, except those that are excluded or block inheritance.
            monitoring_type: only servers, or only workstations; None for both. It can't be combined with
                `agent`.

        Raises:
            BadRequestError: there is no such policy.
            NotFoundError: there is no such agent, client or site.
        """
        policy_id = None if policy is None else arguments.object_id(policy, "policy")
        everywhere = arguments.boolean(everywhere, "everywhere")
        arguments.exactly_one("policies.assign", agent=agent, client=client, site=site, everywhere=everywhere)
        if agent is not None:
            if monitoring_type is not None:
                raise InvalidRequestError("policies.assign: an agent has one policy, of no monitoring_type")
            await self._send(ASSIGN_AGENT, agent, body={"policy": policy_id})
            return
        kinds: tuple[str, ...] = ("server", "workstation")
        if monitoring_type is not None:
            kinds = (arguments.choice(monitoring_type, "monitoring_type", kinds),)
        body = {f"{kind}_policy": policy_id for kind in kinds}
        if client is not None:
            await self._send(ASSIGN_CLIENT, client, body={"client": body})
        elif site is not None:
            await self._send(ASSIGN_SITE, site, body={"site": body})
        else:
            await self._send(ASSIGN_ALL, body=body)

    async def overview(self) -> list[ClientPolicies]:
        """List all clients and sites with the policies assigned to them, without those that they inherit."""
        return await self._send(OVERVIEW)

    async def delete(
        self, policy: int | Policy, *, with_contents: bool = False, in_use: bool = False
    ) -> None:
        """Delete a policy with its checks and tasks. If it is gone already, that counts as success.

        Args:
            policy: the policy or its id.
            with_contents: True also deletes a policy that has checks or tasks, with them. Without it, they
                are looked up first, and such a policy is not deleted.
            in_use: True also deletes a policy that is assigned somewhere, which removes it there. Without it,
                that is looked up first, and such a policy is not deleted.

        Raises:
            InvalidRequestError: it is in use, or has checks or tasks; nothing was deleted.
        """
        policy_id = arguments.object_id(policy, "policy")
        contents_too = arguments.boolean(with_contents, "with_contents")
        may_be_used = arguments.boolean(in_use, "in_use")
        await self._on_stock(
            DELETE.name, _removed(policy_id, contents_too=contents_too, may_be_used=may_be_used)
        )

    async def list(self) -> list[Policy]:
        """List all policies."""
        return await self._send(LIST)


@plan
def _made(body: dict[str, Any], source: int | None) -> Steps[Policy]:
    """The policy to copy is looked up first: the server creates the new one before it fails to find it."""
    yield from excluded_by_number(body)
    if source is not None:
        yield from GET.call(source)
        body["copyId"] = source
    name = body["name"]
    return (yield from make("policy", LIST.call(), CREATE.call(body=body), lambda made: made.name == name))


@plan
def _changed(policy_id: int, body: dict[str, Any]) -> Steps[None]:
    yield from excluded_by_number(body)
    yield from UPDATE.call(policy_id, body=body)


def excluded_by_number(body: dict[str, Any]) -> Steps[None]:
    """Put the server's integers for agents in the place of their ids, which it refuses here."""
    given = body.get("excluded_agents", [])
    if all(isinstance(one, int) for one in given):
        return
    keys = {agent_id: key for key, agent_id in (yield from agent_ids_by_key()).items()}
    if unknown := [one for one in given if isinstance(one, str) and one not in keys]:
        raise InvalidRequestError(f"excluded_agents: there is no agent {unknown[0]}")
    body["excluded_agents"] = [keys.get(one, one) for one in given]


@plan
def _removed(policy_id: int, *, contents_too: bool, may_be_used: bool) -> Steps[None]:
    what = f"policies.delete: policy {policy_id}"
    if not may_be_used:
        refuse_in_use(what, names_of((yield from RELATED.call(policy_id))))
    if not contents_too:
        checks, tasks = (yield from CHECKS.call(policy_id)), (yield from TASKS.call(policy_id))
        if checks or tasks:
            has = f"{what} has {len(checks)} checks and {len(tasks)} tasks"
            refuse_loss(has, with_contents=contents_too)
    yield from DELETE.call(policy_id)


class PatchPolicies(Resource):
    """The patch policies of policies: how Windows updates are handled. `policies.list` has them.

    Every method raises `TRMMError`s only; a gateway raises `UnsupportedError`. Agents have their own:
    `agents.update(agent, patch_policy={…})`.
    """

    async def create(self, policy: int | Policy, **settings: Unpack[PatchChanges]) -> PatchPolicy:
        """Create the patch policy of a policy and return it. Never sent twice.

        Raises:
            InvalidRequestError: a value is wrong, or the policy has a patch policy already (the server would
                add a second one, and ignore it).
            NotFoundError: there is no such policy.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
        """
        policy_id = arguments.object_id(policy, "policy")
        body = {"policy": policy_id, **patch_settings(settings)}
        return await self._on_stock(CREATE_PATCH.name, _patched(policy_id, body))

    async def update(self, patch_policy: int | PatchPolicy, **changes: Unpack[PatchChanges]) -> None:
        """Change settings of a patch policy, an agent's own too. Doing it twice is the same as once.

        Raises:
            NotFoundError: there is no such patch policy.
        """
        await self._send(
            UPDATE_PATCH, patch_policy, body=arguments.settings(changes, PATCHES, UPDATE_PATCH.name)
        )

    async def delete(self, patch_policy: int | PatchPolicy) -> None:
        """Delete a patch policy. If an answer is lost and it is gone afterwards, that counts as success.

        Raises:
            NotFoundError: there is no such patch policy.
        """
        await self._send(DELETE_PATCH, patch_policy)

    async def reset(
        self,
        *,
        client: AnyClient | None = None,
        site: AnySite | None = None,
        everywhere: bool = False,
    ) -> None:
        """Make the agents' own patch policies inherit again, for a client, a site or all agents.

        Doing it twice is the same as once. Their hours, days and handling of failures are not reset. The
        server doesn't report the number of agents. Exactly one argument must be given.

        Args:
            client: the agents of this client.
            site: the agents of this site.
            everywhere: True for every agent that the key may see.

        Raises:
            NotFoundError: there is no such client or site (the server would accept it, and reset nothing).
        """
        everywhere = arguments.boolean(everywhere, "everywhere")
        place = arguments.exactly_one(RESET_PATCH.name, client=client, site=site, everywhere=everywhere)
        body: dict[str, int] = {}
        if place != "everywhere":
            given = arguments.reference(client if site is None else site, place)
            body[place] = await self._names(RESET_PATCH.name).id_of(place, given)
        await self._on_stock(RESET_PATCH.name, _reset(body))


@plan
def _reset(place: Mapping[str, int]) -> Steps[None]:
    there = {"client": CLIENT_THERE, "site": SITE_THERE}
    yield from look_up(*(there[kind].call(one) for kind, one in place.items()))
    yield from RESET_PATCH.call(body=place)


@plan
def _patched(policy_id: int, body: dict[str, Any]) -> Steps[PatchPolicy]:
    there = {one.id: one for one in (yield from LIST.call())}
    if policy_id not in there:
        raise NotFoundError(404, f"there is no policy {policy_id}", method="GET", path=LIST.path)
    if (has := there[policy_id].patch_policy) is not None:
        raise InvalidRequestError(
            f"policies.patches.create: policy {policy_id} has the patch policy {has.id}: update that one"
        )
    listing = read_as(LIST.call(), _all_patches)
    return (
        yield from make(
            "patch policy", listing, CREATE_PATCH.call(body=body), lambda made: made.policy == policy_id
        )
    )


def _all_patches(body: bytes) -> list[PatchPolicy]:
    return [one.patch_policy for one in LIST.decode(body) if one.patch_policy is not None]
