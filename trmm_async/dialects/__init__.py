"""What a server understands: intent in, `Call` out.

All that differs between servers (method, path, body, the answer's shape, what they can't do, where
events come from) lives here, one file each; nothing above this floor asks which server it is.
"""

from trmm_async.dialects.base import (
    AgentFilter,
    CommandHistory,
    DeploymentOrder,
    Dialect,
    History,
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
    "CommandHistory",
    "DeploymentOrder",
    "Dialect",
    "Gateway",
    "History",
    "HistoryRun",
    "Polled",
    "Pushed",
    "ScriptRun",
    "Stock",
    "TaskOrder",
]
