"""The counts that a stock server's web client shows.

The server sends them when the socket is opened and every 30 seconds from then on, of the agents that the
token's user may see.
"""

from typing import Final

import msgspec

from trmm_async import codec
from trmm_async.calls import StreamSpec
from trmm_async.events import DASHBOARD, DashboardCounts, UnknownEvent

__all__ = ["SOCKET", "counts"]

_ACTION = "dashboard.agentcount"


class _Counts(msgspec.Struct):
    total_server_offline_count: int
    total_workstation_offline_count: int
    total_server_count: int
    total_workstation_count: int
    days_until_cert_expires: int | None = None


class _Frame(msgspec.Struct):
    action: str | None = None
    data: msgspec.Raw = msgspec.Raw()


def counts(agent_id: str, frame: bytes) -> DashboardCounts | UnknownEvent:
    """A frame of the socket. Pure; never raises."""
    action: str | None = None
    try:
        said = codec.decoder(_Frame)(frame)
        action = said.action
        if action == _ACTION:
            told = codec.decoder(_Counts)(said.data)
            return DashboardCounts(
                servers=told.total_server_count,
                servers_offline=told.total_server_offline_count,
                workstations=told.total_workstation_count,
                workstations_offline=told.total_workstation_offline_count,
                certificate_days=told.days_until_cert_expires,
            )
    except (msgspec.DecodeError, RecursionError):
        pass
    return UnknownEvent(agent_id=agent_id, action=action, raw=frame)


SOCKET: Final = StreamSpec(
    agent_id=DASHBOARD, path="/ws/dashinfo/", read=counts, refusals={}, begins_with_state=True
)
