"""The counts that a stock server's web client shows.

The server sends them when the socket is opened, and then every 30 seconds. It counts the agents that the
token's user may see.
"""

from typing import Final

import msgspec

from trmm_async import codec
from trmm_async.calls import StreamSpec
from trmm_async.errors import UnsupportedError
from trmm_async.events import DASHBOARD, DashboardCounts, UnknownEvent

__all__ = ["SOCKET", "counts"]

_ACTION = "dashboard.agentcount"
_TOO_OLD = (
    "events(dashboard=True) needs Tactical RMM 0.19.0 or newer: this server's counts are of an older form"
)


class _Counts(msgspec.Struct):
    total_server_offline_count: int
    total_workstation_offline_count: int
    total_server_count: int
    total_workstation_count: int
    days_until_cert_expires: int | None = None


class _CountsFrame(msgspec.Struct):
    """A frame. Before 0.19.0 it has no action, and `total_server_count` is here."""

    action: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    total_server_count: int | None = None


def counts(agent_id: str, frame: bytes) -> DashboardCounts | UnknownEvent:
    """Read a frame of the socket. Pure.

    Raises:
        UnsupportedError: it is a frame of a server before 0.19.0, as all others will be.
    """
    action: str | None = None
    try:
        said = codec.decoder(_CountsFrame)(frame)
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
        if action is None and said.total_server_count is not None:
            raise UnsupportedError(_TOO_OLD)
    except (msgspec.DecodeError, RecursionError):
        pass
    return UnknownEvent(agent_id=agent_id, action=action, raw=frame)


SOCKET: Final = StreamSpec(
    agent_id=DASHBOARD, path="/ws/dashinfo/", read=counts, refusals={}, begins_with_state=True
)
