"""What stands on a stock server itself; see `Library`."""

__all__ = ["StockLibrary"]


class StockLibrary:
    """See `Library`."""
