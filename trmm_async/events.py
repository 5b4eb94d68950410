"""What an event stream yields.

Over the nouns of `models`. How a server spells its frames is known under `dialects/` alone.

Every event says which agent it is about. Times are aware datetimes. The structs may be matched by keyword:
`case AgentOffline(agent_id=who, time=when)`.
"""

from datetime import datetime
from typing import Final

import msgspec

from trmm_async.errors import TRMMError
from trmm_async.models import Alert

__all__ = [
    "DASHBOARD",
    "AgentOffline",
    "AgentOnline",
    "AlertEvent",
    "CommandOutput",
    "DashboardCounts",
    "Ended",
    "Event",
    "Gap",
    "Live",
    "ScriptOutput",
    "UnknownEvent",
]


DASHBOARD: Final = "dashboard"
"""What stands for the dashboard where there would be an agent's id."""


class AgentOnline(msgspec.Struct, frozen=True, kw_only=True):
    """The agent came online. `time` is the server's; None if it is only known to have happened in a gap."""

    agent_id: str
    time: datetime | None = None


class AgentOffline(msgspec.Struct, frozen=True, kw_only=True):
    """The agent went offline. `time` is the server's; None if it is only known to have happened in a gap."""

    agent_id: str
    time: datetime | None = None


class ScriptOutput(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a running script's output.

    `cmd_id` ties the pieces of one run together. The last has `done=True` and the `exit_code`, which is
    None where it got lost.
    """

    agent_id: str
    cmd_id: str = ""
    script: int | None = None
    output: str = ""
    done: bool = False
    exit_code: int | None = None


class CommandOutput(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a running command's output: of `agents.stream_command`, not of `TRMM.events`.

    The last has `done=True` and the `exit_code`, which is None where it got lost.
    """

    agent_id: str
    cmd_id: str = ""
    output: str = ""
    done: bool = False
    exit_code: int | None = None


class AlertEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An alert was raised, or changed (resolved, snoozed): `alert` is its present state."""

    agent_id: str
    alert: Alert


class DashboardCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many agents there are, as the dashboard of a stock server shows it.

    `agent_id` is `DASHBOARD`, as it is of a `Gap`, `Live` or `Ended` of the dashboard. The counts are of the
    agents that the user who has logged in may see; `certificate_days` are those until the server's
    certificate ends, None where it does not say.
    """

    servers: int
    servers_offline: int
    workstations: int
    workstations_offline: int
    certificate_days: int | None = None
    agent_id: str = DASHBOARD


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Events of this agent may be missing between `since` and `until` (this machine's clock, UTC).

    What the server can still tell of that time (agent status, alerts) follows as ordinary events, and `Live`
    behind them. Script output can't be caught up over a socket. `dropped` counts the events that are known to
    be lost here.
    """

    agent_id: str
    since: datetime
    until: datetime
    reason: str = ""
    dropped: int = 0


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """From here on this agent's events are changes: what was told before adds up to its state at `time`.

    Comes behind the present state that was asked for (`snapshot=True`), and behind the catch-up of every
    `Gap`. `time` is this machine's clock, UTC, from before that state was read.
    """

    agent_id: str
    time: datetime


class UnknownEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A frame whose action we don't know or whose content does not fit; `raw` is the frame as it came."""

    agent_id: str
    action: str | None
    raw: bytes


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """This agent's part of a stream over several agents ended: the server refuses it. The others go on."""

    agent_id: str
    error: TRMMError


Event = (
    AgentOnline
    | AgentOffline
    | ScriptOutput
    | AlertEvent
    | DashboardCounts
    | Gap
    | Live
    | UnknownEvent
    | Ended
)
