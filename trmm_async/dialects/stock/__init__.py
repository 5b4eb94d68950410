"""The dialect of a stock server: Tactical RMM itself, with the API that its own web client uses.

The source of every fact is version 1.5.1: its answers were recorded, and its source was read.
"""

from trmm_async.dialects.stock.dialect import Stock

__all__ = ["Stock"]
