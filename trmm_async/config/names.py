"""Reads the names of objects that others can refer to, without reading these objects in full."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from trmm_async.client import TRMM
from trmm_async.config.objects import resource_at
from trmm_async.config.specs import SiteName
from trmm_async.errors import PermissionDeniedError

__all__ = ["NAME_READERS", "Name"]

Name = str | SiteName


async def _scripts(trmm: TRMM) -> Mapping[int, Name]:
    """Community scripts, too; one that has the name of a user's script gets " (community)" added."""
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
    """The agent_ids by the database ids, by which other objects refer to agents."""
    try:
        listed = await trmm.request("GET", "/agents/", params={"detail": "false"})
    except PermissionDeniedError:  # then a reference to an agent becomes a finding of the plan
        return {}
    return {one["id"]: one["agent_id"] for one in listed}


def _listed(path: str) -> Callable[[TRMM], Awaitable[Mapping[int, Name]]]:
    async def names(trmm: TRMM) -> Mapping[int, Name]:
        return {one.id: one.name for one in await resource_at(trmm, path).list()}

    return names


NAME_READERS: Final[Mapping[str, Callable[[TRMM], Awaitable[Mapping[int, Name]]]]] = {
    "scripts": _scripts,
    "sites": _sites,
    "agents": _agents,
    **{name: _listed(name) for name in ("url_actions", "alert_templates", "policies", "clients")},
}
"""The functions that read names by ids, by the kind of the objects."""
