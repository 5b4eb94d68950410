"""Finds the agents that a model names."""

from collections.abc import Sequence

from trmm_async.client import TRMM
from trmm_async.mcp_server.texts import line, refusal
from trmm_async.models import Agent
from trmm_async.plaintext import is_named, near_matches

__all__ = ["agents_named", "host_names"]


async def agents_named(trmm: TRMM, names: Sequence[str]) -> list[Agent]:
    """The agents with these ids or host names, without duplicates.

    Raises:
        ToolError: a name fits no agent, or several.
    """
    listed = await trmm.agents.list()
    found: dict[str, Agent] = {}
    for name in names:
        fits = [one for one in listed if one.agent_id == name or is_named(one.hostname, name)]
        if len(fits) > 1:
            ids = ", ".join(line(one.agent_id) for one in fits)
            raise refusal("several agents are called so: give the id, one of those that follow.", ids)
        if not fits:
            near = near_matches(name, (one.hostname for one in listed))
            alike = ", ".join(map(line, near))
            raise refusal(
                f"there is no agent {line(name)!r}" + ("; alike are those that follow." if near else ""),
                alike,
            )
        found[fits[0].agent_id] = fits[0]
    return list(found.values())


async def host_names(trmm: TRMM) -> dict[str, str]:
    """The host names of all agents, by their ids."""
    return {one.agent_id: line(one.hostname) for one in await trmm.agents.list()}
