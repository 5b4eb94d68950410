"""Everything that a dialect works with, in one value.

Below: the modules that know nothing of HTTP. Above: the dialects; `simulator.py` assembles it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .bus import Bus

if TYPE_CHECKING:
    from .downloads import Downloads
    from .events import Hub
    from .gate import Gate
    from .ledger import Ledger
    from .runner import Runner
    from .stock.accounts import Accounts
    from .stock.activity_log import ActivityLog
    from .stock.database import StockDatabase
    from .stock.interval import Interval
    from .stock.losses import Losses
    from .stock.machines import Machines
    from .world import World

__all__ = ["Backend", "release_of"]


def release_of(version: str) -> tuple[int, ...]:
    """Return a server's version as numbers, which can be compared."""
    return tuple(int(part) for part in version.split("."))


@dataclass(frozen=True, slots=True)
class Backend:
    """The world, who runs scripts in it, and whoever else a dialect may need.

    `bus` is the way from the server to its agents, which the stock dialect alone has; `gate` knows the keys
    and whose they are. What follows `bus` is the stock dialect's too: who may log in, what the server keeps
    about itself, which frames of live commands get lost, its tables, what is on the endpoints, and how often
    the dashboard is told. `row_seconds` is how long its queue takes over each row of a bulk action,
    `agent_seconds` and `check_seconds` how long it takes over each row of the list of all.
    """

    world: World
    runner: Runner
    hub: Hub
    downloads: Downloads
    gate: Gate
    ledger: Ledger
    knows_cmd_id: bool = True
    bus: Bus = field(default_factory=Bus)
    accounts: Accounts = field(kw_only=True)
    activity: ActivityLog = field(kw_only=True)
    losses: Losses = field(kw_only=True)
    database: StockDatabase = field(kw_only=True)
    machines: Machines = field(kw_only=True)
    dashboard_interval: Interval = field(kw_only=True)
    version: str = field(kw_only=True)
    row_seconds: float = field(kw_only=True)
    agent_seconds: float = field(kw_only=True)
    check_seconds: float = field(kw_only=True)

    @property
    def release(self) -> tuple[int, ...]:
        """The server's version as numbers, which can be compared."""
        return release_of(self.version)
