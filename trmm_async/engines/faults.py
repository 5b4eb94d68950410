"""What goes wrong with an engine, whatever it is: two kinds, by what may be done about it.

Over `errors`; the links raise these.
"""

from trmm_async.errors import TRMMError

__all__ = ["EngineAwayError", "EngineRefusedError"]


class EngineAwayError(TRMMError):
    """It can't be reached, or does not work at present: asking again later may help."""


class EngineRefusedError(TRMMError):
    """It refuses, and will go on to: its settings, or ours, are wrong."""
