"""`StockBeyond`: what only a stock server offers, see `Beyond`."""

from trmm_async.calls import Call
from trmm_async.dialects.stock.history import agent_history
from trmm_async.models import HistoryEntry

__all__ = ["StockBeyond"]


class StockBeyond:
    """See `Beyond`."""

    def agent_history(self, agent_id: str) -> Call[list[HistoryEntry]]:
        return agent_history(agent_id)
