"""Scripts whose results are collected from a server's history: sent once, and matched to their rows.

Over the transport and the dialects' values, below the resources. Inside, from the top, each calling only
downward: `pending` (one script on its way), `commands` and `poller` (read the history for all who wait),
`matcher` (which row is which run; pure) and `tracked` (the run, and what is found out of it). What comes back
up is only completion: a poller wakes who waits.
"""

from trmm_async.script_runs.commands import CommandPoller
from trmm_async.script_runs.matcher import RunMatcher
from trmm_async.script_runs.pending import Before, PendingRun, RecoveredRun, run_script
from trmm_async.script_runs.poller import RunPoller
from trmm_async.script_runs.tracked import HistoryWaits, Watermark

__all__ = [
    "Before",
    "CommandPoller",
    "HistoryWaits",
    "PendingRun",
    "RecoveredRun",
    "RunMatcher",
    "RunPoller",
    "Watermark",
    "run_script",
]
