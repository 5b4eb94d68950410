"""What a stock server offers beyond a gateway, as intents.

Beside `base`; of each dialect `Dialect.beyond` gives it, or raises `UnsupportedError`.
"""

from typing import Protocol

from trmm_async.calls import Request
from trmm_async.models import HistoryEntry

__all__ = ["Beyond"]


class Beyond(Protocol):
    """The intents. Values arrive checked, every method is a pure function."""

    def agent_history(self, agent_id: str) -> Request[list[HistoryEntry]]: ...
