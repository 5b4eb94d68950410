"""What is done to one agent of a stock server, and asked of it; see `AgentActions`."""

from trmm_async.calls import Call
from trmm_async.dialects.stock.history import agent_history
from trmm_async.models import HistoryEntry

__all__ = ["StockActions"]


class StockActions:
    """See `AgentActions`."""

    def agent_history(self, agent_id: str) -> Call[list[HistoryEntry]]:
        return agent_history(agent_id)
