"""The second dialect: the people's API of an unmodified Tactical RMM 1.5.1, as it was recorded.

Below: the modules of the simulator that know nothing of HTTP. Above: `simulator.py`, as
`Simulator(dialect="stock")`. Each module has one class with the `routes()` of one part of the API;
`dialect.py` puts them together.
"""

from __future__ import annotations

from .dialect import StockServer

__all__ = ["StockServer"]
