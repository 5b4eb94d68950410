"""What an event stream yields.

Over the nouns of `models`. How a server spells its frames is known under `dialects/` alone.

Every event says which agent it is about. Times are aware datetimes. The structs may be matched by keyword:
`case AgentOffline(agent_id=who, time=when)`.
"""

from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import msgspec

from trmm_async.errors import TRMMError
from trmm_async.models import Alert, as_plain, short_repr

__all__ = [
    "DASHBOARD",
    "AgentOffline",
    "AgentOnline",
    "AlertChange",
    "AlertEvent",
    "CommandOutput",
    "DashboardCounts",
    "Ended",
    "Event",
    "Gap",
    "Live",
    "ScriptOutput",
    "UnknownEvent",
    "note_change",
    "note_host",
]


AlertChange: TypeAlias = Literal["raised", "resolved", "snoozed", "changed"]

DASHBOARD: Final = "dashboard"
"""What stands for the dashboard where there would be an agent's id."""


class _Telling(msgspec.Struct, frozen=True, kw_only=True):
    """What events have in common. `hostname` is the agent's, where it was given as an object or selected."""

    hostname: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """All fields by our names, and `event`, the class's name, in the types of JSON.

        Times are ISO texts, bytes are Base64, an error is its type and its text.
        """
        return {"event": type(self).__name__, **as_plain(self)}

    def __repr__(self) -> str:
        return short_repr(self)


class AgentOnline(_Telling, frozen=True, kw_only=True):
    """The agent came online. `time` is the server's; None if it is only known to have happened in a gap."""

    agent_id: str
    """The agent's id."""
    time: datetime | None = None


class AgentOffline(_Telling, frozen=True, kw_only=True):
    """The agent went offline. `time` is the server's; None if it is only known to have happened in a gap."""

    agent_id: str
    """The agent's id."""
    time: datetime | None = None


class ScriptOutput(_Telling, frozen=True, kw_only=True):
    """A piece of a running script's output.

    `cmd_id` ties the pieces of one run together. The last has `done=True` and the `exit_code`, which is
    None where it got lost.
    """

    agent_id: str
    """The agent's id."""
    cmd_id: str = ""
    script: int | None = None
    """The script, by id; None where that is not known."""
    output: str = ""
    """What was printed, as text."""
    done: bool = False
    """Whether this is the last piece."""
    exit_code: int | None = None


class CommandOutput(_Telling, frozen=True, kw_only=True):
    """A piece of a running command's output: of `agents.stream_command`, not of `TRMM.events`.

    The last has `done=True` and the `exit_code`, which is None where it got lost.
    """

    agent_id: str
    """The agent's id."""
    cmd_id: str = ""
    """Ties the pieces of one run together."""
    output: str = ""
    """What was printed, as text."""
    done: bool = False
    """Whether this is the last piece."""
    exit_code: int | None = None


class AlertEvent(_Telling, frozen=True, kw_only=True):
    """An alert was raised, or changed: `alert` is its present state.

    Attributes:
        change: what is new to the reader of this stream. "raised": it is open, and was not told of before, or
            as resolved; so each alert is told once by it, however often it changes. "resolved"; "snoozed";
            "changed": anything else, its text, severity, or that it is snoozed no longer.
    """

    agent_id: str
    """The agent's id."""
    alert: Alert
    change: AlertChange = "raised"


def note_host(event: _Telling, hostname: str) -> None:
    """Say what the agent is called, in an event that nobody has been given yet."""
    msgspec.structs.force_setattr(event, "hostname", hostname)


def note_change(event: AlertEvent, change: AlertChange) -> None:
    """Say what is new in an event that nobody has been given yet."""
    msgspec.structs.force_setattr(event, "change", change)


class DashboardCounts(_Telling, frozen=True, kw_only=True):
    """How many agents there are, as the dashboard of a stock server shows it.

    `agent_id` is `DASHBOARD`, as it is of a `Gap`, `Live` or `Ended` of the dashboard. The counts are of the
    agents that the user who has logged in may see; `certificate_days` are those until the server's
    certificate ends, None where it does not say.
    """

    servers: int
    """How many servers there are."""
    servers_offline: int
    """How many of them are offline."""
    workstations: int
    """How many workstations there are."""
    workstations_offline: int
    """How many of them are offline."""
    certificate_days: int | None = None
    agent_id: str = DASHBOARD


class Gap(_Telling, frozen=True, kw_only=True):
    """Events of this agent may be missing between `since` and `until` (this machine's clock, UTC).

    What the server can still tell of that time (agent status, alerts) follows as ordinary events, and `Live`
    behind them. Script output can't be caught up over a socket. `dropped` counts the events that are known to
    be lost here.
    """

    agent_id: str
    """The agent's id."""
    since: datetime
    until: datetime
    reason: str = ""
    """Why there is one, in words."""
    dropped: int = 0


class Live(_Telling, frozen=True, kw_only=True):
    """From here on this agent's events are changes: what was told before adds up to its state at `time`.

    Comes behind the present state that was asked for (`snapshot=True`), and behind the catch-up of every
    `Gap`. `time` is this machine's clock, UTC, from before that state was read.
    """

    agent_id: str
    """The agent's id."""
    time: datetime


class UnknownEvent(_Telling, frozen=True, kw_only=True):
    """A frame whose action we don't know or whose content does not fit; `raw` is the frame as it came."""

    agent_id: str
    """The agent's id."""
    action: str | None
    """What the frame calls itself; None for nothing."""
    raw: bytes


class Ended(_Telling, frozen=True, kw_only=True):
    """This agent's part of a stream over several agents ended: the server refuses it. The others go on."""

    agent_id: str
    """The agent's id."""
    error: TRMMError
    """What the server has refused it with."""


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
