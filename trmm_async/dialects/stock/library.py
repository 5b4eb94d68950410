"""What stands on a stock server itself; see `Library`. One file a shelf."""

from trmm_async.dialects.stock.library_alerts import StockAlerts
from trmm_async.dialects.stock.library_automation import StockAutomation
from trmm_async.dialects.stock.library_places import StockPlaces
from trmm_async.dialects.stock.library_scripts import StockScripts

__all__ = ["StockLibrary"]


class StockLibrary(StockAlerts, StockAutomation, StockPlaces, StockScripts):
    """See `Library`."""
