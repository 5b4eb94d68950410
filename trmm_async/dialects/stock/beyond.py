"""`StockBeyond`: what only a stock server offers, see `Beyond`."""

from trmm_async.dialects.stock.actions import StockActions
from trmm_async.dialects.stock.library import StockLibrary

__all__ = ["StockBeyond"]


class StockBeyond(StockActions, StockLibrary):
    """See `Beyond`."""
