"""`StockBeyond`: what only a stock server offers, see `Beyond`."""

from trmm_async.dialects.stock.library import StockLibrary

__all__ = ["StockBeyond"]


class StockBeyond(StockLibrary):
    """See `Beyond`."""
