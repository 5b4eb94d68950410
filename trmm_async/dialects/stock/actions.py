"""What is done to one agent of a stock server, and asked of it; see `AgentActions`."""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from trmm_async import codec
from trmm_async.calls import Call, Plan, Replay, Request, Steps
from trmm_async.dialects.beyond import CommandRun
from trmm_async.dialects.stock.asking import tell_agent
from trmm_async.dialects.stock.commands import ping, run_command
from trmm_async.dialects.stock.editing import update_agent
from trmm_async.dialects.stock.history import agent_history
from trmm_async.dialects.stock.wording import change_for, get, segment, sentence
from trmm_async.errors import InvalidRequestError
from trmm_async.models import CommandResult, HistoryEntry

__all__ = ["StockActions"]

_POWER_SECONDS: Final = 10
_RECOVER_SECONDS: Final = 60
_BY_MESH: Final = "recovering the agent goes through MeshCentral, which the server could not reach, it seems"
_COUNT: Final = re.compile(r" on ([0-9]{1,9}) agents?\b")


class _Clock(msgspec.Struct):
    timezone: str | None = None


class StockActions:
    """See `AgentActions`."""

    def run_command(self, agent_id: str, run: CommandRun) -> Plan[CommandResult]:
        return run_command(agent_id, run)

    def ping_agent(self, agent_id: str) -> Call[bool]:
        return ping(agent_id)

    def reboot_agent(self, agent_id: str) -> Call[None]:
        return tell_agent("POST", f"/agents/{segment(agent_id)}/reboot/", waits=_POWER_SECONDS)

    def reboot_agent_at(self, agent_id: str, at: datetime) -> Request[None]:
        if at.utcoffset() is None:
            return _reboot_at(agent_id, at)
        return Plan(partial(_reboot_at_moment, agent_id, at))

    def shut_down_agent(self, agent_id: str) -> Call[None]:
        return tell_agent("POST", f"/agents/{segment(agent_id)}/shutdown/", waits=_POWER_SECONDS)

    def recover_agent(self, agent_id: str, mode: str) -> Call[None]:
        path = f"/agents/{segment(agent_id)}/recover/"
        if mode == "mesh":
            return tell_agent("POST", path, {"mode": mode}, waits=_RECOVER_SECONDS)
        return tell_agent("POST", path, {"mode": mode}, waits=_RECOVER_SECONDS, advice=_BY_MESH)

    def update_agent(
        self, agent_id: str, changes: Mapping[str, object], custom_fields: Mapping[int, Any]
    ) -> Request[None]:
        return update_agent(agent_id, changes, custom_fields)

    def maintain_agents(self, kind: str, object_id: int, on: bool) -> Call[int]:
        body = {"type": kind, "id": object_id, "action": on}
        return change_for(_count, "POST", "/agents/maintenance/bulk/", body, replay=Replay.IDEMPOTENT)

    def agent_history(self, agent_id: str) -> Call[list[HistoryEntry]]:
        return agent_history(agent_id)


def _reboot_at(agent_id: str, local: datetime) -> Call[None]:
    # The server takes neither seconds nor an offset.
    body = {"datetime": local.replace(tzinfo=None).isoformat(timespec="minutes")}
    return tell_agent("PATCH", f"/agents/{segment(agent_id)}/reboot/", body, waits=_POWER_SECONDS)


def _reboot_at_moment(agent_id: str, at: datetime) -> Steps[None]:
    """At a moment: the server wants to be told what the agent's clock says then."""
    name = (yield from get(f"/agents/{segment(agent_id)}/", codec.decoder(_Clock))).timezone
    yield from _reboot_at(agent_id, at.astimezone(_zone(name)))


def _zone(name: str | None) -> ZoneInfo:
    try:
        return ZoneInfo(name or "")
    except (LookupError, ValueError, OSError):
        raise InvalidRequestError(
            f"at: the agent's time zone, {name!r}, is not known here: give a datetime without a time zone, "
            "by the agent's own clock"
        ) from None


def _count(body: bytes) -> int:
    """On how many agents, as its sentence says; none, where it says something else."""
    found = _COUNT.search(sentence(body))
    return int(found.group(1)) if found else 0
