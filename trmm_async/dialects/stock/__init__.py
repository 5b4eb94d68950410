"""A stock server's language: Tactical RMM itself, the API at its root, as its own web client speaks it.

One file for each part, since a stock server differs more than one file could show; nothing outside this
folder knows any of it. The source of every fact is version 1.5.1, recorded and read.
"""

from trmm_async.dialects.stock.dialect import Stock

__all__ = ["Stock"]
