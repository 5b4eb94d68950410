"""What a wire dialect has to work with, in one value.

Below: everything that knows nothing of a wire. Above: the dialects; `simulator.py` puts it together.
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
    from .world import World

__all__ = ["Stage"]


@dataclass(frozen=True, slots=True)
class Stage:
    """The world, who runs scripts in it, and whoever else a dialect may need.

    `bus` is the way from the server to its agents, which the stock dialect alone has; `gate` knows the keys
    and whose they are.
    """

    world: World
    runner: Runner
    hub: Hub
    downloads: Downloads
    gate: Gate
    ledger: Ledger
    knows_cmd_id: bool = True
    bus: Bus = field(default_factory=Bus)
