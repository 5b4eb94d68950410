"""A simulated Tactical RMM gateway or stock server for tests, over real HTTP and WebSockets.

Use it through `Simulator`, the pytest fixtures `trmm_simulator` and `trmm`, or `python -m
trmm_async.testing`. It imports nothing of the rest of the package, so that it can't share a mistake with the
code that is tested against it.

The names are imported when they are first used, because pytest loads `plugin.py`, and with it this module, in
every test run of everybody who has installed the package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .faults import Fault
    from .gate import PERMISSIONS, Limits, Restriction
    from .ledger import Request, Run
    from .nouns import Agent, Alert, Check, Client, Deployment, Disk, Script, Site, Task
    from .scripts import ScriptReply
    from .simulator import Simulator
    from .stock.accounts import User
    from .stock.losses import FrameLoss
    from .throttle import Throttle
    from .world import UnknownThingError, World

__all__ = [
    "Simulator",
    "ScriptReply",
    "Fault",
    "Restriction",
    "Limits",
    "PERMISSIONS",
    "Request",
    "Run",
    "World",
    "UnknownThingError",
    "Agent",
    "Alert",
    "Check",
    "Client",
    "Deployment",
    "Disk",
    "Script",
    "Site",
    "Task",
    "Throttle",
    "User",
    "FrameLoss",
]

_HOMES = {
    "simulator": ("Simulator",),
    "scripts": ("ScriptReply",),
    "faults": ("Fault",),
    "gate": ("PERMISSIONS", "Limits", "Restriction"),
    "ledger": ("Request", "Run"),
    "world": ("UnknownThingError", "World"),
    "nouns": ("Agent", "Alert", "Check", "Client", "Deployment", "Disk", "Script", "Site", "Task"),
    "throttle": ("Throttle",),
    "stock.accounts": ("User",),
    "stock.losses": ("FrameLoss",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _HOME_OF:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
