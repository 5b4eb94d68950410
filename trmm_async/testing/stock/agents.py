"""Agents: the list in its two forms, one alone, editing and uninstalling.

Below: `agent_shapes.py`, `custom_fields.py`, `world.py`. Above: `dialect.py`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from trmm_async.testing.routing import Route

from . import agent_shapes as shapes
from . import alert_templates, custom_fields, models
from .reach import brief, patch_policy_of, policies_by_place, template_of
from .view import Fields, crash, invalid, refuse, said, whole
from .visibility import Visibility

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Agent
    from trmm_async.testing.replies import Asked, HTTPReply

__all__ = ["AgentsView"]

KINDS = ("server", "workstation")
SHORT = 0.12
"""Of the time that the server takes over an agent it takes so much in the short form: 0.3 of 2.5 ms."""

SHELLS = {
    "windows": ("Windows", ("cmd", "powershell")),
    "linux": ("Linux", ("bash",)),
    "darwin": ("macOS", ("bash",)),
}
"""By the platforms how they are called, and their usual shells."""


class AgentsView:
    """`/agents/` and `/agents/{agent_id}/`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._world = backend.world
        self._database = backend.database
        self._activity = backend.activity
        self._visibility = Visibility(backend)
        self._seconds = backend.agent_seconds
        self._form = models.agent(backend.database.policies.__contains__, backend.world.sites.__contains__)

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        one = "/agents/{agent_id:agent}/"
        return (
            Route("GET", "/agents/", self.list, "can_list_agents"),
            Route("PUT", "/agents/", self.nobody, "can_edit_agent"),
            Route("DELETE", "/agents/", self.nobody, "can_uninstall_agents"),
            Route("GET", one, self.get, "can_list_agents"),
            Route("PUT", one, self.edit, "can_edit_agent"),
            Route("DELETE", one, self.delete, "can_uninstall_agents"),
        )

    async def list(self, asked: Asked) -> HTTPReply:
        """`GET /agents/`: filters `site`, or else `client`, and `monitoring_type`; others are ignored.

        Anything but `true` for `detail`, `True` included, gives the short form.
        """
        query = asked.row.query
        kind = query.get("monitoring_type") or None
        if kind is not None and kind not in KINDS:
            refuse("monitoring type does not exist")
        site = whole(query["site"]) if "site" in query else None
        client = whole(query["client"]) if "client" in query and site is None else None
        found = self._world.find_agents(client=client, site=site, monitoring_type=kind)
        found = self._visibility.agents(asked, found)
        if query.get("detail", "true") != "true":
            return await self._said([shapes.short(agent) for agent in found], SHORT * self._seconds)
        pending = Counter(
            row["agent"] for row in self._activity.actions.values() if row["status"] == "pending"
        )
        rows = [
            shapes.listed(
                agent,
                self._world.checks_of(agent.agent_id),
                pending[agent.agent_id],
                brief(self._database, agent, "agent"),
            )
            for agent in found
        ]
        return await self._said(rows, self._seconds)

    async def _said(self, rows: Sequence[object], seconds: float) -> HTTPReply:
        await asyncio.sleep(len(rows) * seconds)
        return said(rows)

    def nobody(self, _asked: Asked) -> HTTPReply:
        """`PUT`, `DELETE /agents/`: the server looks for the agent it is about, and fails."""
        crash()

    def get(self, asked: Asked) -> HTTPReply:
        """`GET /agents/{agent_id}/`."""
        agent = self._agent(asked)
        template = template_of(self._database, agent)
        given = {
            "applied_policies": policies_by_place(self._database, agent),
            "effective_patch_policy": patch_policy_of(self._database, agent, shapes.update_policy(agent)),
            "alert_template": template and alert_templates.shown(self._backend, template),
        }
        return said(shapes.alone(agent, self._world.checks_of(agent.agent_id), given))

    def edit(self, asked: Asked) -> HTTPReply:
        """`PUT /agents/{agent_id}/`: any of its settings; what it does not know is ignored.

        Not all or nothing: the settings are saved before the update policy, and that before custom fields.
        """
        agent, body = self._agent(asked), Fields.of(asked)
        changes = self._form.read(body, partial=True)
        _examine_shell(agent, changes)
        for name, value in changes.items():
            setattr(agent, name, self._world.sites[whole(value)] if name == "site" else value)
        if "winupdatepolicy" in body:
            rows = body.rows("winupdatepolicy")
            policy = rows[0] if rows else crash()
            values = models.PATCH_POLICY.read(policy, partial=True)
            agent.update_policy |= {name: values[name] for name in values if name in shapes.UPDATE_POLICY}
        custom_fields.edit(self._world, agent, body.rows("custom_fields"))
        # The database gives a row that was written anew to the end of an unordered list.
        self._world.agents[agent.agent_id] = self._world.agents.pop(agent.agent_id)
        return said("The agent was updated successfully")

    def delete(self, asked: Asked) -> HTTPReply:
        """`DELETE /agents/{agent_id}/`: the agent is uninstalled, on the machine too."""
        agent = self._agent(asked)
        self._world.delete_agent(agent.agent_id)
        return said(f"{agent.hostname} will now be uninstalled.")

    def _agent(self, asked: Asked) -> Agent:
        return self._world.agent(asked.params["agent_id"])


def _examine_shell(agent: Agent, changes: Mapping[str, object]) -> None:
    """Say no to a shell that the agent's system has not, and to a custom one without its path."""
    shell = changes.get("default_shell", agent.default_shell)
    system, usual = SHELLS[agent.plat]
    if shell not in {"use_global", "custom", *usual}:
        named = ", ".join(f"'{one}'" for one in usual)
        words = f"Invalid default shell for {system} agent. Use global default, {named} or 'custom'."
        invalid(default_shell=words)
    if shell == "custom" and not changes.get("default_shell_custom", agent.default_shell_custom):
        invalid(default_shell_custom="Custom shell path must be provided.")
