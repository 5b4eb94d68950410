"""What each kind of server understands: an intent goes in, a `Call` comes out.

Everything that differs between servers is here: methods, paths, bodies, forms of answers, what they can't do,
where events come from. Nothing above this layer asks which kind of server it is.
"""

from trmm_async.dialects.base import (
    AgentFilter,
    DeploymentOrder,
    Dialect,
    HistoryRun,
    Polled,
    Pushed,
    ScriptRun,
    TaskOrder,
)
from trmm_async.dialects.gateway import Gateway
from trmm_async.dialects.stock import Stock

__all__ = [
    "AgentFilter",
    "DeploymentOrder",
    "Dialect",
    "Gateway",
    "HistoryRun",
    "Polled",
    "Pushed",
    "ScriptRun",
    "Stock",
    "TaskOrder",
]
