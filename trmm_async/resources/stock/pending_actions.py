"""`trmm.pending_actions`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from trmm_async import arguments
from trmm_async.calls import Steps, plan
from trmm_async.dialects.stock.agents import agent_ids_if_allowed
from trmm_async.dialects.stock.endpoint import delete, read
from trmm_async.models import Agent, Moment, Noun, no_extra
from trmm_async.resources.resource import Resource

__all__ = ["PendingAction", "PendingActions"]


class PendingAction(Noun, frozen=True, kw_only=True, gc=False):
    """An action that an agent has to do, or has done. `cancel` takes its `id`.

    `action_type` is "schedreboot", "chocoinstall", "agentupdate", …; `status` "pending" or "completed". `due`
    is what the server says of the time: words, or a time by the agent's clock, which then is `at` as well.
    `details` are the server's own of the action. `agent_id` is None where the key may not list agents.
    """

    id: int
    agent_id: str | None = None
    hostname: str = ""
    """The agent's host name."""
    client: str = ""
    """The name of the agent's client."""
    site: str = ""
    """The name of the agent's site."""
    action_type: str = ""
    status: str = ""
    description: str = ""
    """What will be done."""
    due: str = ""
    at: datetime | None = None
    entry_time: Moment | None = None
    """When it was written down."""
    details: Mapping[str, Any] = no_extra()
    extra: Mapping[str, Any] = no_extra()


class _ActionRow(msgspec.Struct, gc=False):
    id: int
    agent: int | None = None
    hostname: str | None = None
    client: str | None = None
    site: str | None = None
    action_type: str | None = None
    status: str | None = None
    description: str | None = None
    due: str | None = None
    entry_time: Moment | None = None
    details: dict[str, Any] | None = None
    extra: Mapping[str, Any] = no_extra()


LIST = read("pending_actions.list", "/logs/pendingactions/", list[_ActionRow])
OF_AGENT = read("pending_actions.list", "/agents/{agent:agent}/pendingactions/", list[_ActionRow])
# Only for a scheduled reboot, the server asks the agent first.
CANCEL = delete("pending_actions.cancel", "/logs/pendingactions/{action:id}/", asks=10)


class PendingActions(Resource):
    """Actions that agents of a stock server have to do: scheduled reboots, installs of software, upgrades.

    Every method raises `TRMMError`s only; a gateway raises `UnsupportedError`.
    """

    async def cancel(self, action: int | PendingAction) -> None:
        """Cancel an action, such as the reboot that `agents.reboot(agent, at=…)` scheduled.

        For a scheduled reboot, the agent has 10 seconds to answer. Any other action is only removed from the
        server's list: the agent may still do what it was told before. If the action is gone already, that
        counts as success.

        Raises:
            AgentLostError: the agent did not answer; its reboot may still be scheduled.
            NotFoundError: there is no such action.
        """
        await self._send(CANCEL, action)

    async def list(self, *, agent: str | Agent | None = None) -> list[PendingAction]:
        """List the pending actions of all agents, or of one, including completed ones."""
        if agent is not None:
            agent_id = arguments.agent_id(agent)
            rows = await self._send(OF_AGENT, agent_id)
            return [_action(row, agent_id) for row in rows]
        return await self._on_stock(LIST.name, _all())


@plan
def _all() -> Steps[list[PendingAction]]:
    """The server sends integers for the agents; their ids are in the list of agents."""
    rows = yield from LIST.call()
    ids = yield from agent_ids_if_allowed(rows)
    return [_action(row, None if row.agent is None else ids.get(row.agent)) for row in rows]


def _action(row: _ActionRow, agent_id: str | None) -> PendingAction:
    due = row.due or ""
    return PendingAction(
        id=row.id,
        agent_id=agent_id,
        hostname=row.hostname or "",
        client=row.client or "",
        site=row.site or "",
        action_type=row.action_type or "",
        status=row.status or "",
        description=row.description or "",
        due=due,
        at=_moment(due),
        entry_time=row.entry_time,
        details=row.details or {},
        extra=row.extra,
    )


def _moment(due: str) -> datetime | None:
    try:
        return datetime.fromisoformat(due)
    except ValueError:
        return None
