"""`trmm.agents.event_log`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

from trmm_async import arguments
from trmm_async.dialects.stock.endpoint import Sent, Wire, read
from trmm_async.models import Agent, Noun, no_extra
from trmm_async.resources.resource import Resource

__all__ = ["EventLog", "EventLogEntry"]

_DAYS_MOST: Final = 36_500
_SECURITY_SECONDS: Final = 182
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class EventLogEntry(Noun, frozen=True, kw_only=True, gc=False):
    """One entry of a Windows event log.

    `event_type` is "INFO", "WARNING", "ERROR", "AUDIT_SUCCESS" or "AUDIT_FAILURE". `time` is by the agent's
    own clock, and has no time zone; None if it can't be read. `record` is its number in the log.
    """

    source: str = ""
    """What wrote it."""
    event_type: str = ""
    event_id: int | None = None
    """The number of the kind of event."""
    category: str = ""
    """Its category, as text."""
    message: str = ""
    """What it says."""
    time: datetime | None = None
    record: int | None = None
    computer: str = ""
    """The machine's name, as the log has it."""
    extra: Mapping[str, Any] = no_extra()


def _whole(value: str | int | None) -> int | None:
    try:
        return None if value is None else int(value)
    except ValueError:
        return None


def _time(text: str | None) -> datetime | None:
    """The time of "Thu Sep 24 22:45:16 2020", whatever the locale."""
    try:
        _, month, day, clock, year = (text or "").split()
        return datetime.fromisoformat(f"{year}-{_MONTHS.index(month) + 1:02}-{day:0>2}T{clock}")
    except ValueError:
        return None


_WIRE: Final[Wire] = {
    "event_type": "eventType",
    "event_id": Sent("eventID", str | int | None, _whole),
    "category": Sent("eventCategory", str | int, str),
    "time": Sent(kind=str | None, fit=_time),
    "record": Sent(kind=str | int | None, fit=_whole),
}

LIST = read(
    "agents.event_log.list",
    "/agents/{agent:agent}/eventlog/{log:text}/{days:text}/",
    list[EventLogEntry],
    wire=_WIRE,
    asks=32,
)


class EventLog(Resource):
    """The event logs of Windows agents of a stock server. A gateway raises `UnsupportedError`."""

    async def list(
        self,
        agent: str | Agent,
        log: Literal["Application", "System", "Security"] = "Application",
        *,
        days: int = 1,
    ) -> list[EventLogEntry]:
        """List the entries of a Windows event log. The agent has 32 seconds to answer, 182 for "Security".

        Args:
            agent: the agent or its id.
            log: the log.
            days: the number of the last days, 1 to 36500. With more days, the agent is less likely to answer
                in time.
        """
        name = arguments.choice(log, "log", ("Application", "System", "Security"))
        since = arguments.integer(days, "days", minimum=1, maximum=_DAYS_MOST)
        waits = _SECURITY_SECONDS if name == "Security" else None
        return await self._send(LIST, agent, name, str(since), waits=waits)
