"""Events about agents, made by hand."""

from datetime import UTC, datetime, timedelta

from trmm_async.events import (
    AgentOffline,
    AgentOnline,
    AlertEvent,
    Gap,
    Live,
)
from trmm_async.models import Alert, ClientRef

THEN = datetime(2026, 4, 21, 8, 0, tzinfo=UTC)


CLIENTS = {"a": ClientRef(id=1, name="Hermes"), "b": ClientRef(name="Other")}


def up(who: str = "a") -> AgentOnline:
    return AgentOnline(agent_id=who)


def down(who: str = "a") -> AgentOffline:
    return AgentOffline(agent_id=who)


def raised(number: int, message: str = "", who: str = "a", severity: str = "error") -> AlertEvent:
    return AlertEvent(agent_id=who, alert=Alert(id=number, agent_id=who, severity=severity, message=message))


def gap(who: str = "a", dropped: int = 0) -> Gap:
    return Gap(agent_id=who, since=THEN - timedelta(hours=1), until=THEN, reason="away", dropped=dropped)


def live(who: str = "a") -> Live:
    return Live(agent_id=who, time=THEN)
