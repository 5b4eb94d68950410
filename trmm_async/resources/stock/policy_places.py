"""Where policies are assigned: `policies.related` and `policies.overview`."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from trmm_async.calls import Steps, plan
from trmm_async.dialects.stock.endpoint import Sent, Wire, read
from trmm_async.errors import NotFoundError
from trmm_async.models import ClientRef, Noun, SiteRef, no_extra

__all__ = [
    "OVERVIEW",
    "RELATED",
    "ClientPolicies",
    "PolicyPlace",
    "PolicyRef",
    "PolicyUse",
    "names_of",
    "use_of",
]


class PolicyRef(Noun, frozen=True, kw_only=True, gc=False):
    """A policy by its id and its name."""

    id: int
    """The server's id of it."""
    name: str = ""
    """The name."""


class PolicyPlace(Noun, frozen=True, kw_only=True, gc=False):
    """A site or a client with the policies that are assigned to it."""

    id: int
    """The server's id of it."""
    name: str = ""
    """The name."""
    server_policy: PolicyRef | None = None
    """The policy of its servers, by id."""
    workstation_policy: PolicyRef | None = None
    """The policy of its workstations, by id."""
    extra: Mapping[str, Any] = no_extra()


class ClientPolicies(PolicyPlace, frozen=True, kw_only=True, gc=False):
    """A client with the policies that are assigned to it and to its sites."""

    sites: tuple[PolicyPlace, ...] = ()
    """Its sites, each with its policies."""


class PolicyUse(Noun, frozen=True, kw_only=True, gc=False):
    """Where a policy is assigned directly, agents by their ids; without those that inherit the policy."""

    server_clients: tuple[ClientRef, ...] = ()
    """Clients whose servers have it."""
    server_sites: tuple[SiteRef, ...] = ()
    """Sites whose servers have it."""
    workstation_clients: tuple[ClientRef, ...] = ()
    """Clients whose workstations have it."""
    workstation_sites: tuple[SiteRef, ...] = ()
    """Sites whose workstations have it."""
    agents: tuple[str, ...] = ()
    """Agents that have it themselves."""
    default_server: bool = False
    """Whether all servers have it."""
    default_workstation: bool = False
    """Whether all workstations have it."""
    extra: Mapping[str, Any] = no_extra()


class _UsedAgent(msgspec.Struct):
    agent_id: str


class _Use(PolicyUse, frozen=True, kw_only=True, gc=False):
    pk: int | None = None


class _SitePolicies(msgspec.Struct):
    pk: int
    name: str = ""
    server_policy: PolicyRef | None = None
    workstation_policy: PolicyRef | None = None
    extra: Mapping[str, Any] = no_extra()


def _site_policies(sites: tuple[_SitePolicies, ...]) -> tuple[PolicyPlace, ...]:
    return tuple(
        PolicyPlace(
            id=site.pk,
            name=site.name,
            server_policy=site.server_policy,
            workstation_policy=site.workstation_policy,
            extra=site.extra,
        )
        for site in sites
    )


_USE: Final[Wire] = {
    "agents": Sent(kind=tuple[_UsedAgent, ...], fit=lambda agents: tuple(one.agent_id for one in agents)),
    "default_server": "is_default_server_policy",
    "default_workstation": "is_default_workstation_policy",
}
_OVERVIEW: Final[Wire] = {
    "id": "pk",
    "sites": Sent(kind=tuple[_SitePolicies, ...], fit=_site_policies),
}

RELATED = read("policies.related", "/automation/policies/{policy:id}/related/", _Use, wire=_USE)
OVERVIEW = read("policies.overview", "/automation/policies/overview/", list[ClientPolicies], wire=_OVERVIEW)


@plan
def use_of(policy_id: int) -> Steps[PolicyUse]:
    """Where a policy is assigned. For one that doesn't exist, the server answers 200, and nothing in it."""
    call = RELATED.call(policy_id)
    use = yield from call
    if use.pk is None:
        raise NotFoundError(404, f"there is no policy {policy_id}", method=call.method, path=call.path)
    return PolicyUse(**{name: getattr(use, name) for name in PolicyUse.__struct_fields__})


def names_of(use: PolicyUse) -> tuple[str, ...]:
    """The places of a policy, as a refusal to delete it names them."""
    return (
        *(f"client {one.name}" for one in (*use.server_clients, *use.workstation_clients)),
        *(f"site {one.name}" for one in (*use.server_sites, *use.workstation_sites)),
        *(f"agent {one}" for one in use.agents),
        *(["all servers"] if use.default_server else []),
        *(["all workstations"] if use.default_workstation else []),
    )
