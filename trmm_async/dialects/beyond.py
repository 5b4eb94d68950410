"""What a stock server offers beyond a gateway, as intents.

Below `base`; of each dialect `Dialect.beyond` gives it, or raises `UnsupportedError`. Values arrive checked,
every method is a pure function.
"""

from typing import Protocol

from trmm_async.calls import Request
from trmm_async.dialects.library import Library
from trmm_async.models import HistoryEntry

__all__ = ["AgentActions", "Beyond", "Library"]


class AgentActions(Protocol):
    """What is done to one agent, and asked of it."""

    def agent_history(self, agent_id: str) -> Request[list[HistoryEntry]]: ...


class Beyond(AgentActions, Library, Protocol):
    """All of it."""
