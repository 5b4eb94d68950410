"""The names of what can be referred to, as the server has it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from trmm_async.client import TRMM
from trmm_async.config.objects import noun_at
from trmm_async.config.specs import SiteName
from trmm_async.errors import PermissionDeniedError

__all__ = ["NAMES", "Name"]

Name = str | SiteName


async def _scripts(trmm: TRMM) -> Mapping[int, Name]:
    """With the community's, which anything may refer to; one with the name of your own is told apart."""
    listed = await trmm.scripts.list(hidden=True)
    own = {one.name for one in listed if one.script_type != "builtin"}
    return {
        one.id: f"{one.name} (community)" if one.script_type == "builtin" and one.name in own else one.name
        for one in listed
    }


async def _sites(trmm: TRMM) -> Mapping[int, Name]:
    return {
        site.id: SiteName(client=client.name, site=site.name)
        for client in await trmm.clients.list()
        for site in client.sites
    }


async def _agents(trmm: TRMM) -> Mapping[int, Name]:
    """Agents are named by their ids everywhere; other objects hold a number of the server's for them."""
    try:
        listed = await trmm.request("GET", "/agents/", params={"detail": "false"})
    except PermissionDeniedError:  # then none can be named here, and what names one is told
        return {}
    return {one["id"]: one["agent_id"] for one in listed}


def _listed(path: str) -> Callable[[TRMM], Awaitable[Mapping[int, Name]]]:
    async def names(trmm: TRMM) -> Mapping[int, Name]:
        return {one.id: one.name for one in await noun_at(trmm, path).list()}

    return names


NAMES: Final[Mapping[str, Callable[[TRMM], Awaitable[Mapping[int, Name]]]]] = {
    "scripts": _scripts,
    "sites": _sites,
    "agents": _agents,
    **{name: _listed(name) for name in ("url_actions", "alert_templates", "policies", "clients")},
}
"""How they are read, by kinds, without all that belongs to them."""
