"""The events that an event stream yields.

Every event has the id of its agent. Times are datetimes with a time zone. The classes can be matched by
keyword: `case AgentOffline(agent_id=who, time=when)`.

The format of a server's frames is known only under `dialects/`.
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
"""The `agent_id` of events that are about the dashboard instead of an agent."""


class _Telling(msgspec.Struct, frozen=True, kw_only=True):
    """What all events have in common.

    `hostname` is the agent's host name. It is known if the agent was given as an object or selected.
    """

    hostname: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """All fields by our names, in the types of JSON, and `event`, which is the class's name.

        Times are ISO 8601 texts, bytes are Base64, an error is its type and its text.
        """
        return {"event": type(self).__name__, **as_plain(self)}

    def __repr__(self) -> str:
        return short_repr(self)


class AgentOnline(_Telling, frozen=True, kw_only=True):
    """The agent came online. `time` is the server's time; None if it happened at some time during a gap."""

    agent_id: str
    """The agent's id."""
    time: datetime | None = None


class AgentOffline(_Telling, frozen=True, kw_only=True):
    """The agent went offline. `time` is the server's time; None if it happened at some time during a gap."""

    agent_id: str
    """The agent's id."""
    time: datetime | None = None


class ScriptOutput(_Telling, frozen=True, kw_only=True):
    """A piece of a running script's output.

    All pieces of one run have the same `cmd_id`. The last one has `done=True` and the `exit_code`, which is
    None if it was lost.
    """

    agent_id: str
    """The agent's id."""
    cmd_id: str = ""
    script: int | None = None
    """The script's id; None if it is not known."""
    output: str = ""
    """What the script printed, as a text."""
    done: bool = False
    """Whether this is the last piece."""
    exit_code: int | None = None


class CommandOutput(_Telling, frozen=True, kw_only=True):
    """A piece of a running command's output. `agents.stream_command` yields it, `TRMM.events` does not.

    The last piece has `done=True` and the `exit_code`, which is None if it was lost.
    """

    agent_id: str
    """The agent's id."""
    cmd_id: str = ""
    """The same for all pieces of one run."""
    output: str = ""
    """What the command printed, as a text."""
    done: bool = False
    """Whether this is the last piece."""
    exit_code: int | None = None


class AlertEvent(_Telling, frozen=True, kw_only=True):
    """An alert was raised or has changed. `alert` is its present state.

    Attributes:
        change: what is new for the reader of this stream. "raised": the alert is open, and this stream did
            not have it before, or had it as resolved. So an open alert is reported as "raised" once, however
            often it changes. "resolved" and "snoozed": it has this state now. "changed": something else is
            new, such as its text or its severity, or it is not snoozed any more.
    """

    agent_id: str
    """The agent's id."""
    alert: Alert
    change: AlertChange = "raised"


def note_host(event: _Telling, hostname: str) -> None:
    """Set the host name of an event. Only for one that has not been handed out yet, since it is frozen."""
    msgspec.structs.force_setattr(event, "hostname", hostname)


def note_change(event: AlertEvent, change: AlertChange) -> None:
    """Set `change` of an event. Only for one that has not been handed out yet, since it is frozen."""
    msgspec.structs.force_setattr(event, "change", change)


class DashboardCounts(_Telling, frozen=True, kw_only=True):
    """The numbers of agents that the dashboard of a stock server shows.

    The counts include the agents that the logged-in user may see. `certificate_days` is the number of days
    until the server's certificate expires; None if the server does not send it. `agent_id` is `DASHBOARD`; a
    `Gap`, `Live` or `Ended` of the dashboard has the same.
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
    """Events of this agent may be missing between `since` and `until` (by this machine's clock, in UTC).

    The changes in that time that can still be found out (the agent's status, alerts) follow as ordinary
    events, and then a `Live`. On a gateway, script output of that time can't be recovered. `dropped` is the
    number of events that are known to be lost.
    """

    agent_id: str
    """The agent's id."""
    since: datetime
    until: datetime
    reason: str = ""
    """Why there is a gap, as a text."""
    dropped: int = 0


class Live(_Telling, frozen=True, kw_only=True):
    """The events before this one add up to the agent's state at `time`; the events after it are changes.

    It follows the present state that `snapshot=True` asks for, and the catch-up after every `Gap`. `time` is
    the time before that state was read, by this machine's clock, in UTC.
    """

    agent_id: str
    """The agent's id."""
    time: datetime


class UnknownEvent(_Telling, frozen=True, kw_only=True):
    """A frame of the server with an unknown action or unexpected content. `raw` is the unchanged frame."""

    agent_id: str
    """The agent's id."""
    action: str | None
    """The action that the frame names; None if it names none."""
    raw: bytes


class Ended(_Telling, frozen=True, kw_only=True):
    """The server refuses the events of this agent. The stream of the other agents continues."""

    agent_id: str
    """The agent's id."""
    error: TRMMError
    """The server's refusal."""


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
