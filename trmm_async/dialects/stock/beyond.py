"""`StockBeyond`: what only a stock server offers, see `Beyond`."""

from trmm_async.dialects.stock.actions import StockActions
from trmm_async.dialects.stock.dashboard import StockDashboard
from trmm_async.dialects.stock.library import StockLibrary
from trmm_async.dialects.stock.live_commands import StockCommands
from trmm_async.dialects.stock.login import StockLogins

__all__ = ["StockBeyond"]


class StockBeyond(StockActions, StockLibrary, StockLogins, StockCommands, StockDashboard):
    """See `Beyond`."""
